"""Real pairs of full and quarter dose: the low-dose CT challenge of Mayo Clinic, NIBIB and AAPM."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from bench.dataset import Picture, Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.dicom import read_slice, slice_files
from datasets.reading.files import FileSource
from datasets.reading.names import Entry, refuse_second

_Key = tuple[str, int]  # patient, number of the slice from the first


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mayo(FileSource):
    """McCollough et al., "Low-dose CT for the detection and classification of metastatic liver lesions: results of the 2016 low dose CT
    grand challenge", Medical Physics 44(10), 2017. Ten patients of 512 x 512 slices.

    By name the last patient is tested on (L506 of the ten, as is common), the one before validates. Slices of one patient are one group:
    what is better on them need not be on another's.
    """

    origin: ClassVar[str] = "https://www.aapm.org/GrandChallenge/LowDoseCT/"
    licence: ClassVar[str] = "research only, on agreement with Mayo Clinic"
    layout: ClassVar[str] = "AAPM-Mayo-CT-Challenge/L067/{full,quarter}_{1,3}mm/*.IMA, or {full,quarter}_{1,3}mm/L067/*.IMA, at any depth"
    folders: ClassVar[tuple[str, ...]] = ("AAPM-Mayo-CT-Challenge", "Training_Image_Data", "mayo")

    thickness: Literal["1mm", "3mm"] = param("3mm", "of the slices")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The pairs of a split: full dose, then quarter dose.

        Raises:
            UsageError: there are none, or a patient has more slices of one dose than of the other, or two of one number.
        """
        full, quarter = (self._slices(folder, dose) for dose in ("full", "quarter"))
        if not full:
            raise UsageError(f"data set 'mayo': no slices of {self.thickness} in {folder}; expected {self.layout}")
        if lonely := sorted(full.keys() ^ quarter.keys()):
            raise UsageError(f"data set 'mayo': slice {lonely[0][1]} of patient {lonely[0][0]} in {folder} lacks one of the two doses")
        patients = sorted({patient for patient, _ in full})
        if len(patients) < 3:
            raise UsageError(f"data set 'mayo': {folder} has {len(patients)} patients of {self.thickness}, three splits need 3")
        chosen = {"train": patients[:-2], "validation": patients[-2:-1], "test": patients[-1:]}[split]
        keys = [key for key in full if key[0] in chosen]
        return [Entry(f"{patient}/{number:04d}", (full[patient, number], quarter[patient, number]), patient) for patient, number in keys]

    @override
    def read(self, path: Path) -> Tensor:
        """One slice: 1 x H x W."""
        return read_slice(path)

    @override
    def load(self, entry: Entry) -> Picture:
        """One pair; the quarter dose is what is observed."""
        full, quarter = entry.files
        return Picture(name=entry.name, target=self.read(full), observed=self.read(quarter))

    def _slices(self, folder: Path, dose: str) -> dict[_Key, Path]:
        """Files of a dose by patient and number, in order: as names of the challenge state it (...CT.0001.0023...), else by their order."""
        of: dict[str, list[Path]] = {}
        found: dict[_Key, Path] = {}
        for path in slice_files(folder):
            parents = path.relative_to(folder).parts[:-1]
            patient = next((part for part in parents if re.fullmatch(r"L\d{3}", part)), None)
            if patient and f"{dose}_{self.thickness}" in parents:
                of.setdefault(patient, []).append(path)
        for patient in sorted(of):
            for i, path in enumerate(sorted(of[patient], key=lambda p: p.name)):
                refuse_second(found, key := (patient, _number(path, i)), path)
                found[key] = path
        return found


def _number(path: Path, otherwise: int) -> int:
    found = re.search(r"\.CT\.\d+\.(\d+)\.", path.name)
    return int(found[1]) if found else otherwise
