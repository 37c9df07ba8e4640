"""Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network.

Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi. CVPR 2017, arXiv:1609.04802.

| paper                                          | here                                         |
|------------------------------------------------|----------------------------------------------|
| Fig. 4, generator and discriminator            | `_srresnet.Generator`, `Discriminator`       |
| Sec. 3.2, start from SRResNet-MSE              | `pretrain_loss`, the first loop of `train`   |
| Eq. 2, the game                                | `critic_loss`, `adversarial`                 |
| Eq. 3, l_X + 0.001 l_Gen                       | `generator_loss`                             |
| Eq. 4-5, l_X: SRGAN-MSE, -VGG22, -VGG54        | `content`: mse, vgg22, vgg54                 |
| Eq. 6, l_Gen = -log D(G)                       | `generator_loss`                             |

`weights=FILE` is a released generator, judged as it is: that of twhui/SRGAN-PyTorch, which follows the paper.
As in the paper the small picture comes in [0, 1], the large one leaves in [-1, 1], and no critic step is repeated.
Departures: l_Gen is a mean over the batch (the paper sums); photographs are the task's (the paper: 350,000 of ImageNet). Of other people's
code not ported: five blocks, pooling in the critic and 1 - D in place of -log D (leftthomas), ends of 3 x 3 and 1 x 1 (tensorlayer).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, EnlargementTask
from methods.losses.contracts import AdversarialLoss, ContentLoss
from methods.networks.image_nets import NORMS
from methods.networks.srresnet import Discriminator, Generator
from methods.procedures import alternate_on_batch, regress
from methods.released import ReleasedHP, fill, open_released


class SRGAN(Method[EnlargementTask]):
    """SRResNet, made to look real by a critic."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"scale"})
    toy: ClassVar[dict[str, Any]] = {"width": 4, "ndf": 4, "blocks": 1, "content": "mse", "pretrain": 0.5}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values."""

        steps: int = param(1_200_000, "Sec. 3.2: 1e6 of SRResNet-MSE, then 2e5")
        batch_size: int = param(16, "Sec. 3.2: crops of 96 x 96")
        optimizer: str = param("adam[lr=1e-4]", "Sec. 3.2: beta1 0.9")
        schedule: str = param("step[at=0.9166667]", "Sec. 3.2: the last 1e5 updates at a tenth of the rate")
        pretrain: float = param(5 / 6, "Sec. 3.2: share of the updates without the adversary")
        adversarial: str = param("nonsaturating", "Eq. 2 and 6")
        adversarial_weight: float = param(1e-3, "Eq. 3")
        content: str = param("vgg54", "Sec. 2.2.1: mse, vgg22 or vgg54")
        width: int = param(64, "Fig. 4: channels of the generator")
        ndf: int = param(64, "Fig. 4: channels of the critic's first layer")
        blocks: int = param(16, "Sec. 3.2: residual blocks")
        norm: Literal["batch", "identity"] = param("batch", "Sec. 2.1.1: of the generator, after each convolution of the blocks")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if not 0 <= self.pretrain <= 1:
                raise ValueError(f"pretrain is a share in [0, 1], not {self.pretrain}")

    hp: HP

    @override
    def build(self, task: EnlargementTask) -> None:
        """Networks, optimisers (one for each stage of the generator), losses. The critic is made for crops of `task.crop` pixels."""
        released = open_released(self, self.hp.weights, scale=task.scale)
        h = self.hp
        self.G = Generator(task.scale, h.width, h.blocks, NORMS[h.norm])
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        if released:
            return fill(self, released)
        self.D = Discriminator(task.crop, h.ndf)
        self.opt, self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.G), self.optimizer(self.D)
        self.content: ContentLoss = registry.make("content", h.content)

    def fake(self, batch: Batch) -> Tensor:
        """The large picture in [-1, 1]."""
        return self.G(batch.observed)

    def pretrain_loss(self, batch: Batch) -> Tensor:
        """SRResNet-MSE, Eq. 4."""
        return F.mse_loss(self.fake(batch), 2 * batch.truth - 1)

    def critic_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """Eq. 2, or whichever game is chosen."""
        return self.adversarial.critic(self.D, 2 * batch.truth - 1, y)

    def generator_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """Eq. 3: content and 0.001 times the adversarial loss."""
        return self.content(y, 2 * batch.truth - 1) + self.hp.adversarial_weight * self.adversarial.generator(
            self.D,
            y,
            2 * batch.truth - 1,
        )

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """SRResNet-MSE first, then the game."""
        yield from regress(self, data, self.pretrain_loss, round(self.hp.pretrain * self.hp.steps))
        yield from alternate_on_batch(self, data, self.fake, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x 3 x H x W to N x 3 x scale H x scale W in [0, 1]."""
        return ((self.G(batch.observed) + 1) / 2).clamp(0, 1)
