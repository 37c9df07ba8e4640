"""What tasks share that ask a method to descend a loss: a model with its start, the loss of an update, and who judges the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from typing_extensions import override

from bench.dataset import Split
from bench.method import Method
from bench.offers import Capability
from bench.task import Scores, Task

_DIVERGED = 1e4  # times the loss at the start


@dataclasses.dataclass(kw_only=True, eq=False)
class Minimise(Task):
    """Descend a loss. A subclass has the model, the loss and the numbers that judge a model."""

    verb: ClassVar[str] = "minimise"

    # -- what a method gets
    def model(self) -> nn.Module:
        """What is descended, at its start; random starts come from torch's global random numbers."""
        raise NotImplementedError

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """What one update descends: a scalar with its graph."""
        raise NotImplementedError

    def project(self, model: nn.Module) -> None:
        """Put a model back where the problem allows it, in place; every place is allowed by default."""

    @property
    def averages(self) -> bool:
        """Whether the loss is a mean over the examples of a batch, drawn independently: then the noise of its gradient is measured."""
        return False

    @property
    def limit(self) -> float:
        """The loss beyond which a run has diverged: 10^4 times that at the start."""
        return _DIVERGED * self.start_loss

    # -- what a subclass has
    @property
    def start_loss(self) -> float:
        """The loss at the start, or that of a guess without knowledge."""
        raise NotImplementedError

    def measure(self, model: nn.Module, split: Split) -> Scores:
        """The numbers that judge a model, the ranking one first. Problems without data have the same on every split."""
        raise NotImplementedError

    # -- judging
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        return frozenset()

    @override
    def fingerprint(self) -> dict[str, str]:
        """Empty: no data are read."""
        return {}

    @override
    def validate(self, method: Method) -> dict[str, float]:
        return self.measure(method.minimise(), "validation").values  # type: ignore[attr-defined]

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        scores = self.measure(method.minimise(), "test")  # type: ignore[attr-defined]
        progress(1, 1)
        return scores

    @override
    def sample(self) -> None:
        """Nothing: what a model costs to use does not depend on how it was descended."""

    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """No pictures by default."""
