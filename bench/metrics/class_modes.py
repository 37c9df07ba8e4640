"""Classes that samples fall on, as a named classifier reads them: stacked MNIST (Metz et al., ICLR 2017; Srivastava et al., NIPS 2017)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.metric import MetricColumn
from bench.metrics._histogram import evenness
from bench.metrics._samples import FeatureMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassModes(FeatureMetric):
    """Distinct classes among the samples, and how evenly they are hit.

    Stacked digits: `class_modes[net=digits_cnn[stacked=true]]`, 1000 classes.

    With few samples a perfect generator misses classes, too: n = 25,600 (or 26,000) is the custom for 1000 classes, where its divergence is
    999 / 2n. Remarks: the same two of the real samples.
    """

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    definition: ClassVar[str] = "classes of a named classifier that samples fall on (Metz et al. 2017)"
    columns: ClassVar[Mapping[str, MetricColumn]] = {
        "class_modes": MetricColumn(
            higher_is_better=True, unit="", bounds=(0.0, math.inf), definition="distinct most probable classes among the samples"
        ),
        "class_kl": MetricColumn(
            higher_is_better=False, unit="nat", bounds=(0.0, math.inf), definition="KL(samples || uniform) over the most probable classes"
        ),
    }

    @override
    def compare(self, fake: Tensor, real: Tensor) -> dict[str, Tensor | float]:
        values: dict[str, Tensor | float] = {}
        for x, suffix in ((fake, ""), (real, "/real")):
            logits = self.network.logits(x)
            counts = logits.argmax(1).bincount(minlength=logits.shape[1])
            values |= {f"class_modes{suffix}": (counts > 0).sum(), f"class_kl{suffix}": evenness(counts)["kl_reverse"]}
        return values
