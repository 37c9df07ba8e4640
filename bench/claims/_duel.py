"""A critic trained to the end against a generator that stays as it is: what the generator would get to learn from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.claims._tools import play
from bench.method import Samples
from methods.networks.backbones import MLPGenerator, mlp_critic
from methods.procedures import descend

BATCH = 256


def duel(spec: str) -> Any:
    """The game of that spec between a random generator of points in the plane and a critic of two layers of 128."""
    return play(spec, MLPGenerator(2, (2,), (64, 64)), mlp_critic((2,)), shape=(2,), z_dim=2)


def trained(m: Any, stages: Iterable[int]) -> Iterator[int]:
    """Train the critic alone, on `ring`, and pause at each of these numbers of steps."""
    ring, rng, t = registry.make("dataset", "ring"), torch.Generator().manual_seed(0), 0
    for stage in stages:
        for _ in range(stage - t):
            descend(m.opt_d, m.critic_loss(ring.draw(BATCH, rng)))
        t = stage
        yield t


def gradient_on(m: Any, z: Tensor) -> float:
    """The norm of the generator's gradient on the fakes of these latents."""
    m.fake = lambda n: m.generate(z)
    gradient = torch.autograd.grad(m.generator_loss(Samples(z)), list(m.G.parameters()))
    del m.fake
    return math.sqrt(sum(float(g.square().sum()) for g in gradient))


def bound_on(m: Any, z: Tensor) -> float:
    """M e / (1 - e) of arXiv:1701.04862, Thm. 2.4, on the fakes of these latents, where D* is 0 and flat; infinite where e >= 1."""
    weights = {name: p.detach() for name, p in m.G.named_parameters()}
    by_weights = torch.func.jacrev(lambda w, z: torch.func.functional_call(m.G, w, z[None])[0])
    J = torch.cat([j.flatten(2) for j in torch.func.vmap(by_weights, (None, 0))(weights, z).values()], 2)  # N x 2 x weights
    M = torch.linalg.matrix_norm(J, 2).square().mean().sqrt()
    x = m.generate(z).detach().requires_grad_()
    D = m.D(x).sigmoid()
    (slope,) = torch.autograd.grad(D.sum(), x)
    e = D.detach().max() + slope.norm(dim=1).max()
    return float(M * e / (1 - e)) if e < 1 else math.inf
