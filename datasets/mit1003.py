"""Photographs and where fifteen people looked in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.files import FileSource, split_of
from datasets.reading.folders import image_files
from datasets.reading.names import Entry
from datasets.reading.own_folder import BY_HASH, OR_TEST
from datasets.reading.saliency import Seen, density_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class MIT1003(FileSource):
    """Judd, Ehinger, Durand and Torralba, "Learning to predict where humans look", ICCV 2009.

    The authors publish no splits: all of it to test on, or split by a hash of the names (80 % train, 10 % validation, 10 % test).
    The flat layout has densities but no fixations.
    """

    origin: ClassVar[str] = "https://people.csail.mit.edu/tjudd/WherePeopleLook (ALLSTIMULI.zip, ALLFIXATIONMAPS.zip)"
    licence: ClassVar[str] = "research only"
    layout: ClassVar[str] = "MIT1003/{ALLSTIMULI/*.jpeg,ALLFIXATIONMAPS/*_{fixMap,fixPts}.jpg}, or mit1003_64/{stimuli,fixmaps}/*.jpg"
    parted: ClassVar[str] = BY_HASH + OR_TEST
    folders: ClassVar[tuple[str, ...]] = ("MIT1003", "mit1003", "mit1003_64")

    split: Literal["hash", "test"] = param("hash", "hash: 80 % train, 10 % validation, 10 % test by a hash of the name; test: all of it")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        flat = (folder / "stimuli").is_dir()
        found = []
        for photo in image_files(folder / ("stimuli" if flat else "ALLSTIMULI")):
            if split == ("test" if self.split == "test" else split_of(photo.stem)):
                maps = folder / "ALLFIXATIONMAPS"
                truth = [folder / "fixmaps" / photo.name] if flat else [maps / f"{photo.stem}_{kind}.jpg" for kind in ("fixMap", "fixPts")]
                found.append(Entry(photo.stem, (photo, *truth)))
        return found

    @override
    def load(self, entry: Entry) -> Seen:
        photo, density, *points = (self.read(file) for file in entry.files)
        fixations = (points[0][:1] > 0.5).float() if points else None
        return Seen(name=entry.name, observed=photo, target=density_of(density), fixations=fixations)
