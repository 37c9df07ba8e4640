"""`runner.py compare`: two runs or two rows on record, the paired difference between them, and what differs besides."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.commands.conditions import Side, differing_conditions
from bench.errors import UsageError
from bench.statistics import effects, intervals, paired
from bench.store import lookup
from bench.store.image_scores import ImageScores, average_over_shared_images, compare, gather
from bench.store.mlflow_store import Store
from bench.store.record import TrialRecord
from bench.store.remarks import remarks_of
from bench.suites import read
from bench.text import open_console

_WIDE = 10_000  # columns: a table may be wider than the terminal, for a number that breaks is misread
_TIED = "cannot be told apart"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A score of both: a minus b. `effect` is Cliff's delta within pairs; `verdict` names the better one, or says why there is none."""

    column: str
    a: float
    b: float
    low: float
    high: float
    p: float
    test: str
    effect: float
    n: int
    verdict: str

    @property
    def difference(self) -> float:
        """A minus b."""
        return self.a - self.b


def print_comparison(a: str, b: str, suite: str | None, tier: str | None, out: Path, tracking_uri: str | None) -> None:
    """Compare two runs or rows and print it.

    Args:
        a: a trial's id (or its unambiguous beginning), an MLflow run's id, or with `suite` a row's label: `table/label` where several
            tables have it.
        b: the same.
        suite: where labels are looked up.
        tier: of the rows (default: the newest on record).
        out: output folder of the trials.
        tracking_uri: the store (default: MLFLOW_TRACKING_URI, else the one in `out`).

    Raises:
        UsageError: one of the two is not on record, has no score, or both are the same.
    """
    lookup.require_store(out, tracking_uri)
    with tempfile.TemporaryDirectory() as scratch:
        rows = _find_rows(suite, tier, out, tracking_uri, Path(scratch)) if suite else []
        sides = [_find_side(name, rows, suite, out, tracking_uri, Path(scratch) / str(i)) for i, name in enumerate((a, b))]
    if {r.trial_id for r in sides[0].records} == {r.trial_id for r in sides[1].records}:
        raise UsageError(f"{a} and {b} are the same {'trial' if len(sides[0].records) == 1 else 'trials'}")
    _print(sides[0], sides[1], differences(sides[0], sides[1], _ranking_column(sides)), differing_conditions(*sides))


def differences(a: Side, b: Side, ranked: str = "") -> list[Difference]:
    """Every score that both have, the ranked one first; p Holm-corrected over the scores that could be tested.

    Raises:
        UsageError: they share no score.
    """
    first, second = ([r for r in side.records if r.outcome == "finished"] for side in (a, b))
    common = [c for c in (first[0].final if first else {}) if all(c in r.final for r in first + second)] if second else []
    if not common:
        lost = [f"{s.name} {r.outcome}" for s in (a, b) for r in s.records[:1] if r.outcome != "finished"]
        raise UsageError(f"{a.name} and {b.name} share no score: {', '.join(lost) or 'their tasks score other things'}")
    common.sort(key=lambda c: c != ranked)
    (first, second), _ = average_over_shared_images([first, second])
    found = [_difference(column, a, b, first, second) for column in common]
    tested = [i for i, d in enumerate(found) if math.isfinite(d.p)]
    for i, p in zip(tested, paired.holm([found[i].p for i in tested]).tolist(), strict=True):
        verdict = found[i].verdict if p < 1 - intervals.LEVEL else _TIED
        found[i] = dataclasses.replace(found[i], p=p, verdict=_divergence_note(a, b) or verdict)
    return found


def _difference(column: str, a: Side, b: Side, first: Sequence[TrialRecord], second: Sequence[TrialRecord]) -> Difference:
    """The comparison in one score, image by image where both have scores of images, else over their seeds."""
    means = [float(np.mean([r.final[column] for r in group])) for group in (first, second)]
    cards = [{r.cards[column]["hash"] for r in group} for group in (first, second)]
    blank = Difference(column, means[0], means[1], math.nan, math.nan, math.nan, "", math.nan, 0, "")
    if math.isnan(means[0]) or math.isnan(means[1]):
        return dataclasses.replace(blank, verdict="no verdict: no score")
    if cards[0] != cards[1]:
        return dataclasses.replace(blank, verdict="no verdict: two protocols (see cards)")
    found = gather(column, [first, second])
    result = compare(column, [first, second], found)
    if result.reason:
        return dataclasses.replace(blank, n=result.n, verdict=result.reason.partition(", and")[0].replace("every row", "both"))
    if found:
        pairs = intervals.difference(found.rows[0].mean(0), found.rows[1].mean(0))
    else:
        pairs = np.subtract.outer(*([r.final[column] for r in group] for group in (first, second))).ravel()
    low, high, p = (float(m[0, 1]) for m in (result.low, result.high, result.p))
    effect = effects.cliffs_delta(pairs[~np.isnan(pairs)])
    verdict = f"{(a if result.better[0, 1] else b).name} is better" if result.better.any() else _TIED
    return dataclasses.replace(
        blank,
        low=low,
        high=high,
        p=p,
        test=_test(found, result, first, second),
        effect=effect,
        n=result.n,
        verdict=verdict,
    )


