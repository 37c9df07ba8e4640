"""What tasks of restoration share: clean pictures, what is observed of them, scores of what a method makes of that."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.dataset import Picture, PictureSet, Split
from bench.errors import UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.method import Batch, Method, param
from bench.offers import Capability
from bench.task import mix
from bench.tasks._cached import cached_method
from bench.tasks._comparison import Comparison
from bench.tasks._picture_task import EVALUATION_SEED, PictureTask
from bench.tasks._pictures import Crops, evenly, tiles, together
from bench.tasks._splits import open_or_instead, refuse_empty


@dataclasses.dataclass(kw_only=True, eq=False)
class Restoration(Comparison, PictureTask):
    """Restore pictures; scored on unseen ones. A subclass says what is observed: `degrade`.

    Training uses the data set's own training split, or the bundled photos where it has none; validation likewise.
    """

    judging_options: ClassVar[frozenset[str]] = Comparison.judging_options | PictureTask.judging_options

    data: str = param("photos", "data set to test on, and to train on where it has a training split")
    crop: int = param(256, "side of training crops, pixels")
    tile: int = param(256, "side of test tiles, pixels; 0: whole pictures")
    tiles_per_picture: int = param(0, "at most, evenly spread, so that no photograph outweighs the others in a mean; 0: all")
    least_contrast: float = param(20 / 255, "flatter tiles are left out: on them damage cannot be seen, and scores measure noise")

    def __post_init__(self) -> None:
        if self.crop < 8 or min(self.tile, self.tiles_per_picture, self.pictures) < 0:
            raise ValueError("crop must be >= 8, tile, tiles_per_picture and pictures >= 0")

    # -- what a subclass has
    def degrade(self, x: Tensor, rng: torch.Generator) -> Batch:
        """What is observed of clean pictures (N x 3 x H x W): a function of them and `rng` alone."""
        raise NotImplementedError

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Pairs; two unpaired domains, since the observed pictures of one batch and the targets of the next do not belong together."""
        return frozenset({"paired", "unpaired", "files"})

    # -- training
    @property
    @override
    def reads_files(self) -> bool:
        return self._crops.cache is None

    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random crops and what is observed of them."""
        draws = torch.rand(n, 4, generator=rng).tolist()
        x = together([self._crops.draw(u)[0] for u in draws], self.device)
        return self.degrade(x, torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng))))

    # -- judging
    @override
    def validate(self, method: Method) -> dict[str, float]:
        """The mean of the first image metric over the validation pictures, of which none is ever left out.

        A picture without error counts as the metric's `ceiling` (100 dB): over the others alone the mean would rise when that picture gets
        worse, and an infinite mean would hide them. So one update compares with another.
        """
        column, metric = next(iter(self._metrics[0].items()))
        values = [metric(x_hat, batch.target) for batch, x_hat in self._validation.restore(method) if batch.target is not None]
        return {column: float(torch.cat(values).clamp_max(metric.ceiling).mean())}

    # -- data, read when first needed
    @override
    def _split(self, split: Split) -> PictureSet:
        return self._filled(self.data_of(split), split, self._instead)

    @property
    def _instead(self) -> str:
        """To train and validate on where the data set has no such split."""
        return "photos"

    def _filled(self, data: str, split: Split, instead: str) -> PictureSet:
        return refuse_empty(self._open(data, split, instead), data, self.root, split, self.on_corrupt)

    @cached_method
    def _open(self, data: str, split: Split, instead: str) -> PictureSet:
        return open_or_instead(data, instead, self.root, split, self.on_corrupt)

    @functools.cached_property
    def _crops(self) -> Crops:
        return self._crops_of(self._split("train"))

    def _crops_of(self, pictures: PictureSet, held: bool = False) -> Crops:
        crops = Crops(pictures, self.crop, self.device, held)
        self._left_out.extend(crops.skipped)
        return crops

    @functools.cached_property
    @override
    def _test(self) -> EvaluationSet:
        cut = self._cut("test")
        return self._evaluation_set([cut[i] for i in self._subsample(len(cut))], part=0)

    @functools.cached_property
    def _validation(self) -> EvaluationSet:
        return self._evaluation_set(self._cut("validation"), part=1)

    def _cut(self, split: Split) -> list[Picture]:
        """`tiles_per_picture` of the tiles of every picture of a split. Pictures that have none are noted;
        where none has any, it is an error.
        """
        cut = {picture.name: list(self._tiles(picture)) for picture in self._whole(split)}
        why = f"no tile of {self.tile} x {self.tile} pixels has a contrast of {self.least_contrast:.3g} or more"
        if not any(cut.values()):
            raise UsageError(
                f"nothing is left of the {len(cut)} {split} pictures of {self.data}: {why}; give --set least_contrast=0, or a smaller tile"
            )
        self._left_out.extend(f"the {split} picture {name} is left out: {why}" for name, found in cut.items() if not found)
        return [found[i] for found in cut.values() for i in evenly(len(found), self.tiles_per_picture)]

    def _whole(self, split: Split) -> PictureSet:
        """The pictures of a split that are judged, before they are cut."""
        return self._split(split)

    def _tiles(self, picture: Picture) -> Iterator[Picture]:
        return tiles(picture, self.tile, self.least_contrast)

    def _evaluation_set(self, pictures: list[Picture], part: int) -> EvaluationSet:
        def observe(picture: Picture, i: int) -> Batch:
            return self.degrade(picture.target[None], torch.Generator().manual_seed(mix(EVALUATION_SEED, part, i)))

        return evaluation_set(pictures, observe, self.device)
