"""SalGAN: Visual Saliency Prediction with Generative Adversarial Networks.

Pan, Canton Ferrer, McGuinness, O'Connor, Torres, Sayrol, Giro-i-Nieto. CVPR Scene Understanding Workshop 2017, arXiv:1701.01081 (v2).

| paper                                                 | here                                          |
|-------------------------------------------------------|-----------------------------------------------|
| generator: VGG16 up to conv5_3, mirrored              | `_networks.EncoderDecoder`                    |
| Table 1, discriminator of picture and map             | `_networks.MapCritic`                         |
| L_BCE on maps shrunk by 4 ("BCE/4" of Tables 2 and 3) | `content_loss`                                |
| L = alpha L_BCE - log D(I, S)                         | `generator_loss`                              |
| 15 epochs of L_BCE, then the game                     | `train`                                       |

`weights=FILE` is the authors' gen_modelWeights0090.npz, judged as it is; it sets `normalization=caffe`.
alpha is 0.05 in v2, in the workshop's abstract and in the code. As in the code, the discriminator's first pooling is 4 (Table 1 prints 2).
Departures: each update of the game trains both networks on one batch, where the code trains them on batches in turn; no weight norm in the
discriminator; torchvision's VGG16 with its normalisation in place of the Caffe model; maps are not blurred after enlarging.
`encoder=small`, which is ours, needs no published weights: numbers made with it stand beside none of the paper's.
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
from bench.offers import Capability, SaliencyTask
from methods.bernoulli import nll
from methods.losses.contracts import AdversarialLoss
from methods.networks.image_nets import padded
from methods.procedures import alternate, regress
from methods.released import ReleasedHP, fill, open_released
from methods.saliency._networks import VGG16, EncoderDecoder, MapCritic, small


class SalGAN(Method[SaliencyTask]):
    """Regression of the map, then an adversarial loss on it."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency"})
    toy: ClassVar[dict[str, Any]] = {"encoder": "small", "width": 4, "ndf": 4, "pretrain": 0.5}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(ReleasedHP):
        """The paper's values for SALICON's 10,000 pictures; [code] where only the authors' code states them."""

        steps: int = param(37_500, "updates: 120 epochs in all (recalled, not checked)")
        batch_size: int = param(32, "the paper")
        optimizer: str = param("adagrad[lr=3e-4,weight_decay=1e-4]", "the paper: AdaGrad, L2 1e-4 (lost in the code)")
        optimizer_pretrain: str = param("nag[lr=1e-3,momentum=0.5]", "[code]")
        pretrain: float = param(0.125, "the paper: share of the updates, 15 of 120 epochs, of L_BCE alone")
        adversarial: str = param("nonsaturating", "the paper: -log D")
        content_weight: float = param(0.05, "alpha")
        pool: int = param(4, "Table 2: maps are shrunk by this before L_BCE; 1, 2, 4 and 8 were tried")
        encoder: Literal["vgg16", "small"] = param(
            "vgg16",
            "the paper: VGG16, its first three groups held fixed; small: ours, from scratch",
        )
        normalization: Literal["imagenet", "caffe"] = param("imagenet", "ours: torchvision's; caffe: [code] that of the authors' VGG16")
        width: int = param(16, "ours: channels of the small encoder's first layer")
        ndf: int = param(64, "Table 1: channels of the discriminator's last layers")
        first_pool: Literal[2, 4] = param(4, "[code] the discriminator's first pooling; 2 in Table 1")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.encoder == "vgg16" and self.init != "default":
                raise ValueError(f"init={self.init} would overwrite the published weights of encoder=vgg16")
            if self.pool < 1 or self.width < 1 or self.ndf < 2 or not 0 <= self.pretrain <= 1:
                raise ValueError("pool and width must be >= 1, ndf >= 2 and pretrain a share in [0, 1]")

    hp: HP

    @override
    def build(self, task: SaliencyTask) -> None:
        released = open_released(self, self.hp.weights)
        h = self.hp
        self.G = EncoderDecoder(VGG16 if h.encoder == "vgg16" else small(h.width), normalization=h.normalization)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        if released:
            return fill(self, released)
        if h.encoder == "vgg16":
            self.G.load_vgg16()
        self.D = MapCritic(task.size, ndf=h.ndf, first_pool=h.first_pool)
        self.opt, self.opt_g, self.opt_d = self.optimizer(self.G, spec=h.optimizer_pretrain), self.optimizer(self.G), self.optimizer(self.D)

    def predict(self, x: Tensor) -> Tensor:
        """The map of pictures, N x 1 x H x W in [0, 1]."""
        return self.G(x).sigmoid()

    def content_loss(self, batch: Batch) -> Tensor:
        """L_BCE of the predicted map."""
        return self._bce(self.predict(batch.observed), batch.truth)

    def critic_loss(self, batch: Batch) -> Tensor:
        """-log D(I, S) - log(1 - D(I, S_hat))."""
        x = batch.observed
        with torch.no_grad():
            y = self.predict(x)
        return self.adversarial.critic(self.D, torch.cat([x, batch.truth], 1), torch.cat([x, y], 1))

    def generator_loss(self, batch: Batch) -> Tensor:
        """Alpha L_BCE - log D(I, S_hat)."""
        x = batch.observed
        y = self.predict(x)
        game = self.adversarial.generator(self.D, torch.cat([x, y], 1), torch.cat([x, batch.truth], 1))
        return self.hp.content_weight * self._bce(y, batch.truth) + game

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """Regression, then the game."""
        yield from regress(self, data, self.content_loss, round(self.hp.pretrain * self.hp.steps))
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1], any size."""
        return padded(self.predict, batch.observed, self.G.multiple)

    def _bce(self, y: Tensor, target: Tensor) -> Tensor:
        return nll(*(F.avg_pool2d(m, self.hp.pool) for m in (y, target))).mean()
