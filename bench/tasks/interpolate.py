"""Least squares with more features than examples, where adaptive rates fit the data and misread the rest.

Wilson, Roelofs, Stern, Srebro, Recht, "The Marginal Value of Adaptive Gradient Methods in Machine Learning", NeurIPS 2017, Sec. 3.3,
arXiv:1705.08292.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.cards import Card
from bench.dataset import Split
from bench.method import param
from bench.metrics.margin import Margin
from bench.metrics.population_error import PopulationError
from bench.task import Scores
from bench.tasks._minimise import Minimise


@dataclasses.dataclass(kw_only=True, eq=False)
class Interpolate(Minimise):
    """Read a label that is itself the first feature, beside two constants and features that only one example has;
    all examples in every update.

    Features: y, 1, 1, then one private to each positive example and five private to each negative one. New points have private features of
    their own, on which no weight was trained, so one point of either label stands for all.
    """

    verb: ClassVar[str] = "minimise"

    examples: int = param(60, "in all, and in every update")
    p: float = param(0.6, "probability of a positive label")
    data_seed: int = param(0, "of the labels")

    def __post_init__(self) -> None:
        if not (self.examples >= 2 and 0.5 < self.p < 1):
            raise ValueError(f"examples must be >= 2 and p in (0.5, 1), not {self.examples} and {self.p}")
        if not 0 < int(self.labels.sum()) < self.examples:
            raise ValueError(f"{self.examples} examples with data_seed={self.data_seed} have no majority of positives, or no negatives")

    # -- what a method gets
    @override
    def model(self) -> nn.Module:
        """Weights 0, no bias, float64."""
        line = nn.Linear(self._data[0].shape[1], 1, bias=False, dtype=torch.float64)
        nn.init.zeros_(line.weight)
        return line

    @override
    def batch(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """All examples with their labels, whatever n is."""
        return self._data

    @override
    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Half the mean squared error."""
        x, y = batch
        outputs: Tensor = model(x)[:, 0]
        return (outputs - y).square().mean() / 2

    @property
    @override
    def start_loss(self) -> float:
        """The loss of weights 0."""
        return 0.5

    # -- judging
    @override
    def cards(self) -> dict[str, Card]:
        return {"margin": Margin().card(), "error": PopulationError().card()}

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", "margin"), ("metric", "population_error")]

    @override
    def measure(self, model: nn.Module, split: Split) -> Scores:
        """On new points; the margin of either label and the loss on the examples are in the summary."""
        kinds = torch.tensor([[1, 1, 1], [-1, 1, 1]], dtype=torch.float64)  # the shared features of a positive and a negative point
        outputs, labels = kinds @ model.weight[0, :3].detach().cpu(), kinds[:, 0]  # type: ignore[index]
        shares = torch.tensor([self.p, 1 - self.p], dtype=torch.float64)
        values = {"margin": Margin()(outputs, labels), "error": PopulationError()(outputs, labels, shares)}
        summary = {"output_positive": float(outputs[0]), "output_negative": float(outputs[1])}
        return Scores(values, summary=summary | {"train_loss": float(self.loss(model, self._data).detach())})

    # -- data
    @functools.cached_property
    def labels(self) -> Tensor:
        """The label of each example, -1 or 1: n, float64."""
        positive = np.random.default_rng(self.data_seed).random(self.examples) < self.p
        return torch.from_numpy(np.where(positive, 1.0, -1.0))

    @functools.cached_property
    def _data(self) -> tuple[Tensor, Tensor]:
        """Examples n x d and labels n."""
        y, n = self.labels, self.examples
        x = torch.zeros(n, 3 + 5 * n, dtype=torch.float64)
        x[:, 0], x[:, 1:3] = y, 1.0
        for i, label in enumerate(y):
            first = 3 + 5 * i
            x[i, first : first + (1 if label > 0 else 5)] = 1.0
        return x.to(self.device), y.to(self.device)
