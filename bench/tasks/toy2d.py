"""Distributions of points whose density is known: does a method find every mode, how well, how evenly?

Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017, App. A (the ring and its small networks); Srivastava et al., "VEEGAN",
NIPS 2017, Sec. 4.1 (counting modes on 2,500 samples).
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.dataset import SPLITS, Split
from bench.errors import Unavailable, UsageError
from bench.judging.sheets import Film, fixed_latents, pixel_centres, sheet, write_item
from bench.method import Method, Samples, param
from bench.metric import SampleMetric
from bench.metrics.modes import Modes
from bench.offers import FeatureCritic
from bench.task import mix, on_cpu
from bench.tasks._generation import Generation
from datasets.reading.points import PointSource
from methods.networks.backbones import MLPGenerator, mlp_critic

_EVALUATION_SEED = 1611  # of the real points that samples are compared with
_SIDE, _POINTS = 160, 500  # of a frame of the film: pixels, points


@dataclasses.dataclass(kw_only=True, eq=False)
class Toy2D(Generation):
    """Match a toy distribution from 2,500 points of it; training points are drawn afresh for every batch.

    Methods are ranked by `c2st_1nn`: whether the nearest neighbour of a point tells if it is real. As points grow in number it tends to a
    divergence of the two laws (Henze and Penrose 1999), so that modes dropped, modes of uneven weight, points between them and points
    heaped on the centres all count, each by its share. A count of modes is full with one good point on each; `sliced_wasserstein` hardly
    feels what happens at the scale of a narrow mode.

    The weak critic of the collapse recipe is `critic_layers=1,critic_scale=4`.
    """

    verb: ClassVar[str] = "sample"

    data: str = param("ring", "distribution of points")
    samples: int = param(2500, "points drawn from a method and from the distribution, to be compared")
    metrics: tuple[str, ...] = param(("c2st_1nn", "modes", "sliced_wasserstein"), "of sets of points; the first one chooses the best step")
    watched: int = param(2, "how many metrics, from the first, are computed in validation")
    width: int = param(128, "units of every hidden layer")
    generator_layers: int = param(2, "hidden layers of the generator")
    critic_layers: int = param(2, "hidden layers of the critic")
    critic_scale: float = param(1.0, "the critic sees points divided by this")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.generator_layers, self.critic_layers) < 1 or self.critic_scale <= 0:
            raise ValueError("width, generator_layers and critic_layers must be >= 1, critic_scale positive")
        self._films: WeakKeyDictionary[Method, list[Tensor]] = WeakKeyDictionary()

    @property
    @override
    def shape(self) -> tuple[int, ...]:
        """(d,): 2, or 1 for a mixture on a line."""
        return (self._source.components().shape[1],)

    @property
    @override
    def classes(self) -> int:
        """The number of modes, or of curves."""
        return int(self._draw("validation", 1000).labels.max()) + 1  # type: ignore[union-attr]

    @override
    def fingerprint(self) -> dict[str, str]:
        """Hash of the distribution with its options."""
        return {self.data: self._source.fingerprint()}

    # -- networks
    @override
    def generator(self) -> nn.Module:
        """Hidden ReLU layers."""
        return MLPGenerator(self.z_dim, self.shape, (self.width,) * self.generator_layers)

    @override
    def critic(self, outputs: int = 1) -> FeatureCritic:
        """Hidden ReLU layers."""
        return mlp_critic(self.shape, (self.width,) * self.critic_layers, outputs, self.critic_scale)

    # -- data
    @override
    def batch(self, n: int, rng: torch.Generator) -> Samples:
        """N new points, n x d float32, with the number of their mode or curve."""
        return self._source.draw(n, rng).to(self.device)

    @override
    def real(self, split: Split, n: int) -> Tensor:
        """N points of the distribution, n x d; every split has its own."""
        return self._draw(split, n).x.to(self.device)

    @override
    def bind_metric(self, metric: SampleMetric) -> SampleMetric:
        """`modes` gets the centres and the deviation of the modes."""
        if not isinstance(metric, Modes):
            return metric
        centres, sizes = self._source.centres(), set(self._source.deviations().tolist())
        if centres is None or len(sizes) > 1:
            raise Unavailable(f"{self.data} has no modes of one size to be counted")
        return metric.with_centres(centres, *sizes)

    # -- pictures
    @override
    def validate(self, method: Method) -> dict[str, float]:
        """The watched metrics. Keeps a frame for the film of the gallery."""
        values = super().validate(method)
        if self.shape == (2,):
            with fixed_latents(self.device):
                self._films.setdefault(method, []).append(self._film.frame(self.draw_from(method, _POINTS)))
        return values

    @override
    def portray_training(self, method: Method, folder: Path) -> None:
        """The film of training (from where it was last resumed), beside real points."""
        if frames := self._films.get(method):
            real = self._film.frame(self.real("test", _POINTS))
            write_item(folder, "Samples through training, over the true density", sheet(torch.stack(frames), min(len(frames), 4)), real)

    # -- made when first needed
    @functools.cached_property
    def _source(self) -> PointSource:
        source = registry.make("dataset", self.data)
        if not isinstance(source, PointSource):
            raise UsageError(f"the task toy2d needs a distribution of points, such as ring, not {self.data}")
        return source

    @on_cpu
    def _draw(self, split: Split, n: int) -> Samples:
        return self._source.draw(n, torch.Generator().manual_seed(mix(_EVALUATION_SEED, SPLITS.index(split))))

    @functools.cached_property
    def _film(self) -> Film:
        points = self.real("test", _POINTS).cpu()
        low, high = points.min(0).values, points.max(0).values
        centre, half = (low + high) / 2, 0.65 * float((high - low).max())
        density = self._source.log_density(pixel_centres(_SIDE, centre, half)).exp()
        return Film(density.reshape(_SIDE, _SIDE), centre, half)
