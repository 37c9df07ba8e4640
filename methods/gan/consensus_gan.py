"""The Numerics of GANs. Consensus optimisation.

Mescheder, Nowozin, Geiger. NIPS 2017, arXiv:1705.10461.

| paper                                                           | here                            |
|-----------------------------------------------------------------|---------------------------------|
| v = (grad_phi f, grad_theta g), where losses are -f and -g      | `critic_loss_on`, `generator_loss_on` |
| L = |v|^2 / 2, over both players                                | `energy`                        |
| Alg. 2: both players ascend f - gamma L and g - gamma L at once | `losses`, `step`, `train`       |

Departures: networks are the task's (the paper's: DCGAN's shape with constant width, no batch norm).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from bench.precision import full_precision
from methods.losses.contracts import AdversarialLoss
from methods.two_player import GANHP, TwoPlayer


class ConsensusGAN(TwoPlayer):
    """Both players also make both gradients small, which turns rotation around an equilibrium into attraction."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values; [code] where only the authors' code states them."""

        steps: int = param(150_000, "[code] CIFAR-10")
        batch_size: int = param(64, "[code] CIFAR-10; 512 for eight Gaussians")
        optimizer: str = param("rmsprop[lr=1e-4,alpha=0.9]", "[code]; alpha is TensorFlow's default")
        adversarial: str = param("nonsaturating", "[code]")
        gamma: float = param(10.0, "[code]")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)

    def critic_loss_on(self, batch: Samples, y: Tensor) -> Tensor:
        """-f. `y` keeps its graph: L is differentiated in the generator's parameters through it."""
        return self.adversarial.critic(self.D, batch.x, y)

    def generator_loss_on(self, batch: Samples, y: Tensor) -> Tensor:
        """-g."""
        return self.adversarial.generator(self.D, y, batch.x)

    @full_precision()
    def _game(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """-f and -g on the same fakes, to be differentiated twice."""
        y = self.fake(len(batch))
        return self.critic_loss_on(batch, y), self.generator_loss_on(batch, y)

    def energy(self, critic: Tensor, generator: Tensor) -> tuple[list[Tensor], Tensor]:
        """Both players' gradients, which are -v, the critic's first; and L. With graphs."""
        v = [*torch.autograd.grad(critic, list(self.D.parameters()), create_graph=True)]
        v += torch.autograd.grad(generator, list(self.G.parameters()), create_graph=True)
        return v, torch.stack([g.square().sum() for g in v]).sum() / 2

    @override
    def losses(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """-f + gamma L and -g + gamma L, of which `step` takes the gradients."""
        critic, generator = self._game(batch)
        pull = self.hp.gamma * self.energy(critic, generator)[1]
        return critic + pull, generator + pull

    def step(self, critic: Tensor, generator: Tensor) -> Tensor:
        """Both players step at once along v - gamma grad L. Returns L."""
        weights = [*self.D.parameters(), *self.G.parameters()]
        v, energy = self.energy(critic, generator)
        pull = torch.autograd.grad(energy, weights, materialize_grads=True)
        for p, g, towards in zip(weights, v, pull, strict=True):
            p.grad = g.detach() + self.hp.gamma * towards
        self.opt_d.step()
        self.opt_g.step()
        return energy.detach()

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 2: one batch and one set of fakes an update."""
        while self.t < self.hp.steps:
            self.anneal()
            batch = next(data)
            critic, generator = self._game(batch)
            energy = self.step(critic, generator)
            self.adversarial.constrain(self.D)
            self.t += 1
            yield {"critic": critic.detach(), "generator": generator.detach(), "energy": energy}
