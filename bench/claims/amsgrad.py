"""On the Convergence of Adam and Beyond."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._optimization import optimizer, thin
from bench.figure import Line, Panel

PAPER = Paper(
    title="On the Convergence of Adam and Beyond",
    authors="Reddi, Kale, Kumar",
    venue="ICLR 2018",
    year=2018,
    arxiv="1904.09237",
    lesson="Adam divides each step by a moving average of squared gradients. A rare, large gradient shrinks its own step and is then "
    "forgotten, while the small gradients that point the other way take full steps. So on a convex problem with one large gradient in "
    "every three Adam walks to the worst point of its interval and stays there, whatever its rate, even if it starts at the best.\n\n"
    "AMSGrad divides by the largest average seen so far. Its rates never grow, the old proof works again, and its average regret vanishes.",
)

_CS, _HORIZONS, _LR = (3, 4, 10), (300, 3000), 0.5


@claim(
    place="Thm. 1",
    statement="On f_t(x) = Cx if t mod 3 = 1, else -x, over [-1, 1], Adam loses at least 2C - 4 against the best point -1 in three steps.",
    predicted="2C - 4 or more",
    how="three times the average regret of `adam` with betas (0, 1 / (1 + C^2)) and rate 0.5 / sqrt(t), projected, from x = 1",
    tolerance=1e-9,
    relation=">=",
)
def adam_average_regret() -> Finding:
    """Regret that does not vanish."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line] = []
    for C in _CS:
        regret = _average_regret(_descend(_spec("adam", C), _costs(C), 1.0), _costs(C))
        cases |= {f"C = {C}, T = {T}": (2 * C - 4.0, 3 * float(regret[T - 1])) for T in _HORIZONS}
        marks += [
            _curve(regret, f"C = {C}"),
            Line(x=[1, _HORIZONS[-1]], y=[(2 * C - 4) / 3] * 2, label=f"(2C - 4) / 3, C = {C}", theory=True),
        ]
    return Finding(cases, [Panel(marks=marks, x="steps", y="average regret", log="x")])


@claim(
    place="Thm. 1, proof",
    statement="Adam is back at the worst point, x = 1, before every large gradient, wherever it started.",
    predicted="x = 1 at t = 901",
    how="`adam` as above, from the best point, the middle and the worst point of the interval",
    tolerance=1e-9,
)
def adam_goes_to_the_worst_point() -> Finding:
    """From the optimum to its opposite."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line] = []
    starts = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    for C in _CS:
        x = _descend(_spec("adam", C), _costs(C, 901), starts)[::3]
        cases |= {f"C = {C}, x_1 = {start:g}": (1.0, float(end)) for start, end in zip(starts, x[-1])}
        marks.append(Line(x=3 * torch.arange(len(x)) + 1, y=x[:, 0], label=f"C = {C}"))
    return Finding(cases, [Panel(marks=marks, x="steps", y="x before the large gradient", title="started at the best point, -1")])


@claim(
    place="Thm. 4",
    statement="AMSGrad's average regret vanishes like 1 / sqrt(T), on the same functions too.",
    predicted="at most (D^2 sqrt(T) max|g| / a + a sqrt((1 + log T) / (1 - b2)) |g_1:T|) / T with diameter D = 2, rate a / sqrt(t), b1 = 0",
    how="the average regret of `amsgrad` with betas (0, 1 / (1 + C^2)) and rate 0.5 / sqrt(t), projected, from x = 1",
    tolerance=1e-9,
    relation="<=",
)
def amsgrad_average_regret() -> Finding:
    """Regret under its bound."""
    cases: dict[str, tuple[float, float]] = {}
    panels = []
    for C in _CS:
        costs = _costs(C)
        regret = _average_regret(_descend(_spec("amsgrad", C), costs, 1.0), costs)
        bound = _bound(costs, 1 / (1 + C**2))
        cases |= {f"C = {C}, T = {T}": (float(bound[T - 1]), float(regret[T - 1])) for T in _HORIZONS}
        marks = [_curve(bound, "bound", theory=True), _curve(regret, "AMSGrad")]
        panels.append(Panel(marks=marks, x="steps", y="average regret", log="xy", title=f"C = {C}"))
    return Finding(cases, panels)


@claim(
    place="Thm. 4, Cor. 1",
    statement="AMSGrad comes to the best point, -1, from the worst.",
    predicted="x = -1 in the limit",
    how="`amsgrad` as above, after 3,000 steps",
    tolerance=0.02,
)
def amsgrad_goes_to_the_best_point() -> Finding:
    """From the worst point to the optimum."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line] = []
    for C in _CS:
        x = _descend(_spec("amsgrad", C), _costs(C), 1.0)[:, 0]
        cases[f"C = {C}"] = (-1.0, float(x[-1]))
        marks.append(_curve(x, f"C = {C}"))
    return Finding(cases, [Panel(marks=marks, x="steps", y="x", log="x")])


