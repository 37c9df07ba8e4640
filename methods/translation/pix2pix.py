"""Image-to-Image Translation with Conditional Adversarial Networks.

Isola, Zhu, Zhou, Efros. CVPR 2017, arXiv:1611.07004.

| paper                                              | here                         |
|----------------------------------------------------|------------------------------|
| Sec. 3.2.1, generator: U-Net, encoder-decoder      | `_networks.EncoderDecoder`   |
| Sec. 3.2.2, critic: patches of 1 to 286 pixels     | `_networks.patch_critic`     |
| Eq. 1, conditional game: D sees x and y            | `critic_loss`, `judge`       |
| Eq. 2, the same without x                          | `conditional=False`          |
| Eq. 3, 4: G* = arg min max L_cGAN + lambda L_L1    | `generator_loss`             |
| Sec. 3.3: D's loss halved, -log D for G            | `critic_loss`, `adversarial` |
| Sec. 3.2.1, 3.3: noise z is dropout, kept in tests | `mc_dropout`                 |
| Sec. 3.3: batch norm by the statistics of the test | `_networks.OwnStatistics`    |

Table 1's losses are `adversarial_weight=0` (L1), `content_weight=0` (cGAN; with `conditional=False` GAN) and
`conditional=False` (L1 + GAN).
`weights=FILE` is one of the authors' released U-Nets with batch norm, judged as it is and as their test does it: by each picture's own
statistics, with dropout.
Departures: the generator's step is judged by the critic that was just updated, as in the authors' PyTorch code (in their Lua code its loss
    is taken from the critic's output before). The generator's convolutions have no bias but the last (Lua has them and sets
    them to zero at every step), its innermost layer has no norm (early Lua has one, which at 1 x 1 pixel erases it).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import AdversarialLoss, ContentLoss
from methods.networks.image_nets import padded
from methods.procedures import alternate_on_batch, regress
from methods.released import ReleasedHP, fill, open_released
from methods.translation._networks import EncoderDecoder, patch_critic


class Pix2Pix(Method[RestorationTask]):
    """L1 plus a conditional game on patches."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"ngf": 4, "ndf": 4, "depth": 3, "patch": 16}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values for facades; [code] where only the authors' code states them."""

        steps: int = param(80_000, "Sec. 6.2: 200 epochs of 400 pairs")
        batch_size: int = param(1, "Sec. 6.2: 1 to 10; 1 for facades")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "Sec. 3.3")
        init: str = param("normal02", "Sec. 6.2: N(0, 0.02)")
        adversarial: str = param("nonsaturating", "Sec. 3.3: -log D in place of log(1 - D)")
        adversarial_weight: float = param(1.0, "Sec. 4.1: 0 leaves the content loss alone")
        conditional: bool = param(True, "Sec. 3.1: the critic sees the input, too")
        content: str = param("l1", "Eq. 3")
        content_weight: float = param(100.0, "Sec. 6.2: lambda")
        ngf: int = param(64, "Sec. 6.1.1: channels of the generator's first layer")
        ndf: int = param(64, "Sec. 6.1.2: channels of the critic's first layer")
        depth: int = param(8, "Sec. 6.1.1: halvings; 8 for crops of 256 pixels, 7 for 128")
        skips: bool = param(True, "Sec. 3.2.1: U-Net; without them encoder-decoder")
        patch: Literal[1, 16, 34, 70, 142, 286] = param(70, "Sec. 3.2.2, 4.4: side of the critic's patches")
        dropout: float = param(0.5, "Sec. 6.1.1: in the first three decoder layers")
        mc_dropout: bool = param(True, "Sec. 3.3: keep dropout when testing")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.depth < 1 or not 0 <= self.dropout < 1:
                raise ValueError("depth must be >= 1 and dropout in [0, 1)")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        released = open_released(self, self.hp.weights, channels=task.channels)
        h = self.hp
        if task.crop % 2**h.depth and not released:
            raise UsageError(
                f"pix2pix: {h.depth} halvings want crops of a multiple of {2**h.depth} pixels, not {task.crop}: set depth or crop",
            )
        self.G = EncoderDecoder(h.ngf, h.depth, h.skips, h.dropout, h.mc_dropout, task.channels)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        if released:
            return fill(self, released)
        self.D: nn.Module = patch_critic(h.patch, (1 + h.conditional) * task.channels, h.ndf)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D)
        self.content: ContentLoss = registry.make("content", h.content)

    def fake(self, batch: Batch) -> Tensor:
        """The translated batch in [-1, 1]."""
        return self.G(2 * batch.observed - 1)

    def judge(self, batch: Batch, y: Tensor) -> Tensor:
        """The critic's scores of outputs y in [-1, 1], beside their inputs where it is conditional."""
        return self.D(torch.cat([2 * batch.observed - 1, y], 1) if self.hp.conditional else y)

    def critic_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """Eq. 1, halved."""
        return self.adversarial.critic(lambda y: self.judge(batch, y), 2 * batch.truth - 1, y) / 2

    def content_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """Eq. 3, weighted."""
        return self.hp.content_weight * self.content(y, 2 * batch.truth - 1)

    def generator_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """Eq. 4."""
        game = self.adversarial.generator(lambda y: self.judge(batch, y), y, 2 * batch.truth - 1)
        return self.hp.adversarial_weight * game + self.content_loss(batch, y)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """A step of the critic, then one of the generator; without a game, the generator alone."""
        if not self.hp.adversarial_weight:
            yield from regress(self, data, lambda batch: self.content_loss(batch, self.fake(batch)), self.hp.steps, self.opt_g)
        constrain = self.adversarial.constrain
        yield from alternate_on_batch(self, data, self.fake, self.critic_loss, self.generator_loss, constrain=constrain)

    @property
    @override
    def stochastic_inference(self) -> bool:
        """Yes, where dropout stays active in tests."""
        return self.hp.mc_dropout and self.hp.dropout > 0

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return ((padded(self.G, 2 * batch.observed - 1, 2**self.hp.depth) + 1) / 2).clamp(0, 1)
