"""Restored pictures beside their truth: the image metrics of a convention, picture by picture."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.judging.profiles import specs_of
from bench.method import Batch, Method, param
from bench.metric import ImageMetric
from bench.task import Scores
from bench.tasks._judged import JudgedPictures
from bench.tasks._metrics import usable


@dataclasses.dataclass(kw_only=True, eq=False)
class Comparison(JudgedPictures):
    """Base of tasks whose pictures have a truth of the same kind. A subclass says what is observed."""

    judging_options: ClassVar[frozenset[str]] = JudgedPictures.judging_options | {"profile"}

    metrics: tuple[str, ...] = param(("psnr", "ssim", "gmsd", "haarpsi", "lpips"), "of pictures; the first one chooses the best step")
    profile: str = param("default", 'whose convention "psnr" and "ssim" follow (bench/judging/profiles.py); all: as each does')

    @override
    def metric_specs(self) -> dict[str, str]:
        return specs_of(self.metrics, self.profile)

    @functools.cached_property
    @override
    def _metrics(self) -> tuple[dict[str, ImageMetric], dict[str, str]]:
        return usable(self.metric_specs(), ImageMetric, "pictures")

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Image metrics on the test pictures. Pictures restored without any error are counted and left out of a mean of infinities."""
        return self._compare(self._test.restore(method, lambda done: progress(done, len(self._test))))

    def _compare(self, restored: Iterable[tuple[Batch, Tensor]]) -> Scores:
        """The image metrics of test pictures with what a method made of them."""
        values: dict[str, list[Tensor]] = {column: [] for column in self._metrics[0]}
        for batch, x_hat in restored:
            for column, value in self._values(batch, x_hat).items():
                if value.shape != (len(batch),):
                    raise ValueError(
                        f"the metric {column} returned {tuple(value.shape)} for {len(batch)} pictures: it must give one value each"
                    )
                values[column].append(value)
        joined = {column: torch.cat(parts) for column, parts in values.items()}
        per_image = {column: (self._test.names, v.tolist()) for column, v in joined.items()}
        infinite = {f"infinite/{c}": float(v.isinf().sum()) for c, v in joined.items() if v.isinf().any()}
        means = {column: float(v[~v.isinf()].mean()) if (~v.isinf()).any() else float("inf") for column, v in joined.items()}
        return Scores(means, per_image, infinite, self._test.groups)

    def _values(self, batch: Batch, x_hat: Tensor) -> dict[str, Tensor]:
        """Column -> one value a picture."""
        assert batch.target is not None
        return {column: metric(x_hat, batch.target) for column, metric in self._metrics[0].items()}
