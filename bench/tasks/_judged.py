"""What every task has that shows pictures to a method and scores what it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.cards import Card
from bench.evaluation import EvaluationSet
from bench.judging.gallery import write_gallery
from bench.method import Batch, Method, param
from bench.metric import Metric
from bench.task import Task
from datasets.reading.folders import PICTURES
from datasets.reading.outputs import Outputs, read_picture


@dataclasses.dataclass(kw_only=True, eq=False)
class JudgedPictures(Task):
    """Base of tasks on pictures. A subclass has the test pictures and calls the metrics."""

    verb: ClassVar[str] = "restore"
    output_endings: ClassVar[frozenset[str]] = frozenset(PICTURES)  # of files that `outputs` reads
    judging_options: ClassVar[frozenset[str]] = frozenset({"metrics"})

    metrics: tuple[str, ...] = param((), "the first one chooses the best step")

    # -- what a subclass has
    @property
    def _test(self) -> EvaluationSet:
        """The test pictures, as a method sees them and with their truth."""
        raise NotImplementedError

    @property
    def _metrics(self) -> tuple[Mapping[str, Metric], Mapping[str, str]]:
        """See `bench.tasks._metrics.usable`."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        """Channels of what is observed and of the target."""
        return 3

    def metric_specs(self) -> dict[str, str]:
        """Column -> spec of its metric."""
        return {column: column for column in self.metrics}

    # -- what decides a result
    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", spec) for spec in self.metric_specs().values()]

    @override
    def cards(self) -> dict[str, Card]:
        return {column: metric.card() for column, metric in self._metrics[0].items()}

    @override
    def notes(self) -> dict[str, str]:
        """Metrics that cannot be computed, and why."""
        return {f"unavailable.{column}": reason for column, reason in self._metrics[1].items()}

    # -- judging
    def open_outputs(self, folder: Path, match: str) -> Callable[[str], Tensor]:
        """See `bench.offers.OutputsTask`."""
        return Outputs(folder, match, self._read_output, self.output_endings)

    def _read_output(self, file: Path, name: str) -> Tensor:
        """What a method would have returned of the picture of that name: C x H x W in [0, 1]."""
        return read_picture(file, self.channels)

    @override
    def sample(self) -> Batch:
        """The first test batch, for the cost metrics."""
        return self._test.batches[0].without_target()

    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """Four test pictures."""
        write_gallery(folder, method, self._test, None)
