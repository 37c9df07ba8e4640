"""Image Blind Denoising With Generative Adversarial Network Based Noise Modeling (GCBD).

Chen, Chen, Chao, Yang. CVPR 2018, pp. 3155-3164. There is no official code: sections and equations are recalled,
thresholds are those of three third-party scripts.

| paper [recalled]                                                      | here              |
|-----------------------------------------------------------------------|-------------------|
| Sec. 3.2, Eq. 2, 3: smooth patches, whose local means and variances    |                   |
| are within mu and gamma of their own; less their mean they are noise  | `_noise_blocks`   |
| Sec. 3.2: WGAN-GP learns the blocks                                   | `critic_loss`, `generator_loss` |
| Sec. 3.3: extracted and generated blocks on clean crops, DnCNN's loss | `loss`            |

Noisy and clean pictures are never taken as pairs: blocks come from observed crops, the denoiser learns on other, clean ones. `noise` tells
what the denoiser is trained on: `gan`; `blocks`, the extracted ones alone; `gaussian` of their variance; `oracle` is shown the noise
itself. How far `gan` stays behind `oracle` is what not knowing the noise costs, how far `oracle` stays behind `dncnn` what fixed blocks
cost: all train their denoiser for the same (1 - gan_share) of the steps, and the ablations begin there.
Known bias: mu is relative, so dark patches are refused; accepted ones hold texture too, and their variance is a little high.
Departures: a crop is one global patch (the paper: stride 32 over whole pictures; here where crops are larger); networks are this bench's
DCGAN-like ones; `gan` mixes half and half, generating anew for every update.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.losses.contracts import AdversarialLoss
from methods.networks.backbones import ConvGenerator, conv_critic
from methods.procedures import alternate, regress
from methods.restoration._dncnn import DnCNNHP, DnCNNNetwork, denoise, residual_loss

_SPREAD = 10.0  # standard deviations between black and white of a noise block seen as a picture
_SCAN = 400  # batches that are searched for smooth patches at most


class GCBD(Method[RestorationTask]):
    """Extract noise, model it, denoise."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {
        "layers": 3, "width": 4, "ngf": 4, "ndf": 4, "patch": 16, "local": 8, "blocks": 4, "mu": 1e3, "gamma": 1e3,
        "gan_share": 0.5, "n_critic": 2,
    }  # fmt: skip

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(DnCNNHP):
        """The paper's values as far as they are known; the denoiser's are dncnn's."""

        steps: int = param(150_000, "updates of both stages; [recalled] DnCNN's 100,000 for the denoiser")
        optimizer_noise: str = param("adam[lr=1e-4,betas=(0,0.9)]", "update rule of the noise model, WGAN-GP's")
        schedule: str = param("step[at=0.7333,factor=0.1]", "as dncnn: a tenth after 0.6 of the denoiser's updates")
        adversarial: str = param("wgan_gp[gp=10]", "[recalled] Sec. 3.2: WGAN-GP")
        n_critic: int = param(5, "WGAN-GP: critic steps an update")
        noise: Literal["gan", "blocks", "gaussian", "oracle"] = param("gan", "what the denoiser is trained on")
        gan_share: float = param(1 / 3, "ours: share of the updates that are for the noise model")
        blocks: int = param(2048, "ours: noise blocks that are wanted")
        patch: int = param(64, "d: side of a global patch, 16, 32, 64, ...")
        local: int = param(16, "h: side of a local patch")
        mu: float = param(0.1, "[recalled] Eq. 2: tolerance of the means")
        gamma: float = param(0.25, "[recalled] Eq. 3: tolerance of the variances")
        z_dim: int = param(100, "DCGAN's latents")
        ngf: int = param(64, "channels of the noise generator's last layer")
        ndf: int = param(64, "channels of the noise critic's first layer")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.patch < 8 or self.patch & (self.patch - 1) or self.patch % self.local:
                raise ValueError(f"patch must be a power of 2 from 8 on and a multiple of local, not {self.patch} and {self.local}")
            if not 0 < self.gan_share < 1:
                raise ValueError(f"gan_share must be in (0, 1), not {self.gan_share}")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        """The denoiser, and where there is a noise model its generator and critic."""
        h, shape = self.hp, (task.channels, self.hp.patch, self.hp.patch)
        self.denoiser = DnCNNNetwork(task.channels, h.layers, h.width)
        self.opt = self.optimizer(self.denoiser)
        self.gan_steps = round(h.gan_share * h.steps)
        if h.noise != "gan":
            self.t = self.gan_steps  # there is nothing to do before the denoiser
        else:
            self.G, self.D = ConvGenerator(h.z_dim, shape, h.ngf), conv_critic(shape, h.ndf)
            self.opt_g, self.opt_d = self.optimizer(self.G, spec=h.optimizer_noise), self.optimizer(self.D, spec=h.optimizer_noise)
            self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    # -- step 1: noise blocks
    @override
    def prepare(self, data: Iterator[Batch]) -> None:
        """Collect `blocks` noise blocks, C x d x d with mean 0.

        Raises:
            UsageError: crops are smaller than a patch, or none is smooth.
        """
        h, found = self.hp, list[Tensor]()
        for _ in range(_SCAN):
            batch = next(data)
            if min(batch.observed.shape[-2:]) < h.patch:
                raise UsageError(
                    f"gcbd wants crops of at least {h.patch} pixels, not {batch.observed.shape[-1]}: give --set crop={h.patch}",
                )
            y = _patches(batch.observed, h.patch)
            if h.noise == "oracle":
                found.append(_centred(y - _patches(batch.truth, h.patch)))
            else:
                found.append(_noise_blocks(y, h.local, h.mu, h.gamma))
            if sum(map(len, found)) >= h.blocks:
                break
        self.blocks = torch.cat(found)[: h.blocks]
        if not len(self.blocks):
            raise UsageError(f"gcbd found no smooth patch in {_SCAN} batches: raise gamma={h.gamma} or mu={h.mu}, or lower patch={h.patch}")
        self.std = self.blocks.std()

    # -- step 2: the noise model, on blocks as pictures in [0, 1]
    def critic_loss(self, v: Tensor) -> Tensor:
        """WGAN-GP."""
        return self.adversarial.critic(self.D, v, self._generate(len(v)).detach())

    def generator_loss(self, v: Tensor) -> Tensor:
        """-E D(G(z))."""
        return self.adversarial.generator(self.D, self._generate(len(v)), v)

    # -- step 3: the denoiser
    def loss(self, batch: Batch) -> Tensor:
        """DnCNN's loss on clean crops with modelled noise."""
        x = batch.truth[..., : self.hp.patch, : self.hp.patch]
        noise = self.draw(len(x))[..., : x.shape[-2], : x.shape[-1]]
        return residual_loss(self.denoiser, x + noise, x)

    @torch.no_grad()
    def draw(self, n: int) -> Tensor:
        """N noise blocks to train on."""
        blocks = self._extracted(n)
        if self.hp.noise == "gaussian":
            return self.std * torch.randn_like(blocks)
        if self.hp.noise == "gan":
            blocks[: n // 2] = _centred((self._generate(n // 2) - 0.5) * (_SPREAD * self.std))
        return blocks

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        """The noise model, then the denoiser."""
        if self.hp.noise == "gan":
            game = (self.critic_loss, self.generator_loss, self.hp.n_critic, self.adversarial.constrain)
            yield from alternate(self, self._pictures(), *game, steps=self.gan_steps)
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return denoise(self.denoiser, batch)

    # -- noise blocks, extracted and generated
    def _extracted(self, n: int) -> Tensor:
        return self.blocks[torch.randint(len(self.blocks), (n,), device=self.blocks.device)]

    def _pictures(self) -> Iterator[Tensor]:
        while True:
            yield self._extracted(self.hp.batch_size) / (_SPREAD * self.std) + 0.5

    def _generate(self, n: int) -> Tensor:
        y: Tensor = self.G(torch.randn(n, self.hp.z_dim, device=self.blocks.device))
        return y


def _patches(x: Tensor, size: int) -> Tensor:
    """N x C x H x W -> M x C x d x d, half overlapping."""
    return x.unfold(2, size, size // 2).unfold(3, size, size // 2).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def _centred(v: Tensor) -> Tensor:
    return v - v.mean((-2, -1), keepdim=True)


def _noise_blocks(p: Tensor, local: int, mu: float, gamma: float) -> Tensor:
    """Eq. 2 and 3: those of M x C x d x d patches that are smooth in every channel, less their mean."""
    q = p.unfold(2, local, local).unfold(3, local, local)  # M x C x i x j x h x h
    mean, var = (f(p, (-2, -1), keepdim=True) for f in (torch.mean, torch.var))
    even = ((q.mean((-2, -1)) - mean).abs() <= mu * mean) & ((q.var((-2, -1)) - var).abs() <= gamma * var)
    return (p - mean)[even.flatten(1).all(1)]