@claim(
    place="Sec. 5, Fig. 1",
    statement="With betas of common use, one gradient of 1010 among a hundred of -10 does not keep Adam from the worst point, 1.",
    predicted="x = 1 in the limit",
    how="`adam` with betas (0.9, 0.99) and rate 0.5 / sqrt(t) (the paper states none), from x = 0, 20,200 steps",
    tolerance=0.01,
)
def adam_with_common_betas() -> Finding:
    """The paper's synthetic experiment: Adam."""
    return _experiment("adam", 1.0)


@claim(
    place="Sec. 5, Fig. 1",
    statement="On the same functions AMSGrad comes to the best point, -1.",
    predicted="x = -1 in the limit",
    how="`amsgrad` with betas (0.9, 0.99) and rate 0.5 / sqrt(t) (the paper states none), from x = 0, 20,200 steps, not the limit",
    tolerance=0.2,
)
def amsgrad_with_common_betas() -> Finding:
    """The paper's synthetic experiment: AMSGrad."""
    return _experiment("amsgrad", -1.0)


def _experiment(name: str, limit: float) -> Finding:
    T = 20_200
    costs = torch.full((T,), -10.0, dtype=torch.float64)
    costs[::101] = 1010
    x = _descend(f"{name}[lr={_LR},betas=(0.9,0.99)]", costs, 0.0)[::101, 0]  # at the large gradients
    steps = 101 * torch.arange(len(x)) + 1
    marks = [Line(x=steps, y=x, label=name), Line(x=[1, T], y=[limit] * 2, label="limit", theory=True)]
    return Finding({"": (limit, float(x[-1]))}, [Panel(marks=marks, x="steps", y="x before the large gradient")])


def _spec(name: str, C: float) -> str:
    return f"{name}[lr={_LR},betas=(0.0,{1 / (1 + C**2)})]"


def _costs(C: float, T: int = _HORIZONS[-1]) -> Tensor:
    """The slopes of f_1 ... f_T."""
    costs = torch.full((T,), -1.0, dtype=torch.float64)
    costs[::3] = C
    return costs


def _descend(spec: str, costs: Tensor, start: float | Tensor) -> Tensor:
    """Where each f_t was played, T x starts: rate a / sqrt(t), projected to [-1, 1] after each step."""
    x = nn.Parameter(torch.as_tensor(start, dtype=torch.float64).reshape(-1).clone())
    opt = optimizer(spec, [x])
    played, gradients = x.new_empty(len(costs), len(x)), costs[:, None].expand(-1, len(x))
    for t, (here, gradient) in enumerate(zip(played, gradients), 1):
        here.copy_(x.detach())
        x.grad = gradient.contiguous()
        opt.param_groups[0]["lr"] = _LR / math.sqrt(t)
        opt.step()
        x.data.clamp_(-1, 1)
    return played


def _average_regret(played: Tensor, costs: Tensor) -> Tensor:
    """R_T / T against -1 for every T."""
    return (costs * (played[:, 0] + 1)).cumsum(0) / torch.arange(1, len(costs) + 1)


def _bound(costs: Tensor, beta2: float) -> Tensor:
    """Theorem 4 over T with b1 = 0, for every T; the root of the largest average is at most the largest gradient."""
    T = torch.arange(1, len(costs) + 1, dtype=torch.float64)
    first = 4 * T.sqrt() * costs.abs().cummax(0).values / _LR
    return (first + _LR * ((1 + T.log()) / (1 - beta2)).sqrt() * costs.square().cumsum(0).sqrt()) / T


def _curve(y: Tensor, label: str, theory: bool = False) -> Line:
    at = thin(len(y))
    return Line(x=at + 1, y=y[at], label=label, theory=theory)
