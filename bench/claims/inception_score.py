"""A Note on the Inception Score."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.claim import Finding, Paper, claim
from bench.claims._tools import evenly, rate
from bench.figure import Bars, Line, Mark, Panel, Points

PAPER = Paper(
    title="A Note on the Inception Score",
    authors="Barratt, Sharma",
    venue="ICML 2018 workshop on theoretical foundations and applications of deep generative models",
    year=2018,
    arxiv="1801.01973",
    lesson="The Inception score is the exponential of the information that a picture carries about its class, as a classifier sees it. It "
    "is 1 for noise and for a single class, and K at most: when the classifier is certain of every picture and meets all classes equally "
    "often.\n\n"
    "So it rewards certainty and variety of classes, and nothing else: one picture of each class, over and over, has the highest score.",
)

_METRICS = ("class_score", "inception_score[splits=1]")


@claim(
    place="Eq. 1",
    statement="Its logarithm is the information between picture and class.",
    predicted="exp(H(y) - E H(y | x)), the entropies by torch.distributions",
    how="`class_score` and `inception_score[splits=1]` of 400 samples with normal logits of growing size, K = 10",
    tolerance=1e-9,
)
def information() -> Finding:
    """A difference of two entropies."""
    logits, sizes = torch.randn(400, 10, dtype=torch.float64), (0.5, 1.0, 2.0, 5.0)
    expected = [_information(size * logits) for size in sizes]
    found = {metric: [rate(metric, x := size * logits, x) for size in sizes] for metric in _METRICS}
    cases = {
        f"{metric.partition('[')[0]}, {size:g}": pair for metric in _METRICS for size, pair in zip(sizes, zip(expected, found[metric]))
    }
    bars = [Bars(names=[f"{size:g}" for size in sizes], y=y, label=metric.partition("[")[0]) for metric, y in found.items()]
    theory = Bars(names=[f"{size:g}" for size in sizes], y=expected, label="predicted", theory=True)
    return Finding(cases, [Panel(marks=[theory, *bars], x="size of logits", y="score")])


@claim(
    place="Sec. 3, on its calculation",
    statement="The mean over splits depends on their number: few samples never show the classes evenly, and score lower.",
    predicted="K exp(-(K - 1) (n - m) / (2 m (n - 1))) to first order, for splits of m out of n certain samples, K = 10 classes met evenly",
    how="`inception_score` of 900 such samples by number of splits, mean over 40 shuffles",
    tolerance=0.005,
    relative=True,
)
def splits() -> Finding:
    """A bias by convention."""
    K, n, numbers, shuffles = 10, 900, (1, 2, 5, 10), 40
    expected = [K * math.exp(-(K - 1) * (n - n / k) / (2 * (n / k) * (n - 1))) for k in numbers]
    found = [sum(rate(f"inception_score[splits={k},seed={i}]", evenly(K), evenly(K)) for i in range(shuffles)) / shuffles for k in numbers]
    marks: list[Mark] = [Line(x=numbers, y=expected, label="first order", theory=True), Points(x=numbers, y=found, label="inception_score")]
    return Finding(
        {f"splits = {k}": pair for k, pair in zip(numbers, zip(expected, found))}, [Panel(marks=marks, x="splits", y="score", log="x")]
    )


def _information(logits: Tensor) -> float:
    each = torch.distributions.Categorical(logits=logits)
    both = torch.distributions.Categorical(probs=each.probs.mean(0))
    return float((both.entropy() - each.entropy().mean()).exp())
