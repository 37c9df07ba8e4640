"""What a leaderboard holds: columns, rows, cells, and how a number and a column's name are printed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from bench.statistics import intervals, paired
from bench.store.record import TrialRecord

COSTS = {  # key -> title, unit, higher is better: of what the harness counts itself, and where a card has no title; in this order
    "train_seconds": ("training", "s", False),
    "ms_per_image": ("per image", "ms", False),
    "images_per_s": ("speed", "images/s", True),
    "peak_memory_mb": ("memory", "MB", False),
    "parameters": ("parameters", "", False),
    "gflops": ("work", "GFLOP", False),
    "tuning_trials": ("tuning", "trials", False),
    "tuning_diverged": ("tuning", "diverged", False),
    "tuning_updates": ("tuning", "updates", False),
    "tuning_seconds": ("tuning", "s", False),
}


@dataclasses.dataclass(frozen=True)
class LeaderboardColumn:
    """A score or a cost: how it is called, which way is better, how it is printed."""

    key: str
    title: str
    unit: str
    higher_is_better: bool
    decimals: int | None  # None: three significant digits
    card: dict[str, Any] | None = None  # costs have none

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which its values lie; records from before cards said so have none."""
        low, high = (self.card or {}).get("bounds", (-math.inf, math.inf))
        return float(low), float(high)

    def text(self, value: float) -> str:
        """The number as every export prints it."""
        if not math.isfinite(value):
            return {math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
        if self.decimals is not None:
            return f"{value:.{self.decimals}f}".replace("-", "−")
        for size, suffix in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
            if abs(value) >= size:
                return f"{value / (1e3 if suffix == ' k' else size):.3g}{suffix}"
        return (f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}").replace("-", "−")


@dataclasses.dataclass
class Cell:
    """A mean with its interval. `mark` is "best", "second" or empty; `tie` holds letters."""

    interval: intervals.Interval
    mark: str = ""
    tie: str = ""

    @property
    def value(self) -> float:
        """The mean."""
        return self.interval.mean


@dataclasses.dataclass(kw_only=True)
class LeaderboardRow:
    """One label.

    Attributes:
        label: its name; the trials behind it differ in the seed alone.
        spec: the method with every option resolved. tier: how much compute its trials had.
        seeds: the finished ones; `planned` were run, of which `diverged` ended in NaN or infinity.
        cells: column -> its mean.
        oracle: what it was told and others were not, such as "PSF".
        origin: where its results come from, if not from what was run here.
        competes: whether it may be best, second or ranked. rank: None where it does not, or was not tested.
        notes: the table's footnotes that concern it.
        absent: column -> why there is no number, where that is known.
    """

    label: str
    spec: str
    tier: str
    seeds: tuple[int, ...]
    planned: int
    diverged: int
    cells: dict[str, Cell]
    oracle: str
    origin: str = ""
    competes: bool = True
    rank: int | None = None
    notes: tuple[int, ...] = ()
    absent: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def note(self) -> str:
        """What a reader must know besides the numbers."""
        oracle = f"oracle {self.oracle}" if self.oracle else ""
        diverged = f"{self.diverged} of {self.planned} seeds diverged" if self.diverged else ""
        return ", ".join(filter(None, (oracle, self.origin, diverged)))

    @property
    def trained(self) -> bool:
        """Whether its scores depend on a seed."""
        return "train_seconds" in self.cells

    def no_number(self, key: str) -> str:
        """What stands where a number would: why there is none, or a dash."""
        return self.absent.get(key, "–")

    def value(self, key: str) -> float:
        """The mean in that column; NaN where there is none."""
        return self.cells[key].value if key in self.cells else math.nan


@dataclasses.dataclass(kw_only=True)
class Leaderboard:
    """The leaderboard of one task, best row first, and the trials that did not finish, each with its reason.

    Attributes:
        task: its spec. sort: the key of the column that ranks.
        columns: scores, then costs. rows: best first.
        unfinished: the trials without a result. footnotes: what a reader must know besides.
        comparisons: column -> the labels that were compared, and all pairs of them.
        workload: what the records call the table; empty where the suite has one.
        test_set: the name of the test set, where trainings are judged on several.
        overview_of: the test sets that its scores are means over (see `reports.overview`).
        headline: the score columns that a narrow form shows where it is not told which; empty: all.
    """

    task: str
    sort: str
    columns: list[LeaderboardColumn]
    rows: list[LeaderboardRow]
    unfinished: list[TrialRecord]
    footnotes: list[str]
    comparisons: dict[str, tuple[list[str], paired.Comparison]]
    workload: str = ""
    test_set: str = ""
    overview_of: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()

    @property
    def suite_table(self) -> str:
        """The suite's own name of the table, that of the test set aside."""
        return self.workload.removesuffix(self.test_set).removesuffix("/") if self.test_set else self.workload

    @property
    def name(self) -> str:
        """The workload, or the task without its options; with the test set or sets."""
        stem = self.suite_table or self.task.partition("[")[0]
        if self.overview_of:
            return f"{stem} over {len(self.overview_of)} test sets"
        return f"{stem} on {self.test_set}" if self.test_set else stem

    def column(self, key: str) -> LeaderboardColumn:
        """The column of that key."""
        return next(c for c in self.columns if c.key == key)

    @property
    def scores(self) -> list[LeaderboardColumn]:
        """The columns that judge."""
        return [c for c in self.columns if c.card is not None]

    @property
    def costs(self) -> list[LeaderboardColumn]:
        """The columns that count what it took."""
        return [c for c in self.columns if c.card is None]

    @property
    def cost_axes(self) -> list[LeaderboardColumn]:
        """The costs that scores are drawn against: those that two rows or more have."""
        chosen = (c for c in self.costs if c.key in ("ms_per_image", "train_seconds"))
        return [c for c in chosen if sum(r.value(c.key) > 0 for r in self.rows) >= 2]

    @property
    def leader(self) -> LeaderboardRow | None:
        """The best row that competes."""
        return next((r for r in self.rows if r.rank is not None), None)

    @property
    def single_seed(self) -> bool:
        """Whether verdicts are about weights, not methods: some trained row has a single seed."""
        return any(r.trained and len(r.seeds) == 1 for r in self.rows)

    def ties_of(self, label: str) -> list[str]:
        """The labels that the ranked column cannot tell from this one; empty where nothing was tested."""
        labels, result = self.comparisons.get(self.sort, ([], None))
        if result is None or result.reason or label not in labels:
            return []
        i = labels.index(label)
        return [other for j, other in enumerate(labels) if j != i and not (result.better[i, j] or result.better[j, i])]


def title_of(key: str, card: Mapping[str, Any] | None = None) -> str:
    """How a score is headed: by the title on its card and the options of its column; without a title, by the words of the column."""
    name, bracket, options = key.partition("[")
    title = (card or {}).get("title") or name.replace("_", " ")
    return title + bracket + options.replace("_", " ")


def cost_column(key: str, card: Mapping[str, Any] | None = None) -> LeaderboardColumn:
    """A cost as its metric's card says; where no card has a title, as `COSTS` says, or by the words of its key."""
    if card and card.get("title"):
        return LeaderboardColumn(key, card["title"], card["unit"], card["higher_is_better"], None)
    return LeaderboardColumn(key, *COSTS.get(key, (key.replace("_", " "), "", False)), None)
