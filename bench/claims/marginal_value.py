"""The Marginal Value of Adaptive Gradient Methods in Machine Learning."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.claim import Finding, Paper, claim
from bench.claims._optimization import path, registered
from bench.errors import Unavailable
from bench.figure import Bars, Mark, Panel

PAPER = Paper(
    title="The Marginal Value of Adaptive Gradient Methods in Machine Learning",
    authors="Wilson, Roelofs, Stern, Srebro, Recht",
    venue="NIPS 2017",
    year=2017,
    arxiv="1705.08292",
    lesson="With more weights than examples many solutions fit the data, and the optimiser chooses. Methods that step along sums of "
    "gradients stay in the span of the examples and find the solution of least norm. Methods that divide each coordinate by the size of "
    "its own gradients find one whose entries are all as large as each other.\n\n"
    "The paper's least-squares problem makes that matter: its first feature is the label, two more are always 1, the rest are private to "
    "one example each. The least norm reads the label and errs nowhere. The adaptive solution weighs every feature alike, trusts the two "
    "constants over the label, and calls every new point positive.",
)

_STEADY = ("sgd[lr=0.1]", "sgdm[lr=0.05,momentum=0.9]", "nag[lr=0.05,momentum=0.9]")
_ADAPTIVE = ("adam[lr=0.01]", "rmsprop[lr=0.001]", "adagrad[lr=0.1]", "amsgrad[lr=0.01]", "nadam[lr=0.01]")
_STEPS = 600


@claim(
    place="Sec. 3.3",
    statement="Gradient descent, with momentum too, reaches the interpolating solution of least norm.",
    predicted="margins of new points under X'a, (XX') a = y, solved by hand: with n+ positives and n- negatives and D = 8 n+ n- + 15 n+ + "
    "3 n- + 5, a+ = (4 n- + 5) / D, a- = -(4 n+ + 1) / D",
    how="those of `sgd`, `sgdm` and `nag` that are registered, 600 steps from 0 on the mean squared error of 12 positives and 8 negatives",
    tolerance=1e-3,
)
def least_norm() -> Finding:
    """What methods without scaling converge to."""
    task = _construct(12, 8)
    d = 8 * 12 * 8 + 15 * 12 + 3 * 8 + 5
    a, b = (4 * 8 + 5) / d, (4 * 12 + 1) / d  # of positives, minus that of negatives
    return _margins(_STEADY, task, positive=3 * 12 * a - 8 * b, negative=12 * a - 3 * 8 * b)


@claim(
    place="Lemma 3.1",
    statement="Adaptive methods from 0 reach a multiple of sign(X'y): here sign(X'y) / 4, whose margin on a new point is (y + 2) / 4 > 0.",
    predicted="margins 3/4 of a positive and 1/4 of a negative",
    how="those of `adam`, `rmsprop`, `adagrad`, `amsgrad` and `nadam` that are registered, 600 steps from 0 on the same problem",
    tolerance=1e-3,
)
def sign_solution() -> Finding:
    """What methods that scale each coordinate converge to."""
    return _margins(_ADAPTIVE, _construct(12, 8), positive=0.75, negative=0.25)


@claim(
    place="Sec. 3.3",
    statement="All fit the training data; on new points descent never errs, adaptive methods err on every negative, up to half of all.",
    predicted="0, and the share of negatives",
    how="share of wrong signs among 21 new points of the solutions above, with 11 positives and 10 negatives",
)
def error_on_new_points() -> Finding:
    """Two solutions, two errors."""
    task, share = _construct(11, 10), 10 / 21
    specs = registered(*_STEADY, *_ADAPTIVE)
    names, expected = [spec.partition("[")[0] for spec in specs], [0.0 if spec in _STEADY else share for spec in specs]
    errors: dict[str, list[float]] = {"training": [], "new": []}
    for w in (_solve(spec, task) for spec in specs):
        for where, points in (("training", task.X), ("new", task.new)):
            errors[where].append(float((points @ w * task.y <= 0).double().mean()))
    cases = {f"{name}, new points": pair for name, pair in zip(names, zip(expected, errors["new"]))}
    cases |= {f"{name}, training": (0.0, error) for name, error in zip(names, errors["training"])}
    bars = [Bars(names=names, y=expected, label="predicted", theory=True), Bars(names=names, y=errors["new"], label="on new points")]
    return Finding(cases, [Panel(marks=bars, y="error")])


class _Task(NamedTuple):
    """Examples X (n x d) with labels y, and as many new points with private features that no example has."""

    X: Tensor
    y: Tensor
    new: Tensor


def _construct(positives: int, negatives: int) -> _Task:
    """Features: the label, 1, 1, then those private to one point: one of a positive, five of a negative."""
    y = torch.cat([torch.ones(positives), -torch.ones(negatives)]).double()
    private = [1 if label > 0 else 5 for label in y] * 2
    owner = torch.arange(2 * len(y)).repeat_interleave(torch.tensor(private))
    shared = torch.stack([y.repeat(2), torch.ones(2 * len(y)), torch.ones(2 * len(y))], 1)
    points = torch.cat([shared, torch.nn.functional.one_hot(owner).T.double()], 1)
    return _Task(points[: len(y)], y, points[len(y) :])


def _solve(spec: str, task: _Task) -> Tensor:
    start = torch.zeros(task.X.shape[1], dtype=torch.float64)
    return path(spec, start, lambda w: (task.X @ w - task.y).square().mean() / 2, _STEPS)[-1]


def _margins(specs: tuple[str, ...], task: _Task, positive: float, negative: float) -> Finding:
    """The margins of a new point of either class, beside what is predicted for all of the registered ones."""
    if not (known := registered(*specs)):
        raise Unavailable(f"none of the optimizers {', '.join(spec.partition('[')[0] for spec in specs)} is registered")
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Mark] = [Bars(names=["y = 1", "y = -1"], y=[positive, negative], label="predicted", theory=True)]
    for spec in known:
        name, margins = spec.partition("[")[0], task.new @ _solve(spec, task)
        cases |= {f"{name}, y = 1": (positive, float(margins[0])), f"{name}, y = -1": (negative, float(margins[-1]))}
        marks.append(Bars(names=["y = 1", "y = -1"], y=margins[[0, -1]], label=name))
    return Finding(cases, [Panel(marks=marks, y="x'w of a new point")])
