"""Generalization and Equilibrium in Generative Adversarial Nets (GANs). MIX+GAN.

Arora, Ge, Liang, Ma, Zhang. ICML 2017, arXiv:1703.00573.

| paper                                                       | here                    |
|-------------------------------------------------------------|-------------------------|
| Sec. 5: T generators and T critics with softmax weights w   | `_Mixture`              |
| min max sum_ij w_i w_j F(u_i, v_j)                          | `payoff`, `_expected`   |
| R_ent = -(1 / T) sum_i log w_i, minimised by both players   | `_Mixture.entropy`      |
| sampling: generator i with probability w_i                  | `fake`                  |

As in the authors' code the logarithm is of w + 1e-6.
Departures: networks are the task's, without the labels, the semi-supervised critic and the reconstruction of z of the paper's
CIFAR-10 model; one step of each player an update, where the code chooses one to seven of the generators', or none of the
critics', by the critics' loss.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.losses.contracts import AdversarialLoss
from methods.procedures import alternate
from methods.two_player import GANHP, TwoPlayer


class _Mixture(nn.Module):
    """Networks with weights on the simplex, uniform at first."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.players, self.logits = nn.ModuleList(networks), nn.Parameter(torch.zeros(len(networks)))

    @property
    def weights(self) -> Tensor:
        return self.logits.softmax(0)

    def entropy(self) -> Tensor:
        """R_ent: log T where the weights are uniform, more elsewhere."""
        return -(self.weights + 1e-6).log().mean()


class MIXGAN(TwoPlayer):
    """A mixture of generators against a mixture of critics: an approximate equilibrium exists, and is sought by gradients on the weights
    too.
    """

    toy: ClassVar[dict[str, Any]] = {"players": 2}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The values of the authors' code for CIFAR-10."""

        steps: int = param(100_000, "ours; the paper does not state it")
        batch_size: int = param(49, "[code]")
        optimizer: str = param("adam[lr=1e-4,betas=(0.5,0.999)]", "[code]")
        adversarial: str = param("nonsaturating", "[code] the DCGAN backbone's")
        players: int = param(5, "[code] T: generators, and critics")
        entropy: float = param(0.1, "[code] weight of R_ent")

    hp: HP
    G: _Mixture
    D: _Mixture

    @override
    def build(self, task: GenerationTask) -> None:
        """T networks of each kind, one optimiser a side, the game."""
        h = self.hp
        self.G, self.D = _Mixture([task.generator() for _ in range(h.players)]), _Mixture([task.critic() for _ in range(h.players)])
        self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D, spec=h.optimizer_d or h.optimizer)
        self.adversarial: AdversarialLoss = registry.make("adversarial", h.adversarial)

    @override
    def generate(self, z: Tensor) -> Tensor:
        """Samples from latents, each by a generator drawn by the weights."""
        y = torch.empty(len(z), *self.task.shape, device=self.device)
        chosen = torch.multinomial(self.G.weights, len(z), replacement=True)
        for i, generator in enumerate(self.G.players):
            if (mine := chosen == i).any():
                y[mine] = generator(z[mine])
        return y

    def payoff(self, loss: Callable[[nn.Module, Tensor], Tensor], n: int) -> Tensor:
        """T x T: `loss` of critic j on N fakes of generator i."""
        fakes = [generator(self.z(n)) for generator in self.G.players]
        return torch.stack([torch.stack([loss(critic, y) for critic in self.D.players]) for y in fakes])

    @override
    def critic_loss(self, batch: Samples) -> Tensor:
        """The critics' expected loss and the entropy of their weights."""
        losses = self.payoff(lambda D, y: self.adversarial.critic(D, batch.x, y.detach()), len(batch))
        return self._expected(losses) + self.hp.entropy * self.D.entropy()

    @override
    def generator_loss(self, batch: Samples) -> Tensor:
        """The generators' expected loss and the entropy of their weights."""
        losses = self.payoff(lambda D, y: self.adversarial.generator(D, y, batch.x), len(batch))
        return self._expected(losses) + self.hp.entropy * self.G.entropy()

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """One step of all critics, one of all generators."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss, constrain=self._constrain)

    def _expected(self, losses: Tensor) -> Tensor:
        return self.G.weights @ losses @ self.D.weights

    def _constrain(self, mixture: nn.Module) -> None:
        for critic in self.D.players:  # but not the weights
            self.adversarial.constrain(critic)
