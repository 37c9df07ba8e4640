"""Reading CT slices from DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import ct
from bench.errors import Unavailable, UsageError
from bench.text import one_line

_SUFFIXES = {".dcm", ".ima"}
_WHOSE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")


def slice_files(folder: Path) -> list[Path]:
    """The .dcm and .IMA files below a folder, sorted by path.

    Raises:
        Unavailable: pydicom is not installed.
    """
    _pydicom()
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())


def read_slice(path: Path) -> Tensor:
    """Read a slice: 1 x H x W on [0, 1] for -1024 to 3072 HU. Stored values are turned into HU by the slope and intercept that the file states,
    then clipped, so padding (-2000 stored, -3024 HU after an intercept of -1024) becomes the scale's lower end.

    Raises:
        Unavailable: pydicom is not installed.
        UsageError: the file is damaged, no CT slice, or has no pixels (named).
    """
    pydicom = _pydicom()
    try:
        header = pydicom.dcmread(path)
        if header.get("Modality") != "CT":
            raise ValueError(f"its modality is {header.get('Modality', 'not stated')}, not CT")
        if "RescaleSlope" not in header or "RescaleIntercept" not in header:
            raise ValueError("it states no RescaleSlope and RescaleIntercept, so its values are no Hounsfield units")
        stored = torch.from_numpy(header.pixel_array.astype("float64"))
        if stored.ndim != 2:
            raise ValueError(f"it holds {' x '.join(map(str, stored.shape))} values, not one slice")
    except Exception as error:  # damaged files make the decoders raise nearly anything
        reason = one_line(f"cannot read the CT slice {path}: {error}")
        raise UsageError(f"{reason}; replace it, or leave such files out with on_corrupt=skip") from error
    return ct.from_hu(float(header.RescaleSlope) * stored + float(header.RescaleIntercept)).float()[None]


def patient_of(path: Path) -> str:
    """Whose slice it is, from the header: the patient or, where that was taken out, the study or series; the file's name where it says none."""
    try:
        header = _pydicom().dcmread(path, specific_tags=list(_WHOSE), stop_before_pixels=True)
        return next((str(header.get(tag)) for tag in _WHOSE if header.get(tag)), path.stem)
    except Unavailable:
        raise
    except Exception:  # a damaged file is named when it is read
        return path.stem


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise Unavailable("reading DICOM needs pydicom: pip install 'ganbench[ct]'") from error
    return pydicom
