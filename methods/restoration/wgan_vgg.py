"""WGAN-VGG: Low-Dose CT Image Denoising Using a GAN with Wasserstein Distance and Perceptual Loss.

Yang, Yan, Zhang, Yu, Shi, Mou, Kalra, Zhang, Sun, Wang. IEEE TMI 37(6), 2018, arXiv:1708.00961.

| paper                                              | here             |
|----------------------------------------------------|------------------|
| Fig. 1, G: 8 convolutions, 7 x 32 filters and 1    | `_generator`     |
| Fig. 1, D: 6 convolutions, 2 dense layers          | `_critic`        |
| L_WGAN with gradient penalty, 4 critic steps       | `adversarial`    |
| L_VGG: VGG19 after its 16th convolution            | `content`        |
| min_G max_D L_WGAN + lambda_1 L_VGG                | `generator_loss` |

| Table I  | adversarial  | content       |           | Table I | adversarial  | content       |
|----------|--------------|---------------|-----------|---------|--------------|---------------|
| WGAN-VGG | wgan_gp      | perceptual... |           | WGAN    | wgan_gp      | empty         |
| WGAN-MSE | wgan_gp      | mse           |           | GAN     | saturating   | empty         |
| CNN-VGG  | empty        | perceptual... |           | CNN-MSE | empty        | mse           |

`weights=FILE` is the generator of eeulig/ldct-benchmark (`wganvgg`), judged as it is: with biases, zero padding and other numbers for
Hounsfield units, which the file sets.
The generator does not pad and loses 8 pixels a side: 55,872 parameters. Gray is repeated for VGG.
Departures: strided convolutions of the critic pad both sides (TensorFlow: one where the side is even); VGG is torchvision's on ImageNet's
    scale (the paper: Caffe's on 0..255), so lambda_1 weighs another number. Defects of the released code that are not ported: the gradient
    penalty has weight 1 instead of 10 and takes its norm over rows alone; L_VGG and MSE are sums over half the batch instead of means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import AdversarialLoss, ContentLoss
from methods.procedures import alternate, regress
from methods.released import ReleasedHP, fill, open_released
from methods.restoration._scaled import scaled

_LOST = 8  # pixels that the generator loses on each side


class WGANVGG(Method[RestorationTask]):
    """Adversarial plus perceptual loss, either of which may be left out."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"width": 4, "ndf": 4, "hidden": 8, "n_critic": 2, "content": "mse"}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(78_200, "Sec. III-B: 100 epochs of 100,096 patches")
        batch_size: int = param(128, "Sec. III-B")
        optimizer: str = param("adam[lr=1e-5,betas=(0.5,0.9)]", "Sec. III-B; 1e-4 [code]")
        adversarial: str = param("wgan_gp[gp=10]", "L_WGAN, Table I; empty: none")
        content: str = param("perceptual[net=vgg19,layer=35,normalize=true]", "L_VGG, Table I: conv5_4 after its ReLU; empty: none")
        content_weight: float = param(0.1, "lambda_1, beside an adversarial loss; alone the content loss has weight 1")
        n_critic: int = param(4, "Alg. 1: critic steps an update")
        width: int = param(32, "Fig. 1: filters of the generator")
        last_relu: bool = param(
            True,
            "Fig. 1: a ReLU after the last layer, too; as nothing has a bias, it leaves half of all seeds black for ever",
        )
        bias: bool = param(False, "[code] the generator's convolutions have biases; eeulig/ldct-benchmark: true")
        padding: Literal["valid", "zeros"] = param("valid", "[code] of the generator's convolutions; eeulig/ldct-benchmark: zeros")
        mean: float = param(0.0, "ours: what is taken from a picture on [0, 1] before the generator sees it")
        std: float = param(1.0, "ours: what it is then divided by; both are undone behind the generator")
        ndf: int = param(64, "Fig. 1: filters of the critic's first layer")
        hidden: int = param(1024, "Fig. 1: units of the critic's first dense layer")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.adversarial and not self.content:
                raise ValueError("give an adversarial or a content loss")
            if self.std <= 0:
                raise ValueError(f"std must be > 0, not {self.std}")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        """Networks, optimisers, losses. The critic is made for crops of `task.crop` pixels less what the generator loses."""
        released = open_released(self, self.hp.weights, channels=task.channels)
        h = self.hp
        self.lost = _LOST if h.padding == "valid" else 0
        self.G = _generator(task.channels, h.width, h.last_relu, h.bias, padding=int(h.padding == "zeros"))
        self.adversarial: AdversarialLoss | None = registry.make("adversarial", h.adversarial) if h.adversarial else None
        if released:
            return fill(self, released)
        if task.crop <= 2 * self.lost:
            raise UsageError(
                f"wgan_vgg: its generator loses {self.lost} pixels a side and needs crops of more than {2 * self.lost}, not {task.crop}",
            )
        self.opt_g = self.optimizer(self.G)
        self.content: ContentLoss | None = registry.make("content", h.content) if h.content else None
        if self.adversarial is not None:
            self.D = _critic(task.channels, h.ndf, h.hidden, task.crop - 2 * self.lost)
            self.opt_d = self.optimizer(self.D)

    def output(self, x: Tensor) -> Tensor:
        """The generator's pictures on [0, 1], not yet clipped."""
        return scaled(self.G, x, self.hp.mean, self.hp.std)

    def critic_loss(self, batch: Batch) -> Tensor:
        """L_WGAN, or whichever game is chosen."""
        with torch.no_grad():
            y = self.output(batch.observed)
        assert self.adversarial is not None
        return self.adversarial.critic(self.D, self.inner(batch.truth), y)

    def content_loss(self, batch: Batch, y: Tensor) -> Tensor:
        """L_VGG on [-1, 1], three channels."""
        x_hat, x = (2 * image.expand(-1, 3, -1, -1) - 1 for image in (y, self.inner(batch.truth)))
        assert self.content is not None
        return self.content(x_hat, x)

    def generator_loss(self, batch: Batch) -> Tensor:
        """L_WGAN + lambda_1 L_VGG."""
        y = self.output(batch.observed)
        assert self.adversarial is not None
        game = self.adversarial.generator(self.D, y, self.inner(batch.truth))
        return game + self.hp.content_weight * self.content_loss(batch, y) if self.content is not None else game

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Algorithm 1: four critic steps on batches of their own, then one of the generator; without a critic, regression."""
        if self.adversarial is not None:
            yield from alternate(self, data, self.critic_loss, self.generator_loss, self.hp.n_critic, self.adversarial.constrain)
        else:
            yield from regress(self, data, lambda batch: self.content_loss(batch, self.output(batch.observed)), self.hp.steps, self.opt_g)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], sides above 8 pixels: mirrored by what the generator loses."""
        return self.output(F.pad(batch.observed, (self.lost,) * 4, mode="reflect")).clamp(0, 1)

    def inner(self, x: Tensor) -> Tensor:
        """The part of the target that the generator's output covers: without padding 8 pixels less a side."""
        return x[..., self.lost : x.shape[-2] - self.lost, self.lost : x.shape[-1] - self.lost]


def _generator(channels: int, width: int, last_relu: bool, bias: bool = False, padding: int = 0) -> nn.Sequential:
    """N x C x H x W -> N x C x (H - 16) x (W - 16), of the same size where it pads."""
    sides = pairwise([channels] + [width] * 7 + [channels])
    layers = [layer for i, o in sides for layer in (nn.Conv2d(i, o, 3, padding=padding, bias=bias), nn.ReLU())]
    return nn.Sequential(*layers if last_relu else layers[:-1])


def _critic(channels: int, ndf: int, hidden: int, side: int) -> nn.Sequential:
    """N x C x side x side -> N scores, N x 1."""
    widths = [channels, ndf, ndf, 2 * ndf, 2 * ndf, 4 * ndf, 4 * ndf]
    convs = [nn.Conv2d(i, o, 3, stride=1 + k % 2, padding=1) for k, (i, o) in enumerate(pairwise(widths))]
    end = -(-side // 8)
    dense = [nn.Flatten(), nn.Linear(4 * ndf * end**2, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)]
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.LeakyReLU(0.2))), *dense)
