"""Improved Techniques for Training GANs: semi-supervised learning.

Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen. NIPS 2016, arXiv:1606.03498.

| paper                                                                | here                      |
|----------------------------------------------------------------------|---------------------------|
| Sec. 5, K + 1 classes, the last one's logit fixed at 0               | `build`, `unsupervised`   |
| Sec. 5, D(x) = Z / (Z + 1), Z = sum of exp(l_k)                      | `unsupervised`            |
| Sec. 5, L_supervised + L_unsupervised                                | `critic_loss`             |
| Sec. 3.1, the generator matches features                             | `generator_loss`          |

The log-odds of D are logsumexp(l), so every loss stays in logits; the unsupervised loss carries the authors' factor 1/2 [code].
Labels are seen for `labelled` samples a class alone, taken from the stream before training.
Departures: networks are the task's, without the code's noise, dropout and weight norm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.method import Logs, Samples, param
from bench.offers import Capability, FeatureCritic, GenerationTask
from methods.gan._improved import ImprovedHP
from methods.procedures import alternate
from methods.two_player import TwoPlayer


class SemiSupervisedGAN(TwoPlayer):
    """A classifier that learns from few labels and a generator's mistakes."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"labels"})
    toy: ClassVar[dict[str, Any]] = {"labelled": 1}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ImprovedHP):
        """[code]: where only the authors' code states a value."""

        labelled: int = param(10, "Sec. 5.1: labelled samples a class; MNIST with 100 labels")

    hp: HP
    D: FeatureCritic

    @override
    def build(self, task: GenerationTask) -> None:
        """The task's networks; the critic has a logit a class."""
        self.G, self.D = task.generator(), task.critic(outputs=task.classes)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=self.hp.optimizer_d or self.hp.optimizer)

    @override
    def prepare(self, data: Iterator[Samples]) -> None:
        """Keep the first `labelled` samples of every class, with their labels.

        Raises:
            UsageError: the stream does not show every class often enough.
        """
        classes, wanted = self.task.classes, self.hp.labelled
        x, labels = torch.empty(0, *self.task.shape, device=self.device), torch.empty(0, dtype=torch.long, device=self.device)
        for _ in range(100 + 100 * wanted * classes // self.hp.batch_size):
            batch = next(data)
            assert batch.labels is not None
            x, labels = torch.cat([x, batch.x]), torch.cat([labels, batch.labels])
            nth = F.one_hot(labels, classes).cumsum(0).gather(1, labels[:, None])[:, 0]  # of its class
            x, labels = x[nth <= wanted], labels[nth <= wanted]
            if len(labels) == wanted * classes:
                self.x, self.labels = x, labels
                return
        raise UsageError(f"semi_supervised_gan: the data show fewer than labelled={wanted} samples of some of the {classes} classes")

    def supervised(self, logits: Tensor, labels: Tensor) -> Tensor:
        """-E log p(y | x, y <= K): N x K logits, N labels."""
        return F.cross_entropy(logits, labels)

    def unsupervised(self, real: Tensor, fake: Tensor) -> Tensor:
        """-(E log D(x) + E log(1 - D(G(z)))) / 2 on N x K logits."""
        return (F.softplus(-real.logsumexp(1)).mean() + F.softplus(fake.logsumexp(1)).mean()) / 2

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """Both, on fresh draws from the labelled set, the stream and the generator."""
        some = torch.randint(len(self.labels), (len(batch),), device=self.device)
        supervised = self.supervised(self.D(self.x[some]), self.labels[some])
        return supervised + self.unsupervised(self.D(batch.x), self.D(self.fake(len(batch)).detach()))

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """|E f(x) - E f(G(z))|^2, f what the critic's head reads."""
        real = self.D.represent(batch.x).mean(0).detach()
        return (real - self.D.represent(self.fake(len(batch))).mean(0)).square().sum()

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss)

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Probabilities of the K classes: N x K."""
        return self.D(x).softmax(1)

    def sheets(self, columns: int) -> dict[str, Tensor]:
        """The first samples of each class, a row each, as the critic sees them; blank where it sees fewer."""
        y = self.sample(50 * self.task.classes)
        seen = self.classify(y).argmax(1)
        rows = y.new_ones(self.task.classes, columns, *self.task.shape)
        for k, row in enumerate(rows):
            mine = y[seen == k][:columns]
            row[: len(mine)] = mine
        return {"A class a row, as the critic sees them": rows}
