"""Motion deblurring: how close to the sharp photograph, and does a detector see better afterwards?

Kupyn et al., "DeblurGAN", CVPR 2018: Sec. 5 (training on synthetic camera shake, full-reference scores) and Sec. 5.4 (detection).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
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
from bench.tasks._detection import DetectionExam
from bench.tasks._gallery import write_gallery
from bench.tasks._pictures import Crops, Exam, exam, open_split, tiles
from datasets._base import SPLITS, Picture, PictureSet, Split
from datasets.degrade.motion_blur import MotionBlur

_EXAM_SEED = 2018  # kernels and noise of validation and test: the same for every method, seed and tier
_VALIDATION_SCENES = 12


@dataclasses.dataclass(kw_only=True, eq=False)
class Deblur(Task):
    """Restore motion-blurred photographs; scored on unseen photographs and by a detector on unseen scenes.

    A data set that brings its own blur (gopro, levin) is judged as it is, whole; any other is cut into tiles and blurred by `blur`.
    Training uses the data set's own training split, or the bundled photos where it has none, mixed with digit scenes.
    """

    verb: ClassVar[str] = "restore"

    data: str = "photos"
    blur: str = "motion_blur[max_len=60,noise=0.008]"
    crop: int = 256  # training crops, pixels
    tile: int = 256  # test tiles, pixels; 0: whole pictures
    least_contrast: float = 20 / 255  # flatter tiles are left out: on them blur cannot be seen, and scores measure noise
    pictures: int = 0  # test tiles at most; 0: all
    kernels: int = 4096  # blur kernels to train with
    scenes_data: str = "digit_scenes[train=512]"
    scenes: int = 300  # scenes to detect in; 0: no detection
    scene_share: float = 0.5  # of training crops taken from scenes
    detection: str = "detection"
    metrics: tuple[str, ...] = ("psnr", "ssim", "gmsd", "haarpsi", "lpips")
    profile: str = "default"  # whose convention "psnr" and "ssim" follow (bench/profiles.py)
    on_corrupt: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self) -> None:
        if self.crop < 8 or not 0 <= self.scene_share <= 1 or min(self.tile, self.pictures, self.scenes) < 0 or self.kernels < 1:
            raise ValueError("crop must be >= 8, scene_share in [0, 1], tile, pictures and scenes >= 0, kernels >= 1")

    # -- what decides a result
    @property
    def offers(self) -> frozenset[str]:
        """Pairs always; blur kernels unless the data set brings blurred pictures without them."""
        first = self._split("test")[0]
        return frozenset({"paired", "psf"} if first.blurred is None or first.psf is not None else {"paired"})

    def fingerprint(self) -> dict[str, str]:
        """Content of every split that is used."""
        splits = {f"{self.data}/{s}": self._split(s).fingerprint for s in SPLITS}
        if self.scenes or self.scene_share:
            splits |= {f"{self.scenes_data}/{s}": self._scene_split(s).fingerprint for s in SPLITS}
        return splits

    def parts(self) -> list[tuple[str, str]]:
        """Data sets, degradation, metrics, detector."""
        image = [("metric", m) for m in self.metrics]
        scenes = [("dataset", self.scenes_data), ("metric", self.detection), ("detector", self._judge().metric.detector)] if self.scenes else []
        return [("dataset", self.data), ("degradation", self.blur), *image, *scenes]

    def cards(self) -> dict[str, Card]:
        """Image metrics that are available, then detection."""
        cards = {column: metric.card() for column, metric in self._metrics[0].items()}
        return cards | (self._judge().cards() if self.scenes else {})

    def remarks(self) -> dict[str, str]:
        """Metrics whose weights are missing; pictures left out."""
        missing = {f"unavailable.{column}": reason for column, reason in self._metrics[1].items()}
        skipped = [line for split in SPLITS for line in self._split(split).skipped]
        return missing | ({"skipped_files": f"{len(skipped)}: {'; '.join(skipped[:5])}"} if skipped else {})

    # -- training
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random crops, each blurred by a random kernel of the bank: sharp and observed, n x 3 x crop x crop."""
        draws = torch.rand(n, 6, generator=rng).tolist()
        crops = [self._crops(scene=u[4] < self.scene_share).draw(u, self.crop) for u in draws]
        sharp = torch.stack([s for s, _ in crops])
        index = torch.tensor([int(u[5] * self.kernels) for u in draws], device=self.device)
        noise = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        psf = self._bank[index]
        observed = self._blur.apply(sharp, psf, noise)
        if any(blurred is not None for _, blurred in crops):  # a data set with real blur
            observed = torch.stack([o if blurred is None else blurred for o, (_, blurred) in zip(observed, crops, strict=True)])
        return Batch(observed, sharp, psf, self._blur.noise)

    # -- judging
    def validate(self, method: Method) -> dict[str, float]:
        """The first image metric on tiles of the validation pictures and on a few validation scenes."""
        column, metric = next(iter(self._metrics[0].items()))
        values = [metric(x_hat, batch.target) for batch, x_hat in self._validation.restore(method) if batch.target is not None]
        return {column: float(torch.cat(values).mean())}

    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Image metrics on the test tiles, detection on the test scenes."""
        test, judge = self._test, self._judge() if self.scenes else None
        total = len(test) + (len(judge) if judge else 0)
        values: dict[str, list[Tensor]] = {column: [] for column in self._metrics[0]}
        for batch, x_hat in test.restore(method, lambda done: progress(done, total)):
            for column, metric in self._metrics[0].items():
                assert batch.target is not None
                values[column].append(metric(x_hat, batch.target))
        joined = {column: torch.cat(parts) for column, parts in values.items()}
        per_image = {column: (test.names, v.tolist()) for column, v in joined.items()}
        infinite = {f"infinite/{c}": float(v.isinf().sum()) for c, v in joined.items() if v.isinf().any()}  # identical pictures: left out of the mean
        means = {column: float(v[~v.isinf()].mean()) if (~v.isinf()).any() else float("inf") for column, v in joined.items()}
        scores = Scores(means, per_image, infinite)
        return scores if judge is None else scores.joined(judge.score(method, lambda done: progress(len(test) + done, total)))

    def sample(self) -> Batch:
        """The first test batch, for the cost metrics."""
        return self._test.batches[0].without_target()

    def gallery(self, method: Method, folder: Path) -> None:
        """Four test pictures, and two scenes with what the detector finds."""
        write_gallery(folder, method, self._test, self._judge() if self.scenes else None)

    # -- data, read when first needed
    @functools.cached_property
    def _blur(self) -> MotionBlur:
        blur = registry.make("degradation", self.blur)
        if not isinstance(blur, MotionBlur):
            raise UsageError(f"the task deblur needs a motion blur, not {self.blur}")
        return blur

    @functools.cached_property
    def _bank(self) -> Tensor:
        return self._blur.bank(self.kernels, seed=0).to(self.device)

    def _split(self, split: Split) -> PictureSet:
        return self._open(self.data, split)

    def _scene_split(self, split: Split) -> PictureSet:
        return self._open(self.scenes_data, split)

    @functools.cache  # noqa: B019 (a task lives as long as its process)
    def _open(self, data: str, split: Split) -> PictureSet:
        found = open_split(data, self.root, split, self.on_corrupt)
        if len(found) or split == "test":
            return found
        return open_split("photos" if data == self.data else "digit_scenes", self.root, split, self.on_corrupt)

    @functools.cache  # noqa: B019
    def _crops(self, scene: bool) -> Crops:
        return Crops(self._scene_split("train") if scene else self._split("train"), self.device)

    @functools.cached_property
    def _test(self) -> Exam:
        cut = [t for picture in self._split("test") for t in tiles(picture, self.tile, self.least_contrast)]
        return self._exam(cut[:: max(1, len(cut) // self.pictures)][: self.pictures] if self.pictures else cut, part=0)

    @functools.cached_property
    def _validation(self) -> Exam:
        cut = [t for picture in self._split("validation") for t in tiles(picture, self.tile, self.least_contrast)]
        return self._exam(cut + self._some_scenes("validation", _VALIDATION_SCENES if self.scene_share else 0), part=1)

    @functools.cache  # noqa: B019
    def _judge(self) -> DetectionExam:
        metric = registry.make("metric", self.detection)
        return DetectionExam(metric, self._scene_split("test").classes, self._scene_exam, self.device)

    def _scene_exam(self) -> Exam:
        return self._exam(self._some_scenes("test", self.scenes), part=2)

    def _some_scenes(self, split: Literal["validation", "test"], count: int) -> list[Picture]:
        scenes = self._scene_split(split)
        return [scenes[i] for i in range(min(count, len(scenes)))]

    def _exam(self, pictures: list[Picture], part: int) -> Exam:
        """Blur every picture that did not come blurred, each with a kernel of its own."""
        kernels = self._blur.kernels(len(pictures), torch.Generator().manual_seed(mix(_EXAM_SEED, part)))

        def degrade(picture: Picture, i: int) -> Batch:
            sharp = picture.sharp[None]
            if picture.blurred is not None:
                return Batch(picture.blurred[None], sharp, None if picture.psf is None else picture.psf[None])
            rng = torch.Generator().manual_seed(mix(_EXAM_SEED, part, i))
            return Batch(self._blur.apply(sharp, kernels[i : i + 1], rng), sharp, kernels[i : i + 1], self._blur.noise)

        return exam(pictures, degrade, self.device)

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
        if not available:
            raise Unavailable(f"none of the metrics can be computed: {'; '.join(missing.values())}")
        return available, missing
