"""What every two-player method shares: a generator, a critic, their optimisers, latents. A sibling holds only what its paper changed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from bench.method import Method, Samples, TrainHP, param
from bench.offers import GenerationTask
from methods.averages import Average, averaged, follow


@dataclasses.dataclass(frozen=True, kw_only=True)
class GANHP(TrainHP):
    """What every two-player method has; a paper's file overrides the defaults with its own values."""

    batch_size: int = param(64, "samples per update")
    optimizer_d: str = param("", "update rule of the critic; empty: the same as `optimizer`")
    ema: float = param(0.0, "samples come from an average of the generator's weights with this decay a step of theirs; 0: from the weights")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), not {self.ema}")


class TwoPlayer(Method[GenerationTask]):
    """The task's generator and critic, trained against each other. Subclasses give the losses and `train`."""

    HP: ClassVar[Any] = GANHP
    hp: Any  # a subclass has its own
    G: nn.Module
    D: nn.Module
    opt_g: Optimizer
    opt_d: Optimizer

    def __init__(self, task: GenerationTask, **hp: Any) -> None:
        super().__init__(task, **hp)
        self.average: Average = {}  # of G
        if self.hp.ema:
            self.opt_g.register_step_post_hook(lambda *_: follow(self.average, self.G, self.hp.ema))

    @override
    def build(self, task: GenerationTask) -> None:
        self.G, self.D = task.generator(), task.critic()
        self.opt_g = self.optimizer(self.G)
        self.opt_d = self.optimizer(self.D, spec=self.hp.optimizer_d or self.hp.optimizer)

    def critic_loss(self, batch: Samples) -> Tensor:
        """What the critic descends on a batch of real samples and as many fakes: a scalar with its graph."""
        raise NotImplementedError

    def generator_loss(self, batch: Samples) -> Tensor:
        """What the generator descends on as many fakes as the batch has samples: a scalar with its graph."""
        raise NotImplementedError

    def losses(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """What the critic and the generator descend at these weights, with graphs; both start from the same random numbers."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            critic = self.critic_loss(batch)
        return critic, self.generator_loss(batch)

    def z(self, n: int) -> Tensor:
        """Latents: n x z_dim, N(0, 1)."""
        return torch.randn(n, self.task.z_dim, device=self.device)

    def generate(self, z: Tensor) -> Tensor:
        """Samples from latents, with their graph."""
        y: Tensor = self.G(z)
        return y

    def fake(self, n: int) -> Tensor:
        """N samples of the generator, with their graph."""
        return self.generate(self.z(n))

    def sample(self, n: int) -> Tensor:
        """N samples: n x d, or n x C x H x W in [0, 1]."""
        return self.decode(self.z(n))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Samples from latents, by the average generator where there is one."""
        with averaged(self.G, self.average):
            return self.generate(z)
