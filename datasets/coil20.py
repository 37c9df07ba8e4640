"""COIL-20: twenty objects on a turntable, so the views of one object lie on a closed curve. Nene, Nayar, Murase, CUCS-005-96, 1996."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.folders import image_files
from datasets.reading.samples import ImageFiles, Listed

_SPLIT: dict[int, Split] = {0: "test", 3: "validation"}  # of the number of a view modulo 6; the other four train


@dataclasses.dataclass(frozen=True, kw_only=True)
class COIL20(ImageFiles):
    """Gray views `objN__K`: of six neighbours four train, one validates, one tests. The label and the group are the object."""

    origin: ClassVar[str] = "https://www.cs.columbia.edu/CAVE/software/softlib/coil-20.php (coil-20-proc.zip)"
    licence: ClassVar[str] = "non-commercial research"
    layout: ClassVar[str] = "coil20/ or coil-20-proc/ with obj1__0.png .."
    folders: ClassVar[tuple[str, ...]] = ("coil20", "coil-20-proc")

    gray: bool = param(True, "one channel; else three alike")
    object: int = param(0, "1 to 20: the views of that object alone; 0: all")

    @override
    def listed(self, folder: Path, split: Split) -> list[Listed]:
        """The views of a split, object by object, by angle."""
        views = [(int(m[1]), int(m[2]), path) for path in image_files(folder) if (m := re.fullmatch(r"obj(\d+)__(\d+)", path.stem))]
        wanted = [(thing, path) for thing, view, path in sorted(views) if _SPLIT.get(view % 6, "train") == split]
        chosen = [(thing, path) for thing, path in wanted if self.object in (0, thing)]
        return [Listed(path, thing - 1, f"obj{thing}") for thing, path in chosen]

    @override
    def classes(self, folder: Path) -> list[str]:
        """One class an object."""
        return [f"obj{thing}" for thing in range(1, 21)]
