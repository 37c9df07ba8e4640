"""Real motion blur: averaged frames of a 240 fps camera, 1280 x 720."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import ClassVar, Literal

from typing_extensions import override

from bench.dataset import Picture, Split
from bench.method import param
from datasets.reading.files import FileSource
from datasets.reading.folders import folders_in, image_files
from datasets.reading.names import Entry
from datasets.reading.pixels import read_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class GoPro(FileSource):
    """Nah, Kim and Lee, "Deep multi-scale convolutional neural network for dynamic scene deblurring", CVPR 2017.

    2103 pairs to train on and 1111 to test. The authors publish no validation split: the last `held_out` training sequences serve as one.
    The flat layout is test only. The group of a frame is the video that its
    sequence was cut from.
    """

    origin: ClassVar[str] = "https://seungjunnah.github.io/Datasets/gopro (GOPRO_Large)"
    licence: ClassVar[str] = "CC BY 4.0"
    layout: ClassVar[str] = "GOPRO_Large/{train,test}/SEQUENCE/{blur,blur_gamma,sharp}/*.png, or gopro_pairs/NAME_{blur,sharp}1.png"
    folders: ClassVar[tuple[str, ...]] = ("GOPRO_Large", "gopro", "gopro_pairs")

    subset: Literal["blur", "blur_gamma"] = param(
        "blur_gamma", "blur: frames averaged as stored; blur_gamma: in linear light (gamma 2.2). Papers use either"
    )
    held_out: int = param(2, "training sequences kept for validation")

    def __post_init__(self) -> None:
        if self.held_out < 0:
            raise ValueError(f"held_out must be >= 0, not {self.held_out}")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        """Pairs (blurred, sharp) by sequence and frame."""
        if not (folder / "test").is_dir() and not (folder / "train").is_dir():
            return _flat(folder) if split == "test" else []
        sequences = folders_in(folder / ("test" if split == "test" else "train"))
        if split != "test":
            cut = max(len(sequences) - self.held_out, 0)
            sequences = sequences[:cut] if split == "train" else sequences[cut:]
        return [
            Entry(f"{sequence.name}/{sharp.stem}", (sequence / self.subset / sharp.name, sharp), _video(sequence.name))
            for sequence in sequences
            for sharp in image_files(sequence / "sharp")
        ]  # fmt: skip

    @override
    def load(self, entry: Entry) -> Picture:
        observed, target = (read_image(file) for file in entry.files)
        return Picture(name=entry.name, target=target, observed=observed)


def _video(sequence: str) -> str:
    """Of a sequence such as GOPR0384_11_05: GOPR0384, which GOPR0384_11_00 is from, too."""
    return re.sub(r"^(GOPR\d+)_\d+_\d+$", r"\1", sequence)


def _flat(folder: Path) -> list[Entry]:
    blurred = [path for path in image_files(folder) if path.stem.endswith("_blur1")]
    return [Entry(p.stem.removesuffix("_blur1"), (p, p.with_stem(p.stem.removesuffix("_blur1") + "_sharp1"))) for p in blurred]
