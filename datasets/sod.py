"""Salient objects: the masks of 300 photographs of the Berkeley set, and maps that a published method predicted for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from bench.dataset import Split
from bench.errors import Unavailable
from bench.method import param
from datasets.reading.files import FileSource, split_of
from datasets.reading.folders import image_files
from datasets.reading.names import Entry, by_stem
from datasets.reading.saliency import Seen

_PHOTOS = ("images", "../bsds500_color", "../BSR/BSDS500/data/images", "../BSDS500/data/images", "../BSDS500/images", "../BSDS300/images")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SOD(FileSource):
    """Movahedi and Elder, "Design and perceptual validation of performance measures for salient object segmentation", POCV 2010.

    All of it is for testing, as papers use it, or (`split=bsds`) the photographs of BSDS's training split are for training, a tenth of them
    for validation. `pictures` may name a folder of predicted maps: those then stand in for the photographs, and the method `brightness`
    hands them on, so that published predictions are judged like any method.
    """

    origin: ClassVar[str] = (
        "http://elderlab.yorku.ca/SOD and BSDS500 (see the data set bsds); predictions of DSS: https://github.com/Andrew-Qibin/DSS"
    )
    licence: ClassVar[str] = "research only"
    layout: ClassVar[str] = (
        "sod_saliency/gt/ID.png with the photographs in sod_saliency/images/ID.jpg or beside it as BSDS; sod_saliency/pred_DSS/ID.png"
    )
    folders: ClassVar[tuple[str, ...]] = ("sod_saliency", "SOD")

    split: Literal["test", "bsds"] = param("test", "test: all of it; bsds: BSDS's training photographs train and validate")
    pictures: str = param("photos", "photos, or a folder of predicted maps that stand in for them")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """What a method is shown and the mask, by number.

        Raises:
            Unavailable: there is nothing to show for a mask.
            UsageError: there are two pictures for a mask.
        """
        masks = image_files(folder / "gt")
        wanted = {mask.stem for mask in masks}
        shown = _photos(folder, wanted) if self.pictures == "photos" else by_stem(image_files(folder / self.pictures), wanted)
        if missing := [mask.stem for mask in masks if mask.stem not in shown]:
            where = self.layout if self.pictures == "photos" else f"{folder / self.pictures}/ID.png"
            raise Unavailable(f"data set 'sod': nothing to show for the mask {missing[0]} and {len(missing) - 1} more: expected {where}")
        return [Entry(mask.stem, (shown[mask.stem], mask)) for mask in masks if split == self._split_of(shown[mask.stem])]

    @override
    def load(self, entry: Entry) -> Seen:
        shown, mask = (self.read(file) for file in entry.files)
        target = (mask[:1] > 0.5).float()
        return Seen(name=entry.name, observed=shown, target=target, mask=target)

    def _split_of(self, photo: Path) -> Split:
        if self.split == "test" or photo.parent.name != "train":
            return "test"
        return "validation" if split_of(photo.stem) == "validation" else "train"


def _photos(folder: Path, wanted: set[str]) -> dict[str, Path]:
    """The wanted photographs by number, each from the first place that has it."""
    found: dict[str, Path] = {}
    for place in _PHOTOS:
        found = by_stem(image_files(folder / place, recursive=True), wanted - found.keys()) | found
    return found
