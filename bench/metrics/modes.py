"""Known modes of a Gaussian mixture: the counts of VEEGAN (Srivastava et al., NIPS 2017) and PacGAN (Lin et al., NeurIPS 2018)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.metric import MetricColumn, SampleMetric
from bench.metrics._histogram import evenness
from bench.metrics._samples import squared_distances
from bench.spec import param

_CLOSE = "over the high-quality samples of each mode"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modes(SampleMetric):
    """How many modes points fall on, how well and how evenly. Each point belongs to its nearest centre.

    A task that knows the truth hands it over: `metric.with_centres(centres, std)`; the real samples are not looked at. Remarks:
    `modes/strict`, the modes with at least n / 20K good points; `modes/nearest`, the centres that 1 point in 125 is nearest to, good or
    not; `modes/spread`, the standard deviation of good points about their centres over that of fair draws.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = "modes of a Gaussian mixture that samples fall on (VEEGAN 2017, PacGAN 2018)"
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "modes": MetricColumn(
            higher_is_better=True,
            unit="",
            bounds=(0.0, math.inf),
            definition="modes with a high-quality sample, within `sigmas` standard deviations",
        ),
        "high_quality": MetricColumn(
            higher_is_better=True, unit="", bounds=(0.0, 1.0), definition="share of samples within `sigmas` standard deviations of a centre"
        ),
        "kl_reverse": MetricColumn(
            higher_is_better=False, unit="nat", bounds=(0.0, math.inf), definition=f"KL(samples || uniform) {_CLOSE}"
        ),
        "kl_forward": MetricColumn(
            higher_is_better=False, unit="nat", bounds=(0.0, math.inf), definition=f"KL(uniform || samples + 1e-12) {_CLOSE}"
        ),
        "js": MetricColumn(
            higher_is_better=False, unit="nat", bounds=(0.0, math.log(2)), definition=f"Jensen-Shannon divergence from uniform {_CLOSE}"
        ),
    }

    centres: tuple[tuple[float, ...], ...] = param((), "the modes, K of d coordinates each; a task that knows them fills them in")
    std: float = param(0.0, "standard deviation of every mode along each axis; likewise")
    sigmas: float = param(3.0, "standard deviations within which a sample is of high quality")

    def with_centres(self, centres: Tensor, std: float) -> Modes:
        """A copy of this metric that knows the modes.

        Args:
            centres: K x d.
            std: standard deviation of every mode, along each axis.
        """
        return dataclasses.replace(self, centres=tuple(tuple(row) for row in centres.tolist()), std=float(std))

    @override
    def compare(self, fake: Tensor, real: Tensor) -> Mapping[str, Tensor | float]:
        """Count the modes. Raises UsageError where they are unknown or have another dimension."""
        if not self.centres or self.std <= 0:
            raise UsageError("modes needs to know them: give centres and std, or let the task hand them over (`with_centres`)")
        centres = torch.tensor(self.centres, dtype=torch.float64, device=fake.device)
        if fake.shape[1:] != centres.shape[1:]:
            raise UsageError(f"modes has centres of {centres.shape[1]} dimensions for samples of {tuple(fake.shape[1:])}")
        k, n = len(centres), len(fake)
        nearest = [d.min(1) for _, d in squared_distances(fake.double(), centres)]
        squared, mode = torch.cat([m.values for m in nearest]), torch.cat([m.indices for m in nearest])
        good = squared < (self.sigmas * self.std) ** 2
        counts = mode[good].bincount(minlength=k)
        return {
            "modes": (counts > 0).sum(),
            "high_quality": good.double().mean(),
            **evenness(counts),
            "modes/strict": (counts >= n / (20 * k)).sum(),
            "modes/nearest": (mode.bincount(minlength=k) >= n / 125).sum(),
            "modes/spread": (squared[good].mean() / self._fair_square(centres.shape[1])).sqrt(),
        }

    def _fair_square(self, d: int) -> float:
        """Mean squared distance of fair draws that lie within `sigmas`: std^2 d P(chi2_{d+2} < s^2) / P(chi2_d < s^2)."""
        half = torch.tensor(self.sigmas**2 / 2, dtype=torch.float64)
        within = [torch.special.gammainc(torch.tensor(f / 2, dtype=torch.float64), half) for f in (d + 2, d)]
        return self.std**2 * d * float(within[0] / within[1])
