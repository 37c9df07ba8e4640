"""Online learning on an interval, where Adam walks the wrong way: Reddi, Kale, Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.

arXiv:1904.09237, Theorem 1 and Section 5. The paper's rates fall like 1 / sqrt(t): schedule=inverse_sqrt, one example an update.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.cards import Card
from bench.dataset import Split
from bench.method import param
from bench.metrics.distance import Distance
from bench.metrics.regret import Regret
from bench.operators.transfer import send
from bench.task import Scores
from bench.tasks._minimise import Minimise


@dataclasses.dataclass(kw_only=True, eq=False)
class Online(Minimise):
    """Play x in [-1, 1], then pay f_t(x): a rare steep rise, else a gentle fall; the best fixed point is -1.

    reddi: C x where t mod 3 = 1, else -x (Theorem 1; Adam fails with betas (0, 1 / (1 + C^2))).
    reddi_rare: 1010 x where t mod 101 = 1, else -10 x; reddi_stochastic: 1010 x with probability 0.01, else -10 x
    (Section 5; Adam fails with betas (0.9, 0.99)).
    """

    verb: ClassVar[str] = "minimise"

    problem: Literal["reddi", "reddi_rare", "reddi_stochastic"] = param(
        "reddi", "whose losses are played: reddi is that of Theorem 1, the others are those of Section 5"
    )
    C: float = param(3.0, "slope of the steep rounds of reddi")
    start: float = param(0.0, "x before the first round")

    def __post_init__(self) -> None:
        if not (self.C > 2 and -1 <= self.start <= 1):
            raise ValueError(f"C must be above 2 and start in [-1, 1], not {self.C} and {self.start}")

    # -- what a method gets
    @override
    def model(self) -> nn.Module:
        """The player: called with n uniform numbers it gives what n rounds cost."""
        steep, gentle, period = {"reddi": (self.C, 1.0, 3)}.get(self.problem, (1010.0, 10.0, 101))
        return _Player(self.start, steep, gentle, 0 if self.problem == "reddi_stochastic" else period)

    @override
    def batch(self, n: int, rng: torch.Generator) -> Tensor:
        """N numbers from [0, 1), which decide the stochastic problem."""
        return send(torch.rand(n, dtype=torch.float64, generator=rng), self.device)

    @override
    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        """The mean of f_t(x) over the rounds of the batch."""
        costs: Tensor = model(batch)
        return costs.mean()

    @override
    def project(self, model: nn.Module) -> None:
        """Move x to the nearest point of [-1, 1]."""
        with torch.no_grad():
            model.x.clamp_(-1, 1)  # type: ignore[operator]

    @property
    @override
    def start_loss(self) -> float:
        """None to compare with: an interval has no way to diverge."""
        return float("inf")

    # -- judging
    @override
    def cards(self) -> dict[str, Card]:
        return {"regret": Regret().card(), "distance": Distance().card()}

    @override
    def components(self) -> list[tuple[str, str]]:
        return [("metric", "regret"), ("metric", "distance")]

    @override
    def measure(self, model: nn.Module, split: Split) -> Scores:
        """The average regret of the training so far (before it, that of a round at the start), and where the player stands."""
        assert isinstance(model, _Player)
        x, rounds = model.x.detach().cpu(), int(model.t)
        total = float(model.lost) if rounds else model.expected * float(x + 1)
        values = {"regret": Regret()(total, max(rounds, 1)), "distance": Distance()(x, torch.full((1, 1), -1.0))}
        return Scores(values, summary={"x": float(x)})


class _Player(nn.Module):
    """A point, the number of rounds it has played and what they cost it against -1; kept while training,
    as batch norm keeps its averages.
    """

    t: Tensor
    lost: Tensor

    def __init__(self, start: float, steep: float, gentle: float, period: int) -> None:
        super().__init__()
        self.steep, self.gentle, self.period = steep, gentle, period  # period 0: at random
        share = 1 / period if period else _CHANCE
        self.expected = share * steep - (1 - share) * gentle
        self.x = nn.Parameter(torch.tensor([start], dtype=torch.float64))
        self.register_buffer("t", torch.zeros((), dtype=torch.int64))
        self.register_buffer("lost", torch.zeros((), dtype=torch.float64))

    @override
    def forward(self, chance: Tensor) -> Tensor:
        rises = (self.t % self.period == 0).expand(len(chance)) if self.period else chance < _CHANCE
        slopes = torch.where(rises, self.steep, -self.gentle).to(self.x)
        if self.training:
            self.t += 1
            self.lost += slopes.mean() * (self.x.detach()[0] + 1)
        return slopes * self.x


_CHANCE = 0.01
