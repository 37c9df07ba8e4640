"""Improved Techniques for Training GANs: minibatch discrimination.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.

| paper                                                         | here                     |
|---------------------------------------------------------------|--------------------------|
| Sec. 3.2, M = f(x) T, c_b = exp(-|M_ib - M_jb|_1)             | `_Minibatch.closeness`   |
| Sec. 3.2, o_b = sum over j of c_b, beside f(x)                | `_Minibatch.forward`     |
| Sec. 3.2, computed on real and on generated batches apart     | `critic_loss`            |

As in the authors' code a sample is not compared with itself (the paper's sum has that constant 1).
Departures: networks are the task's, T has no weight norm and no data-dependent start, and one generator step an
    update (CIFAR-10 [code]: three).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import FeatureCritic, GenerationTask
from methods.gan._improved import ImprovedHP
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import TwoPlayer


class MinibatchDiscriminationGAN(TwoPlayer):
    """A critic that sees how close the samples of a batch lie, and so a generator that collapses."""

    toy: ClassVar[dict[str, Any]] = {"kernels": 3, "kernel_dim": 2}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ImprovedHP):
        """[code]: where only the authors' code states a value."""

        adversarial: str = param("nonsaturating", "Sec. 3.2: the usual game")
        kernels: int = param(100, "[code] B, kernels")
        kernel_dim: int = param(5, "[code] C, dimensions of a kernel")

    hp: HP
    D: FeatureCritic

    @override
    def build(self, task: GenerationTask) -> None:
        """The task's networks, the critic's head replaced."""
        h = self.hp
        self.G, self.D = task.generator(), task.critic()
        self.D.head = _Minibatch(self.D.features, h.kernels, h.kernel_dim)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))), each batch by itself."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E log D(G(z))."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)


class _Minibatch(nn.Module):
    """Features f, N x A, to N x 1 scores that depend on the whole batch."""

    def __init__(self, features: int, kernels: int, dim: int) -> None:
        super().__init__()
        self.kernels = kernels
        self.T = nn.Linear(features, kernels * dim, bias=False)  # the tensor T: A x B x C
        self.score = nn.Linear(features + kernels, 1)

    def closeness(self, f: Tensor) -> Tensor:
        """The statistics o, N x B: 0 for a sample alone, N - 1 among its copies."""
        m = self.T(f).unflatten(1, (self.kernels, -1)).transpose(0, 1)  # B x N x C
        return torch.exp(-torch.cdist(m, m, p=1)).sum(2).T - 1  # B x N x N summed over j, without j = i

    @override
    def forward(self, f: Tensor) -> Tensor:
        y: Tensor = self.score(torch.cat([f, self.closeness(f)], 1))
        return y
