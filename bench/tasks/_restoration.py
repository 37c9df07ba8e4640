"""What tasks of restoration share: clean pictures, what is observed of them, scores of what a method makes of that."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench import registry
from bench.cards import Card
from bench.errors import Unavailable, UsageError
from bench.method import Batch, Method
from bench.metric import ImageMetric
from bench.profiles import profile
from bench.stream import mix
from bench.task import Scores, Task
from bench.tasks._gallery import write_gallery
from bench.tasks._pictures import Crops, Exam, exam, open_split, tiles
from datasets._base import SPLITS, Picture, PictureSet, Split

EXAM_SEED = 2018  # of what happens to validation and test pictures: the same for every method, seed and tier


@dataclasses.dataclass(kw_only=True, eq=False)
class Restoration(Task):
    """Restore pictures; scored on unseen ones. A subclass says what is observed: `degrade`.

    Training uses the data set's own training split, or the bundled photos where it has none; validation likewise.
    """

    verb: ClassVar[str] = "restore"

    data: str = "photos"
    crop: int = 256  # training crops, pixels
    tile: int = 256  # test tiles, pixels; 0: whole pictures
    least_contrast: float = 20 / 255  # flatter tiles are left out: on them damage cannot be seen, and scores measure noise
    pictures: int = 0  # test tiles at most; 0: all
    metrics: tuple[str, ...] = ("psnr", "ssim", "gmsd", "haarpsi", "lpips")
    profile: str = "default"  # whose convention "psnr" and "ssim" follow (bench/profiles.py)
    on_corrupt: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self) -> None:
        if self.crop < 8 or min(self.tile, self.pictures) < 0:
            raise ValueError("crop must be >= 8, tile and pictures >= 0")

    # -- what a subclass has
    def degrade(self, x: Tensor, rng: torch.Generator) -> Batch:
        """What is observed of clean pictures (N x 3 x H x W): a function of them and `rng` alone."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        """Of the pictures."""
        return 3

    # -- what decides a result
    @property
    def offers(self) -> frozenset[str]:
        """Pairs; two unpaired domains, since the observed pictures of one batch and the targets of the next do not belong together."""
        return frozenset({"paired", "unpaired"})

    def fingerprint(self) -> dict[str, str]:
        """Content of every split."""
        return {f"{self.data}/{s}": self._split(s).fingerprint for s in SPLITS}

    def parts(self) -> list[tuple[str, str]]:
        """The data set and the metrics."""
        return [("dataset", self.data), *(("metric", m) for m in self.metrics)]

    def cards(self) -> dict[str, Card]:
        """The image metrics that are available."""
        return {column: metric.card() for column, metric in self._metrics[0].items()}

    def remarks(self) -> dict[str, str]:
        """Metrics whose weights are missing; pictures left out."""
        missing = {f"unavailable.{column}": reason for column, reason in self._metrics[1].items()}
        skipped = [line for split in SPLITS for line in self._split(split).skipped]
        return missing | ({"skipped_files": f"{len(skipped)}: {'; '.join(skipped[:5])}"} if skipped else {})

    # -- training
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random crops and what is observed of them."""
        draws = torch.rand(n, 4, generator=rng).tolist()
        x = torch.stack([self._crops.draw(u, self.crop)[0] for u in draws])
        return self.degrade(x, torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng))))

    # -- judging
    def validate(self, method: Method) -> dict[str, float]:
        """The first image metric on the validation pictures."""
        column, metric = next(iter(self._metrics[0].items()))
        values = [metric(x_hat, batch.target) for batch, x_hat in self._validation.restore(method) if batch.target is not None]
        return {column: float(torch.cat(values).mean())}

    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Image metrics on the test pictures. Pictures restored without any error are counted and left out of a mean of infinities."""
        return self._compare(self._test.restore(method, lambda done: progress(done, len(self._test))))

    def _compare(self, restored: Iterable[tuple[Batch, Tensor]]) -> Scores:
        """The image metrics of test pictures with what a method made of them."""
        values: dict[str, list[Tensor]] = {column: [] for column in self._metrics[0]}
        for batch, x_hat in restored:
            for column, metric in self._metrics[0].items():
                assert batch.target is not None
                values[column].append(metric(x_hat, batch.target))
        joined = {column: torch.cat(parts) for column, parts in values.items()}
        per_image = {column: (self._test.names, v.tolist()) for column, v in joined.items()}
        infinite = {f"infinite/{c}": float(v.isinf().sum()) for c, v in joined.items() if v.isinf().any()}
        means = {column: float(v[~v.isinf()].mean()) if (~v.isinf()).any() else float("inf") for column, v in joined.items()}
        return Scores(means, per_image, infinite)

    def sample(self) -> Batch:
        """The first test batch, for the cost metrics."""
        return self._test.batches[0].without_target()

    def gallery(self, method: Method, folder: Path) -> None:
        """Four test pictures."""
        write_gallery(folder, method, self._test, None)

    # -- data, read when first needed
    def _split(self, split: Split) -> PictureSet:
        return self._open(self.data, split)

    @functools.cache  # noqa: B019 (a task lives as long as its process)
    def _open(self, data: str, split: Split, instead: str = "photos") -> PictureSet:
        found = open_split(data, self.root, split, self.on_corrupt)
        return found if len(found) or split == "test" else open_split(instead, self.root, split, self.on_corrupt)

    @functools.cached_property
    def _crops(self) -> Crops:
        return Crops(self._split("train"), self.device)

    @functools.cached_property
    def _test(self) -> Exam:
        cut = self._cut("test")
        return self._exam(cut[:: max(1, len(cut) // self.pictures)][: self.pictures] if self.pictures else cut, part=0)

    @functools.cached_property
    def _validation(self) -> Exam:
        return self._exam(self._cut("validation"), part=1)

    def _cut(self, split: Split) -> list[Picture]:
        return [t for picture in self._split(split) for t in tiles(picture, self.tile, self.least_contrast)]

    def _exam(self, pictures: list[Picture], part: int) -> Exam:
        def observe(picture: Picture, i: int) -> Batch:
            return self.degrade(picture.sharp[None], torch.Generator().manual_seed(mix(EXAM_SEED, part, i)))

        return exam(pictures, observe, self.device)

    # -- metrics
    @functools.cached_property
    def _metrics(self) -> tuple[dict[str, ImageMetric], dict[str, str]]:
        available: dict[str, ImageMetric] = {}
        missing: dict[str, str] = {}
        convention = profile(self.profile)
        for spec in self.metrics:
            metric = registry.make("metric", {"psnr": convention.psnr, "ssim": convention.ssim}.get(spec, spec))
            if not isinstance(metric, ImageMetric):
                raise UsageError(f"metric {spec} does not compare pictures")
            try:
                metric.require()
                available[spec] = metric
            except Unavailable as error:
                missing[spec] = str(error)
        if self.metrics and not available:
            raise Unavailable(f"none of the metrics can be computed: {'; '.join(missing.values())}")
        return available, missing
