"""The Keras re-implementation of DeblurGAN by Raphael Meudec (2018), github.com/RaphaelMeudec/deblur-gan.

Widely used, and another method than the paper: see `deblurgan` for that.

| repository                                                    | here             |
|---------------------------------------------------------------|------------------|
| generator: batch norm, nearest upsampling, (x + tanh) / 2     | `fake`           |
| critic: four strided convolutions, then two dense layers      | `_Critic`        |
| Wasserstein loss on a sigmoid, neither clipping nor penalty   | `critic_loss`    |
| 100 x VGG16 block3_conv3 distance + Wasserstein loss          | `generator_loss` |

Departures: one critic step descends the mean over real and fake, where the repository takes two half-steps, and its fakes come from the
    training-mode generator, where the repository switches dropout off; crops come from the task, the repository squeezes whole images to
    256 x 256; the dense layer follows the size of the crop; strided 3 x 3 convolutions pad both sides, Keras one (`stride_padding=keras`).
`weights=generator.h5` is the repository's generator, judged as it is; it sets `stride_padding`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import ContentLoss
from methods.networks.image_nets import ResNetGenerator, padded
from methods.procedures import alternate_on_batch
from methods.released import ReleasedHP, fill, open_released

_BATCH_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)  # Keras' defaults


class KerasDeblurGAN(Method[RestorationTask]):
    """Perceptual loss plus a bounded, unregularised Wasserstein critic."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"ngf": 4, "ndf": 4, "blocks": 1, "n_critic": 2, "content": "l1"}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The repository's values."""

        steps: int = param(128, "train.py: 4 epochs of 512 images")
        batch_size: int = param(16, "train.py")
        optimizer: str = param("adam[lr=1e-4,betas=(0.9,0.999)]", "train.py")
        init: str = param("xavier", "Keras' default, glorot_uniform")
        content: str = param("perceptual[net=vgg16]", "losses.py: block3_conv3")
        content_weight: float = param(100.0, "train.py: loss_weights")
        n_critic: int = param(5, "train.py: critic_updates")
        ngf: int = param(64, "model.py")
        ndf: int = param(64, "model.py")
        blocks: int = param(9, "model.py: n_blocks_gen")
        dropout: float = param(0.5, "layer_utils.py: after each block's first convolution")
        stride_padding: Literal["both", "keras"] = param(
            "both", "ours: strided convolutions pad both sides; keras: the right and the bottom one"
        )

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        """Networks, optimisers, content loss. The critic is made for crops of `task.crop` pixels, at least 16."""
        released = open_released(self, self.hp.weights, channels=task.channels)
        h = self.hp
        down = _halved if h.stride_padding == "keras" else None
        self.G = ResNetGenerator(task.channels, h.ngf, h.blocks, _BATCH_NORM, dropout=h.dropout, upsample=_nearest, downsample=down)
        if released:
            return fill(self, released)
        if task.crop < 16:
            raise UsageError(f"keras_deblurgan: its critic halves four times and needs crops of 16 pixels or more, not {task.crop}")
        self.D = _Critic(task.channels, h.ndf, task.crop)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D)
        self.content: ContentLoss = registry.make("content", h.content)

    def output(self, x: Tensor) -> Tensor:
        """(x + tanh) / 2 on [-1, 1]: half contrast unless the network learns to double it."""
        return (x + self.G(x)) / 2

    def fake(self, batch: Batch) -> Tensor:
        """The restored batch in [-1, 1]."""
        return self.output(2 * batch.observed - 1)

    def critic_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """mean(label x score), label +1 real and -1 fake, averaged: the critic scores real images low."""
        return (self.D(2 * batch.truth - 1).mean() - self.D(y).mean()) / 2

    def generator_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """Label +1, and the weighted content loss."""
        return self.D(y).mean() + self.hp.content_weight * self.content(y, 2 * batch.truth - 1)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Five critic steps, then one of the generator."""
        yield from alternate_on_batch(self, data, self.fake, self.critic_loss, self.generator_loss, self.hp.n_critic)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return ((padded(self.output, 2 * batch.observed - 1, 4) + 1) / 2).clamp(0, 1)


class _Critic(nn.Sequential):
    """C x crop x crop in [-1, 1] -> one score in (0, 1)."""

    def __init__(self, channels: int, ndf: int, crop: int) -> None:
        def unit(width: int, out: int, stride: int) -> list[nn.Module]:
            conv = nn.Conv2d(width, out, 4, stride=2, padding=1) if stride == 2 else _same(width, out)
            return [conv, _BATCH_NORM(out), nn.LeakyReLU(0.2)]

        side = crop // 16
        super().__init__(
            nn.Conv2d(channels, ndf, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            *unit(ndf, ndf, 2),
            *unit(ndf, 2 * ndf, 2),
            *unit(2 * ndf, 4 * ndf, 2),
            *unit(4 * ndf, 8 * ndf, 1),
            _same(8 * ndf, 1),
            nn.Flatten(),
            nn.Linear(side * side, 1024),
            nn.Tanh(),
            nn.Linear(1024, 1),
            nn.Sigmoid(),
        )


def _same(width: int, out: int) -> nn.Module:
    """A 4 x 4 convolution that keeps the size: one row of zeros before, two behind."""
    return nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(width, out, 4))


def _halved(width: int, out: int) -> nn.Module:
    """A strided 3 x 3 convolution as Keras pads it where sides are even: nothing before, a row and a column of zeros behind."""
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width, out, 3, stride=2))


def _nearest(width: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, out, 3, padding=1))
