"""Photographs and a map of their regions in flat colours, as in pix2pix's labels -> photo, without anybody's annotation."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from datasets.reading.derived import Derived

# Berlin and Kay's eleven basic colour terms ("Basic Color Terms", 1969) with a typical RGB of each,
# and the colour that marks it: those of facades
_TERMS = {
    "black": ((0, 0, 0), (0, 0, 222)),
    "gray": ((128, 128, 128), (0, 48, 255)),
    "white": ((255, 255, 255), (0, 128, 255)),
    "red": ((200, 30, 30), (0, 208, 255)),
    "orange": ((240, 140, 30), (32, 255, 224)),
    "brown": ((120, 75, 40), (112, 255, 144)),
    "yellow": ((240, 220, 50), (192, 255, 64)),
    "green": ((60, 140, 60), (255, 240, 0)),
    "blue": ((50, 80, 190), (255, 160, 0)),
    "purple": ((120, 50, 140), (255, 80, 0)),
    "pink": ((240, 150, 180), (255, 0, 0)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoLabels(Derived):
    """A is a map of labels, B the photograph.

    Regions: Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation", IJCV 2004, as scikit-image computes it. The label of
    a region is the basic colour term nearest to its mean in CIELAB. Labels say where things end and how they look, not what they are; they
    are painted in colours of facades, so that `fcn_score` reads them.
    """

    origin: ClassVar[str] = "the photographs themselves"

    scale: float = param(100.0, "of the segmentation: larger makes larger regions")
    smooth: float = param(0.8, "standard deviation of the Gaussian before, pixels")
    least: int = param(50, "pixels of a region at least")

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.smooth < 0 or self.least < 1:
            raise ValueError("scale must be positive, smooth >= 0 and least >= 1")

    @override
    def derive(self, x: Tensor) -> Tensor:
        from skimage.color import rgb2lab
        from skimage.segmentation import felzenszwalb

        photo = x.cpu().numpy().transpose(1, 2, 0)
        region = felzenszwalb(photo, self.scale, self.smooth, self.least, channel_axis=-1)
        lab = rgb2lab(photo).reshape(-1, 3)
        sizes = np.bincount(region.ravel())
        means = np.stack([np.bincount(region.ravel(), weights=channel) for channel in lab.T], 1) / sizes[:, None]
        typical, marks = (np.array(side, np.float64) / 255 for side in zip(*_TERMS.values(), strict=True))
        nearest = np.square(means[:, None] - rgb2lab(typical[None])[0]).sum(-1).argmin(1)
        return torch.from_numpy(marks[nearest[region]]).to(x).permute(2, 0, 1).contiguous()
