"""What every degradation must hold: what is observed is a function of the picture and the given random numbers alone.

Tasks tell degradations apart by what they offer: `scan` and `reconstruct` (a low dose), `kernels` (a blur), `crop` (shrinking), else noise.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.conformance._tools import Checks, generator, leaves_no_trace, pictures, same
from bench.errors import Unavailable, UsageError

_SIDE = 96


def _observe(name: str, x: Tensor, rng: torch.Generator) -> Tensor:
    """What is observed of N x C x S x S."""
    degrade: Any = registry.make("degradation", name)
    if hasattr(degrade, "scan"):
        seen: Tensor = degrade.reconstruct(degrade.scan(x[:, :1], rng), x.shape[-1])
    elif hasattr(degrade, "kernels"):
        seen = degrade.apply(x, degrade.kernels(len(x), rng), rng)
    elif hasattr(degrade, "crop"):
        seen = degrade.apply(degrade.crop(x))
    else:
        try:
            seen = degrade.apply(x, rng)
        except UsageError as error:  # it adds nothing: the data bring what is observed
            raise Unavailable(str(error)) from error
    return seen


def check_observed(name: str) -> None:
    """As many finite float32 pictures, and what went in is not written to."""
    x = pictures(2, side=_SIDE)
    with leaves_no_trace(name, x):
        seen = _observe(name, x, generator())
    assert seen.dtype == torch.float32, f"{name} gives {seen.dtype}, not torch.float32"
    assert seen.ndim == 4, f"{name} gives {tuple(seen.shape)}, not N x C x H x W"
    assert len(seen) == len(x), f"{name} gives {len(seen)} pictures for {len(x)}"
    assert seen.isfinite().all(), f"{name} gives values that are not finite"


def check_random(name: str) -> None:
    """The same generator gives the same bits."""
    x = pictures(2, side=_SIDE)
    first, again = (_observe(name, x, generator(seed)) for seed in (0, 0))
    assert same(first, again), f"{name} gives other pictures under the same generator"


def check_kernels(name: str) -> None:
    """Blur kernels are N x K x K, K odd, not negative, of sum 1."""
    degrade: Any = registry.make("degradation", name)
    psf = degrade.kernels(3, generator())
    assert psf.ndim == 3, f"{name} gives kernels of {tuple(psf.shape)}, not N x K x K"
    assert psf.shape[1] == psf.shape[2], f"{name} gives kernels of {tuple(psf.shape)}, not N x K x K"
    assert psf.shape[1] % 2 == 1, f"{name} gives kernels of {psf.shape[1]} pixels: an even side has no middle"
    assert (psf >= 0).all(), f"{name} gives a kernel with negative weights"
    assert torch.allclose(psf.sum((1, 2)), torch.ones(3), atol=1e-5), f"{name} gives kernels of sum {psf.sum((1, 2)).tolist()}, not 1"


def checks_of(name: str) -> Checks:
    """Title -> check."""
    blurs = hasattr(registry.make("degradation", name), "kernels")
    return {"observed": check_observed, "random": check_random, **({"kernels": check_kernels} if blurs else {})}
