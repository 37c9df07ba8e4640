"""Reading CT slices from DICOM files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import Unavailable, UsageError
from bench.operators import ct
from bench.text import one_line
from datasets.reading.folders import files_in, with_endings
from datasets.reading.pixels import check_file

ENDINGS = {".dcm", ".ima"}
HU_ENDINGS = frozenset({*ENDINGS, ".npy"})
"""Of slices that other code made."""

_WHOSE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")


def slice_files(folder: Path) -> list[Path]:
    """The .dcm and .IMA files below a folder, sorted by path. See `datasets.reading.folders.files_in`.

    Raises:
        Unavailable: pydicom is not installed.
    """
    _pydicom()
    return with_endings(files_in(folder, recursive=True), ENDINGS)


def unnamed_slices(paths: Sequence[Path]) -> list[Path]:
    """Those that are DICOM by their content but not by their ending, the index of a disc aside."""
    return [path for path in paths if path.suffix.lower() not in ENDINGS and path.name != "DICOMDIR" and _is_dicom(path)]


def read_slice(path: Path) -> Tensor:
    """Read a slice: 1 x H x W on [0, 1] for -1024 to 3072 HU. Stored values are turned into HU by the slope and intercept that the file
    states, then clipped, so padding (-2000 stored, -3024 HU after an intercept of -1024) becomes the scale's lower end.

    Raises:
        Unavailable: pydicom is not installed.
        UsageError: the file is damaged, no CT slice, or has no pixels (named).
    """
    pydicom = _pydicom()
    try:
        check_file(path)
        header = pydicom.dcmread(path)
        if header.get("Modality") != "CT":
            raise ValueError(f"its modality is {header.get('Modality', 'not stated')}, not CT")
        slope, intercept = (_number(header, tag) for tag in ("RescaleSlope", "RescaleIntercept"))
        if not slope:
            raise ValueError("its RescaleSlope is 0")
        stored = torch.from_numpy(header.pixel_array.astype("float64"))
        if stored.ndim != 2:
            raise ValueError(f"it holds {' x '.join(map(str, stored.shape))} values, not one slice")
    except Exception as error:  # damaged files make the decoders raise nearly anything
        reason = one_line(f"cannot read the CT slice {path}: {error}")
        raise UsageError(f"{reason}; replace it, or leave such files out with on_corrupt=skip") from error
    return ct.from_hu(slope * stored + intercept).float()[None]


def read_hu(path: Path) -> Tensor:
    """Read a slice that other code made, DICOM or an array of HU (.npy, H x W): 1 x H x W as `read_slice`.

    Raises:
        Unavailable: pydicom is not installed.
        UsageError: the file is damaged, or no slice (named).
    """
    if path.suffix.lower() != ".npy":
        return read_slice(path)
    return ct.from_hu(torch.from_numpy(_array_of_hu(path).astype("float64"))).float()[None]


def size_of_slice(path: Path) -> tuple[int, int]:
    """Width and height of what `read_hu` reads, without its pixels. Raises like it."""
    if path.suffix.lower() == ".npy":
        rows, columns = _array_of_hu(path).shape
        return columns, rows
    pydicom = _pydicom()
    try:
        check_file(path)
        header = pydicom.dcmread(path, stop_before_pixels=True)
        return int(header.Columns), int(header.Rows)
    except Exception as error:  # damaged files make the decoders raise nearly anything
        raise UsageError(one_line(f"cannot read the CT slice {path}: {error}; replace it")) from error


def _array_of_hu(path: Path) -> NDArray[np.generic]:
    """A slice as an array of numbers, H x W, left on the disk until it is used; nothing in the file is run."""
    try:
        check_file(path)
        hu: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
        if hu.ndim != 2 or hu.dtype.kind not in "uif":
            raise ValueError(f"it holds {' x '.join(map(str, hu.shape))} values of {hu.dtype}, not one slice of numbers")
    except Exception as error:  # damaged files make the reader raise nearly anything
        raise UsageError(one_line(f"cannot read the CT slice {path}: {error}; nothing in it was run")) from error
    return hu


def patient_of(path: Path) -> str:
    """Whose slice it is, from the header: the patient or, where that was taken out, the study or series;
    the file's name where it says none.
    """
    try:
        check_file(path)
        header = _pydicom().dcmread(path, specific_tags=list(_WHOSE), stop_before_pixels=True)
        return next((str(header.get(tag)) for tag in _WHOSE if header.get(tag)), path.stem)
    except Unavailable:
        raise
    except Exception:  # a damaged file is named when it is read
        return path.stem


def _number(header: Any, tag: str) -> float:
    """The number that a tag holds, which may be missing, there and empty, or several."""
    value = header.get(tag)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        what = f"states no {tag}" if tag not in header else f"has an empty {tag}" if value in (None, "") else f"has {value} as its {tag}"
        raise ValueError(f"it {what}, so its values are no Hounsfield units")
    return number


def _is_dicom(path: Path) -> bool:
    """Whether a file says that it is DICOM; one that cannot be read does not."""
    try:
        if not os.path.isfile(path):
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise Unavailable("reading DICOM needs pydicom: pip install 'ganbench[ct]'") from error
    return pydicom
