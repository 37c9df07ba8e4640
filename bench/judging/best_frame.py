"""Koehler et al., "Recording and playback of camera shake", ECCV 2012: a restored picture is as good as the sharp frame that it is closest
to.

Before they are compared, the restored picture is multiplied by one number and shifted by whole pixels to fit the frame; pixels that the
shift brings in are black in both. The largest score counts, for each metric by itself. As the authors' evaluation code does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from bench.metric import ImageMetric

PROTOCOL = "best over all sharp frames, after one gain and a shift by whole pixels"


def align(z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """A restored picture fitted to a frame, and the frame where the two overlap.

    Args:
        z: restored, 3 x H x W.
        x: the frame, same shape.

    Returns:
        Both, float64, with zeros where the shifted picture has no pixels.
    """
    z, x = z.double(), x.double()
    z = z * (x * z).sum() / z.square().sum().clamp_min(1e-12)
    spectra = [torch.fft.rfft2(image.mean(0)) for image in (x, z)]
    match = torch.fft.irfft2(spectra[0] * spectra[1].conj(), s=x.shape[-2:])  # sum over p of x(p + shift) z(p), shifts wrap round
    best = divmod(int(match.argmax()), x.shape[-1])
    dy, dx = (n - side if n > side // 2 else n for n, side in zip(best, x.shape[-2:], strict=True))
    mask = _shift(torch.ones_like(z[:1]), dy, dx)
    return _shift(z, dy, dx), x * mask


def best_of(x_hat: Tensor, frames: Iterable[Tensor], metrics: Mapping[str, ImageMetric]) -> dict[str, Tensor]:
    """Column -> the largest score of a restored picture (3 x H x W, [0, 1]) over its frames, a scalar."""
    z = (x_hat * 255).round() / 255  # as it would be stored
    found: dict[str, list[Tensor]] = {column: [] for column in metrics}
    for frame in frames:
        pair = [image[None] for image in align(z, frame.to(z.device))]
        for column, metric in metrics.items():
            value = metric(*pair)[0]
            found[column].append(value if metric.higher_is_better else -value)
    return {column: torch.stack(values).max() * (1 if metrics[column].higher_is_better else -1) for column, values in found.items()}


def _shift(image: Tensor, dy: int, dx: int) -> Tensor:
    """The picture moved down by dy and right by dx; zeros come in."""
    height, width = image.shape[-2:]
    moved = torch.zeros_like(image)
    to = (..., slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0)))
    of = (..., slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0)))
    moved[to] = image[of]
    return moved
