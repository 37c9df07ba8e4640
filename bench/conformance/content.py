"""What every content loss must hold: a finite mean over the batch with a gradient, least where both pictures are the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.conformance._tools import Checks, leaves_no_trace, pictures

_SIDE = 64  # pixels: deep networks halve it four times


def _loss(name: str) -> tuple[Any, Tensor, Tensor]:
    """A loss, what was restored and the truth, in [-1, 1]."""
    return registry.make("content", name), 2 * pictures(2, side=_SIDE, seed=1) - 1, 2 * pictures(2, side=_SIDE) - 1


def check_value(name: str) -> None:
    """A finite scalar that leaves no trace, and is not larger where nothing is wrong."""
    loss, x_hat, x = _loss(name)
    with leaves_no_trace(name, x_hat, x):
        value = loss(x_hat, x)
    assert isinstance(value, Tensor), f"{name} returned {type(value).__name__}, not a tensor"
    assert value.shape == (), f"{name} returned {tuple(value.shape)}, not a scalar"
    assert value.isfinite(), f"{name} returned {value.item()}"
    assert loss(x, x) <= value, f"{name} is larger between a picture and itself than between two pictures"


def check_gradient(name: str) -> None:
    """A finite gradient, not 0, reaches every picture that was restored."""
    loss, x_hat, x = _loss(name)
    x_hat.requires_grad_()
    value = loss(x_hat, x)
    assert value.requires_grad, f"{name} has no gradient"
    value.backward()
    assert x_hat.grad is not None, f"{name} has no gradient"
    assert x_hat.grad.isfinite().all(), f"{name} has a gradient that is not finite"
    assert x_hat.grad.flatten(1).any(1).all(), f"the gradient of {name} is 0 at a picture that is wrong"


def check_mean(name: str) -> None:
    """The loss of a batch is the mean over its pictures: batches may be cut in halves, and the mean of their gradients taken."""
    loss, x_hat, x = _loss(name)
    with torch.no_grad():
        whole, halves = loss(x_hat, x), [loss(x_hat[i : i + 1], x[i : i + 1]) for i in range(2)]
    assert torch.allclose(whole, torch.stack(halves).mean(), rtol=1e-3), f"{name} of a batch is not the mean over its pictures"


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"value": check_value, "gradient": check_gradient, "mean": check_mean}
