"""Motion deblurring: how close to the sharp photograph, and does a detector see better afterwards?

Kupyn et al., "DeblurGAN", CVPR 2018: Sec. 5 (training on synthetic camera shake, full-reference scores) and Sec. 5.4 (detection).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.cards import Card
from bench.dataset import SPLITS, Picture, PictureSet, Split
from bench.errors import UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.judging import best_frame
from bench.judging.detection import DetectionEvaluation
from bench.judging.gallery import write_gallery
from bench.method import Batch, Method, param
from bench.offers import Capability
from bench.operators.transfer import send
from bench.task import Scores, mix
from bench.tasks._cached import cached_method
from bench.tasks._metrics import few
from bench.tasks._picture_task import EVALUATION_SEED
from bench.tasks._pictures import Crops, together
from bench.tasks._restoration import Restoration
from datasets.degrade.motion_blur import MotionBlur
from datasets.reading.shaken import Shaken

_VALIDATION_SCENES = 12


@dataclasses.dataclass(kw_only=True, eq=False)
class Deblur(Restoration):
    """Restore motion-blurred photographs; scored on unseen photographs and by a detector on unseen scenes.

    A data set that brings its own blur (gopro, levin, kohler) is judged as it is, whole, and by the best of its sharp frames where it
    brings many (kohler, with profile=kohler); any other is cut into tiles and blurred by `blur`.
    Training uses the data set's own training split, or the bundled photos where it has none, mixed with digit scenes.
    """

    judging_options: ClassVar[frozenset[str]] = Restoration.judging_options | {"scenes", "detection"}

    blur: str = param("motion_blur[max_len=60,noise=0.008]", "degradation of pictures that come without a blurred version")
    kernels: int = param(4096, "blur kernels to train with")
    scenes_data: str = param("digit_scenes[train=512]", "data set of the scenes")
    scenes: int = param(300, "scenes to detect in; 0: no detection")
    scene_share: float = param(0.5, "of training crops taken from scenes")
    detection: str = param("detection", "metric of the scenes, with its detector")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.scene_share <= 1 or self.scenes < 0 or self.kernels < 1:
            raise ValueError("scene_share must be in [0, 1], scenes >= 0, kernels >= 1")

    @classmethod
    @override
    def training_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """And no detection."""
        return super().training_options(options) | {"scenes": 0}

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """As every restoration; blur kernels unless the data set brings blurred pictures without them."""
        first = self._split("test")[0]
        return super().offers | ({"psf"} if first.observed is None or first.psf is not None else set())

    @override
    def fingerprint(self) -> dict[str, str]:
        scenes = {f"{self.scenes_data}/{s}": self._scene_split(s).fingerprint for s in SPLITS} if self.scenes or self.scene_share else {}
        return super().fingerprint() | scenes

    @override
    def components(self) -> list[tuple[str, str]]:
        scenes = [("dataset", self.scenes_data)] if self.scenes or self.scene_share else []
        judges = [("metric", self.detection), ("detector", self._judge().metric.detector)] if self.scenes else []
        return [*super().components(), ("degradation", self.blur), *scenes, *judges]

    @override
    def cards(self) -> dict[str, Card]:
        """Image metrics that are available, then detection."""
        image = super().cards()
        if isinstance(self._split("test")[0], Shaken):
            frames = {"frames": best_frame.PROTOCOL}
            image = {column: dataclasses.replace(card, protocol=card.protocol | frames) for column, card in image.items()}
        return image | (self._judge().cards() if self.scenes else {})

    @override
    def notes(self) -> dict[str, str]:
        """Those of every restoration, and `few` where detection rests on few scenes."""
        count = min(self.scenes, len(self._scene_split("test"))) if self.scenes else 0
        return super().notes() | (few(count, "test scenes", "precision, recall and F1") if count else {})

    # -- training
    @property
    @override
    def reads_files(self) -> bool:
        return super().reads_files or (self.scene_share > 0 and self._scene_crops.cache is None)

    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random crops, each blurred by a random kernel of the bank, or as it came: target and observed, n x 3 x crop x crop."""
        draws = torch.rand(n, 6, generator=rng).tolist()
        crops = [(self._scene_crops if u[4] < self.scene_share else self._crops).draw(u) for u in draws]
        target = together([s for s, _ in crops], self.device)
        index = send(torch.tensor([int(u[5] * self.kernels) for u in draws]), self.device)
        noise = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        psf = self._bank[index]
        observed = self._blur.apply(target, psf, noise)
        if all(given is None for _, given in crops):
            return Batch(observed, target, psf, self._blur.noise)
        return Batch(together([o if given is None else given for o, (_, given) in zip(observed, crops, strict=True)], self.device), target)

    # -- judging
    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Image metrics on the test tiles, detection on the test scenes."""
        if not self.scenes:
            return super().score(method, progress)
        judge, first = self._judge(), len(self._test)
        total = first + len(judge)
        scores = super().score(method, lambda done, _: progress(done, total))
        return scores.joined(judge.score(method, lambda done: progress(first + done, total)))

    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """Four test pictures, and two scenes with what the detector finds."""
        write_gallery(folder, method, self._test, self._judge() if self.scenes else None)

    @override
    def _values(self, batch: Batch, x_hat: Tensor) -> dict[str, Tensor]:
        shaken = [self._shaken[name] for name in batch.names if name in self._shaken]
        if not shaken:
            return super()._values(batch, x_hat)
        found = [best_frame.best_of(one, picture.frames(), self._metrics[0]) for one, picture in zip(x_hat, shaken, strict=True)]
        return {column: torch.stack([values[column] for values in found]) for column in self._metrics[0]}

    # -- data, read when first needed
    @functools.cached_property
    def _shaken(self) -> dict[str, Shaken]:
        """The test pictures with many sharp frames, by name."""
        return {picture.name: picture for picture in self._test.pictures if isinstance(picture, Shaken)}

    @functools.cached_property
    def _blur(self) -> MotionBlur:
        blur = registry.make("degradation", self.blur)
        if not isinstance(blur, MotionBlur):
            raise UsageError(f"the task deblur needs a motion blur, not {self.blur}")
        return blur

    @functools.cached_property
    def _bank(self) -> Tensor:
        return self._blur.bank(self.kernels, seed=0).to(self.device)

    def _scene_split(self, split: Split) -> PictureSet:
        """The scenes of a split. Raises UsageError where there are none of those that the options ask for."""
        used = self.scenes if split == "test" else self.scene_share
        return (self._filled if used else self._open)(self.scenes_data, split, "digit_scenes")

    @functools.cached_property
    def _scene_crops(self) -> Crops:
        return self._crops_of(self._scene_split("train"))

    @functools.cached_property
    @override
    def _validation(self) -> EvaluationSet:
        return self._evaluation_set(
            self._cut("validation") + self._some_scenes("validation", _VALIDATION_SCENES if self.scene_share else 0),
            part=1,
        )

    @cached_method
    def _judge(self) -> DetectionEvaluation:
        metric = registry.make("metric", self.detection)
        return DetectionEvaluation(metric, self._scene_split("test").classes, self._scene_set, self.device)

    def _scene_set(self) -> EvaluationSet:
        return self._evaluation_set(self._some_scenes("test", self.scenes), part=2)

    def _some_scenes(self, split: Literal["validation", "test"], count: int) -> list[Picture]:
        scenes = self._scene_split(split)
        return [scenes[i] for i in range(min(count, len(scenes)))]

    @override
    def _evaluation_set(self, pictures: list[Picture], part: int) -> EvaluationSet:
        """Blur every picture that did not come blurred, each with a kernel of its own."""
        kernels = self._blur.kernels(len(pictures), torch.Generator().manual_seed(mix(EVALUATION_SEED, part)))

        def observe(picture: Picture, i: int) -> Batch:
            target = picture.target[None]
            if picture.observed is not None:
                return Batch(picture.observed[None], target, None if picture.psf is None else picture.psf[None])
            rng = torch.Generator().manual_seed(mix(EVALUATION_SEED, part, i))
            return Batch(self._blur.apply(target, kernels[i : i + 1], rng), target, kernels[i : i + 1], self._blur.noise)

        return evaluation_set(pictures, observe, self.device)
