"""Parzen-window log-likelihood: the protocol of Goodfellow et al. (NIPS 2014, Sec. 5), after Breuleux, Bengio and Vincent (2011)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.metric import SampleMetric
from bench.metrics._samples import squared_distances
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParzenLL(SampleMetric):
    """Mean log-likelihood of real samples under a Gaussian window on every fake, in nats, pixels or coordinates as they are.

    The bandwidth is the one of `grid` widths between `low` and `high` (evenly in the logarithm) that suits a fifth of the real samples
    best: every fifth in the order of their mean. The others are scored. Numbers of different bandwidths or n do not compare; neither do
    they say much about the quality of pictures (Theis et al., ICLR 2016). Remarks: the bandwidth, and the standard error of the mean.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "nat"
    definition: ClassVar[str] = "mean log-likelihood of real samples under Gaussian windows on the fakes (Goodfellow et al. 2014)"

    low: float = param(0.1, "smallest width of the windows that is tried")
    high: float = param(1.0, "largest one")
    grid: int = param(10, "widths tried between the two, evenly in the logarithm")

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high or self.grid < 1:
            raise ValueError(f"low and high must satisfy 0 < low <= high and grid >= 1, not {self.low}, {self.high} and {self.grid}")

    @property
    @override
    def min_samples(self) -> int:
        """Ten: some choose the bandwidth, the others are scored."""
        return 10

    @override
    def protocol(self) -> dict[str, Any]:
        return {"validation": "every fifth real sample in the order of means", "arithmetic": "float64"}

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        windows, x = fake.double().flatten(1), real.double().flatten(1)
        x = x[x.mean(1).argsort(stable=True)]
        chosen = torch.arange(len(x), device=x.device) % 5 == 0
        widths = torch.logspace(math.log10(self.low), math.log10(self.high), self.grid, dtype=torch.float64, device=x.device)
        width = widths[_log_likelihood(x[chosen], windows, widths).mean(0).argmax()]
        scores = _log_likelihood(x[~chosen], windows, width[None])[:, 0]
        return {"parzen_ll": scores.mean(), "parzen_ll/bandwidth": width, "parzen_ll/standard_error": scores.std() / len(scores) ** 0.5}


def _log_likelihood(x: Tensor, windows: Tensor, widths: Tensor) -> Tensor:
    """Log-density of n x d points under the mixture of Gaussians on m x d windows, for each of w widths: n x w."""
    m, d = windows.shape
    constant = -math.log(m) - d * (widths.log() + 0.5 * math.log(2 * math.pi))  # w
    parts = [torch.stack([(block / (-2 * s * s)).logsumexp(1) for s in widths], 1) for _, block in squared_distances(x, windows)]
    return torch.cat(parts) + constant
