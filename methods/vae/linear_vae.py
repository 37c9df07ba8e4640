"""Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse. Lucas, Tucker, Grosse, Norouzi. NeurIPS 2019, arXiv:1911.02469.

| paper                                                                    | here      |
|--------------------------------------------------------------------------|-----------|
| p(x|z) = N(W z + mu, sigma^2 I), q(z|x) = N(V (x - mu), D), D diagonal   | `build`   |
| the bound, without sampling                                              | `bound`   |

Its best bound is the likelihood of probabilistic PCA (Tipping and Bishop 1999), so every step of a VAE can be checked against eigenvalues.
Departures: the optimiser's settings are ours; q(z|x) has a bias of its own, and mu starts at 0, not at the mean of the data.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.method import Logs, Method, Samples, TrainHP, param
from bench.offers import GenerationTask
from methods.elbo import Gaussian, kl, maximise


class _Posterior(nn.Module):
    """x -> mean and log-variance, N x latent each; the variance is the same for every x."""

    def __init__(self, d: int, latent: int) -> None:
        super().__init__()
        self.mean, self.log_variance = nn.Linear(d, latent), nn.Parameter(torch.zeros(latent))

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.mean(x)
        return mean, self.log_variance.expand_as(mean)


class LinearVAE(Method[GenerationTask]):
    """A variational auto-encoder with a linear encoder and decoder: probabilistic PCA by gradient ascent."""

    toy: ClassVar[dict[str, Any]] = {"latent": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """Ours."""

        steps: int = param(2_000, "ours")
        batch_size: int = param(2_000, "ours")
        optimizer: str = param("adam[lr=0.05]", "ours: update rule")
        schedule: str = param("cosine", "ours: learning rate against progress")
        latent: int = param(2, "ours: dimensions of z")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        d = math.prod(task.shape)
        self.E, self.G, self.likelihood = _Posterior(d, self.hp.latent), nn.Linear(self.hp.latent, d), Gaussian()
        self.opt = self.optimizer(self.E, self.G, self.likelihood)

    def bound(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """E_q log p(x|z) in closed form, and KL(q(z|x) || p(z)): N nats each."""
        x = x.flatten(1)
        mean, log_variance = self.E(x)  # N x latent
        spread = self.G.weight.square().sum(0) @ log_variance[0].exp()  # tr W D W'
        return self.likelihood(x, self.G(mean)) - spread / (2 * self.likelihood.log_variance.exp()), kl(mean, log_variance)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Gradient ascent on the bound."""
        yield from maximise(self, data, self.bound)

    def z(self, n: int) -> Tensor:
        """Latents: n x latent, N(0, 1)."""
        return torch.randn(n, self.hp.latent, device=self.device)

    def sample(self, n: int) -> Tensor:
        """N samples: n x d, or n x C x H x W, clipped to [0, 1]."""
        return self.decode(self.z(n))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Samples from latents."""
        y = self.likelihood.draw(self.G(z).reshape(len(z), *self.task.shape))
        return y.clamp(0, 1) if y.dim() > 2 else y
