"""Real camera shake, played back by a robot: 4 pictures x 12 trajectories, 800 x 800, each with the sharp frames along its trajectory."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry, by_stem, refuse_second
from datasets.reading.pixels import read_image
from datasets.reading.shaken import Shaken

_LEFT_OUT = ("1_3", 30)  # the authors' evaluation skips this frame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kohler(FileSource):
    """Koehler, Hirsch, Mohler, Schoelkopf and Harmeling, "Recording and playback of camera shake", ECCV 2012; test only.

    The task deblur scores a restored picture by the best of its frames (see `bench.tasks._best_frame`).
    """

    origin: ClassVar[str] = "http://people.kyb.tuebingen.mpg.de/rolfk/BenchmarkECCV2012 (BlurryImages.zip, GroundTruth_pngs_Image1..4.zip)"
    layout: ClassVar[str] = "kohler/BlurryImages/BlurryI_K.png, kohler/ImageI/KernelK/GroundTruthI_K_N.png"
    folders: ClassVar[tuple[str, ...]] = ("kohler", "Kohler", "BenchmarkECCV2012")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """Each blurred picture and its frames.

        Raises:
            UsageError: two files stand for one picture or one frame.
        """
        if split != "test":
            return []
        frames: dict[str, dict[int, Path]] = defaultdict(dict)
        for path in image_files(folder, recursive=True):
            if (match := re.fullmatch(r"GroundTruth(\d+_\d+)_(\d+)", path.stem)) and (match[1], int(match[2])) != _LEFT_OUT:
                refuse_second(frames[match[1]], int(match[2]), path)
                frames[match[1]][int(match[2])] = path
        blurred = {stem.removeprefix("Blurry"): path for stem, path in by_stem(image_files(folder / "BlurryImages")).items()}
        alone = [Entry(name, (blurred[name],), left_out="is left out: it has no frames") for name in sorted(blurred.keys() - frames.keys())]
        names = sorted(blurred.keys() & frames.keys(), key=lambda name: [int(n) for n in name.split("_")])
        files = [(blurred[name], *(frames[name][n] for n in sorted(frames[name]))) for name in names]
        return [Entry(name, found, name.partition("_")[0]) for name, found in zip(names, files)] + alone

    @override
    def load(self, entry: Entry) -> Shaken:
        """Read the blurred picture and the middle frame."""
        observed, *frames = entry.files
        middle = frames[len(frames) // 2]
        return Shaken(name=entry.name, target=read_image(middle), observed=read_image(observed), files=tuple(frames))
