"""Conditional Image Synthesis with Auxiliary Classifier GANs.

Odena, Olah, Shlens. ICML 2017, arXiv:1610.09585.

| paper                                                     | here                            |
|-----------------------------------------------------------|---------------------------------|
| Sec. 3: fakes are G(c, z), each with a class c            | `z`, `sample`                   |
| Eq. 2: L_S, the log-likelihood of the source              | `adversarial`                   |
| Eq. 3: L_C, the log-likelihood of the class               | `classification`                |
| D maximises L_S + L_C, G maximises L_C - L_S              | `critic_loss`, `generator_loss` |

A latent is z beside c as one-hot; a linear layer adds c to z. As generators of tasks begin with one, both are seen side by side.
Departures: networks are the task's, of which the critic has one more logit a class; classes of fakes are drawn evenly; G descends -log D
for log(1 - D), which is `saturating`. Recalled or second-hand, not read in the paper: numbers of sections and equations, steps, batch size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.method import Logs, Samples, param
from bench.offers import Capability, GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class ACGAN(TwoPlayer):
    """A generator that is told the class, and a critic that has to read it from real samples and fakes."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"labels"})

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values for ImageNet."""

        steps: int = param(50_000, "Sec. 4: updates")
        batch_size: int = param(100, "Sec. 4")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "ours: DCGAN's")
        adversarial: Literal["nonsaturating", "saturating", "lsgan", "hinge", "relativistic"] = param("nonsaturating", "Eq. 2: the source")
        auxiliary: float = param(1.0, "Sec. 3: weight of L_C beside L_S, in both losses")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        self.G, self.D = _Conditional(task.generator(), task.z_dim, task.classes), task.critic(outputs=1 + task.classes)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=self.hp.optimizer_d or self.hp.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    @override
    def z(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Latents: n x (z_dim + classes), N(0, 1) and a one-hot class: those of `labels`, or any with equal chance."""
        if labels is None:
            labels = torch.randint(self.task.classes, (n,), device=self.device)
        noise = torch.randn(n, self.task.z_dim, device=self.device)
        return torch.cat([noise, F.one_hot(labels, self.task.classes).to(noise)], 1)

    def classification(self, scores: Tensor, classes: Tensor) -> Tensor:
        """-E log P(C = c): n x (1 + classes) scores of the critic, n classes or n x classes of their probabilities."""
        return F.cross_entropy(scores[:, 1:], classes)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-L_S - L_C; the critic sees each batch once, for both."""
        assert batch.labels is not None
        z = self.z(len(batch))
        y = self.G(z).detach()
        real, fake = self.D(batch.x), self.D(y)
        game = self.adversarial.critic(lambda x: (fake if x is y else real)[:, 0], batch.x, y)
        return game + self.hp.auxiliary * (self.classification(real, batch.labels) + self.classification(fake, z[:, self.task.z_dim :]))

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """L_S - L_C."""
        z = self.z(len(batch))
        y = self.G(z)
        fake = self.D(y)
        game = self.adversarial.generator(lambda x: (fake if x is y else self.D(x))[:, 0], y, batch.x)
        return game + self.hp.auxiliary * self.classification(fake, z[:, self.task.z_dim :])

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss)

    @override
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """N samples: n x d, or n x C x H x W in [0, 1]; of the classes `labels` (n, int64) where they are given.

        Raises:
            UsageError: there are not n labels.
        """
        if labels is not None and len(labels) != n:
            raise UsageError(f"ac_gan: {n} samples want {n} labels, not {len(labels)}")
        return self.decode(self.z(n, labels))

    def sheets(self, columns: int) -> dict[str, Tensor]:
        """A row a class; the samples of a column share their noise."""
        k = self.task.classes
        noise = torch.randn(columns, self.task.z_dim, device=self.device).repeat(k, 1)
        classes = torch.eye(k, device=self.device).repeat_interleave(columns, 0)
        return {"A class a row, one noise a column": self.decode(torch.cat([noise, classes], 1)).unflatten(0, (k, columns))}


class _Conditional(nn.Module):
    """A generator whose latents z are moved by what belongs to their class: n x (z_dim + classes) to samples."""

    def __init__(self, generator: nn.Module, z_dim: int, classes: int) -> None:
        super().__init__()
        self.generator, self.move, self.z_dim = generator, nn.Linear(classes, z_dim, bias=False), z_dim

    @override
    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.generator(z[:, : self.z_dim] + self.move(z[:, self.z_dim :]))
        return y
