"""Improved Training of Wasserstein GANs.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville. NIPS 2017, arXiv:1704.00028.

| paper                                                     | here                                     |
|-----------------------------------------------------------|------------------------------------------|
| Eq. 3, the penalty on the critic's gradient               | `adversarial`, `_penalties`              |
| Algorithm 1                                               | `train`                                  |
| App. C, residual networks for 32 x 32 pixels              | `network="resnet"`, `_resnet`            |

The authors' code has other settings elsewhere. CIFAR-10:
`network=resnet,optimizer="adam[lr=2e-4,betas=(0,0.9)]",schedule="linear_decay[start=0]"`;
points: `batch_size=256,optimizer="adam[lr=1e-4,betas=(0.5,0.9)]",adversarial="wgan_gp[gp=0.1]"`.
`weights=FILE` is a generator of kwotsin/mimicry for 32 x 32 pixels (z_dim 128, `network=resnet,upsample=bilinear`), judged as it is.
Departures: the norm is sqrt(sum of squares + 1e-12), so that its gradient exists at 0; the generator's batch is the critic's
(CIFAR-10 [code]: twice as large).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.gan._resnet import ResNetGenerator, resnet_critic
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.released import ReleasedHP, fill, open_released
from methods.two_player import GANHP, TwoPlayer


class WGANGP(TwoPlayer):
    """The game whose value is a distance: a critic kept Lipschitz by a penalty on its gradient."""

    toy: ClassVar[dict[str, Any]] = {"n_critic": 2}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP, ReleasedHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(100_000, "[code] CIFAR-10")
        batch_size: int = param(64, "Algorithm 1: m")
        optimizer: str = param("adam[lr=1e-4,betas=(0,0.9)]", "Algorithm 1: alpha, beta1, beta2")
        adversarial: str = param("wgan_gp[gp=10]", "Eq. 3; Sec. 4: lambda")
        n_critic: int = param(5, "Algorithm 1: critic steps an update")
        network: Literal["task", "resnet"] = param("task", "App. C: residual networks; or the task's own")
        dim: int = param(128, "App. C: channels of the residual networks")
        upsample: Literal["nearest", "bilinear"] = param("nearest", "App. C: in the residual generator; kwotsin/mimicry: bilinear")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        side = {"channels": task.shape[0], "side": task.shape[-1], "z_dim": task.z_dim}
        released = open_released(self, self.hp.weights, **side)
        h = self.hp
        if h.network == "resnet":
            self.G = ResNetGenerator(task.z_dim, task.shape, h.dim, h.upsample)
        else:
            self.G = task.generator()
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)
        if released:
            return fill(self, released)
        self.D = resnet_critic(task.shape, h.dim) if h.network == "resnet" else task.critic()
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """Eq. 3."""
        return self.adversarial.critic(self.D, batch.x, self.fake(len(batch)).detach())

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """-E D(G(z))."""
        return self.adversarial.generator(self.D, self.fake(len(batch)), batch.x)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 1."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss, self.hp.n_critic, self.adversarial.constrain)
