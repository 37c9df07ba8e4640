"""The GAN is dead; long live the GAN! A Modern GAN Baseline.

Huang, Gokaslan, Kuleshov, Tompkin. NeurIPS 2024, arXiv:2501.05441.

| paper                                                     | here                                   |
|-----------------------------------------------------------|----------------------------------------|
| Eq. 2: the relativistic pairing game                      | `adversarial="relativistic_pairing"`   |
| Eq. 3: R1 on real samples and R2 on fakes, at every step  | `critic_loss`                          |
| Table 2, last row: grouped, inverted residual blocks      | `network="resnext"`, `_resnext`        |
| [code] gamma falls along half a cosine                    | `gamma`                                |

Gradients of the penalties are those of pictures in [-1, 1], so gamma is the paper's.
Departures: beta2 stays where it starts (0.9 to 0.99 in the code), the average has one decay (its half-life grows there), and nothing is
augmented. On points the networks are the task's.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Samples, param
from bench.offers import GenerationTask
from methods.gan._resnext import GROUP, ResNeXtCritic, ResNeXtGenerator
from methods.gan.r1_gan import R1GAN
from methods.losses.contracts import AdversarialLoss
from methods.penalties import zero_centred_penalty


class R3GAN(R1GAN):
    """A game without spurious equilibria, kept stable by penalties on both sides, between plain modern networks."""

    toy: ClassVar[dict[str, Any]] = {"width": 8, "blocks": 1}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(R1GAN.HP):
        """[code]: the values of the authors' code for CIFAR-10."""

        steps: int = param(39_063, "[code] 2e7 pictures")
        batch_size: int = param(512, "[code]")
        optimizer: str = param("adam[lr=2e-4,betas=(0,0.9)]", "[code]")
        schedule: str = param("cosine[end=0.25]", "[code] 2e-4 to 5e-5")
        ema: float = param(0.999, "ours: decay of the average that samples come from")
        adversarial: str = param("relativistic_pairing", "Eq. 2")
        gamma: float = param(0.05, "[code] weight of both penalties at the first update, with the half of Eq. 3")
        gamma_end: float = param(0.005, "[code] the same at the last")
        network: Literal["resnext", "task"] = param("resnext", "Table 2, last row: the paper's; or the task's own")
        width: int = param(768, "[code] channels of every stage of the paper's networks, a multiple of 8")
        blocks: int = param(2, "[code] residual blocks of a stage")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.width < 8 or 2 * self.width % GROUP or self.blocks < 1:
                raise ValueError(f"width must be a multiple of 8 and blocks >= 1, not {self.width} and {self.blocks}")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        h = self.hp
        if h.network == "task" or len(task.shape) == 1:
            self.G, self.D = task.generator(), task.critic()
        else:
            self.G, self.D = ResNeXtGenerator(task.z_dim, task.shape, h.width, h.blocks), ResNeXtCritic(task.shape, h.width, h.blocks)
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    def gamma(self, like: Tensor) -> Tensor:
        """The weight of the penalties at update t: a scalar like that tensor, made on its device so that graphs of updates follow t."""
        h = self.hp
        angle = like.new_ones(()) * (math.pi * self.t / max(h.steps, 1))
        return h.gamma_end + (h.gamma - h.gamma_end) * (1 + angle.cos()) / 2

    def penalty(self, x: Tensor) -> Tensor:
        """E |grad D(x)|^2 of points, and of pictures as they are in [-1, 1]: half the gradient."""
        return zero_centred_penalty(self.D, x) * (0.25 if x.dim() == 4 else 1.0)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """Eq. 2 and both penalties."""
        y = self.fake(len(batch)).detach()
        return self.adversarial.critic(self.D, batch.x, y) + self.gamma(y) / 2 * (self.penalty(batch.x) + self.penalty(y))

    @torch.no_grad()
    @override
    def decode(self, z: Tensor) -> Tensor:
        """Pictures are cut to [0, 1], which nothing in the generator does."""
        y = super().decode(z)
        return y.clamp(0, 1) if y.dim() == 4 else y
