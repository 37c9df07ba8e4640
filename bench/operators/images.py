"""What every image metric does first: check the pair, quantise, reduce the colours, shave the border."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.operators.colour import BT601
from bench.operators.transfer import constant

# options that image metrics share, with what they mean
Channel = Annotated[
    Literal["rgb", "y601", "y601_uint8", "y601_full", "gray"],
    "what is compared: the colours, a luma of BT.601 (16 to 235; the same in 8 bits; 0 to 255), or gray (BT.709)",
]
Border = Annotated[int, "pixels shaved from each side before anything is compared"]
Quantize = Annotated[
    Literal["round", "trunc"] | None, "how the restored picture goes to 8 bits, clipped to [0, 1] first; None: neither clipped nor rounded"
]

_CACHED = 2**18  # numbers of a batch that a CPU works on at once: what is made of them stays in its cache

# R, G, B weights and offset, on [0, 1]
_LUMA: dict[str, tuple[tuple[float, float, float], float]] = {
    "y601": ((65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255),  # BT.601 studio swing: [16, 235] of 255; MATLAB's rgb2ycbcr
    "y601_uint8": ((65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255),  # the same, rounded to 8 bits, halves up, as MATLAB does
    "y601_full": (BT601, 0.0),  # BT.601 full swing: JPEG, OpenCV, PIL's "L"
    "gray": ((0.2125, 0.7154, 0.0721), 0.0),  # BT.709: scikit-image's rgb2gray
}
RGB_TO_YIQ = (BT601, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def prepare_pair(
    x_hat: Tensor, x: Tensor, *, channel: Channel = "rgb", border: int = 0, quantize: Quantize = "round", smallest: int = 1
) -> tuple[Tensor, Tensor]:
    """Bring restored images and the truth to the space they are compared in.

    Args:
        x_hat: restored, N x 1|3 x H x W, [0, 1]; what is infinite becomes NaN: clipped it would pass for white.
        x: the truth, same shape.
        channel: colours as they are, or a luma (one channel stays as it is).
        border: pixels shaved from each side.
        quantize: what happens to `x_hat` on its way to 8 bits (clipped first); None leaves both alone, else the truth is rounded.
        smallest: least height and width after shaving.

    Returns:
        Both as float64, N x C' x H' x W', on the device of the inputs.

    Raises:
        UsageError: the pictures are too small.
    """
    if border < 0 or min(x.shape[-2:]) - 2 * border < smallest:
        size = "x".join(str(n) for n in x.shape[-2:])
        raise UsageError(
            f"images of {size} with a border of {border} are too small: this metric needs {smallest} pixels a side after shaving"
        )
    h, w = x.shape[-2] - border, x.shape[-1] - border
    restored = _luma(_stored(x_hat[..., border:h, border:w], quantize), channel)
    return restored, _luma(_stored(x[..., border:h, border:w], quantize and "round"), channel)


def in_pieces(score: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """One value a picture as metrics return them: float64 on the CPU.

    Args:
        score: batches, N pictures each -> N values. On a CPU it sees few pictures at a time, which stay in the cache.
        batches: on one device.
    """
    first = batches[0]
    few = _CACHED // max(1, first[:1].numel()) if first.device.type == "cpu" else len(first)
    pieces = zip(*(torch.split(batch, max(1, few)) for batch in batches), strict=True)
    return torch.cat([score(*piece).detach() for piece in pieces]).to("cpu", torch.float64)


def yiq(x: Tensor) -> Tensor:
    """RGB to YIQ, N x 3 x H x W; one channel stays as it is."""
    return x if x.shape[1] == 1 else torch.einsum("oc,nchw->nohw", constant(RGB_TO_YIQ, x), x)


def halve(x: Tensor) -> Tensor:
    """Mean of 2 x 2 blocks; odd sizes are padded with zeros below and to the right, on both axes as soon as one is odd."""
    odd = max(x.shape[-2] % 2, x.shape[-1] % 2)
    return torch.nn.functional.avg_pool2d(torch.nn.functional.pad(x, (0, odd, 0, odd)), 2)


def clip(x: Tensor) -> Tensor:
    """Pictures within [0, 1]; an infinite value is no white or black pixel but NaN."""
    return x.clamp(0, 1).add_(x, alpha=0)  # 0 times infinity is NaN


def _stored(x: Tensor, quantize: Quantize) -> Tensor:
    if quantize is None:
        return (wide := x.double()).add(wide, alpha=0)
    levels = clip(x).mul_(255)  # in the precision of x: float32 k/255 times 255 is exactly k, so truncation keeps stored pictures
    return (levels.round_() if quantize == "round" else levels.floor_()).double().div_(255)


def _luma(x: Tensor, channel: Channel) -> Tensor:
    if channel == "rgb" or x.shape[1] == 1:
        return x
    weights, offset = _LUMA[channel]
    y = torch.einsum("c,nchw->nhw", constant(tuple(weights), x), x)[:, None] + offset
    return (
        (y * 255 + 0.5 + 1e-9).floor() / 255 if channel == "y601_uint8" else y
    )  # the sum may miss a half by rounding; the next value is 4e-6 off
