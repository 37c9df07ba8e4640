"""What tasks on pictures share: splits of a data set, the metrics that judge what a method makes of its test pictures."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from typing_extensions import override

from bench.cards import Card
from bench.dataset import SPLITS, PictureSet, Split
from bench.method import Batch, Method, param
from bench.metric import Metric
from bench.task import Task
from bench.tasks._gallery import write_gallery
from bench.tasks._pictures import EvaluationSet, evenly
from bench.tasks._splits import skipped_note

EVALUATION_SEED = 2018  # of what happens to validation and test pictures: the same for every method, seed and tier


@dataclasses.dataclass(kw_only=True, eq=False)
class PictureTask(Task):
    """Base of tasks that show pictures to a method and score what it returns. A subclass opens the data and calls the metrics."""

    verb: ClassVar[str] = "restore"
    judging_options: ClassVar[frozenset[str]] = frozenset({"test", "pictures", "metrics"})

    data: str
    test: str = param("", "data set to be judged on; empty: the test split of `data`")
    pictures: int = param(0, "test pictures at most, evenly spread; 0: all")
    metrics: tuple[str, ...] = param((), "the first one chooses the best step")
    on_corrupt: Literal["refuse", "skip"] = param(
        "refuse",
        "refuse: stop at a corrupt file, by name; skip: leave it out, which the record says",
    )

    @classmethod
    @override
    def training_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """And the first metric, as the profile means it: it chooses the best weights."""
        first = {"metrics": tuple(options["metrics"])[:1]} if options.get("metrics") else {}
        return super().training_options(options) | first | {k: v for k, v in options.items() if k == "profile"}

    # -- what a subclass has
    def _split(self, split: Split) -> PictureSet:
        """The pictures of a split, one at least. Raises UsageError where there are none."""
        raise NotImplementedError

    @property
    def _test(self) -> EvaluationSet:
        """The test pictures, as a method sees them and with their truth."""
        raise NotImplementedError

    @property
    def _metrics(self) -> tuple[Mapping[str, Metric], Mapping[str, str]]:
        """See `bench.tasks._metrics.usable`."""
        raise NotImplementedError

    def metric_specs(self) -> dict[str, str]:
        """Column -> spec of its metric."""
        return {column: column for column in self.metrics}

    @functools.cached_property
    def _left_out(self) -> list[str]:
        """Lines about pictures that were opened and then left out; it grows as splits are used."""
        return []

    def data_of(self, split: Split) -> str:
        """The data set that a split is of."""
        return self.test if self.test and split == "test" else self.data

    # -- what decides a result
    @override
    def fingerprint(self) -> dict[str, str]:
        return {f"{self.data_of(s)}/{s}": self._split(s).fingerprint for s in SPLITS}

    @override
    def components(self) -> list[tuple[str, str]]:
        sets = [("dataset", spec) for spec in dict.fromkeys([self.data, self.test]) if spec]
        return [*sets, *(("metric", spec) for spec in self.metric_specs().values())]

    @override
    def cards(self) -> dict[str, Card]:
        return {column: metric.card() for column, metric in self._metrics[0].items()}

    @override
    def notes(self) -> dict[str, str]:
        """Metrics that cannot be computed, and why; pictures left out so far."""
        missing = {f"unavailable.{column}": reason for column, reason in self._metrics[1].items()}
        return missing | skipped_note([*(line for split in SPLITS for line in self._split(split).skipped), *self._left_out])

    # -- judging
    @override
    def sample(self) -> Batch:
        """The first test batch, for the cost metrics."""
        return self._test.batches[0].without_target()

    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """Four test pictures."""
        write_gallery(folder, method, self._test, None)

    def _subsample(self, count: int) -> list[int]:
        """The indices of `pictures` of `count` test pictures."""
        return evenly(count, self.pictures)
