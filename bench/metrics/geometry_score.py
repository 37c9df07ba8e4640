"""Geometry Score: A Method For Comparing Generative Adversarial Networks. Khrulkov, Oseledets. ICML 2018, arXiv:1802.02664."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bench.cards import Card
from bench.metric import SampleMetric
from bench.remember import remember
from bench.spec import param

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeometryScore(SampleMetric):
    """How differently two sets of samples are shaped: the number of holes seen in random witness complexes, compared (Algorithm 2).

    Sets of different sizes cannot be compared: of the larger one the first samples count. Landmarks are drawn by index, so another order
    of the samples is another draw. Papers print the score times 1,000; that, and the mean number of holes, are remarks.

    Departures: a complex without triangles keeps its holes (the authors' library reports none); repeats are seeded one by one.
    """

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 2.0)
    definition: ClassVar[str] = "squared distance of mean relative living times of holes in witness complexes (Khrulkov and Oseledets 2018)"
    min_samples: ClassVar[int] = 4

    landmarks: int = param(64, "points that a witness complex is built on")
    repeats: int = param(1000, "random choices of landmarks, averaged over")
    gamma: float | None = param(
        None, "share of the largest distance at which the filtration ends; none: N / (128 * 5000), as the authors' code"
    )
    i_max: int = param(100, "holes are counted up to this number, less one")
    seed: int = param(0, "of the choices of landmarks")
    workers: int = param(1, "processes; their number changes no bit")

    def __post_init__(self) -> None:
        if self.landmarks < 3 or min(self.repeats, self.i_max, self.workers) < 1 or (self.gamma is not None and self.gamma <= 0):
            raise ValueError("landmarks must be at least 3; repeats, i_max and workers at least 1; gamma positive")

    @override
    def card(self) -> Card:
        """Leave out the number of processes, which changes no bit."""
        card = super().card()
        return dataclasses.replace(card, protocol={k: v for k, v in card.protocol.items() if k != "workers"})

    @override
    def cards(self, *, fake: int, real: int) -> dict[str, Card]:
        """Add the number of samples compared, and gamma as resolved."""
        size = min(fake, real)
        more = {"compared": size, "gamma": self._gamma(size)}
        return {name: dataclasses.replace(c, protocol={**c.protocol, **more}) for name, c in super().cards(fake=fake, real=real).items()}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> Mapping[str, Tensor | float]:
        import numpy as np
        from numpy.random import SeedSequence

        from bench.metrics._living_times import Options, living_times

        size = min(len(fake), len(real))
        options = Options(landmarks=self.landmarks, gamma=self._gamma(size), i_max=self.i_max)
        seeds = SeedSequence(self.seed).spawn(2)

        def mean(samples: Tensor, seed: SeedSequence) -> Any:
            points = samples[:size].flatten(1).double().cpu().numpy()
            return living_times(points, options, seed.spawn(self.repeats), self.workers).mean(0)

        means = mean(fake, seeds[0]), remember(real, (self, size), lambda: mean(real, seeds[1]))
        score = float(np.square(means[0] - means[1]).sum())
        holes_fake, holes_real = (float(times @ np.arange(self.i_max)) for times in means)
        remarks = {"geometry_score/x1000": 1e3 * score, "geometry_score/holes_fake": holes_fake, "geometry_score/holes_real": holes_real}
        return {"geometry_score": score, **remarks}

    @override
    def sampling_errors(self, fake: Tensor, real: Tensor) -> dict[str, float]:
        """Return none: one evaluation takes seconds, ten take too long."""
        return {}

    def _gamma(self, size: int) -> float:
        return size / (128 * 5000) if self.gamma is None else self.gamma
