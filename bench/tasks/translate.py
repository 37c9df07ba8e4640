"""Translation between two kinds of pictures: labels to photographs, edges to photographs, gray to colour, one domain to another.

Isola et al., pix2pix, CVPR 2017 (pairs; jitter of Sec. 6.2; FCN-score of Sec. 3.2) and Zhu et al., CycleGAN, ICCV
2017 (two domains without pairs).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.cards import Card
from bench.dataset import Picture, PictureSet, Split
from bench.errors import UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.method import Batch, Method, param
from bench.metric import SampleMetric
from bench.metrics.fcn_score import FCNScore
from bench.offers import Capability
from bench.spec import Spec, parse
from bench.task import Scores
from bench.tasks._cached import cached_method
from bench.tasks._metrics import usable
from bench.tasks._pictures import Crops, cut, together
from bench.tasks._restoration import Restoration
from bench.tasks._splits import open_split, refuse_empty

Judged = Sequence[tuple[Batch, Tensor]]


@dataclasses.dataclass(kw_only=True, eq=False)
class Translate(Restoration):
    """Turn pictures of one kind into another; scored on unseen ones, against their partners and as a set.

    Data are pairs A and B (photo_edges, photo_grey, photo_labels, facades, folder_pair, coco_masks), or two domains that a source
    opens one at a time (folder_unpaired). Methods that need pairs and those that do not compete on the same pairs; of two
    domains, only sets are compared.
    """

    judging_options: ClassVar[frozenset[str]] = Restoration.judging_options | {"set_metrics", "segmentation"}

    data: str = param("photo_edges", "pairs, or two domains")
    direction: Literal["AtoB", "BtoA"] = param("AtoB", "which side is observed, and which is the target")
    load: int = param(
        0,
        "side to which whole training pictures are squeezed before they are cropped (pix2pix: 286 for crops of 256); 0: not",
    )
    metrics: tuple[str, ...] = param(("l1", "psnr", "ssim", "lpips"), "of pictures and their partners; the first one chooses the best step")
    set_metrics: tuple[str, ...] = param(
        ("fd[net=squeezenet1_0]", "sliced_wasserstein"),
        "of the made pictures as a set beside the true ones",
    )
    segmentation: str = param("", '"fcn_score[...]": read labels in the made pictures')

    @classmethod
    @override
    def training_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """And the first metric of sets, which chooses where there are no pairs."""
        first = {"set_metrics": tuple(options["set_metrics"])[:1]} if options.get("set_metrics") else {}
        return super().training_options(options) | first

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.load and self.load < self.crop:
            raise ValueError(f"load must be 0 or at least crop, {self.crop}")
        if self.set_metrics and not self.tile:
            raise ValueError("sets of pictures are compared at one size: give tile > 0, or set_metrics=()")
        if not self.paired:
            self.metrics, self.segmentation = (), ""

    @functools.cached_property
    def paired(self) -> bool:
        """Whether A and B belong together; a source with a `domain` holds either apart."""
        return "domain" not in registry.settings(registry.find("dataset", parse(self.data).name))

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Unpaired domains; of pairs, "paired" as well."""
        return frozenset({"paired", "unpaired", "files"} if self.paired else {"unpaired"})

    @override
    def components(self) -> list[tuple[str, str]]:
        sets = [part for spec, metric in self._set_metrics[0].items() for part in (("metric", spec), *metric.components())]
        readers = [("metric", spec) for spec in self._readers[0]]
        readers += [("segmenter", name) for reader in self._readers[0].values() for name in (reader.segmenter, reader.truth)]
        return [*super().components(), *sets, *readers]

    @override
    def cards(self) -> dict[str, Card]:
        """Metrics of pictures, of sets, of labels; those that are available."""
        n = len(self._test)
        sets = {column: card for column, metric in self._set_metrics[0].items() for card in metric.cards(fake=n, real=n).values()}
        columns = [(column, reader.card()) for reader in self._readers[0].values() for column in reader.columns]
        labels = {column: dataclasses.replace(card, metric=column) for column, card in columns}
        return super().cards() | sets | labels

    @override
    def notes(self) -> dict[str, str]:
        return super().notes() | {f"unavailable.{spec}": reason for spec, reason in (self._set_metrics[1] | self._readers[1]).items()}

    # -- training
    @property
    @override
    def reads_files(self) -> bool:
        return any(crops.cache is None for crops in ([self._crops] if self.paired else map(self._domain_crops, "AB")))

    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random crops of A and of B: of the same pictures where they are pairs."""
        draws = torch.rand(n, 8, generator=rng).tolist()
        a, b = (together(side, self.device) for side in zip(*map(self._draw, draws), strict=True))
        return self._directed(a, b)

    def _draw(self, u: Sequence[float]) -> tuple[Tensor, Tensor]:
        if not self.paired:
            return self._domain_crops("A").draw(u)[0], self._domain_crops("B").draw(u[4:])[0]
        b, a = self._crops.draw(u)
        assert a is not None
        return a, b

    def _directed(self, a: Tensor, b: Tensor) -> Batch:
        return Batch(a, b) if self.direction == "AtoB" else Batch(b, a)

    # -- judging
    @override
    def validate(self, method: Method) -> dict[str, float]:
        if self.metrics:
            return super().validate(method)
        judged, (column, metric) = list(self._validation.restore(method)), next(iter(self._set_metrics[0].items()))
        return {column: _as_sets(metric, judged)}

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        judged = list(self._test.restore(method, lambda done: progress(done, len(self._test))))
        values = {column: _as_sets(metric, judged) for column, metric in self._set_metrics[0].items()}
        for reader in self._readers[0].values():
            counts = [reader.confusion(made, labels) for batch, made in judged if (labels := getattr(batch, reader.read)) is not None]
            values |= reader.score(torch.stack(counts).sum(0))
        return self._compare(judged).joined(Scores(values))

    # -- data, read when first needed
    @cached_method
    @override
    def _split(self, split: Split) -> PictureSet:
        """Pairs; of two domains the i-th of either, as many as the smaller one has: the others are noted, and train all the same."""
        if self.paired:
            return self._opened(split)
        a, b = self._opened(split, "A"), self._opened(split, "B")

        def load(index: int) -> Picture:
            return Picture(name=names[index], target=b[index].target, observed=a[index].target)

        names = [f"{x}, {y}" for x, y in zip(a.names, b.names)]
        alone = [name for domain in (a, b) for name in domain.names[len(names) :]] if split != "train" else []
        more = [f"the {split} picture {name} is left out: the other domain has only {len(names)}" for name in alone]
        return PictureSet(names, load, f"{a.fingerprint}, {b.fingerprint}", [*a.skipped, *b.skipped, *more])

    def _opened(self, split: Split, domain: str = "") -> PictureSet:
        spec = parse(self.data_of(split))
        spec = Spec(spec.name, {**spec.options, "domain": domain}) if domain else spec
        return refuse_empty(open_split(str(spec), self.root, split, self.on_corrupt), str(spec), self.root, split, self.on_corrupt)

    @functools.cached_property
    @override
    def _crops(self) -> Crops:
        return self._crops_of(_squeezed(self._split("train"), self.load))

    @cached_method
    def _domain_crops(self, domain: str) -> Crops:
        return self._crops_of(_squeezed(self._opened("train", domain), self.load))

    @override
    def _whole(self, split: Split) -> PictureSet:
        """Whole pictures squeezed to a tile where training squeezes, too."""
        return _squeezed(self._split(split), self.tile if self.load else 0)

    @override
    def _tiles(self, picture: Picture) -> Iterator[Picture]:
        """Tiles of both sides, unless pictures were squeezed to one."""
        return cut(picture, self.tile, self.least_contrast) if self.tile and not self.load else iter([picture])

    @override
    def _evaluation_set(self, pictures: list[Picture], part: int) -> EvaluationSet:
        def pair(picture: Picture, i: int) -> Batch:
            if picture.observed is None or picture.observed.shape != picture.target.shape:
                raise UsageError(f"{self.data}: {picture.name} is no pair of pictures of one size; give load and tile to squeeze them")
            return self._directed(picture.observed[None], picture.target[None])

        return evaluation_set(pictures, pair, self.device)

    # -- metrics
    @functools.cached_property
    def _set_metrics(self) -> tuple[dict[str, SampleMetric], dict[str, str]]:
        def one_number(metric: SampleMetric) -> SampleMetric:
            if metric.columns:
                raise UsageError(f"set_metrics take metrics of one number, not of {', '.join(metric.columns)}")
            return metric

        specs = {spec: spec for spec in self.set_metrics}
        return usable(specs, SampleMetric, "sets of samples", configure=one_number, optional=bool(self.metrics))

    @functools.cached_property
    def _readers(self) -> tuple[dict[str, FCNScore], dict[str, str]]:
        """The reader of labels, if one was asked for."""
        return usable({self.segmentation: self.segmentation} if self.segmentation else {}, FCNScore, "labels", optional=True)


def _as_sets(metric: SampleMetric, judged: Judged) -> float:
    made, true = (torch.cat(side) for side in ([y for _, y in judged], [batch.target for batch, _ in judged if batch.target is not None]))
    return next(iter(metric(made, true).values()))


def _squeezed(pictures: PictureSet, side: int) -> PictureSet:
    """Both sides of every picture resized to side x side (bilinear, antialiased), whatever their aspect; as they are if `side` is 0."""

    def squeeze(image: Tensor) -> Tensor:
        return F.interpolate(image[None], size=(side, side), mode="bilinear", antialias=True)[0].clamp(0, 1)

    def load(index: int) -> Picture:
        picture = pictures[index]
        observed = None if picture.observed is None else squeeze(picture.observed)
        return Picture(name=picture.name, target=squeeze(picture.target), observed=observed, group=picture.group)

    return PictureSet(pictures.names, load, pictures.fingerprint, pictures.skipped) if side else pictures
