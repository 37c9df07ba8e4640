"""Auto-Encoding Variational Bayes. Kingma, Welling. ICLR 2014, arXiv:1312.6114.

| paper                                                   | here                           |
|---------------------------------------------------------|--------------------------------|
| Sec. 2.4: z = mu + sigma eps                            | `bound`                        |
| Eq. 7 and 10, one draw a sample: the bound              | `bound`, `_bound.maximise`     |
| App. B: -KL(q(z|x) || N(0, I))                          | `_bound.kl`                    |
| App. C.1, C.2: Bernoulli and Gaussian decoders          | `_bound.Bernoulli`, `Gaussian` |

Sizes, ReLU and Adam are those of the widespread code, 784-400-20-400-784 on MNIST ([code]: pytorch/examples, vae); the paper has 500 tanh
units, Adagrad and batches of 100.
`weights=FILE` is a network that the code of pytorch/examples trained, judged as it is.
Departures: no prior on the weights; a Gaussian decoder learns one variance, not one a coordinate and sample; pictures are shown as means.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import UsageError
from bench.method import Logs, Method, Samples, param
from bench.offers import GenerationTask
from methods.elbo import Bernoulli, Gaussian, kl, maximise
from methods.networks.backbones import MLPGenerator, mlp_critic
from methods.released import ReleasedHP, fill, open_released


class VAE(Method[GenerationTask]):
    """An encoder q(z|x) and a decoder p(x|z), trained together on the evidence lower bound."""

    toy: ClassVar[dict[str, Any]] = {"hidden": 16, "latent": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """[code] where the paper differs or is silent."""

        steps: int = param(4_690, "[code] ten epochs of MNIST")
        batch_size: int = param(128, "[code]")
        optimizer: str = param("adam[lr=1e-3]", "[code] update rule")
        network: Literal["mlp", "task"] = param("mlp", "Sec. 5: one hidden layer; task: the networks GANs use there, with their z")
        hidden: int = param(400, "[code] units of the hidden layer")
        latent: int = param(20, "Fig. 2: 3 to 200")
        likelihood: Literal["auto", "bernoulli", "gaussian"] = param("auto", "App. C; auto: bernoulli for pictures, gaussian for points")

    hp: HP
    E: nn.Module  # N x shape to N x 2 latent: means, logarithms of variances
    G: nn.Module  # N x latent to N x shape
    likelihood: Bernoulli | Gaussian

    @override
    def build(self, task: GenerationTask) -> None:
        released = open_released(self, self.hp.weights, pixels=math.prod(task.shape))
        h, points = self.hp, len(task.shape) == 1
        if points and h.likelihood == "bernoulli":
            raise UsageError("vae: likelihood=bernoulli is for pictures in [0, 1]; points want gaussian")
        if h.network == "mlp":
            self.latent, hidden = h.latent, (h.hidden,)
            self.E, self.G = mlp_critic(task.shape, hidden, 2 * h.latent), MLPGenerator(h.latent, task.shape, hidden)
        else:
            self.latent = task.z_dim
            self.E, self.G = task.critic(2 * task.z_dim), task.generator()
        self.likelihood = Gaussian() if points or h.likelihood == "gaussian" else Bernoulli()
        if released:
            fill(self, released)
        self.opt = self.optimizer(self.E, self.G, self.likelihood)

    def bound(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) of one z ~ q(z|x), and KL(q(z|x) || p(z)): N nats each."""
        mean, log_variance = self.E(x).chunk(2, dim=1)  # N x latent
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return self.likelihood(x, self.G(z)), kl(mean, log_variance)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 1."""
        yield from maximise(self, data, self.bound)

    def z(self, n: int) -> Tensor:
        """Latents: n x latent, N(0, 1)."""
        return torch.randn(n, self.latent, device=self.device)

    def sample(self, n: int) -> Tensor:
        """N samples: n x d, or n x C x H x W in [0, 1]."""
        return self.decode(self.z(n))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Samples from latents."""
        y: Tensor = self.likelihood.draw(self.G(z))
        return y
