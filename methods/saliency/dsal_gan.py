"""DSAL-GAN: Denoising Based Saliency Prediction with Generative Adversarial Networks (an interpretation).

Mukherjee, Sharma, Makwana, Singh, Upadhyay, Trivedi, Lall, Chaudhury. 2019, arXiv:1904.01215.

There is no released code, and of the paper only the abstract and fragments of two equations were read. What they say:

| paper                                                                   | here                                          |
|-------------------------------------------------------------------------|-----------------------------------------------|
| abstract: G1 denoises, D1 tells denoised from clean pictures            | `G1`, `D["picture"]`                          |
| abstract: G2 predicts the map from G1's output, D2 judges maps          | `predict`, `D["map"]`                         |
| Eq. 7 ends in log D2(G2(G1(x))): D2 sees the map alone                  | `critic_loss`, `generator_loss`               |
| abstract: trained end to end                                            | `ablation=joint`                              |
| abstract: cycle consistency on the map (its formula was not seen)       | `generator_loss`: abs(G2(G1(x)) - G2(c))      |

Departures: all else is ours. Networks: G1 a residual U-Net, D1 a 70 x 70 PatchGAN, G2 and D2 SalGAN's; losses: squared error for G1, cross
entropy for G2, -log D for both games; their weights; the ablations: `noisy` has no denoiser, `separate` trains the same two networks
at the same updates, but the map's losses do not reach the denoiser (and there is no cycle). No number of the paper can stand beside these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Batch, Logs, Method, TrainHP, param
from bench.offers import Capability, SaliencyTask
from methods.bernoulli import nll
from methods.losses.contracts import AdversarialLoss
from methods.networks.image_nets import PatchGAN, UNet, padded
from methods.procedures import alternate
from methods.saliency._networks import VGG16, EncoderDecoder, MapCritic, small


class DSALGAN(Method[SaliencyTask]):
    """A denoiser and a saliency model that are trained together."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"saliency", "clean"})
    toy: ClassVar[dict[str, Any]] = {"encoder": "small", "width": 4, "denoiser_width": 4, "ndf": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """Ours, all of it."""

        steps: int = param(30_000, "ours: updates")
        batch_size: int = param(16, "ours: pictures per update")
        optimizer: str = param("adam[lr=1e-4,betas=(0.5,0.999)]", "ours: of all four networks")
        ablation: Literal["noisy", "separate", "joint"] = param("joint", "abstract: end to end; the others are what it is compared with")
        adversarial: str = param("nonsaturating", "Eq. 7: log D")
        adversarial_weight: float = param(1e-3, "ours: of both games")
        denoise_weight: float = param(1.0, "ours: of the squared error of the denoised picture")
        cycle_weight: float = param(0.1, "ours: of the cycle consistency")
        encoder: Literal["vgg16", "small"] = param("vgg16", "as in SalGAN; small: from scratch")
        width: int = param(16, "channels of the small encoder's first layer")
        denoiser_width: int = param(24, "ours: channels of the U-Net's first layer")
        ndf: int = param(64, "channels of the discriminators")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.encoder == "vgg16" and self.init != "default":
                raise ValueError(f"init={self.init} would overwrite the published weights of encoder=vgg16")

    hp: HP

    @override
    def build(self, task: SaliencyTask) -> None:
        """Two generators, two critics, one optimiser a side."""
        h = self.hp
        noisy = h.ablation == "noisy"
        self.G1 = nn.Identity() if noisy else UNet(width=h.denoiser_width)
        self.G2 = EncoderDecoder(VGG16 if h.encoder == "vgg16" else small(h.width))
        if h.encoder == "vgg16":
            self.G2.load_vgg16()
        self.D = nn.ModuleDict({"map": MapCritic(task.size, channels=1, ndf=h.ndf)} | ({} if noisy else {"picture": PatchGAN(ndf=h.ndf)}))
        self.opt_g, self.opt_d = self.optimizer(self.G1, self.G2), self.optimizer(self.D)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    def predict(self, x: Tensor) -> Tensor:
        """G2: the map of pictures, N x 1 x H x W in [0, 1]."""
        return self.G2(x).sigmoid()

    def outputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The denoised pictures and the map predicted from them."""
        x = self.G1(batch.observed)
        return x, self.predict(x if self.hp.ablation == "joint" else x.detach())

    def critic_loss(self, batch: Batch) -> Tensor:
        """Both games on the critics' side."""
        with torch.no_grad():
            x, y = self.outputs(batch)
        loss = self.adversarial.critic(self.D["map"], batch.truth, y)
        return loss if self.hp.ablation == "noisy" else loss + self.adversarial.critic(self.D["picture"], _clean(batch), x)

    def generator_loss(self, batch: Batch) -> Tensor:
        """The errors of map and picture, both games, and the cycle."""
        h, (x, y) = self.hp, self.outputs(batch)
        loss = nll(y, batch.truth).mean() + h.adversarial_weight * self.adversarial.generator(self.D["map"], y, batch.truth)
        if h.ablation == "noisy":
            return loss
        clean = _clean(batch)
        game = self.adversarial.generator(self.D["picture"], x, clean)
        loss = loss + h.denoise_weight * F.mse_loss(x, clean) + h.adversarial_weight * game
        return loss + h.cycle_weight * (y - self.predict(clean)).abs().mean() if h.ablation == "joint" else loss

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """The critics, then the generators, on each batch."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self.adversarial.constrain)

    @torch.no_grad()
    def denoise(self, batch: Batch) -> Tensor:
        """G1: the pictures that the map is read from, N x 3 x H x W in [0, 1], any size."""
        return padded(self.G1, batch.observed, 8).clamp(0, 1)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """The map, N x 1 x H x W in [0, 1], any size."""
        return padded(lambda x: self.predict(self.G1(x)), batch.observed, 16)


def _clean(batch: Batch) -> Tensor:
    """The pictures without noise, which a task that offers "clean" brings in training."""
    assert batch.clean is not None
    return batch.clean
