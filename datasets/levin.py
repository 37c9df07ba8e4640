"""Real camera shake of known kernels: 4 pictures x 8 kernels, 255 x 255, gray."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.dataset import Picture, Split
from bench.operators.psf import convolve
from datasets.reading.files import FileSource
from datasets.reading.folders import image_files
from datasets.reading.names import Entry
from datasets.reading.pixels import read_image

_REACH = 8  # pixels by which a measured kernel may be off centre
_MARGIN = 32  # of the picture, out of reach of its border


@dataclasses.dataclass(frozen=True, kw_only=True)
class Levin(FileSource):
    """Levin, Weiss, Durand and Freeman, "Understanding and evaluating blind deconvolution algorithms", CVPR 2009; test only.

    Kernels were measured apart from the pictures, so some are stored turned by 180 degrees and all are off by a few pixels. Each psf is
    turned and shifted (on a larger canvas) such that `bench.operators.psf.convolve(target, psf)` reproduces `observed` best: to 35 dB or
    better, away from the border.
    """

    origin: ClassVar[str] = "https://webee.technion.ac.il/people/anat.levin/ (LevinEtalCVPR09Data), as PNG"
    licence: ClassVar[str] = "research only"
    layout: ClassVar[str] = "levin2009/imI_kernelJ_img.png, levin2009/gt/imI.png, levin2009/gt/kernelJ.png"
    folders: ClassVar[tuple[str, ...]] = ("levin2009", "levin")

    @override
    def entries(self, folder: Path, split: Split) -> list[Entry]:
        if split != "test":
            return []
        found = []
        for path in image_files(folder):
            if match := re.fullmatch(r"(im\d+)_(kernel\d+)_img", path.stem):
                truth = folder / "gt" / f"{match[1]}.png", folder / "gt" / f"{match[2]}.png"
                found.append(Entry(f"{match[1]}_{match[2]}", (path, *truth), match[1]))
        return found

    @override
    def load(self, entry: Entry) -> Picture:
        """Read one picture and fit its kernel."""
        observed, target, kernel = (read_image(file) for file in entry.files)
        return Picture(
            name=entry.name,
            target=target,
            observed=observed,
            psf=_fitted(target[:1], observed[:1], kernel[0] / kernel[0].sum()),
        )


def _fitted(target: Tensor, observed: Tensor, kernel: Tensor) -> Tensor:
    """The kernel, turned or not and shifted by up to `_REACH` pixels, that explains the blurred picture (1 x H x W) best."""
    both = torch.stack([kernel, kernel.flip(0, 1)])
    inner = observed[None, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    edge = _MARGIN - _REACH
    model = convolve(target.expand(2, 1, -1, -1), both)[..., edge:-edge, edge:-edge]
    error = _slide(model**2, torch.ones_like(inner)) - 2 * _slide(
        model,
        inner,
    )  # 2 x 1 x shifts x shifts: |model - observed|^2 less a constant
    turn, rest = divmod(int(error.argmin()), error[0].numel())
    y, x = divmod(rest, error.shape[-1])  # model[p + (y, x) - _REACH] fits observed[p]
    return F.pad(both[turn], (2 * _REACH - x, x, 2 * _REACH - y, y))


def _slide(image: Tensor, window: Tensor) -> Tensor:
    """Inner products of a window with an image that is 2 `_REACH` larger, at every place where it fits."""
    size = image.shape[-2:]
    product = torch.fft.rfft2(image.double()) * torch.fft.rfft2(window.double(), s=size).conj()
    slid: Tensor = torch.fft.irfft2(product, s=size)[..., : 2 * _REACH + 1, : 2 * _REACH + 1]
    return slid
