"""What the contracts of several kinds need: made-up inputs, and whether a part leaves traces."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Check = Callable[[str], None]
Checks = Mapping[str, Check]
"""Title -> a check of the part of that name or spec: AssertionError says what is wrong, Unavailable why it cannot be made here."""


_PLACE = contextvars.ContextVar("device", default="cpu")


def place() -> torch.device:
    """The device on which parts are checked."""
    return torch.device(_PLACE.get())


@contextlib.contextmanager
def checked_on(device: torch.device | str) -> Iterator[None]:
    """Checks inside are made on that device."""
    token = _PLACE.set(str(device))
    try:
        yield
    finally:
        _PLACE.reset(token)


def generator(seed: int = 0) -> torch.Generator:
    """Random numbers of a seed."""
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 3, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    """Smooth random pictures with some grain, no two alike: N x C x side x side, float32, [0, 1]; where checks are made."""
    rng = generator(seed)
    smooth = F.interpolate(torch.rand(n, channels, side // 4, side // 4, generator=rng), size=side, mode="bicubic", align_corners=False)
    return (smooth + 0.05 * torch.randn(smooth.shape, generator=rng)).clamp(0, 1).to(place())


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same bits; NaN equals NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())


@contextlib.contextmanager
def leaves_no_trace(who: str, *inputs: Tensor) -> Iterator[None]:
    """What runs inside moves neither torch's global random numbers nor the values of `inputs`."""
    chance, before = torch.random.get_rng_state(), [x.clone() for x in inputs]
    yield
    assert torch.equal(torch.random.get_rng_state(), chance), (
        f"{who} draws from torch's global random numbers: use a torch.Generator of its own"
    )
    assert all(map(same, inputs, before)), f"{who} writes to what it is given: work on a copy"
