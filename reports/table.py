"""Records -> leaderboard: one row a label, seeds pooled, uncertainty and ties worked out, nothing dropped in silence."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench import stats
from bench.errors import UsageError
from bench.record import TrialRecord

COSTS = {  # key -> title, unit, higher is better
    "train_seconds": ("training", "s", False),
    "ms_per_image": ("per image", "ms", False),
    "images_per_s": ("speed", "images/s", True),
    "peak_memory_mb": ("memory", "MB", False),
    "parameters": ("parameters", "", False),
    "gflops": ("work", "GFLOP", False),
}


@dataclasses.dataclass(frozen=True)
class Column:
    """A score or a cost: how it is called, which way is better, how it is printed."""

    key: str
    title: str
    unit: str
    higher_is_better: bool
    decimals: int | None  # None: three significant digits
    card: dict[str, Any] | None = None  # costs have none

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
    """A mean with its interval. `mark` is "best", "second" or empty; `tie` holds letters; `notes` indexes the table's footnotes."""

    interval: stats.Interval
    mark: str = ""
    tie: str = ""
    notes: tuple[int, ...] = ()

    @property
    def value(self) -> float:
        """The mean."""
        return self.interval.mean


@dataclasses.dataclass
class Row:
    """One label. `seeds` are the finished ones; of `planned`, `diverged` blew up. `rank` is None for rows that do not compete."""

    label: str
    spec: str
    tier: str
    seeds: tuple[int, ...]
    planned: int
    diverged: int
    cells: dict[str, Cell]
    oracle: str  # what it was told and others were not, such as "PSF"
    competes: bool = True
    rank: int | None = None

    @property
    def note(self) -> str:
        """What a reader must know besides the numbers."""
        oracle = [f"oracle {self.oracle}"] if self.oracle else []
        return ", ".join(oracle + ([f"{self.diverged} of {self.planned} seeds diverged"] if self.diverged else []))

    def value(self, key: str) -> float:
        """The mean in that column; NaN where there is none."""
        return self.cells[key].value if key in self.cells else math.nan


@dataclasses.dataclass
class Table:
    """The leaderboard of one task, best row first, and the trials that did not finish, each with its reason."""

    task: str
    sort: str
    columns: list[Column]
    rows: list[Row]
    unfinished: list[TrialRecord]
    footnotes: list[str]
    comparisons: dict[str, tuple[list[str], stats.Comparison]]  # column -> the labels compared, all pairs of them

    def column(self, key: str) -> Column:
        """The column of that key."""
        return next(c for c in self.columns if c.key == key)

    @property
    def scores(self) -> list[Column]:
        """The columns that judge."""
        return [c for c in self.columns if c.card is not None]

    @property
    def costs(self) -> list[Column]:
        """The columns that count what it took."""
        return [c for c in self.columns if c.card is None]

    @property
    def leader(self) -> Row | None:
        """The best row that competes."""
        return next((r for r in self.rows if r.rank is not None), None)

    def undecided(self, label: str) -> list[str]:
        """The labels that the ranked column cannot tell from this one; empty where nothing was tested."""
        labels, result = self.comparisons.get(self.sort, ([], None))
        if result is None or result.reason or label not in labels:
            return []
        i = labels.index(label)
        return [other for j, other in enumerate(labels) if j != i and not (result.better[i, j] or result.better[j, i])]


def leaderboard(records: Sequence[TrialRecord], *, sort: str, mix_cards: bool = False) -> Table:
    """Pool the seeds of each label and rank the labels.

    A label with a diverged seed comes last and wins no mark: a mean over the survivors flatters it. A label that was told more than the
    others (tag "oracle") is shown in its place but does not compete, unless all were. Labels whose every seed failed or was skipped have
    no row and stand in `unfinished`. The rank of a row is one more than the number of competing rows that are better by `stats.compare`;
    where not all could be tested, its place by mean.

    Args:
        records: trials of one task.
        sort: the column to rank by; the first column where no record has it.
        mix_cards: allow two protocols in one column: footnoted, and neither marked nor tested.

    Raises:
        UsageError: two protocols in one column, two specs under one label, or one seed twice.
    """
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(record.label, []).append(record)
    for label, group in groups.items():
        _check_label(label, group)
    finished = [r for r in records if r.outcome == "finished"]
    columns, footnotes, notes = _columns(finished, mix_cards)
    rows = [_row(group, columns, notes) for group in groups.values() if any(r.outcome in ("finished", "diverged") for r in group)]
    keys = [c.key for c in columns]
    sort = sort if sort in keys or not keys else keys[0]
    table = Table(records[0].task if records else "", sort, columns, rows, [r for r in records if r.outcome != "finished"], footnotes, {})
    _order(table)
    _compare(table, finished, {column for column, _ in notes})
    _rank(table)
    return table


