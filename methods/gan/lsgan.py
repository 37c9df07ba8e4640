"""Least Squares Generative Adversarial Networks.

Mao, Li, Xie, Lau, Wang, Smolley. ICCV 2017, arXiv:1611.04076.

| paper                                                       | here                            |
|-------------------------------------------------------------|---------------------------------|
| Eq. 2, squared distance to the labels a (fake), b (real), c | `critic_loss`, `generator_loss` |
| Eq. 9, the labels 0, 1, 1                                   | `a`, `b`, `c`: the default      |
| Eq. 8, the labels -1, 1, 0: Pearson's chi-squared           | `a=-1,c=0`                      |

Departures: networks are the task's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from torch import Tensor
from typing_extensions import override

from bench.method import Logs, Samples, param
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class LSGAN(TwoPlayer):
    """The game with squares in place of logarithms: fakes on the right side of the boundary are still pulled towards it."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values."""

        steps: int = param(100_000, "ours; the paper does not state it")
        optimizer: str = param("adam[lr=1e-3,betas=(0.5,0.999)]", "Sec. 4: scenes; 2e-4 for Chinese characters")
        a: float = param(0.0, "Eq. 9: label of fakes")
        b: float = param(1.0, "Eq. 9: label of real samples")
        c: float = param(1.0, "Eq. 9: what the generator wants its fakes to be called")

    hp: HP

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """Eq. 2: (E (D(x) - b)^2 + E (D(G(z)) - a)^2) / 2."""
        real, fake = self.D(batch.x), self.D(self.fake(len(batch)).detach())
        return ((real - self.hp.b).square().mean() + (fake - self.hp.a).square().mean()) / 2

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """Eq. 2: E (D(G(z)) - c)^2 / 2."""
        return (self.D(self.fake(len(batch))) - self.hp.c).square().mean() / 2

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss)
