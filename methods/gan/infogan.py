"""InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel. NIPS 2016, arXiv:1606.03657.

| paper                                                     | here                              |
|-----------------------------------------------------------|-----------------------------------|
| Eq. 4 and 5, L_I(G, Q) = E log Q(c | x) + H(c)            | `information`                     |
| Eq. 6, min over G, Q of max over D of V - lambda L_I      | `critic_loss`, `generator_loss`   |
| Sec. 7.1, noise and codes for MNIST                       | `z`                               |
| App. C.1, networks for MNIST; Q shares the critic's body  | `build`, `_generator`, `_critic`  |
| Fig. 2, what each code does                               | `sheets`                          |

L_I stands in both losses, as in the authors' code: Q is among what the critic's optimiser trains, and learns from (detached) fakes there.
Departures: H(c) is exact (the code: estimated, and of a Gaussian for the continuous codes; a constant); the critic sees [-1, 1]. On points
both players are MLPs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import FeatureCritic, GenerationTask
from methods.gan._pictures import picture_side
from methods.losses.contracts import AdversarialLoss
from methods.networks.backbones import Critic, MLPGenerator, mlp_critic
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class InfoGAN(TwoPlayer):
    """A generator whose codes can be read off its samples."""

    toy: ClassVar[dict[str, Any]] = {"width": 4, "hidden": 16, "noise": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values for MNIST; [code] where only the authors' code states them."""

        steps: int = param(5_000, "[code] 50 epochs of 100 updates")
        batch_size: int = param(128, "App. C")
        optimizer: str = param("adam[lr=1e-3,betas=(0.5,0.999)]", "App. C: generator")
        optimizer_d: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "App. C: critic and Q")
        init: str = param("normal02", "[code] N(0, 0.02)")
        adversarial: Literal["nonsaturating", "saturating", "lsgan", "hinge", "relativistic"] = param(
            "nonsaturating",
            "[code]; on the critic's body",
        )
        info: float = param(1.0, "Eq. 6: lambda")
        noise: int = param(62, "App. C.1: incompressible latents")
        categories: int = param(10, "Sec. 7.1: values of the categorical code")
        continuous: int = param(2, "Sec. 7.1: codes U(-1, 1)")
        fixed_std: bool = param(True, "[code] Q's Gaussian of a continuous code has standard deviation 1; else it is predicted")
        width: int = param(64, "App. C.1: channels of the generator's last but one layer and of the critic's first")
        hidden: int = param(1024, "App. C.1: units of the hidden layers")

    hp: HP
    D: FeatureCritic

    @override
    def build(self, task: GenerationTask) -> None:
        h = self.hp
        z_dim = h.noise + h.categories + h.continuous
        if len(task.shape) == 1:
            self.G, self.D = MLPGenerator(z_dim, task.shape), mlp_critic(task.shape)
        else:
            self.G, self.D = _generator(z_dim, task.shape, h.width, h.hidden), _critic(task.shape, h.width, h.hidden)
        outputs = h.categories + 2 * h.continuous  # logits, means, logarithms of standard deviations
        self.Q = nn.Sequential(nn.Linear(self.D.features, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.1), nn.Linear(128, outputs))
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, self.Q, spec=h.optimizer_d or h.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    @override
    def z(self, n: int) -> Tensor:
        """Latents: noise U(-1, 1), a one-hot code, continuous codes U(-1, 1)."""
        h = self.hp
        noise, continuous = (2 * torch.rand(n, k, device=self.device) - 1 for k in (h.noise, h.continuous))
        return torch.cat([noise, F.one_hot(torch.randint(h.categories, (n,), device=self.device), h.categories), continuous], 1)

    def information(self, q: Tensor, z: Tensor) -> Tensor:
        """Eq. 5 in nats, on Q's outputs and the latents that they were made from: at most H(c)."""
        h = self.hp
        logits, mean, log_std = q.split([h.categories, h.continuous, h.continuous], 1)
        category, c = z[:, h.noise :].split([h.categories, h.continuous], 1)
        log_std = torch.zeros_like(log_std) if h.fixed_std else log_std
        gaussian = (((c - mean) / log_std.exp()).square() / 2 + log_std + math.log(2 * math.pi) / 2).sum(1).mean()
        return -F.cross_entropy(logits, category) - gaussian + math.log(h.categories) + h.continuous * math.log(2)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-V - lambda L_I; the body sees each batch once, for both heads."""
        z = self.z(len(batch))
        real, fake = self.D.represent(batch.x), self.D.represent(self.G(z).detach())
        return self.adversarial.critic(self.D.head, real, fake) - self.hp.info * self.information(self.Q(fake), z)

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E log D(G(z, c)) - lambda L_I."""
        z = self.z(len(batch))
        y = self.G(z)
        fake = self.D.represent(y)
        game = self.adversarial.generator(lambda x: self.D.head(fake if x is y else self.D.represent(x)), y, batch.x)
        return game - self.hp.info * self.information(self.Q(fake), z)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss)

    def sheets(self, columns: int) -> dict[str, Tensor]:
        """Fig. 2: every category in turn, and each continuous code from -2 to 2, the rest of the latent fixed in a row."""
        h = self.hp
        rows = self.z(5)[:, None]  # 5 x 1 x z_dim
        each = rows.repeat(1, h.categories, 1)
        each[..., h.noise : h.noise + h.categories] = torch.eye(h.categories, device=self.device)
        latents = {"A category a column": each}
        for i in range(h.continuous):
            varied = rows.repeat(1, columns, 1)
            varied[..., h.noise + h.categories + i] = torch.linspace(-2, 2, columns, device=self.device)
            latents[f"Continuous code {i + 1} from -2 to 2"] = varied
        return {title: self.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2]) for title, z in latents.items()}


def _generator(z_dim: int, shape: tuple[int, ...], width: int, hidden: int) -> nn.Module:
    """A hidden layer, a projection to a quarter of the side, two transposed convolutions; batch norm, ReLU. Pictures in [0, 1]."""
    side = picture_side(shape, multiple=4) // 4
    units = 2 * width * side**2
    return nn.Sequential(
        nn.Linear(z_dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Unflatten(1, (2 * width, side, side)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.ConvTranspose2d(width, shape[0], 4, 2, 1), nn.Sigmoid(),
    )  # fmt: skip


def _critic(shape: tuple[int, ...], width: int, hidden: int) -> Critic:
    """Two strided convolutions and a hidden layer, shared with Q."""
    side = picture_side(shape, multiple=4) // 4
    body = nn.Sequential(
        nn.Conv2d(shape[0], width, 4, 2, 1), nn.LeakyReLU(0.1),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.1), nn.Flatten(),
        nn.Linear(2 * width * side**2, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.1),
    )  # fmt: skip
    return Critic(body, hidden)
