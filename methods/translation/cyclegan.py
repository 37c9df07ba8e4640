"""Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.

Zhu, Park, Isola, Efros. ICCV 2017, arXiv:1703.10593.

| paper                                               | here                                             |
|-----------------------------------------------------|--------------------------------------------------|
| Sec. 4, generators: 6 or 9 residual blocks          | `_nets.ResNetGenerator`                          |
| Sec. 4, critics: 70 x 70 PatchGAN                   | `_nets.PatchGAN`                                 |
| Eq. 1 with least squares (Sec. 4)                   | `adversarial`, `generator_loss`, `critic_loss`   |
| Eq. 2, cycle consistency                            | `generator_loss`                                 |
| Sec. 5.2, identity loss                             | `generator_loss`, `identity`                     |
| Sec. 4, history of 50 pictures                      | `_pool.Pool`                                     |
| Sec. 4, constant for 100 epochs, 100 linearly to 0  | schedule `epoch_decay`                           |

X holds what is observed, Y the targets: `G` translates X -> Y and is what `restore` uses, `F` goes back. Two successive batches are drawn
an update, x from the one and y from the other, so that no pair is seen even where the task has pairs.
`weights=FILE` is one of the authors' released generators in the place of G, judged as it is: choose the file of the wanted direction.
Departures: none of the paper's. Of the released code's defaults, the identity loss is off, as the paper has it for all but paintings
    (`identity=0.5` turns it on), and both networks of either kind share one optimiser, as in the PyTorch code (the Lua code holds F(y)
    constant in the backward cycle).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import AdversarialLoss
from methods.networks.image_nets import PatchGAN, ResNetGenerator, padded
from methods.procedures import descend
from methods.released import ReleasedHP, fill, open_released
from methods.translation._pool import Pool


class CycleGAN(Method[RestorationTask]):
    """Two generators that undo each other, a critic for each domain."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"unpaired"})
    toy: ClassVar[dict[str, Any]] = {"ngf": 4, "ndf": 4, "blocks": 1, "pool": 3, "identity": 0.5}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values."""

        steps: int = param(595_000, "Sec. 7.1: 200 epochs; of 2975 pictures (Cityscapes)")
        batch_size: int = param(1, "Sec. 4: pictures of either domain an update")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "Sec. 4; betas from the code")
        schedule: str = param("epoch_decay", "Sec. 4: constant for 100 epochs, then linearly to zero over 100")
        init: str = param("normal02", "Sec. 7.1: N(0, 0.02)")
        adversarial: str = param("lsgan", "Sec. 4: least squares")
        cycle: float = param(10.0, "Sec. 4: lambda, weight of the cycle loss")
        identity: float = param(0.0, "Sec. 5.2: weight of the identity loss over that of the cycle loss; 0.5 for paintings -> photos")
        pool: int = param(50, "Sec. 4: generated pictures that a critic's history holds")
        ngf: int = param(64, "Sec. 7.2: channels of a generator's first layer")
        ndf: int = param(64, "Sec. 7.2: channels of a critic's first layer")
        blocks: int = param(9, "Sec. 4: residual blocks; 6 for 128 x 128, 9 from 256 x 256 on")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if min(self.pool, self.cycle, self.identity) < 0:
                raise ValueError("pool, cycle and identity must be >= 0")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        released = open_released(self, self.hp.weights, channels=task.channels)
        h = self.hp
        self.G = ResNetGenerator(task.channels, h.ngf, h.blocks)
        if released:
            return fill(self, released)
        self.F = ResNetGenerator(task.channels, h.ngf, h.blocks)
        self.D_X, self.D_Y = (PatchGAN(task.channels, h.ndf) for _ in range(2))
        self.opt_g, self.opt_d = self.optimizer(self.G, self.F), self.optimizer(self.D_X, self.D_Y)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        self.pool_x, self.pool_y = Pool(h.pool), Pool(h.pool)

    def generator_loss(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> Tensor:
        """Eq. 3, and the identity loss; all pictures in [-1, 1]."""
        h = self.hp
        game = self.adversarial.generator(self.D_Y, fake_y, y) + self.adversarial.generator(self.D_X, fake_x, x)
        cycle = _l1(self.F(fake_y), x) + _l1(self.G(fake_x), y)
        identity = _l1(self.G(y), y) + _l1(self.F(x), x) if h.identity else 0.0
        return game + h.cycle * (cycle + h.identity * identity)

    def critic_loss(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> Tensor:
        """Each critic on its domain and its history; the halves of least squares are in `adversarial`."""
        return self.adversarial.critic(self.D_X, x, fake_x) + self.adversarial.critic(self.D_Y, y, fake_y)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """A step of both generators, then one of both critics."""
        while self.t < self.hp.steps:
            self.anneal()
            x, y = 2 * next(data).observed - 1, 2 * next(data).truth - 1  # of two batches: not a pair
            fake_x, fake_y = self.F(y), self.G(x)
            g = descend(self.opt_g, self.generator_loss(x, y, fake_x, fake_y))
            d = descend(self.opt_d, self.critic_loss(x, y, self.pool_x.exchange(fake_x), self.pool_y.exchange(fake_y)))
            for critic in (self.D_X, self.D_Y):
                self.adversarial.constrain(critic)
            self.t += 1
            yield {"critic": d, "generator": g}

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size: X -> Y."""
        return ((padded(self.G, 2 * batch.observed - 1, 4) + 1) / 2).clamp(0, 1)


def _l1(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean()
