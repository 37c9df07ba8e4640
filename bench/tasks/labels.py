"""Label maps that were made elsewhere, beside true ones: nothing is trained, `outputs[path=FOLDER]` brings what is judged."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.cards import Card
from bench.errors import UsageError
from bench.method import Method, param
from bench.metrics.label_agreement import LabelAgreement
from bench.task import Scores
from bench.tasks._elsewhere import BesideFiles
from datasets.reading.labels import ENDINGS, colours_of, count_classes, read_labels
from datasets.reading.outputs import Outputs


@dataclasses.dataclass(kw_only=True, eq=False)
class Labels(BesideFiles):
    """Compare label maps, pictures of one channel that hold the number of a class in each pixel, with true ones of the same names.

    Scores are those of the whole set: a picture's value is what it contributes to them, so their mean is the score.
    """

    judging_options: ClassVar[frozenset[str]] = frozenset({"metric"})
    output_endings: ClassVar[frozenset[str]] = ENDINGS

    metric: str = param("label_agreement", "what compares: its options are the number of classes and the label that does not count")

    # -- what decides a result
    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", self.metric)]

    @override
    def cards(self) -> dict[str, Card]:
        return self._metric.cards()

    # -- judging
    def open_outputs(self, folder: Path, match: str) -> Callable[[str], Tensor]:
        """Label maps by the name of a picture: H x W, int64."""
        return Outputs(folder, match, lambda file, name: read_labels(file), self.output_endings)

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Shares over all pixels of the set, with those of single classes as remarks."""
        tallies = []
        for done, (name, file) in enumerate(self._truth.items(), start=1):
            tallies.append(self._tally(name, self._labels_of(method, name), read_labels(file)))
            progress(done, len(self._truth))
        tallied, names = torch.stack(tallies), list(self._truth)
        per_picture = {column: (names, values.tolist()) for column, values in self._metric.per_picture(tallied).items()}
        classes = enumerate(self._metric.class_iou(tallied.sum(0)).tolist())
        remarks = {f"iou/class_{i}": value for i, value in classes if value == value}
        return self._ranked(Scores(self._metric.score(tallied.sum(0)), per_picture, remarks))

    def _tally(self, name: str, labels: Tensor, truth: Tensor) -> Tensor:
        try:
            return self._metric.tally(labels, truth)
        except UsageError as error:
            raise UsageError(f"{name}: {error}; give --classes N, or --ignore N for a label that does not count") from error

    def _labels_of(self, method: Method, name: str) -> Tensor:
        labels = self._ask(method, name)
        if labels.dim() != 2 or labels.is_floating_point():
            raise UsageError("the task labels judges label maps from files: give outputs[path=FOLDER] as the method")
        return labels.cpu()

    @override
    def _pictures_of(self, method: Method, name: str) -> dict[str, Tensor]:
        return {"restored": colours_of(self._labels_of(method, name)), "target": colours_of(read_labels(self._truth[name]))}

    @functools.cached_property
    def _metric(self) -> LabelAgreement:
        """The metric, told how many classes there are."""
        metric = registry.make("metric", self.metric)
        if not isinstance(metric, LabelAgreement):
            raise UsageError(f"metric {self.metric} does not judge labels: give label_agreement[classes=...,ignore=...]")
        if metric.classes:
            return metric
        return dataclasses.replace(metric, classes=count_classes(list(self._truth.values()), metric.ignore))