def _check_label(label: str, group: Sequence[TrialRecord]) -> None:
    for field in ("task", "spec", "tier"):
        if len(found := sorted({getattr(r, field) for r in group})) > 1:
            raise UsageError(f"{label!r} stands for two {field}s, {found[0]!r} and {found[1]!r}: give each its own label")
    if len({r.seed for r in group}) < len(group):
        raise UsageError(f"{label!r} holds one seed twice: pass only the newest trial of each seed")


def _columns(finished: Sequence[TrialRecord], mix_cards: bool) -> tuple[list[Column], list[str], dict[tuple[str, str], tuple[int, ...]]]:
    """The columns; the footnotes; and (column, label) -> its footnotes where a column holds two cards."""
    columns, footnotes, notes = [], [], {}
    for key in dict.fromkeys(k for r in finished for k in r.final):
        holders = [r for r in finished if key in r.final]
        if missing := [r.label for r in holders if key not in r.cards]:
            raise UsageError(f"column {key!r} of {missing[0]!r} has no card: score it again")
        cards = {r.cards[key]["hash"]: r.cards[key] for r in holders}
        first = holders[0].cards[key]
        if len(cards) > 1:
            first_of = {h: next(r.label for r in holders if r.cards[key]["hash"] == h) for h in cards}
            a, b = itertools.islice(cards, 2)
            if not mix_cards or len({(c["unit"], c["higher_is_better"]) for c in cards.values()}) > 1:
                what = differences(cards[a], cards[b])
                raise UsageError(f"column {key!r} holds two protocols, {what} ({first_of[a]} | {first_of[b]}): score both alike or allow mixed cards")
            number = {h: len(footnotes) + i for i, h in enumerate(cards)}
            footnotes += [f"{key}: card {h}" + (f", differs by {differences(first, c)}" if c is not first else "") for h, c in cards.items()]
            notes |= {(key, r.label): (number[r.cards[key]["hash"]],) for r in holders}
        decimals = _decimals(r.final[key] for r in holders)
        columns.append(Column(key, title_of(key, first["unit"]), first["unit"], first["higher_is_better"], decimals, first))
    known = list(COSTS)
    for key in sorted({k for r in finished for k in r.costs}, key=lambda k: (known.index(k) if k in COSTS else len(known), k)):
        columns.append(Column(key, *COSTS.get(key, (key.replace("_", " "), "", False)), None))
    return columns, footnotes, notes


def differences(a: dict[str, Any], b: dict[str, Any]) -> str:
    """What differs between two cards: "border = 0 | 4, colour = rgb | y"."""
    flat = [{**{k: v for k, v in c.items() if k not in ("protocol", "definition", "hash")}, **c["protocol"]} for c in (a, b)]
    return ", ".join(f"{k} = {flat[0].get(k, 'absent')} | {flat[1].get(k, 'absent')}" for k in {**flat[0], **flat[1]} if flat[0].get(k) != flat[1].get(k))


def title_of(key: str, unit: str = "") -> str:
    """How a score is headed: short words are taken for acronyms ("ms_ssim" -> "MS-SSIM"), except where the key is the unit."""
    words = key.split("_")
    return key if key == unit else "-".join(w.upper() for w in words) if max(map(len, words)) <= 5 else " ".join(words)


def _decimals(values: Iterable[float]) -> int | None:
    """Four significant digits of the largest value, at most three decimals; None where that would hide the smallest."""
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if not sizes:
        return 3
    places = min(3, 3 - math.floor(math.log10(max(sizes))))
    return places if places >= 0 and min(sizes) >= 0.5 * 10**-places else None


