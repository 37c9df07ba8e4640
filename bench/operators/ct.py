"""Computed tomography as an operator: line integrals of slices, filtered back-projection, and the scales that slices are measured on.

A slice is N x 1 x S x S. As a picture it holds Hounsfield units from -1024 to 3072 on [0, 1]; as physics, linear attenuation in 1/mm:

    HU = 4096 x - 1024        mu = mu_water (1 + HU / 1000)

Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988: parallel beam Sec. 3.3, flat fan beam Sec. 3.4.2.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Taper = Literal["ram_lak", "hann"]
Window = Annotated[Literal["abdomen", "lung", "full"], "window of Hounsfield units that is looked at; its width is the data range"]

HU_RANGE = (-1024.0, 3072.0)  # what [0, 1] stands for
WINDOWS = {"abdomen": (-160.0, 240.0), "lung": (-1350.0, 150.0), "full": HU_RANGE}  # HU shown as black and as white
MU_WATER = 0.0193  # 1/mm, at 70 keV (NIST: 0.1929 cm2/g), about the mean energy behind a 120 kV tube's filters
_SAMPLES = 2**22  # interpolated at once: few calls, and what fits a cache


def to_hu(x: Tensor) -> Tensor:
    """Pictures on [0, 1] as Hounsfield units."""
    low, high = HU_RANGE
    return low + (high - low) * x


def from_hu(hu: Tensor) -> Tensor:
    """Hounsfield units as pictures; what lies outside the range is clipped, such as the padding of -2000 or -3024 around a slice."""
    low, high = HU_RANGE
    return ((hu - low) / (high - low)).clamp(0, 1)


def attenuation(x: Tensor) -> Tensor:
    """Pictures on [0, 1] as attenuation in 1/mm; nothing attenuates less than a vacuum (-1000 HU)."""
    return (MU_WATER * (1 + to_hu(x) / 1000)).clamp_min(0)


def picture(mu: Tensor) -> Tensor:
    """Attenuation in 1/mm as pictures, clipped to [0, 1]."""
    return from_hu(1000 * (mu / MU_WATER - 1))


def clip_to_window(x: Tensor, window: Window) -> Tensor:
    """Pictures seen through a window of HU, which becomes [0, 1]; beyond it all is black or white, but what is infinite is NaN."""
    low, high = WINDOWS[window]
    return torch.where(x.isinf(), math.nan, ((to_hu(x) - low) / (high - low)).clamp(0, 1))


def inscribed_disc(size: int, device: torch.device | None = None) -> Tensor:
    """The disc that every view sees whole: size x size, bool."""
    offset = torch.arange(size, device=device) - size // 2
    return offset[:, None] ** 2 + offset**2 <= ((size - 1) // 2) ** 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scanner:
    """Views evenly spaced over half a turn (parallel beam) or a whole one (fan beam), in scikit-image's frame.

    The axis of rotation goes through pixel S // 2. View theta looks along rows turned by theta; its detector samples, as far apart as
    pixels, lie on the axis. In a fan each ray still crosses its detector sample on the axis, coming from a point at a distance of `source`
    sides. Only the inscribed disc may hold anything but vacuum.
    """

    views: int = 180
    source: float = (
        math.inf
    )  # from the axis to the focus, in sides of the picture (a clinical scanner has 595 mm to 350 mm: 1.7); inf: parallel
    field: float = 350.0  # side of the picture, mm

    def __post_init__(self) -> None:
        if self.views < 1 or not self.source > 0.5 or not 0 < self.field < math.inf:
            raise ValueError(f"views must be >= 1, source > 0.5, field > 0, not {self.views}, {self.source} and {self.field}")

    def detectors(self, size: int) -> int:
        """How many samples a view has: as many as the picture has columns, in a fan as many more as the shadow of the disc is wider."""
        return size + 2 * math.ceil(size / 2 * (1 / math.sqrt(1 - (0.5 / self.source) ** 2) - 1) - 1e-9)

    def project(self, mu: Tensor, views: slice | None = None) -> Tensor:
        """Line integrals: attenuation N x 1 x S x S in 1/mm -> sinogram N x V x D, no unit.

        Bilinear samples a pixel apart, as in scikit-image's `radon`. `views` picks some; all by default.
        """
        n, size = len(mu), mu.shape[-1]
        t = self._t(size, mu.device)[:, None]
        w = torch.arange(size, device=mu.device) - size // 2
        u = t * (1 + w / (self.source * size))  # D x S: across the view at depth w
        step = self.field / size * (1 + (t[:, 0] / (self.source * size)).square()).sqrt()
        sinogram = []
        for cos, sin in self._turns(n * u.numel(), views, mu.device):
            points = torch.stack([cos * u + sin * w, cos * w - sin * u], dim=-1) + size // 2  # v x D x S x (column, row)
            planes = mu.transpose(0, 1).expand(len(cos), -1, -1, -1)  # v x N x S x S: the same weights serve all pictures
            samples = F.grid_sample(planes, points * (2 / (size - 1)) - 1, align_corners=True)
            sinogram.append(samples.sum(-1) * step)
        return torch.cat(sinogram).transpose(0, 1)

    def backproject(self, sinogram: Tensor, size: int, views: slice | None = None) -> Tensor:
        """Smear views over the slice: the mean over views of the linearly interpolated ray through each pixel; N x V x D -> N x 1 x S x S.

        Up to a factor the transpose of `project` but for the interpolation (pixels look up rays instead of rays looking up pixels).
        """
        return self._smear(sinogram, size, views, power=0) / sinogram.shape[1]

    def fbp(self, sinogram: Tensor, size: int, taper: Taper = "ram_lak", cutoff: float = 1.0) -> Tensor:
        """Filtered back-projection: sinogram N x V x D -> attenuation N x 1 x S x S in 1/mm, zero outside the inscribed disc.

        Args:
            sinogram: all views.
            size: S.
            taper: of the ramp: none up to the cut-off (Ram-Lak), or Hann's.
            cutoff: in (0, 1], of the detector's Nyquist frequency.
        """
        t = self._t(size, sinogram.device) / (self.source * size)
        filtered = _ramp(sinogram / (1 + t.square()).sqrt(), taper, cutoff)
        mu = self._smear(filtered, size, None, power=2) * (math.pi / self.views * size / self.field)
        return mu * inscribed_disc(size, mu.device)

    def _smear(self, sinogram: Tensor, size: int, views: slice | None, power: int) -> Tensor:
        """The sum over views of the ray through each pixel, times its closeness to the source (1 on the axis) to a power."""
        n, _, d = sinogram.shape
        x = torch.arange(size, device=sinogram.device) - size // 2
        y, rays = x[:, None], sinogram.transpose(0, 1).unsqueeze(2)  # V x N x 1 x D
        total, start = sinogram.new_zeros(n, size, size), 0
        for cos, sin in self._turns(n * size**2, views, sinogram.device):
            near = 1 / (1 + (sin * x + cos * y) / (self.source * size))  # v x S x S
            t = (cos * x - sin * y) * near
            where = torch.stack([(t + d // 2) * (2 / (d - 1)) - 1, torch.zeros_like(t)], dim=-1)
            part = F.grid_sample(rays[start : start + len(cos)], where, align_corners=True)  # v x N x S x S
            total += (part if power == 0 or math.isinf(self.source) else part * near.unsqueeze(1) ** power).sum(0)
            start += len(cos)
        return total.unsqueeze(1)

    def _t(self, size: int, device: torch.device) -> Tensor:
        """Signed distances of the rays from the axis, in pixels."""
        d = self.detectors(size)
        return torch.arange(d, device=device) - d // 2

    def _turns(self, samples: int, views: slice | None, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Cosines and sines of the views, v x 1 x 1 each, as many at a time as keep `samples` a view within bounds."""
        cos, sin = (x[views or slice(None)] for x in _turns(self.views, math.pi if math.isinf(self.source) else 2 * math.pi, device))
        together = max(1, _SAMPLES // samples)
        for start in range(0, len(cos), together):
            yield cos[start : start + together], sin[start : start + together]


@functools.lru_cache(maxsize=32)
def _turns(views: int, turn: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of so many views of a turn, V x 1 x 1 each."""
    theta = (torch.arange(views, dtype=torch.float64, device="cpu") * (turn / views)).view(-1, 1, 1)
    return theta.cos().float().to(device), theta.sin().float().to(device)


def _ramp(sinogram: Tensor, taper: Taper, cutoff: float) -> Tensor:
    """Convolve each view with the ramp |f| up to `cutoff` of the Nyquist frequency, sampled in space so that its mean is exact.

    Kak and Slaney, Principles of Computerized Tomographic Imaging, Eq. 61.
    """
    d = sinogram.shape[-1]
    size = max(64, 2 ** math.ceil(math.log2(2 * d)))
    n = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64, device=sinogram.device)
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n).square(), 0.0)
    kernel[0] = 0.25
    f = torch.fft.rfftfreq(size, 0.5, dtype=torch.float64, device=sinogram.device) / cutoff  # 1 at the cut-off
    gain = (f <= 1 + 1e-9) * (0.5 * (1 + torch.cos(math.pi * f)) if taper == "hann" else 1.0)
    response = (torch.fft.rfft(kernel).real * gain).to(sinogram)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(sinogram, n=size) * response, n=size)
    return filtered[..., :d]
