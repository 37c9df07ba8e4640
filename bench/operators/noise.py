"""What noise is: clean pictures in, noisy pictures out, from a generator alone."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from typing_extensions import override

from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """A way to corrupt pictures."""

    @property
    def std(self) -> float:
        """Standard deviation on [0, 1] where it is one known number; 0 where it depends on the picture."""
        return 0.0

    def apply(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Noisy copies of N x C x H x W pictures in [0, 1], same shape and device; `rng` None: torch's global random numbers."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelledNoise(Noise):
    """Noise whose strength is one number on the scale of 0 to 255. A subclass says what it means: `corrupt`.

    Two conventions exist and are two benchmarks. Denoising tables leave noisy pictures as they are, outside [0, 1] too; files (`clip`) hold
    clipped and rounded ones, which are easier: on BSD68 at sigma 25 they stand at 20.50 instead of 20.19 dB.
    """

    sigma: float | tuple[float, float] = param(
        25.0, "level of the noise on 0 .. 255; a pair is a range from which every picture draws its own"
    )
    clip: bool = param(False, "clip the noisy picture to [0, 1] and round it to 8 bits")

    def __post_init__(self) -> None:
        low, high = self._range
        if not 0 <= low <= high <= 255:
            raise ValueError(f"sigma must be a level or a range (low, high) within [0, 255], not {self.sigma}")

    def corrupt(self, x: Tensor, level: Tensor, rng: torch.Generator | None) -> Tensor:
        """Noisy pictures; `level` is N x 1 x 1 x 1, sigma / 255."""
        raise NotImplementedError

    @override
    def apply(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        low, high = self._range
        level = (low + (high - low) * uniform((len(x), 1, 1, 1), x, rng)) / 255
        y = self.corrupt(x, level, rng)
        return (y.clamp(0, 1) * 255).round() / 255 if self.clip else y

    @property
    def _range(self) -> tuple[float, float]:
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)


def uniform(shape: tuple[int, ...], like: Tensor, rng: torch.Generator | None) -> Tensor:
    """U(0, 1), drawn where the generator lives, on the device and in the precision of `like`."""
    return torch.rand(shape, generator=rng, device=rng.device if rng else like.device).to(like)


def normal(shape: tuple[int, ...], like: Tensor, rng: torch.Generator | None) -> Tensor:
    """N(0, 1), drawn where the generator lives, on the device and in the precision of `like`."""
    return torch.randn(shape, generator=rng, device=rng.device if rng else like.device).to(like)
