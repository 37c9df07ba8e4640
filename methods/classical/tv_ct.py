"""CT reconstruction by least squares with total variation, after Convex Optimization Problem Prototyping for Image Reconstruction in CT.

Sidky, Jørgensen, Pan. Physics in Medicine and Biology 57(10), 2012, arXiv:1111.5632. Step sizes: Pock, Chambolle, ICCV 2011.

| source                                                | here            |
|-------------------------------------------------------|-----------------|
| min_x 1/2 |A x - p|^2_w + lambda sum |grad x|, x >= 0 | `attempt`       |
| Alg. 4 (primal-dual), with diagonal steps             | its loop        |
| forward differences and their transpose               | `_grad`, `_adjoint` |

Departures: rays count by the photons they brought, w = exp(-p), as their noise demands; it starts at filtered
    back-projection; the transpose of A is the back-projection of `bench.operators.ct`, which interpolates differently.
    Phantoms have no texture, so they flatter it.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, param
from bench.operators import ct
from methods.classical._tuned import Candidate, Reconstruction, TunedHP


class TVCT(Reconstruction):
    """Of the slices that explain the counts, one with few edges."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TunedHP):
        """Prior and effort."""

        weight: float | tuple[float, ...] = param((0.003, 0.01, 0.03, 0.1), "lambda: of total variation, against squared line integrals")
        iterations: int = param(50, "primal-dual updates")

        def __post_init__(self) -> None:
            if min(self.values("weight")) < 0 or self.iterations < 1:
                raise ValueError(f"weight must be >= 0 and iterations >= 1, not {self.weight} and {self.iterations}")

    hp: HP

    @override
    @torch.no_grad()
    def attempt(self, batch: Batch, hp: Candidate) -> Tensor:
        """N x 1 x S x S. Inside, x is attenuation a pixel and a ray's integral the sum of its samples."""
        p, size, views = self.rays(batch), batch.observed.shape[-1], self.scanner.views
        pixel = self.scanner.field / size
        disc = ct.inscribed(size, p.device).float()[None, None]
        s = views / 4  # scales the differences until both halves of the operator have columns of one sum, `views`
        tau, sigma_q = 1 / (2 * views), 1 / (2 * s)
        sigma_p = pixel / self.scanner.project(disc).clamp_min(pixel)  # one over the sum of A's row
        w = (-p).exp().clamp_min(1e-4)
        x = (self.scanner.fbp(p, size, "hann") * pixel).clamp_min(0)
        ahead, y, q = x, torch.zeros_like(p), torch.zeros_like(_grad(x))
        for _ in range(hp.iterations):
            y = (y + sigma_p * (self.scanner.project(ahead / pixel) - p)) / (1 + sigma_p / w)
            q = q + sigma_q * s * _grad(ahead)
            q = q / (q.norm(dim=1, keepdim=True) * (s / hp.weight)).clamp_min(1) if hp.weight else torch.zeros_like(q)
            before = x
            x = ((x - tau * (views * self.scanner.backproject(y, size) + s * _adjoint(q))) * disc).clamp_min(0)
            ahead = 2 * x - before
        return ct.picture(x / pixel)


def _grad(x: Tensor) -> Tensor:
    """Forward differences along columns and rows, zero at the far border: N x 1 x S x S -> N x 2 x S x S."""
    return torch.cat([F.pad(x.diff(dim=-1), (0, 1)), F.pad(x.diff(dim=-2), (0, 0, 0, 1))], dim=1)


def _adjoint(q: Tensor) -> Tensor:
    """The transpose of `_grad`."""
    across, down = q[:, :1, :, :-1], q[:, 1:, :-1]
    return -F.pad(across, (1, 1)).diff(dim=-1) - F.pad(down, (0, 0, 1, 1)).diff(dim=-2)
