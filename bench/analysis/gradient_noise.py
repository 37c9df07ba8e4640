"""How noisy an update's gradient is: the noise scale, and whether the noise has heavy tails.

McCandlish, Kaplan, Amodei, "An Empirical Model of Large-Batch Training", 2018, arXiv:1812.06162: the simple noise scale tr(Sigma) / |G|^2.
Zhang, Karimireddy, Veit, Kim, Reddi, Kumar, Sra, "Why are Adaptive Methods Good for Attention Models?", NeurIPS 2020, arXiv:1912.03194:
noise with heavy tails, seen in the lengths |g - G|, as the reason why adaptive rules win on some losses.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn

from bench.evaluation import evaluation_mode
from bench.method import Method
from bench.task import mix

BATCHES = 64  # gradients of one measurement
_OWN = 2  # keeps these batches apart from those of training


@dataclasses.dataclass(frozen=True)
class GradientNoise:
    """Of an update's gradient g about the gradient G of the whole loss.

    Attributes:
        scale: tr(Sigma) / |G|^2, Sigma the covariance of one example's gradient: the examples of an update whose noise is as long as G. At
            most the number of examples that were looked at, beyond which G cannot be told from 0.
        tail: E|g - G|^4 over its value for Gaussian noise of the same covariance: 1 where the noise is Gaussian, E r^4 / (E r^2)^2 where it
            is Gaussian times an independent r, so that more than 1 is a heavy tail; NaN without noise.
    """

    scale: float
    tail: float


def estimate(gradients: Tensor, examples: int) -> GradientNoise:
    """The noise in a sample of gradients.

    With x, y independent copies of g - G, Gaussian noise has E|x|^4 = E|x|^2 E|y|^2 + 2 E(x'y)^2, whatever its covariance. The tail is the
    left side over the right, the right from all pairs. That the mean comes from the same k gradients makes it too small by 2 / (k - 1)^2 of
    itself.

    Args:
        gradients: k x d, k >= 2, independent, each the mean over as many examples.
        examples: so many.
    """
    k, mean = len(gradients), gradients.mean(0)
    away = gradients - mean
    products = (away @ away.T).cpu().double()  # k x k
    squares = products.diagonal()
    variance = float(squares.sum()) / (k - 1)  # tr(Sigma) / examples
    signal = float(mean @ mean) - variance / k  # |G|^2 without bias
    pairs = squares[:, None] * squares + 2 * products.square()
    fourth, gaussian = float(squares.square().mean()), float(pairs.sum() - pairs.trace()) / (k * (k - 1))
    scale = examples * variance / max(signal, variance / k) if variance else 0.0
    return GradientNoise(scale, fourth / gaussian if gaussian else math.nan)


def measure(method: Method, seed: int, when: str) -> dict[str, float]:
    """The noise at a method's weights for the record ("noise/start/scale", ...); nothing where the task's loss is no mean over examples.

    The batches are of the size that trains, drawn from the task under a seed of their own; the method is left as it was.
    """
    task, examples = method.task, getattr(method.hp, "batch_size", 1)
    if not getattr(task, "averages", False):
        return {}
    with evaluation_mode(method, seed), torch.enable_grad():
        found = estimate(_gradients(task, method.minimise(), examples, seed), examples)  # type: ignore[attr-defined]
    named = {f"noise/{when}/{k}": v for k, v in dataclasses.asdict(found).items() if math.isfinite(v)}
    return named | {"noise/examples": float(BATCHES * examples)}


def _gradients(task: Any, model: nn.Module, examples: int, seed: int) -> Tensor:
    """Those of `BATCHES` batches, k x d, of a copy of the model in training mode."""
    twin = copy.deepcopy(model).train()
    weights = [p for p in twin.parameters() if p.requires_grad]
    rows = []
    for i in range(BATCHES):
        loss = task.loss(twin, task.batch(examples, torch.Generator().manual_seed(mix(seed, i, _OWN))))
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)]))
    return torch.stack(rows)
