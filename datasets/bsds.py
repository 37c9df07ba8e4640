"""Natural colour photographs, 481 x 321: the Berkeley segmentation set, whose 68 pictures CBSD68 are the denoising benchmark."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry


@dataclasses.dataclass(frozen=True, kw_only=True)
class BSDS(FileSource):
    """Arbelaez, Maire, Fowlkes and Malik, "Contour detection and hierarchical image segmentation", PAMI 2011.

    The authors' layout holds the three splits. In the small one (train, val) the test split is the part of val that `CBSD68.txt` lists
    (without that file: two thirds of val, sorted by name), validation the rest of val.
    """

    origin: ClassVar[str] = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html (BSR_bsds500.tgz)"
    licence: ClassVar[str] = "research and education only"
    layout: ClassVar[str] = "BSR/BSDS500/data/images/{train,val,test}/*.jpg, or bsds500_color/{train,val}/*.jpg"
    folders: ClassVar[tuple[str, ...]] = ("BSR/BSDS500/data/images", "BSDS500/data/images", "BSDS500/images", "bsds500_color")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        return [Entry(path.stem, (path,)) for path in _paths(folder, split)]


def _paths(folder: Path, split: Split) -> list[Path]:
    if split == "train":
        return image_files(folder / "train")
    if (folder / "test").is_dir():
        return image_files(folder / ("val" if split == "validation" else "test"))
    both = image_files(folder / "val")
    listing = folder / "CBSD68.txt"
    if listing.is_file():
        listed = {Path(line.strip()).stem for line in listing.read_text().splitlines()}
        test = [path for path in both if path.stem in listed]
    else:
        test = both[len(both) // 3 :]
    return test if split == "test" else [path for path in both if path not in test]
