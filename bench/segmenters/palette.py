"""Reading pictures of labels: every class has a colour."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.detector import Segmenter
from bench.spec import param

Colour = tuple[int, int, int]

FACADES: tuple[Colour, ...] = (
    (0, 0, 222), (0, 48, 255), (0, 128, 255), (0, 208, 255), (32, 255, 224), (112, 255, 144),
    (192, 255, 64), (255, 240, 0), (255, 160, 0), (255, 80, 0), (255, 0, 0), (174, 0, 0),
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Palette(Segmenter):
    """The class of the nearest colour, so that compressed, resized and generated labels can be read.

    The default colours are those of facades.
    """

    colours: tuple[Colour, ...] = param(FACADES, "the colour of each class: RGB, 0 to 255, all different")

    def __post_init__(self) -> None:
        if len(set(self.colours)) < 2 or len(set(self.colours)) < len(self.colours):
            raise ValueError("a palette needs two colours or more, all different")

    @property
    @override
    def classes(self) -> int:
        return len(self.colours)

    @override
    def __call__(self, images: Tensor) -> Tensor:
        """Label by the nearest colour, of equally near ones the first."""
        colours = images.new_tensor(self.colours).div_(255)  # K x 3
        distances = colours.square().sum(1).view(-1, 1, 1) - 2 * torch.einsum("nchw,kc->nkhw", images, colours)  # less |image|^2
        return distances.argmin(1)
