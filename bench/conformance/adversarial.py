"""What every adversarial loss must hold: finite scalars for scores of any shape, with gradients for the player who minimises them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench import registry
from bench.conformance._tools import Checks, pictures, place

_CRITICS = {
    "one score a picture": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0)),
    "a map of scores": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3)),
}


def _game(name: str, critic: str) -> tuple[Any, nn.Module, Tensor, Tensor]:
    """A loss, a critic, real pictures and fakes that want a gradient."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with place():
            D = _CRITICS[critic]()
    return registry.make("adversarial", name), D, pictures(4, side=16), pictures(4, side=16, seed=1).requires_grad_()


def _check_scalar(who: str, value: Any) -> Tensor:
    assert isinstance(value, Tensor), f"{who} returned {type(value).__name__}, not a tensor"
    assert value.shape == (), f"{who} returned {tuple(value.shape)}, not a scalar: take the mean"
    assert value.isfinite(), f"{who} returned {value.item()}"
    assert value.requires_grad, f"{who} has no gradient"
    return value


def _critic_loss(name: str, loss: Any, D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The same random numbers every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _check_scalar(f"{name}.critic", loss.critic(D, real, fake.detach()))


def check_critic(name: str) -> None:
    """The critic's loss moves the critic, and goes down along its gradient."""
    for kind in _CRITICS:
        loss, D, real, fake = _game(name, kind)
        first, weights = _critic_loss(name, loss, D, real, fake), list(D.parameters())
        slopes = torch.autograd.grad(first, weights, allow_unused=True, materialize_grads=True)
        assert all(slope.isfinite().all() for slope in slopes), f"{name}.critic has a gradient that is not finite"
        assert any(slope.any() for slope in slopes), f"{name}.critic does not move the critic"
        for weight, slope in zip(weights, slopes, strict=True):
            weight.data -= 1e-3 * slope
        assert _critic_loss(name, loss, D, real, fake) < first, f"{name}.critic goes up along its gradient: it is to be minimised"


def check_generator(name: str) -> None:
    """The generator's loss moves every fake, and goes down along its gradient."""
    for kind in _CRITICS:
        loss, D, real, fake = _game(name, kind)
        value = _check_scalar(f"{name}.generator ({kind})", loss.generator(D, fake, real))
        (slope,) = torch.autograd.grad(value, [fake], allow_unused=True, materialize_grads=True)
        assert slope.isfinite().all(), f"{name}.generator has a gradient that is not finite"
        assert slope.flatten(1).any(1).all(), f"{name}.generator does not move every fake"
        with torch.no_grad():
            down = loss.generator(D, fake - 1e-2 * slope / slope.norm(), real)
        assert down < value, f"{name}.generator goes up along its gradient: it is to be minimised"


def check_constrain(name: str) -> None:
    """`constrain` leaves a critic with finite weights, and one that is allowed already as it is."""
    for kind in _CRITICS:
        loss, D, *_ = _game(name, kind)
        loss.constrain(D)
        once = [p.detach().clone() for p in D.parameters()]
        assert all(p.isfinite().all() for p in once), f"{name}.constrain sets weights that are not finite"
        loss.constrain(D)
        assert all(map(torch.equal, once, D.parameters())), f"{name}.constrain moves a critic that it has brought back already"


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"critic": check_critic, "generator": check_generator, "constrain": check_constrain}
