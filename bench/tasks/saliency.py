"""Saliency: where in a picture do people look, or which object stands out? One map a picture, judged as the MIT saliency benchmark does.

Pan et al., "SalGAN" (2017), Sec. 4: pictures are shrunk to one size, maps enlarged to that of the truth and scored there.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.cards import Card
from bench.dataset import SPLITS, PictureSet, Split
from bench.errors import Unavailable, UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.method import Batch, Method, param
from bench.metric import ImageMetric, SaliencyMetric
from bench.offers import Capability
from bench.operators.transfer import send
from bench.task import Scores, mix
from bench.tasks._cached import cached_method
from bench.tasks._metrics import usable
from bench.tasks._picture_task import EVALUATION_SEED, PictureTask
from bench.tasks._pictures import PRELOAD
from bench.tasks._splits import open_or_instead, refuse_empty
from bench.tasks._truth import Truth, named, resized
from datasets.reading.saliency import Seen

_DENOISED = ("psnr", "ssim")  # of the denoised picture, beside its map
_BASELINE = 512  # training maps whose mean is the baseline of the information gain


@dataclasses.dataclass(kw_only=True, eq=False)
class Saliency(PictureTask):
    """Predict a map in [0, 1], N x 1 x H x W, of pictures that may be noisy.

    A metric that compares with what the data set does not bring (fixations, an object's mask) is left out, with the reason; a picture
    whose truth is empty is named and left out of every metric alike. Training and validation use the data set's own splits, or
    pop-out scenes where it has none.

    Methods read `size`, the height and width of training pictures, and `sigma`.
    """

    data: str = param("popout", "data set of photographs with maps")
    height: int = param(192, "of what a method sees, pixels; maps are scored at the size of the truth")
    width: int = param(256, "of what a method sees, pixels")
    whole: bool = param(False, "show test pictures at their own size")
    sigma: float = param(0.0, "standard deviation of Gaussian noise on what a method sees, clipped to [0, 1]")
    metrics: tuple[str, ...] = param(
        ("cc", "kl", "nss", "auc_judd", "sim", "auc_borji", "shuffled_auc", "information_gain", "emd", "mae", "f_beta"),
        "of maps; the first one chooses the best step",
    )

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16 or self.pictures < 0 or self.sigma < 0:
            raise ValueError("height and width must be >= 16, pictures and sigma >= 0")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of training pictures."""
        return self.height, self.width

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Maps to learn from, and the pictures without noise."""
        return frozenset({"saliency", "clean", "files"})

    @override
    def components(self) -> list[tuple[str, str]]:
        return [*super().components(), *(("metric", name) for name in _DENOISED if self.sigma)]

    @override
    def cards(self) -> dict[str, Card]:
        """The metrics that can be computed; of noisy pictures, also how well they were denoised by those that do so on their way."""
        return super().cards() | {
            column: dataclasses.replace(metric.card(), title=f"denoised-{metric.title}") for column, metric in self._denoised.items()
        }

    @override
    def notes(self) -> dict[str, str]:
        """Those of every picture task, and `without_truth`: which pictures have none."""
        splits: tuple[Split, ...] = ("validation", "test")
        found = [(split, len(self._split(split)), self._truth(split).without) for split in splits]
        lack = "have no truth and are left out of every measure"
        lines = [f"{len(out)} of {n} {split} pictures {lack}: {named(out)}" for split, n, out in found if out]
        return super().notes() | ({"without_truth": "; ".join(lines)} if lines else {})

    # -- training
    @property
    @override
    def reads_files(self) -> bool:
        """Until each picture of a large set was seen once."""
        return len(self._split("train")) > PRELOAD

    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random training pictures, mirrored at random, shrunk to `size`, with their maps."""
        pairs = []
        for pick, mirror in torch.rand(n, 2, generator=rng).tolist():
            x, target = self._training(int(pick * len(self._split("train"))))
            pairs.append((x.flip(-1), target.flip(-1)) if mirror < 0.5 else (x, target))
        clean, target = (torch.stack(maps) for maps in zip(*pairs))
        noise = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        return self._observe(clean, target, noise)

    # -- judging
    @override
    def validate(self, method: Method) -> dict[str, float]:
        column, metric = next(iter(self._metrics[0].items()))
        (values,) = self._judge(method, "validation", {column: metric}).values()
        return {column: float(values.mean())}

    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Every metric on the test pictures, at the size of the truth."""
        names = self._test.names
        values = self._judge(method, "test", self._metrics[0], lambda done: progress(done, len(names)))
        values |= self._judge_denoised(method) if hasattr(method, "denoise") else {}
        per_image = {c: (names, v.tolist()) for c, v in values.items()}
        return Scores({c: float(v.mean()) for c, v in values.items()}, per_image, groups=self._test.groups)

    def _judge(
        self, method: Method, split: Split, metrics: dict[str, SaliencyMetric], progress: Callable[[int], None] = lambda done: None
    ) -> dict[str, Tensor]:
        """Column -> one value a picture."""
        values: dict[str, list[Tensor]] = {column: [] for column in metrics}
        judged = self._evaluation_set(split)
        names = iter(judged.names)
        kinds = frozenset(kind for metric in metrics.values() for kind in metric.reads)
        for _, predicted in judged.restore(method, progress):
            for maps, truth in self._in_groups(split, predicted, list(itertools.islice(names, len(predicted))), kinds):
                for column, metric in metrics.items():
                    values[column].append(metric(maps, *(truth[kind] for kind in metric.reads)))
        return {column: torch.cat(parts) for column, parts in values.items()}

    def _judge_denoised(self, method: Any) -> dict[str, Tensor]:
        """Column -> one value a picture: what a method that denoises first makes of the noisy pictures."""
        values: dict[str, list[Tensor]] = {column: [] for column in self._denoised}
        for batch in self._test.batches:
            x_hat = method.denoise(batch.without_target())
            for column, metric in self._denoised.items():
                assert batch.clean is not None
                values[column].append(metric(x_hat, batch.clean))
        return {column: torch.cat(parts) for column, parts in values.items()}

    def _in_groups(
        self,
        split: Split,
        predicted: Tensor,
        names: list[str],
        kinds: frozenset[str],
    ) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Maps at the size of their truth, with the wanted kinds of that truth, in groups of one size and in order."""
        truths = [self._truth(split).of(name, kinds) for name in names]
        for shape, group in itertools.groupby(range(len(names)), lambda i: tuple(next(iter(truths[i].values())).shape[-2:])):
            rows = list(group)
            truth = {kind: torch.stack([truths[i][kind] for i in rows]).to(predicted.device) for kind in truths[rows[0]]}
            yield resized(predicted[rows], shape), truth

    # -- data, read when first needed
    @override
    def _split(self, split: Split) -> PictureSet:
        return refuse_empty(self._open((data := self.data_of(split)), split), data, self.root, split, self.on_corrupt)

    @cached_method
    def _open(self, data: str, split: Split) -> PictureSet:
        found = open_or_instead(data, "popout", self.root, split, self.on_corrupt)
        if len(found) and not isinstance(found[0], Seen):
            raise UsageError(f"the task saliency needs pictures with maps, which the data set {data} does not have")
        return found

    @cached_method
    def _truth(self, split: Split) -> Truth:
        return Truth(self._split(split), lambda: self._baseline)

    def _training(self, index: int) -> tuple[Tensor, Tensor]:
        x, target = (m.float() / 255 for m in self._kept(index))
        return x, target

    @cached_method
    def _kept(self, index: int) -> tuple[Tensor, Tensor]:
        """A training picture and its map at `size`, 8 bits: read once, then on the device (SALICON's 10,000 at 192 x 256: 2 GB)."""
        seen = self._split("train")[index]
        assert isinstance(seen, Seen)
        x, target = ((resized(send(m, self.device), self.size) * 255).round().byte() for m in (seen.photograph, seen.target))
        return x, target

    @functools.cached_property
    def _baseline(self) -> Tensor:
        """The mean training map, 1 x height x width."""
        count = len(self._split("train"))
        chosen = range(0, count, max(1, count // _BASELINE))
        return torch.stack([self._training(i)[1].cpu() for i in chosen]).mean(0)

    @property
    @override
    def _test(self) -> EvaluationSet:
        return self._evaluation_set("test")

    @cached_method
    def _evaluation_set(self, split: Split) -> EvaluationSet:
        pictures, judged = self._split(split), self._truth(split).judged
        chosen = [judged[i] for i in self._subsample(len(judged))] if split == "test" else judged

        def observe(seen: object, i: int) -> Batch:
            assert isinstance(seen, Seen)
            rng = torch.Generator().manual_seed(mix(EVALUATION_SEED, SPLITS.index(split), i))
            return self._observe(seen.photograph[None], seen.target[None], rng)

        return evaluation_set((self._shown(pictures[i], split) for i in chosen), observe, self.device)

    def _shown(self, seen: object, split: Split) -> Seen:
        """A picture and its map at the size at which methods see it."""
        assert isinstance(seen, Seen)
        if self.whole and split == "test":
            return Seen(name=seen.name, observed=seen.photograph, target=seen.target, group=seen.group)
        x, target = (resized(m, self.size) for m in (seen.photograph, seen.target))
        return Seen(name=seen.name, observed=x, target=target, group=seen.group)

    def _observe(self, clean: Tensor, target: Tensor, rng: torch.Generator) -> Batch:
        observed = clean
        if self.sigma:
            observed = (clean + self.sigma * torch.randn(clean.shape, generator=rng, device=rng.device)).clamp(0, 1)
        return Batch(observed, target, sigma=self.sigma, clean=clean)

    # -- metrics
    @functools.cached_property
    def _denoised(self) -> dict[str, ImageMetric]:
        return {f"denoised_{name}": registry.make("metric", name) for name in _DENOISED if self.sigma}

    @functools.cached_property
    @override
    def _metrics(self) -> tuple[dict[str, SaliencyMetric], dict[str, str]]:
        def with_truth(metric: SaliencyMetric) -> SaliencyMetric:
            if lacking := [kind for kind in metric.reads if kind not in self._truth("test").kinds]:
                raise Unavailable(f"the data set {self.data} brings no {lacking[0]}")
            return metric

        return usable(self.metric_specs(), SaliencyMetric, "saliency maps", configure=with_truth)
