"""Camera shake: random trajectories, rasterised to blur kernels, and the blur they make.

Boracchi and Foi, "Modeling the performance of image restoration from motion blur", IEEE TIP 21(8), 2012 (`createTrajectory.m`,
`createPSFs.m`); Kupyn et al., "DeblurGAN", CVPR 2018, Alg. 1 (arXiv:1711.07064), whose code is a port of the former.

    the law of the path     -> _walk        one step: impulse, Gaussian shake, inertia, speed kept
    exposure                -> _exposed     a sample counts as long as the shutter is open
    sub-pixel interpolation -> _splat       bilinear weights onto four pixels

Departures: kernels are centred, sum to 1 and always fit their canvas (the code shifts them, scales their peak to 1 and can leave the
canvas); images are mirrored at the border (the code: black) and keep their exposure (the code stretches the result to [0, 1]).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.method import param
from bench.operators.psf import convolve

Law = Literal["deblurgan_code", "boracchi_foi", "paper_as_printed"]

_M = 2000  # samples of a path
_CHUNK, _BLOCK = 256, 32  # paths walked and rasterised at once: few calls, and what fits the cache
_SCRIPT = (0.01, 0.009, 0.008, 0.007, 0.005, 0.003)  # DeblurGAN's data script
_SEVERITY: dict[Law, tuple[float, ...]] = {"deblurgan_code": _SCRIPT, "boracchi_foi": _SCRIPT, "paper_as_printed": (0.001,)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionBlur:
    """Random camera shake. A larger severity p_s curls the path up and so makes a SMALLER blur;
    scale `max_len` to the image (60 at 256, 24 at 128).

    Laws: `boracchi_foi` is the original; `deblurgan_code` walks the same path and loses its first sample when rasterising;
    `paper_as_printed` is DeblurGAN's Algorithm 1 to the letter: impulses are tested with a normal number (about 1000 in 1999
    steps instead of about 1), and inertia multiplies the shake instead of pulling back. DeblurGAN's data script also draws the
    exposure: `exposure=(0.1,0.5,1.0)`.
    """

    law: Law = param("deblurgan_code", "random walk of the camera: the original, DeblurGAN's code, or its Algorithm 1 to the letter")
    max_len: float = param(24.0, "L: length of the path at full exposure, pixels")
    severity: tuple[float, ...] | None = param(None, "p_s, drawn uniformly for each kernel; None: the law's own values")
    exposure: tuple[float, ...] = param((1.0,), "parts of the path during which the shutter is open, drawn uniformly")
    size: int | None = param(None, "K, odd: side of a kernel, pixels; None: the smallest that holds every path")
    centre: Literal["centroid", "bounding_box"] = param("centroid", "what of the exposed path lies in the middle of a kernel")
    gamma: float | None = param(None, "blur in linear light, 2.2; None: the stored values as they are")
    noise: float = param(0.0, "standard deviation on [0, 1], added after the blur")
    quantise: bool = param(True, "clip and round to 8 bits, as a file would")

    def __post_init__(self) -> None:
        if not self.max_len > 0:
            raise ValueError(f"max_len must be positive, not {self.max_len}")
        if self.size is not None and (self.size % 2 == 0 or self.size < self._smallest()):
            raise ValueError(f"size must be odd and at least {self._smallest()} to hold a path of {self.max_len} pixels, not {self.size}")
        if not self.exposure or not all(0 < f <= 1 for f in self.exposure):
            raise ValueError(f"exposure must hold fractions in (0, 1], not {self.exposure}")
        if self.severity is not None and (not self.severity or min(self.severity) < 0):
            raise ValueError(f"severity must hold values >= 0, not {self.severity}")
        if self.noise < 0 or (self.gamma is not None and self.gamma <= 0):
            raise ValueError(f"noise must be >= 0 and gamma positive, not {self.noise} and {self.gamma}")

    def kernels(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw n >= 1 blur kernels: n x K x K, float32, >= 0, sum 1, on the generator's device. Paths are walked on the CPU,
        all together.
        """
        chunks = [torch.from_numpy(self._draw(min(_CHUNK, n - start), rng)) for start in range(0, n, _CHUNK)]
        return torch.cat(chunks).float().to(rng.device)

    def bank(self, count: int, seed: int) -> Tensor:
        """The same `count` kernels for a seed, made once a process: training picks by index and never walks a path.
        Not to be written to.
        """
        return _bank(self, count, seed)

    def apply(self, sharp: Tensor, psf: Tensor, rng: torch.Generator) -> Tensor:
        """Blur each picture with its kernel, then add noise and round.

        Args:
            sharp: N x C x H x W, [0, 1].
            psf: N x K x K, sum 1.
            rng: for the noise alone.

        Returns:
            The observed pictures, same shape and device; in [0, 1] where `quantise` is on.

        Raises:
            UsageError: shapes do not fit, or the kernel is too large to mirror the picture.
        """
        if self.gamma is None:
            blurred = convolve(sharp, psf)
        else:
            blurred = convolve(sharp.clamp(0, 1) ** self.gamma, psf).clamp_min(0) ** (1 / self.gamma)
        if self.noise:
            blurred = blurred + self.noise * torch.randn(blurred.shape, generator=rng, device=rng.device).to(blurred)
        return (blurred.clamp(0, 1) * 255).round() / 255 if self.quantise else blurred

    def _draw(self, n: int, rng: torch.Generator) -> NDArray[np.float64]:
        draws = _draw(n, rng, normal=self.law == "paper_as_printed")
        p_s = _pick(self.severity or _SEVERITY[self.law], draws.constants[4])
        path = _walk(self.law, draws, p_s, self.max_len)
        weight = _exposed(_pick(self.exposure, draws.constants[5]), first=int(self.law == "deblurgan_code"))
        middle = self._size() // 2
        x, y = (axis - (_centre(axis, weight, self.centre) - middle) for axis in (path.real, path.imag))
        x, y = (np.where(weight > 0, axis, middle) for axis in (x, y))  # what comes after the shutter has closed may lie anywhere
        blocks = (slice(i, i + _BLOCK) for i in range(0, n, _BLOCK))
        psf = np.concatenate([_splat(x[:, block], y[:, block], weight[:, block], self._size()) for block in blocks])
        unit: NDArray[np.float64] = psf / psf.sum((1, 2), keepdims=True)
        return unit

    def _smallest(self) -> int:
        return 2 * math.ceil(self.max_len / 2) + 3  # no sample is farther than L/2 from the centre; one pixel more for the interpolation

    def _size(self) -> int:
        return self.size or self._smallest()