def _row(group: list[TrialRecord], columns: list[Column], notes: dict[tuple[str, str], tuple[int, ...]]) -> Row:
    done = [r for r in group if r.outcome == "finished"]
    first = (done or group)[0]
    cells = {}
    for column in columns:
        is_score = column.card is not None
        holders = [r for r in done if column.key in (r.final if is_score else r.costs)]
        if not holders:
            continue
        values = [(r.final if is_score else r.costs)[column.key] for r in holders]
        images = holders[0].per_image if is_score and len(holders) == 1 else None
        per_image = images.loc[images["column"] == column.key, "value"].to_numpy(float) if images is not None else ()
        if len({r.cards[column.key]["hash"] for r in holders if is_score}) > 1:
            raise UsageError(f"the seeds of {first.label!r} have two protocols in column {column.key!r}: score them alike")
        interval = stats.interval(values, per_image) if is_score else stats.Interval(float(np.mean(values)), math.nan, math.nan, len(values), "nothing")
        cells[column.key] = Cell(interval, notes=notes.get((column.key, first.label), ()))
    diverged = sum(r.outcome == "diverged" for r in group)
    seeds = tuple(sorted(r.seed for r in done))
    return Row(first.label, first.spec, first.tier, seeds, len(group), diverged, cells, first.tags.get("oracle", ""))


def _order(table: Table) -> None:
    """Best first by mean; then rows without the score; then rows with a diverged seed."""
    sign = -1 if not table.columns or table.column(table.sort).higher_is_better else 1

    def place(row: Row) -> tuple[bool, bool, float, str]:
        value = row.value(table.sort)
        return row.diverged > 0, math.isnan(value), 0 if math.isnan(value) else sign * value, row.label

    table.rows.sort(key=place)
    blind = [r for r in table.rows if not r.oracle]
    for row in table.rows:
        row.competes = not row.diverged and (not row.oracle or not blind)


def _compare(table: Table, finished: Sequence[TrialRecord], mixed: set[str]) -> None:
    """Marks and tie letters of every score, among the rows whose every seed held."""
    frames = [r.per_image.assign(label=r.label, seed=r.seed) for r in finished if len(r.per_image)]
    values = pd.concat(frames) if frames else pd.DataFrame(columns=["column", "image", "value", "label", "seed"])
    for column in table.scores:
        if column.key in mixed:
            continue
        rows = [r for r in table.rows if not r.diverged and not math.isnan(r.value(column.key))]
        _mark(column, [r for r in rows if r.competes])
        pivot = values[values["column"] == column.key].pivot(index="image", columns=["label", "seed"], values="value")
        rows = [r for r in rows if r.label in pivot.columns.get_level_values(0)]
        if len(rows) < 2:
            continue
        result = stats.compare([pivot[r.label].to_numpy(float).T for r in rows], higher_is_better=column.higher_is_better)
        table.comparisons[column.key] = [r.label for r in rows], result
        if result.reason:
            table.footnotes.append(f"{column.key}: {result.reason}")
            continue
        for row, letters in zip(rows, stats.tie_letters(result.better | result.better.T), strict=True):
            row.cells[column.key].tie = letters


def _mark(column: Column, rows: Sequence[Row]) -> None:
    """Best and second as printed: rows that print alike are marked alike."""
    values = sorted((r.value(column.key) for r in rows), reverse=column.higher_is_better)
    printed = list(dict.fromkeys(column.text(v) for v in values))
    marks = dict(zip(printed, ["best", "second"], strict=False)) if len(rows) > 1 else {}
    for row in rows:
        row.cells[column.key].mark = marks.get(column.text(row.value(column.key)), "")


def _rank(table: Table) -> None:
    rows = [r for r in table.rows if r.competes or r.diverged and not r.oracle]
    for place, row in enumerate(rows, 1):
        row.rank = place
    labels, result = table.comparisons.get(table.sort, ([], None))
    sound = [r for r in rows if not r.diverged and not math.isnan(r.value(table.sort))]
    if result is None or result.reason or not {r.label for r in sound} <= set(labels):
        return
    chosen = [labels.index(r.label) for r in sound]
    for row, beaten in zip(sound, np.maximum.accumulate(result.better[np.ix_(chosen, chosen)].sum(axis=0)), strict=True):
        row.rank = 1 + int(beaten)
