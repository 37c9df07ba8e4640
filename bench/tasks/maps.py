"""Saliency maps that were predicted elsewhere, beside where people looked or which object stands out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import PictureSet
from bench.errors import Unavailable, UsageError
from bench.method import Method, param
from bench.metric import SaliencyMetric
from bench.task import Scores
from bench.tasks._elsewhere import BesideFiles
from bench.tasks._judged import JudgedPictures
from bench.tasks._metrics import usable
from bench.tasks._truth import Truth, named
from datasets.reading.files import hash_files
from datasets.reading.folders import PICTURES
from datasets.reading.outputs import read_picture
from datasets.reading.saliency import Seen, density_of, read_fixations, read_mask

_TOLD = {
    "fixations": "no fixations are given",
    "others": "no fixations on other pictures are given",
    "mask": "no masks are given",
    "baseline": "there is no map to beat without training pictures",
}


@dataclasses.dataclass(kw_only=True, eq=False)
class Maps(BesideFiles, JudgedPictures):
    """Compare saliency maps with densities of fixations or masks of objects, files of the same names and sizes, as they are: neither
    resized nor stretched.

    A metric that compares with what is not given is left out, with the reason; a picture whose truth is empty is named and left out of
    every metric alike.
    """

    output_endings: ClassVar[frozenset[str]] = frozenset(PICTURES)

    holds: Literal["densities", "masks"] = param("densities", "what the truth is: densities of fixations, or masks of objects")
    fixations: str = param("", "folder of fixations, files called as the true ones; a pixel above 0 is one (of a JPEG, above half)")
    masks: str = param("", "folder of masks besides the densities; a pixel above half is in it")
    metrics: tuple[str, ...] = param(
        ("cc", "kl", "nss", "auc_judd", "sim", "auc_borji", "shuffled_auc", "mae", "f_beta"), "of maps; the first one ranks"
    )

    def __post_init__(self) -> None:
        if self.masks and self.holds == "masks":
            raise ValueError("the truth is masks: give no others besides (masks)")

    # -- what decides a result
    @override
    def fingerprint(self) -> dict[str, str]:
        files = [*self._truth.values(), *self._fixations.values(), *self._masks.values()]
        return {"truth/test": hash_files(files)}

    @override
    def notes(self) -> dict[str, str]:
        """Those of every task that judges files, and `without_truth`: which pictures have none."""
        if not (empty := self._truths.without):
            return super().notes()
        told = f"{len(empty)} of {len(self._truth)} pictures have no truth and are left out of every measure: {named(empty)}"
        return super().notes() | {"without_truth": told}

    # -- judging
    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Every metric on each picture that has a truth."""
        metrics = self._metrics[0]
        kinds = frozenset(kind for metric in metrics.values() for kind in metric.reads)
        names = [self._truths.pictures.names[i] for i in self._truths.judged]
        values: dict[str, list[float]] = {column: [] for column in metrics}
        for done, name in enumerate(names, start=1):
            truth = {kind: m[None].to(self.device) for kind, m in self._truths.of(name, kinds | {"target"}).items()}
            found = self._map_of(method, name, truth["target"][0])
            for column, metric in metrics.items():
                values[column].append(float(metric(found[None], *(truth[kind] for kind in metric.reads))))
            progress(done, len(names))
        means = {column: float(torch.tensor(v, dtype=torch.float64).mean()) for column, v in values.items()}
        return self._ranked(Scores(means, {column: (names, v) for column, v in values.items()}))

    def _map_of(self, method: Method, name: str, target: Tensor) -> Tensor:
        """The predicted map of a picture: 1 x H x W on the device."""
        found = self._ask(method, name)
        if found.shape != target.shape:
            sizes = " and ".join(" x ".join(map(str, m.shape)) for m in (found, target))
            raise UsageError(f"the map of {name} and its truth are of {sizes} (channels, rows, columns): make them one size")
        return found.to(self.device)

    @override
    def _pictures_of(self, method: Method, name: str) -> dict[str, Tensor]:
        target = self._seen(name).target
        return {"restored": self._map_of(method, name, target), "target": target}

    # -- data, read when first needed
    @functools.cached_property
    def _truths(self) -> Truth:
        names = list(self._truth)
        return Truth(PictureSet(names, lambda i: self._seen(names[i]), "files"), None)

    def _seen(self, name: str) -> Seen:
        """The truth about a picture."""
        mask = read_mask(self._masks[name]) if self.masks else None
        if self.holds == "masks":
            target = mask = read_mask(self._truth[name])
        else:
            target = density_of(read_picture(self._truth[name], 1))
        fixations = read_fixations(self._fixations[name]) if self.fixations else None
        for what, other in (("fixations", fixations), ("mask", mask)):
            if other is not None and other.shape != target.shape:
                (h, w), (rows, columns) = other.shape[1:], target.shape[1:]
                raise UsageError(f"the {what} of {name} are {w} x {h} pixels, its density {columns} x {rows}: make them one size")
        return Seen(name=name, target=target, fixations=fixations, mask=mask)

    @functools.cached_property
    def _fixations(self) -> dict[str, Path]:
        return self._beside(self.fixations) if self.fixations else {}

    @functools.cached_property
    def _masks(self) -> dict[str, Path]:
        return self._beside(self.masks) if self.masks else {}

    @functools.cached_property
    @override
    def _metrics(self) -> tuple[dict[str, SaliencyMetric], dict[str, str]]:
        def with_truth(metric: SaliencyMetric) -> SaliencyMetric:
            if lacking := [kind for kind in metric.reads if kind not in self._truths.kinds]:
                raise Unavailable(_TOLD[lacking[0]])
            return metric

        return usable(self.metric_specs(), SaliencyMetric, "saliency maps", configure=with_truth)

    @override
    def _read_output(self, file: Path, name: str) -> Tensor:
        return read_picture(file, 1)
