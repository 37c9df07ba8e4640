"""Denoising Diffusion Probabilistic Models. Ho, Jain, Abbeel. NeurIPS 2020, arXiv:2006.11239.

| paper                                                            | here                   |
|------------------------------------------------------------------|------------------------|
| Eq. 4: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps             | `loss`                 |
| Eq. 14 (L_simple): E |eps - eps_theta(x_t, t)|^2                 | `loss`                 |
| Eq. 7: mean and variance of q(x_t-1 given x_t, x_0)              | `_posterior`           |
| Algorithm 2, Sec. 3.2: variance beta_t or that of the posterior  | `flow`, `variance`     |

Values are those of hojonathanho/diffusion for CIFAR-10 ([code]); recalled are the number of updates, the decay of the average, and the
numbers of equations and sections.
`sampling` below `levels_of_noise` takes evenly spaced ones of them, with the betas between those (Nichol and Dhariwal 2021, Eq. 19).
Departures: the U-Net has one block a level and one attention; batches are not flipped.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from bench.operators.transfer import constant
from methods.flows._flow import Flow, FlowHP


class DDPM(Flow):
    """A chain that adds noise, and a network that learns to take it off."""

    toy: ClassVar[dict[str, Any]] = {**Flow.toy, "levels_of_noise": 10}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(FlowHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(800_000, "recalled: updates for CIFAR-10")
        ema: float = param(0.9999, "recalled: decay an update of the average of the weights that samples come from")
        levels_of_noise: int = param(1000, "Sec. 4: T")
        beta_first: float = param(1e-4, "Sec. 4: beta_1")
        beta_last: float = param(0.02, "Sec. 4: beta_T; betas lie on a line")
        variance: Literal["beta", "posterior"] = param("beta", "Sec. 3.2: of a step back; beta_t, [code] for CIFAR-10, or that of Eq. 7")
        sampling: int = param(1000, "steps from noise to a sample, at most `levels_of_noise`")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if not 1 <= self.sampling <= self.levels_of_noise:
                raise ValueError(f"sampling must be in [1, {self.levels_of_noise}], not {self.sampling}")

    hp: HP

    @property
    def abar(self) -> tuple[float, ...]:
        """abar_1 ... abar_T: what is left of a sample's variance at each level."""
        return _abars(self.hp.beta_first, self.hp.beta_last, self.hp.levels_of_noise)

    @override
    def loss(self, x: Tensor) -> Tensor:
        """Eq. 14 at levels of noise drawn uniformly, one a sample."""
        eps = torch.randn_like(x)
        t = torch.randint(self.hp.levels_of_noise, (len(x),), device=x.device)
        abar = constant(self.abar, x)[t].view(-1, *[1] * (x.dim() - 1))
        x_t = abar.sqrt() * x + (1 - abar).sqrt() * eps
        return (eps - self.G(x_t, t / self.hp.levels_of_noise)).square().mean()

    @override
    def flow(self, z: Tensor) -> Tensor:
        """Algorithm 2. What a picture is taken for on the way is clipped to [-1, 1], as in the code."""
        chosen = np.linspace(0, self.hp.levels_of_noise - 1, self.hp.sampling).round().astype(int).tolist()
        for i in reversed(range(len(chosen))):
            abar, before = self.abar[chosen[i]], self.abar[chosen[i - 1]] if i else 1.0
            t = torch.full((len(z),), chosen[i] / self.hp.levels_of_noise, device=z.device)
            x_0 = (z - (1 - abar) ** 0.5 * self.G(z, t)) / abar**0.5
            of_x_0, of_z, variance = _posterior(abar, before)
            if self.hp.variance == "beta":
                variance = 1 - abar / before
            z = of_x_0 * (x_0.clamp(-1, 1) if z.dim() == 4 else x_0) + of_z * z
            if i:
                z = z + variance**0.5 * torch.randn_like(z)
        return z


@functools.lru_cache(maxsize=8)
def _abars(first: float, last: float, levels: int) -> tuple[float, ...]:
    """Products of 1 - beta over betas on a line."""
    return tuple(np.cumprod(1 - np.linspace(first, last, levels)).tolist())


def _posterior(abar: float, before: float) -> tuple[float, float, float]:
    """Eq. 7 from abar_t and abar_t-1: the weights of x_0 and of x_t in the mean of q(x_t-1 | x_t, x_0), and its variance."""
    alpha = abar / before
    return before**0.5 * (1 - alpha) / (1 - abar), alpha**0.5 * (1 - before) / (1 - abar), (1 - before) / (1 - abar) * (1 - alpha)