def _test(found: ImageScores | None, result: paired.Comparison, first: Sequence[TrialRecord], second: Sequence[TrialRecord]) -> str:
    """What was tested over what, and what a single seed leaves open."""
    name = "t" if found is None or all(np.isfinite(stack).all() for stack in found.rows) else "Wilcoxon"
    images = f"{result.n} images" if result.groups == result.n else f"{result.groups} groups of {result.n} images"
    seeds = f"{len(first)} and {len(second)} seeds" if found is None or max(len(first), len(second)) > 1 else ""
    lone = any(group[0].trained and len(group) == 1 for group in (first, second))
    weights = " (one training seed: about these weights, not the method)" if lone else ""
    return f"{name} over {' and '.join(filter(None, [images if found else '', seeds]))}{weights}"


def _divergence_note(a: Side, b: Side) -> str:
    """Why a comparison of the survivors would flatter one of the two."""
    blown = [f"{sum(r.outcome == 'diverged' for r in s.records)} of {len(s.records)} seeds of {s.name}" for s in (a, b) if _has_diverged(s)]
    return f"no verdict: {' and '.join(blown)} diverged" if blown else ""


def _has_diverged(side: Side) -> bool:
    return any(r.outcome == "diverged" for r in side.records)


# -- who is meant
def _find_rows(suite: str, tier: str | None, out: Path, tracking_uri: str | None, scratch: Path) -> list[TrialRecord]:
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    (scratch / "rows").mkdir()
    return Store(read.load_suite(suite).name, out, uri).leaderboard_records(tier, scratch / "rows")


def _find_side(name: str, rows: Sequence[TrialRecord], suite: str | None, out: Path, tracking_uri: str | None, scratch: Path) -> Side:
    workload, _, label = name.rpartition("/")
    found = [r for r in rows if name in (r.label, f"{r.workload}/{r.label}") or (r.label == label and r.workload == workload)]
    if len(tables := sorted({r.workload for r in found})) > 1:
        raise UsageError(f"{name!r} stands in {len(tables)} tables: write {' or '.join(f'{t}/{name}' for t in tables[:2])}")
    if found:
        return Side(name, sorted(found, key=lambda r: r.seed))
    if not lookup.is_id(name):
        known = ", ".join(dict.fromkeys(f"{r.workload}/{r.label}".strip("/") for r in rows))
        other = f"{name!r} is no run's id: for a row's label give --suite"
        raise UsageError(f"{name!r} is no row of the suite {suite!r}; known: {known}" if suite else other)
    scratch.mkdir()
    record = lookup.find(name, out, tracking_uri, scratch)
    return Side(f"{record.label} seed {record.seed}" if record.role == "row" else f"{record.label} ({record.role})", [record])


def _ranking_column(sides: Sequence[Side]) -> str:
    """The column that ranks their suite, where that is one of those that ship; empty otherwise."""
    record = sides[0].records[0]
    try:
        columns = {table.name: table.sort for table in read.load_suite(record.suite).tables}
    except UsageError:
        return ""
    return columns.get(record.base_workload, "")


# -- what is printed
def _print(a: Side, b: Side, found: Sequence[Difference], differ: dict[str, list[str]]) -> None:
    from rich.table import Table

    console = open_console(_WIDE)
    for letter, side in (("A", a), ("B", b)):
        r = side.records[0]
        seeds = f"seed{'s' * (len(side.records) > 1)} {', '.join(str(x.seed) for x in side.records)}"
        about = f"suite {r.suite}, task {r.task}, tier {r.tier}, {seeds}"
        console.print(f"{letter}  {side.name}: {about}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("score", "A", "B", "A - B", "95 % interval", "p", "Cliff's delta", "pairs", "verdict"):
        table.add_column(title, justify="left" if title in ("score", "verdict") else "right", no_wrap=True)
    for d in found:
        interval = f"[{d.low:.4g}, {d.high:.4g}]" if math.isfinite(d.low) else "–"
        p = "–" if math.isnan(d.p) else "< 0.001" if d.p < 0.001 else f"{d.p:.3f}"
        effect = "–" if math.isnan(d.effect) else f"{d.effect:+.2f}"
        texts = [d.column, f"{d.a:.4g}", f"{d.b:.4g}", f"{d.difference:+.4g}", interval, p, effect, str(d.n), d.verdict]
        table.add_row(*texts)
    console.print(table)
    for test in dict.fromkeys(d.test for d in found if d.test):
        console.print(
            f"{test}; Holm over the scores; Cliff's delta: share of pairs where A is larger minus where B is", markup=False, highlight=False
        )
    for remark in remarks_of([*a.records, *b.records]):
        console.print(remark)
    console.print("\nwhat differs" if differ else "\nnothing differs but the runs")
    for group, lines in differ.items():
        for i, line in enumerate(lines):
            console.print(f"{group if i == 0 else '':12} {line}")