class _Draws(NamedTuple):
    """Every random number of n paths; impulse and jitter are U(0, 1), or N(0, 1) in the law as printed."""

    constants: NDArray[np.float64]  # 6 x n, U(0, 1): inertia, impulse rate, shake, angle, severity, exposure
    impulse: NDArray[np.float32]  # (M - 1) x n
    jitter: NDArray[np.float32]  # (M - 1) x n
    shake: NDArray[np.complex64]  # (M - 1) x n, N(0, 1) + i N(0, 1)


def _draw(n: int, rng: torch.Generator, normal: bool) -> _Draws:
    def draw(*shape: int, normal: bool) -> Tensor:
        return (torch.randn if normal else torch.rand)(*shape, generator=rng, device=rng.device).cpu()

    constants = draw(6, n, normal=False).double().numpy()
    impulse, jitter = draw(2, _M - 1, n, normal=normal).numpy()
    return _Draws(constants, impulse, jitter, torch.view_as_complex(draw(_M - 1, n, 2, normal=True)).numpy())


def _walk(law: Law, draws: _Draws, p_s: NDArray[np.float64], length: float) -> NDArray[np.complex128]:
    """The M positions of n paths, M x n, in pixels, x + i y, from 0. Every step is `length / (M - 1)` long,
    so positions are kept in steps.
    """
    step = length / (_M - 1)
    inertia, rate, shake, angle = draws.constants[:4]
    inertia, rate, angle = 0.7 * inertia, 0.2 * rate, 2 * np.pi * angle
    spring = (p_s * inertia * step).astype(np.complex128)  # complex, because products of unlike types are slow
    v = np.exp(1j * angle)
    if law == "paper_as_printed":
        gust = 0.7 * shake * spring * draws.shake
    else:
        gust = p_s * (10 * shake) * draws.shake
        v *= np.where(p_s > 0, p_s / step, 1.0)

    def push(wind: NDArray[np.complex128], here: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """p_s p_g (N + iN) . I x[t] as printed; p_s (p_g (N + iN) - I x[t])."""
        pushed: NDArray[np.complex128] = wind * here if law == "paper_as_printed" else wind - spring * here
        return pushed

    bump, who = np.nonzero(draws.impulse < (rate * p_s).astype(np.float32))
    turn = 1 + 2 * np.exp(1j * (np.pi + draws.jitter[bump, who].astype(np.float64) - 0.5))  # v + 2 v e^{i (pi + u - .5)}
    first = np.searchsorted(bump, np.arange(_M)).tolist()  # the impulses of step t are first[t] to first[t + 1]; most steps have none
    x = np.zeros((_M, len(p_s)), np.complex128)
    scale = np.zeros_like(v)  # 1 / |v|
    inverse = scale.real
    for here, there, wind, a, b in zip(x, x[1:], gust, first, first[1:]):
        if a < b:
            v[who[a:b]] *= turn[a:b]
        v += push(wind, here)
        np.reciprocal(np.abs(v), out=inverse)
        v *= scale
        np.add(here, v, out=there)
    x *= step
    return x


def _pick(values: tuple[float, ...], u: NDArray[np.float64]) -> NDArray[np.float64]:
    picked: NDArray[np.float64] = np.asarray(values)[(u * len(values)).astype(int)]
    return picked


def _exposed(fraction: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """The weight of each sample, M x n: sample t counts over the time (t - first, t - first + 1] of M;
    the port (first = 1) loses its sample 0.
    """
    weight = fraction * _M + first - np.arange(_M)[:, None]
    np.clip(weight, 0, 1, out=weight)
    weight[:first] = 0
    return weight


def _centre(axis: NDArray[np.float64], weight: NDArray[np.float64], centre: str) -> NDArray[np.float64]:
    """The middle of the exposed part of n paths along one axis."""
    if centre == "centroid":
        middle: NDArray[np.float64] = (weight * axis).sum(0) / weight.sum(0)
        return middle
    low, high = np.where(weight > 0, axis, np.inf).min(0), np.where(weight > 0, axis, -np.inf).max(0)
    halfway: NDArray[np.float64] = (low + high) / 2
    return halfway


def _splat(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Share each sample among its four pixels: M x n -> n x K x K, rows along y. Divided by M: a kernel sums to its exposure.

    Positions must lie on the canvas, one pixel from its far edges.
    """
    n = x.shape[1]
    column, row = np.floor(x), np.floor(y)
    corner = (row * size + column + np.arange(n) * size**2).astype(np.int64).ravel()
    right, lower = x - column, weight * (y - row)
    upper = weight - lower
    lower_right, upper_right = lower * right, upper * right
    psf = np.zeros(n * size * size)
    for shift, share in ((0, upper - upper_right), (1, upper_right), (size, lower - lower_right), (size + 1, lower_right)):
        psf[shift:] += np.bincount(corner, share.ravel(), psf.size)[: psf.size - shift]
    return psf.reshape(n, size, size) / _M


@functools.lru_cache(maxsize=8)
def _bank(blur: MotionBlur, count: int, seed: int) -> Tensor:
    return blur.kernels(count, torch.Generator().manual_seed(seed))
