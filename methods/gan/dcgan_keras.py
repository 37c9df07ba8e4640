"""GAN by Example using Keras on Tensorflow Backend.

Atienza. Towards Data Science, 2017 (the first version of its dcgan_mnist.py; not a paper).

| article                                                        | here                         |
|----------------------------------------------------------------|------------------------------|
| discriminator: four 5 x 5 convolutions, dropout, one unit      | `_critic`                    |
| generator: 7 x 7 x 256, two upsamplings, four convolutions     | `_Generator`                 |
| discriminator model: cross-entropy on 256 real and 256 fake    | `critic_loss`                |
| adversarial model: cross-entropy on fakes labelled 1           | `generator_loss`             |
| RMSprop, clipvalue 1                                           | `HP`, `clip_value`           |

The later tuning is `optimizer="rmsprop[lr=1e-4,alpha=0.9]",optimizer_d="rmsprop[lr=2e-4,alpha=0.9]",clip_value=1e9`.
Departures: the discriminator is fixed in the generator's step (the article's also trains there, towards calling fakes real); its fakes come
from the generator in training mode; convolutions pad evenly; the rates' decay, 0.06 % over the whole run, is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.gan._pictures import picture_side
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class DCGANKeras(TwoPlayer):
    """The tutorial from which many learned DCGAN."""

    toy: ClassVar[dict[str, Any]] = {"depth": 16, "depth_d": 4, "z_dim": 8}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The article's values."""

        steps: int = param(10_000, "article: train_steps")
        batch_size: int = param(256, "article")
        optimizer: str = param("rmsprop[lr=4e-4,alpha=0.9]", "article: adversarial model; rho is Keras' default")
        optimizer_d: str = param("rmsprop[lr=8e-4,alpha=0.9]", "article: discriminator model")
        init: str = param("xavier", "Keras' default, glorot_uniform")
        adversarial: str = param("nonsaturating", "article: binary cross-entropy")
        clip_value: float = param(1.0, "article: bound of every entry of a gradient")
        z_dim: int = param(100, "article: z ~ U(-1, 1)")
        depth: int = param(256, "article: channels after the generator's projection")
        depth_d: int = param(64, "article: channels after the discriminator's first layer")
        dropout: float = param(0.4, "article")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        h = self.hp
        self.G, self.D = _Generator(h.z_dim, task.shape, h.depth, h.dropout), _critic(task.shape, h.depth_d, h.dropout)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)
        for opt in (self.opt_g, self.opt_d):
            opt.register_step_pre_hook(self._clip)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    @override
    def z(self, n: int) -> Tensor:
        """Latents: n x z_dim, U(-1, 1)."""
        return 2 * torch.rand(n, self.hp.z_dim, device=self.device) - 1

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """The mean cross-entropy over both halves."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach()) / 2

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """Cross-entropy with the label 1."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)

    def _clip(self, opt: torch.optim.Optimizer, *_: Any) -> None:
        nn.utils.clip_grad_value_([p for group in opt.param_groups for p in group["params"]], self.hp.clip_value)


class _Generator(nn.Sequential):
    """A projection to a quarter of the side, then 5 x 5 convolutions; batch norm, ReLU. Pictures in [0, 1] (sigmoid)."""

    def __init__(self, z_dim: int, shape: tuple[int, ...], depth: int, dropout: float) -> None:
        side = picture_side(shape, multiple=4) // 4
        units = depth * side**2
        layers: list[nn.Module] = [nn.Linear(z_dim, units), _norm(nn.BatchNorm1d, units), nn.ReLU()]
        layers += [nn.Unflatten(1, (depth, side, side)), nn.Dropout(dropout)]
        for k, (i, o) in enumerate(pairwise([depth, depth // 2, depth // 4, depth // 8])):
            up = [nn.Upsample(scale_factor=2)] if k < 2 else []
            layers += [*up, nn.ConvTranspose2d(i, o, 5, padding=2), _norm(nn.BatchNorm2d, o), nn.ReLU()]
        super().__init__(*layers, nn.ConvTranspose2d(depth // 8, shape[0], 5, padding=2), nn.Sigmoid())


def _critic(shape: tuple[int, ...], depth: int, dropout: float) -> nn.Sequential:
    """Pictures in [0, 1] to N logits: strides 2, 2, 2, 1, each LeakyReLU 0.2 and dropout."""
    side = picture_side(shape)
    layers: list[nn.Module] = []
    for i, o, stride in zip([shape[0], depth, 2 * depth, 4 * depth], [depth, 2 * depth, 4 * depth, 8 * depth], [2, 2, 2, 1], strict=True):
        layers += [nn.Conv2d(i, o, 5, stride, padding=2), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        side = -(-side // stride)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * depth * side**2, 1), nn.Flatten(0))


def _norm(kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d], width: int) -> nn.Module:
    """Keras' batch norm with momentum 0.9: an epsilon of 1e-3, and the momentum counted from the other side."""
    return kind(width, eps=1e-3, momentum=0.1)
