"""Edges and the photographs they were found in, as in pix2pix's edges -> photo."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from bench.operators.colour import luma
from datasets.reading.derived import Derived


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoEdges(Derived):
    """A is a drawing, black lines on white, B the photograph.

    Lines: Canny, "A computational approach to edge detection", PAMI 1986, as scikit-image computes it, on the luma. pix2pix draws with HED,
    a network whose weights would be needed.
    """

    origin: ClassVar[str] = "the photographs themselves"

    sigma: float = param(1.5, "standard deviation of the Gaussian before the gradient, pixels")
    low: float = param(0.05, "lower threshold of hysteresis, on the length of Sobel's gradient (a step of 1 has 4)")
    high: float = param(0.12, "upper threshold")

    def __post_init__(self) -> None:
        if self.sigma < 0 or not 0 <= self.low <= self.high:
            raise ValueError("sigma must be >= 0 and 0 <= low <= high")

    @override
    def derive(self, x: Tensor) -> Tensor:
        from skimage.feature import canny

        lines = canny(luma(x)[0].cpu().numpy(), self.sigma, self.low, self.high)
        return 1 - torch.from_numpy(lines).to(x).expand_as(x).contiguous()
