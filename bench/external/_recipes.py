"""What of a released checkpoint is no renaming: how a tensor is turned, and what is made from several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def turn(how: str, theirs: str, tensor: Tensor) -> Tensor:
    """A tensor as our network wants it; those for which the turn says nothing stay as they are."""
    name = theirs.rpartition(".")[2]
    if name == "kernel":
        return tensor.permute(3, 2, 0, 1)  # Keras: height x width x in x out
    change = _TURNS.get((how, name))
    return change(tensor) if change else tensor


_TURNS: dict[tuple[str, str], Callable[[Tensor], Tensor]] = {
    ("halves", "weight"): lambda w: torch.cat([w[len(w) // 2 :], w[: len(w) // 2]]),  # of the inputs of a transposed convolution
    ("signed", "weight"): lambda w: 2 * w,  # [0, 1] to [-1, 1]
    ("signed", "bias"): lambda b: 2 * b - 1,
    ("bgr", "weight"): lambda w: w.flip(1),
    ("turned", "weight"): lambda w: w.flip(2, 3),  # a convolution proper, not a correlation
}


def _merge(state: State, conv: str, norm: str, eps: float) -> dict[str, Tensor]:
    """The biased convolution that does what a convolution and its batch norm in evaluation do."""
    gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + eps).sqrt()
    bias = state.get(f"{conv}.bias", torch.zeros_like(gain))
    return {
        "weight": state[f"{conv}.weight"] * gain.view(-1, 1, 1, 1),
        "bias": state[f"{norm}.bias"] + (bias - state[f"{norm}.running_mean"]) * gain,
    }


def _unbiased(state: State, conv: str) -> dict[str, Tensor]:
    weight = state[f"{conv}.weight"]
    return {"weight": weight, "bias": weight.new_zeros(len(weight))}


def _weight_alone(state: State, conv: str) -> dict[str, Tensor]:
    return {"weight": state[f"{conv}.weight"]}


def _moved(state: State, conv: str, norm: str) -> dict[str, Tensor]:
    """A batch norm that takes the bias of the convolution before it upon itself."""
    kept = {name: state[f"{norm}.{name}"] for name in ("weight", "bias", "running_var")}
    return {**kept, "running_mean": state[f"{norm}.running_mean"] - state[f"{conv}.bias"]}


def _projection(state: State, first: str) -> dict[str, Tensor]:
    """A transposed convolution of 1 x 1 maps, z x C x 4 x 4, as a linear layer."""
    return {"weight": state[f"{first}.weight"].flatten(1).T}


def _signed_input(state: State, layer: str) -> dict[str, Tensor]:
    """A linear layer on [0, 1] as one on [-1, 1]."""
    weight = state[f"{layer}.weight"] / 2
    return {"weight": weight, "bias": state[f"{layer}.bias"] + weight.sum(1)}


def _stacked(state: State, *layers: str) -> dict[str, Tensor]:
    return {name: torch.cat([state[f"{layer}.{name}"] for layer in layers]) for name in ("weight", "bias")}


RECIPES: dict[str, Callable[..., dict[str, Tensor]]] = {
    "merge": partial(_merge, eps=1e-5),
    "merge_1e-4": partial(_merge, eps=1e-4),
    "unbiased": _unbiased,
    "weight_alone": _weight_alone,
    "moved": _moved,
    "projection": _projection,
    "signed_input": _signed_input,
    "stacked": _stacked,
}
