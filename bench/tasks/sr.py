"""Super-resolution: enlarge photographs that bicubic shrinking made small.

The protocol of SRGAN's tables (Ledig et al., CVPR 2017, Sec. 3.2) and, beside it, the one of most tables since.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import Picture
from bench.errors import UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.method import Batch, param
from bench.offers import Capability
from bench.spec import parse
from bench.tasks._restoration import Restoration
from datasets.degrade.bicubic import Bicubic


@dataclasses.dataclass(kw_only=True, eq=False)
class SuperResolution(Restoration):
    """Enlarge photographs by `scale`; `observed` is the small one, 8 bits.

    A data set that brings its small pictures (set5, set14, bsd100, urban100) is judged on those, whole; any
    other is cut into tiles and shrunk.
    """

    scale: Literal[2, 3, 4] = param(4, "sides of the large picture over those of the small one")
    crop: int = param(96, "side of training crops, pixels of the large picture")
    train_data: str = param("photos", "to train and validate on where `data` has no such split")
    profile: str = param("srgan_daala", 'whose convention "psnr" and "ssim" follow (bench/judging/profiles.py)')
    metrics: tuple[str, ...] = param(
        (), "of pictures; empty: the profile's PSNR and SSIM, those of the literature with a border of `scale`, GMSD, LPIPS"
    )

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop % self.scale:
            raise ValueError(f"crop must be a multiple of scale, not {self.crop} at scale {self.scale}")
        luma = f"[border={self.scale},channel=y601]"
        self.metrics = self.metrics or ("psnr", "ssim", f"psnr{luma}", f"ssim{luma}", "gmsd", "lpips")

    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Pairs of a small and a large picture. Not "paired": methods that keep the size cannot take them."""
        return frozenset({"scale", "files"})

    @override
    def components(self) -> list[tuple[str, str]]:
        return [*super().components(), ("dataset", self.train_data), ("degradation", "bicubic")]

    @override
    def degrade(self, x: Tensor, rng: torch.Generator) -> Batch:
        """Large pictures without the rows and columns that `scale` does not divide, and what is left of them when shrunk."""
        large = self._shrink.crop(x)
        return Batch(self._shrink.apply(large), large)

    @functools.cached_property
    def _shrink(self) -> Bicubic:
        return Bicubic(scale=self.scale)

    @property
    @override
    def _instead(self) -> str:
        return self.train_data

    @override
    def _evaluation_set(self, pictures: list[Picture], part: int) -> EvaluationSet:
        """Shrink every picture that did not come with its small version."""
        return evaluation_set(pictures, lambda picture, _: self._observe(picture), self.device)

    def _observe(self, picture: Picture) -> Batch:
        if picture.small is None:
            return self.degrade(picture.target[None], torch.Generator())
        if picture.target.shape[1:] != tuple(self.scale * n for n in picture.small.shape[1:]):
            name = parse(self.data).name
            raise UsageError(
                f"the small pictures of {self.data} are not {self.scale} times smaller: give --set 'data={name}[scale={self.scale}]'",
            )
        return Batch(picture.small[None], picture.target[None])
