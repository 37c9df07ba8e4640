"""DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks.

Kupyn, Budzan, Mykhailych, Mishkin, Matas. CVPR 2018, arXiv:1711.07064.

| paper                                         | here                             |
|-----------------------------------------------|----------------------------------|
| Fig. 3, generator: ResNet-9, global skip      | `_nets.ResNetGenerator`          |
| Sec. 3.2, critic: 70 x 70 PatchGAN            | `_nets.PatchGAN(padding=2)`      |
| total loss L = L_GAN + lambda L_X, lambda 100 | `generator_loss`                 |
| L_GAN: WGAN-GP, 5 critic steps                | `critic_loss`, `adversarial`     |
| L_X: VGG19 conv3_3 feature distance           | `content`                        |

`weights=FILE` is a released generator, judged as it is: the authors' (two convolutions a block) or one of those in the repository's tree,
which want `residual=false`; their tests keep dropout (`mc_dropout`).
As in the authors' code: the critic sees the restored image alone; all critic steps of an update share batch and fake; VGG takes
[-1, 1] without ImageNet normalisation, before the ReLU.
Departures: `mc_dropout` is off (the paper tests with dropout on) and instance norm keeps no running statistics. Defects of the released
code that are not ported: one convolution a block, a slip of operator precedence that a contributor's change brought in March 2019, a year
after the paper (`single_conv=True` has it; the authors' own network has two, and the weights in the repository, with one since then, are
the contributor's); WGAN-GP cannot start (a wrong super call) and train.py forces the plain GAN; the penalty takes its norm a pixel, over
channels, of the sum of the score map instead of its mean; one alpha mixes the whole batch; unet_256 cannot be built; SSIM's window is off
centre and images are truncated to 8 bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import AdversarialLoss, ContentLoss
from methods.networks.image_nets import NORMS, PatchGAN, ResNetGenerator, padded
from methods.procedures import alternate_on_batch
from methods.released import ReleasedHP, fill, open_released


class DeblurGAN(Method[RestorationTask]):
    """Adversarial plus perceptual loss."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"ngf": 4, "ndf": 4, "blocks": 1, "n_critic": 2, "content": "l1"}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(300_000, "Sec. 4.1: 300 epochs of about 1000 images")
        batch_size: int = param(1, "Sec. 4.1")
        optimizer: str = param("adam[lr=1e-4,betas=(0.5,0.999)]", "Sec. 4.1; betas [code]")
        schedule: str = param("linear_decay[start=0.5]", "Sec. 4.1: constant for 150 epochs, then linearly to zero")
        init: str = param("normal02", "[code] N(0, 0.02)")
        adversarial: str = param("wgan_gp", "Sec. 3.1")
        content: str = param("perceptual[net=vgg19]", "Sec. 3.1: perceptual loss on conv3_3")
        content_weight: float = param(100.0, "Sec. 3.1: lambda")
        n_critic: int = param(5, "Sec. 4.1: critic steps an update")
        ngf: int = param(64, "Fig. 3: channels of the generator's first layer")
        ndf: int = param(64, "[code] channels of the critic's first layer")
        blocks: int = param(9, "Fig. 3: residual blocks")
        norm: Literal["instance", "batch", "identity"] = param("instance", "Sec. 3.2: generator")
        critic_norm: Literal["instance", "identity"] = param("instance", "Sec. 3.2: critic; never batch norm under a gradient penalty")
        dropout: float = param(0.5, "Sec. 3.2: after each block's first convolution")
        mc_dropout: bool = param(False, "keep dropout when restoring, as the paper does")
        residual: bool = param(
            True, "Fig. 3: the input is added to the output; the weights in the authors' repository were trained without"
        )
        single_conv: bool = param(
            False, "one convolution a block: the repository's code since March 2019, neither the paper's network nor the authors' weights"
        )

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        released = open_released(self, self.hp.weights, channels=task.channels)
        h = self.hp
        self.G = ResNetGenerator(
            task.channels,
            h.ngf,
            h.blocks,
            NORMS[h.norm],
            dropout=h.dropout,
            mc_dropout=h.mc_dropout,
            residual=h.residual,
            single_conv=h.single_conv,
        )
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        if released:
            return fill(self, released)
        self.D = PatchGAN(task.channels, h.ndf, norm=NORMS[h.critic_norm], padding=2)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D)
        self.content: ContentLoss = registry.make("content", h.content)

    def fake(self, batch: Batch) -> Tensor:
        """The restored batch in [-1, 1]."""
        return self.G(2 * batch.observed - 1)

    def critic_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """WGAN-GP, or whichever game is chosen."""
        return self.adversarial.critic(self.D, 2 * batch.truth - 1, y)

    def generator_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """L_GAN + lambda L_X."""
        return self.adversarial.generator(self.D, y, 2 * batch.truth - 1) + self.hp.content_weight * self.content(y, 2 * batch.truth - 1)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Five critic steps, then one of the generator."""
        constrain = self.adversarial.constrain
        yield from alternate_on_batch(self, data, self.fake, self.critic_loss, self.generator_loss, self.hp.n_critic, constrain)

    @property
    @override
    def stochastic_inference(self) -> bool:
        """Yes, where dropout stays active in tests."""
        return self.hp.mc_dropout and self.hp.dropout > 0

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return ((padded(self.G, 2 * batch.observed - 1, 4) + 1) / 2).clamp(0, 1)
