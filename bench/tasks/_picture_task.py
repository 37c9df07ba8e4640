"""What tasks on pictures share: splits of a data set, the metrics that judge what a method makes of its test pictures."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from typing_extensions import override

from bench.dataset import SPLITS, PictureSet, Split
from bench.method import param
from bench.tasks._judged import JudgedPictures
from bench.tasks._pictures import evenly
from bench.tasks._splits import skipped_note

EVALUATION_SEED = 2018  # of what happens to validation and test pictures: the same for every method, seed and tier


@dataclasses.dataclass(kw_only=True, eq=False)
class PictureTask(JudgedPictures):
    """Base of tasks that show pictures to a method and score what it returns. A subclass opens the data and calls the metrics."""

    judging_options: ClassVar[frozenset[str]] = JudgedPictures.judging_options | {"test", "pictures"}

    data: str
    test: str = param("", "data set to be judged on; empty: the test split of `data`")
    pictures: int = param(0, "test pictures at most, evenly spread; 0: all")
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
        return [*sets, *super().components()]

    @override
    def notes(self) -> dict[str, str]:
        """Metrics that cannot be computed, and why; pictures left out so far."""
        return super().notes() | skipped_note([*(line for split in SPLITS for line in self._split(split).skipped), *self._left_out])

    def _subsample(self, count: int) -> list[int]:
        """The indices of `pictures` of `count` test pictures."""
        return evenly(count, self.pictures)
