"""Any folder of CT slices in DICOM files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.dataset import Split
from bench.errors import UsageError
from bench.method import param
from datasets.reading.dicom import ENDINGS, patient_of, read_slice, unnamed_slices
from datasets.reading.files import FileSource, split_of
from datasets.reading.folders import files_in, once, with_endings
from datasets.reading.names import Entry
from datasets.reading.own_folder import OR_TEST, own_folder


@dataclasses.dataclass(frozen=True, kw_only=True)
class DICOM(FileSource):
    """The CT slices below a folder, all of them to test on, or split by a hash of the patient: 80 % train, 10 % validation, 10 % test.

    Slices of one patient are alike: they are one group and never fall into two splits.
    """

    origin: ClassVar[str] = "your own slices, or https://www.kaggle.com/datasets/kmader/siim-medical-images (Cancer Imaging Archive)"
    licence: ClassVar[str] = "that of your slices"
    parted: ClassVar[str] = "a hash of the patients chooses the split, 80 % train, 10 % validation, 10 % test" + OR_TEST
    layout: ClassVar[str] = "any .dcm or .IMA files in dicom[path=...], dicom/ or ct_siim16_dicom/"
    folders: ClassVar[tuple[str, ...]] = ("dicom", "ct_siim16_dicom")

    path: str | None = param(None, "folder, below the data root if it is there")
    split: Literal["hash", "test"] = param("hash", "hash: by a hash of the patient; test: all of it")
    size: int = param(0, "shrink to size x size by the mean over areas; 0: as they are")

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"size must be >= 0, not {self.size}")

    @override
    def find(self, root: Path | None) -> Path:
        if self.path is None:
            return super().find(root)
        return own_folder("dicom", self.path, root)

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """The slices of a split, named by their path below the folder. Reads who the patients are."""
        found = files_in(folder, recursive=True)
        files, twins = once(with_endings(found, ENDINGS))
        others = unnamed_slices(found)
        if not files:
            more = f", but {len(others)} DICOM files without such an ending: rename them" if others else ""
            raise UsageError(f"data set 'dicom': no .dcm or .IMA files in {folder}{more}")
        left_out = twins | dict.fromkeys(others, "is left out: it is DICOM, but is not called .dcm or .IMA")
        both = [*files, *left_out]
        of = {path: patient_of(path) for path in both}
        chosen = [path for path in both if split == ("test" if self.split == "test" else split_of(of[path]))]
        return [Entry(path.relative_to(folder).as_posix(), (path,), of[path], left_out.get(path, "")) for path in chosen]

    @override
    def read(self, path: Path) -> Tensor:
        """One slice: 1 x H x W."""
        x = read_slice(path)
        if self.size > min(x.shape[-2:]):
            raise UsageError(f"the CT slice {path} is {x.shape[-1]} x {x.shape[-2]}: give size={min(x.shape[-2:])} or less")
        return F.adaptive_avg_pool2d(x, self.size) if self.size else x
