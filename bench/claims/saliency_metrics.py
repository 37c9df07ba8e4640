"""What do different evaluation metrics tell us about saliency models?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.errors import Unavailable
from bench.figure import Bars, Panel

PAPER = Paper(
    title="What Do Different Evaluation Metrics Tell Us About Saliency Models?",
    authors="Bylinskii, Judd, Oliva, Torralba, Durand",
    venue="IEEE Transactions on Pattern Analysis and Machine Intelligence 41(3)",
    year=2019,
    arxiv="1604.03605",
    lesson="A map of where people look can be scored in many ways, which disagree about what may be changed without loss. The area under "
    "the ROC curve asks only for the order of pixels: any increasing function of the map is as good a map. The normalised scanpath "
    "saliency subtracts the mean and divides by the deviation, so brightness and contrast do not matter, but the shape of the peaks does.",
)


@claim(
    place="Sec. 4.1",
    statement="AUC-Judd depends on the order of a map's values alone: increasing functions of it score the same.",
    predicted="the score of the map itself",
    how="`auc_judd` of a smooth random map, its square, root and exponential, with 30 fixations",
    tolerance=1e-6,
)
def auc_ignores_monotone_maps() -> Finding:
    """Order is all."""
    return _unchanged("auc_judd", {"square": lambda s: s.square(), "root": lambda s: s.sqrt(), "exponential": lambda s: (3 * s - 3).exp()})


@claim(
    place="Sec. 4.1",
    statement="NSS does not depend on brightness and contrast: a s + b scores as s does, a > 0.",
    predicted="the score of the map itself",
    how="`nss` of a smooth random map, half of it, and half of it brighter by 0.3, with 30 fixations",
    tolerance=1e-5,
)
def nss_ignores_brightness_and_contrast() -> Finding:
    """Units of the map's own deviation."""
    return _unchanged("nss", {"half": lambda s: s / 2, "half, brighter": lambda s: s / 2 + 0.3})


def _unchanged(name: str, changes: dict[str, Any]) -> Finding:
    """The score of a map beside those of the changed maps."""
    if name not in registry.names("metric"):
        raise Unavailable(f"the metric {name} is not registered: there is no saliency yet")
    metric, (saliency, fixations) = registry.make("metric", name), _scene()
    expected = float(metric(saliency, fixations))
    found = {label: float(metric(change(saliency), fixations)) for label, change in changes.items()}
    names = list(found)
    bars = [
        Bars(names=names, y=[expected] * len(names), label="the map itself", theory=True),
        Bars(names=names, y=found.values(), label="changed"),
    ]
    return Finding({label: (expected, value) for label, value in found.items()}, [Panel(marks=bars, y=name)])


def _scene() -> tuple[Tensor, Tensor]:
    """A smooth map in [0, 1] and 30 fixations drawn from it, 1 x 1 x 48 x 64."""
    s = torch.nn.functional.interpolate(torch.rand(1, 1, 6, 8).double(), size=(48, 64), mode="bilinear")  # in float32 a root makes ties
    s = (s - s.min()) / (s.max() - s.min())
    fixations = torch.zeros(48 * 64, dtype=s.dtype)
    fixations[torch.multinomial(s.flatten() ** 4, 30)] = 1
    return s, fixations.view_as(s)
