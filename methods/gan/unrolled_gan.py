"""Unrolled Generative Adversarial Networks.

Metz, Poole, Pfau, Sohl-Dickstein. ICLR 2017, arXiv:1611.02163.

| paper                                                         | here                |
|---------------------------------------------------------------|---------------------|
| f, the saddle objective                                       | `critic_loss_on` is -f |
| Eq. 5-7: theta_D^{i+1} = theta_D^i + eta df / dtheta_D^i      | `unroll`            |
| Eq. 8, 9, 11: G descends f(theta_G, theta_D^K), through steps | `generator_loss_on`    |
| Eq. 10: the critic takes one ordinary step up f               | `train`             |

As in the authors' code the inner steps reuse the update's batch and go on from the critic's optimiser state, differentiably.
Departures: networks are the task's (the paper's: 2 x 128 ReLU units against 128); both players step from the same point, as Eq. 9 and
10 have it (the order in the authors' code is undefined).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector
from typing_extensions import override

from bench import registry
from bench.errors import UsageError
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from bench.precision import full_precision
from methods.losses.contracts import AdversarialLoss
from methods.procedures import descend
from methods.two_player import GANHP, TwoPlayer


class UnrolledGAN(TwoPlayer):
    """The generator looks `k` critic steps ahead. Any `adversarial` is played as a zero-sum game: f is minus its critic's loss."""

    toy: ClassVar[dict[str, Any]] = {"k": 2}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values for eight Gaussians; [code] where only the authors' code states them."""

        steps: int = param(25_000, "[code]")
        batch_size: int = param(512, "App. A")
        optimizer: str = param("adam[lr=1e-4,betas=(0.5,0.999)]", "App. A")
        init: str = param("orthonormal[gain=0.8]", "App. A")
        adversarial: str = param("saturating", "Eq. 1, the saddle objective")
        k: int = param(5, "App. A: unrolling steps, 5 or 10; 0 is the plain saturating GAN")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        """Networks, optimisers, the game.

        Raises:
            UsageError: the critic's update rule cannot be unrolled.
        """
        super().build(task)
        self.adversarial: AdversarialLoss = registry.make("adversarial", self.hp.adversarial)
        (group,) = self.opt_d.param_groups
        if _torch_class(self.opt_d) not in _RULES or any(group.get(variant) for variant in _VARIANTS):
            spec = self.hp.optimizer_d or self.hp.optimizer
            raise UsageError(f"unrolled_gan cannot differentiate through {spec}; set optimizer_d to adam, sgd or sgdm")

    def unroll(self, x: Tensor, y: Tensor) -> Tensor:
        """The critic's parameters, in one vector, after k steps on real `x` and fake `y`: a function of `y`."""
        rule, (group,) = _RULES[_torch_class(self.opt_d)], self.opt_d.param_groups
        w, state = parameters_to_vector(self.D.parameters()), _flat_state(self.opt_d)
        for _ in range(self.hp.k):
            (gradient,) = torch.autograd.grad(self._critic_loss(w, x, y), w, create_graph=True)
            state, step = rule(group, state, gradient + group["weight_decay"] * w)
            w = w - group["lr"] * step
        return w

    def critic_loss_on(self, batch: Samples, y: Tensor) -> Tensor:
        """-f(theta_G, theta_D)."""
        return self.adversarial.critic(self.D, batch.x, y)

    def generator_loss_on(self, batch: Samples, y: Tensor) -> Tensor:
        """f(theta_G, theta_D^K): its term on real samples counts too, as theta_D^K depends on the fakes."""
        return -self._critic_loss(self.unroll(batch.x, y), batch.x, y)

    @override
    def losses(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """Eq. 9 and 10, on the same fakes."""
        y = self.fake(len(batch))
        return self.critic_loss_on(batch, y), self.generator_loss_on(batch, y)

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """One step of each player from the same point: the generator is first, and the critic sees the fakes from before."""
        while self.t < self.hp.steps:
            self.anneal()
            batch = next(data)
            y = self.fake(len(batch))
            g = descend(self.opt_g, self.generator_loss_on(batch, y))
            d = descend(self.opt_d, self.critic_loss_on(batch, y.detach()))
            self.adversarial.constrain(self.D)
            self.t += 1
            yield {"critic": d, "generator": g}

    def _critic_loss(self, w: Tensor, x: Tensor, y: Tensor) -> Tensor:
        names, shapes = zip(*((name, p.shape) for name, p in self.D.named_parameters()), strict=True)
        parts = w.split([shape.numel() for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        with full_precision():
            return self.adversarial.critic(partial(torch.func.functional_call, self.D, weights), x, y)


_State = Mapping[str, Any]


def _torch_class(opt: torch.optim.Optimizer) -> type:
    """The class of torch whose rule it is; `Optimizer` itself for a rule that torch lacks."""
    return next(kind for kind in type(opt).__mro__ if kind.__module__.startswith("torch.optim."))


def _flat_state(opt: torch.optim.Optimizer) -> _State:
    """What the optimiser remembers, each item in one vector for all parameters; nothing before its first step."""
    states: list[_State] = [opt.state.get(p, {}) for p in opt.param_groups[0]["params"]]
    keys = [k for k, v in states[0].items() if isinstance(v, Tensor)]
    return {k: states[0][k].double() if k == "step" else torch.cat([state[k].flatten() for state in states]) for k in keys}


def _adam(group: Mapping[str, Any], state: _State, g: Tensor) -> tuple[_State, Tensor]:
    """The state after one step, and what is to be subtracted times the learning rate."""
    b1, b2 = group["betas"]
    t = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0) + (1 - b1) * g
    v = b2 * state.get("exp_avg_sq", 0) + (1 - b2) * g * g
    root = (v / (1 - b2**t)).clamp_min(torch.finfo(v.dtype).tiny).sqrt()  # the root's slope is infinite at 0: parameters of dead units
    return {"step": t, "exp_avg": m, "exp_avg_sq": v}, m / (1 - b1**t) / (root + group["eps"])


def _sgd(group: Mapping[str, Any], state: _State, g: Tensor) -> tuple[_State, Tensor]:
    u = group["momentum"] * state.get("momentum_buffer", 0) + g
    return {"momentum_buffer": u}, u


_RULES = {torch.optim.Adam: _adam, torch.optim.SGD: _sgd}
_VARIANTS = ("amsgrad", "decoupled_weight_decay", "nesterov", "dampening", "maximize")  # of torch's, which the rules lack
