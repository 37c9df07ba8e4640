"""Records -> leaderboard: one row a label, seeds pooled, uncertainty and ties worked out, nothing dropped in silence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from bench import stats
from bench.cards import differences
from bench.errors import UsageError
from bench.record import TrialRecord
from bench.remarks import MARKS, remarks_of
from reports.table import COSTS, Cell, Column, Row, Table, title_of


def leaderboard(records: Sequence[TrialRecord], *, sort: str) -> Table:
    """Pool the seeds of each label and rank the labels.

    A label with a diverged seed comes last and wins no mark: a mean over the survivors flatters it. A label that was told more than the
    others (tag "oracle") is shown in its place but does not compete, unless all were. Labels whose every seed failed or was skipped have
    no row and stand in `unfinished`. The rank of a row is one more than the number of competing rows that are better by `stats.compare`,
    and at least that of every row with a better mean; where not all could be tested, it is its place by mean.

    Args:
        records: trials of one task.
        sort: the column to rank by; the first column where no record has it.

    Raises:
        UsageError: two protocols in one column, two specs under one label, or one seed twice.
    """
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(record.label, []).append(record)
    for label, group in groups.items():
        _check_label(label, group)
    finished = [r for r in records if r.outcome == "finished"]
    columns, footnotes = _columns(finished), list[str]()
    rows = [_row(group, columns) for group in groups.values() if any(r.outcome in ("finished", "diverged") for r in group)]
    for row in rows:
        row.notes = _marks(groups[row.label], footnotes)
    footnotes += remarks_of(records)
    keys = [c.key for c in columns]
    sort = sort if sort in keys or not keys else keys[0]
    unfinished, workload = [r for r in records if r.outcome != "finished"], records[0].workload if records else ""
    table = Table(records[0].task if records else "", sort, columns, rows, unfinished, footnotes, {}, workload)
    _order(table)
    _compare(table, finished)
    _rank(table)
    return table


def _check_label(label: str, group: Sequence[TrialRecord]) -> None:
    for field in ("task", "spec", "tier"):
        if len(found := sorted({getattr(r, field) for r in group})) > 1:
            raise UsageError(f"{label!r} stands for two {field}s, {found[0]!r} and {found[1]!r}: give each its own label")
    if len({r.seed for r in group}) < len(group):
        raise UsageError(f"{label!r} holds one seed twice: pass only the newest trial of each seed")


def _columns(finished: Sequence[TrialRecord]) -> list[Column]:
    """Scores in the order of the records, then costs."""
    columns: list[Column] = []
    for key in dict.fromkeys(k for r in finished for k in r.final):
        holders = [r for r in finished if key in r.final]
        if missing := [r.label for r in holders if key not in r.cards]:
            raise UsageError(f"column {key!r} of {missing[0]!r} has no card: score it again")
        first, other = holders[0].cards[key], next((r for r in holders if r.cards[key]["hash"] != holders[0].cards[key]["hash"]), None)
        if other:
            what = f"{differences(first, other.cards[key])} ({holders[0].label} | {other.label})"
            raise UsageError(f"column {key!r} holds two protocols, {what}: score both alike")
        decimals = _decimals(r.final[key] for r in holders)
        columns.append(Column(key, title_of(key, first["unit"]), first["unit"], first["higher_is_better"], decimals, first))
    known = list(COSTS)
    for key in sorted({k for r in finished for k in r.costs}, key=lambda k: (known.index(k) if k in COSTS else len(known), k)):
        columns.append(Column(key, *COSTS.get(key, (key.replace("_", " "), "", False)), None))
    return columns


def _decimals(values: Iterable[float]) -> int | None:
    """Four significant digits of the largest value, at most three decimals; None where that would hide the smallest."""
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if not sizes:
        return 3
    places = min(3, 3 - math.floor(math.log10(max(sizes))))
    return places if places >= 0 and min(sizes) >= 0.5 * 10**-places else None


def _row(group: list[TrialRecord], columns: list[Column]) -> Row:
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
        interval = (
            stats.interval(values, per_image) if is_score else stats.Interval(float(np.mean(values)), math.nan, math.nan, len(values), "nothing")
        )
        cells[column.key] = Cell(interval)
    diverged = sum(r.outcome == "diverged" for r in group)
    seeds = tuple(sorted(r.seed for r in done))
    return Row(first.label, first.spec, first.tier, seeds, len(group), diverged, cells, first.tags.get("oracle", ""))


def _marks(group: Sequence[TrialRecord], footnotes: list[str]) -> tuple[int, ...]:
    """The footnotes of a row, one a mark that its trials bear; those that are not there yet are added."""
    ran = [r for r in group if r.outcome in ("finished", "diverged")]
    texts = []
    for tag in MARKS:
        for text in dict.fromkeys(r.tags[tag] for r in ran if tag in r.tags):
            seeds = sorted(r.seed for r in ran if r.tags.get(tag) == text)
            some = f" (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})" if len(seeds) < len(ran) else ""
            texts.append(text + some)
    footnotes += [text for text in texts if text not in footnotes]
    return tuple(map(footnotes.index, texts))


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


def _compare(table: Table, finished: Sequence[TrialRecord]) -> None:
    """Marks and tie letters of every score, among the rows whose every seed held; columns without a verdict say why, once for all that share it."""
    reasons: dict[str, list[str]] = {}
    for column in table.scores:
        rows = [r for r in table.rows if not r.diverged and not math.isnan(r.value(column.key))]
        if len(rows) < 2:
            continue
        if (found := _pairs(column, rows, finished)) is None:
            continue
        compared, result = found
        table.comparisons[column.key] = [r.label for r in compared], result
        if result.reason:
            reasons.setdefault(result.reason, []).append(column.key)
            continue
        for row, letters in zip(compared, stats.tie_letters(result.better | result.better.T), strict=True):
            row.cells[column.key].tie = letters
        if len(compared) == len(rows):
            _mark(column, compared, result)
    table.footnotes += [f"{', '.join(keys)}: {reason}" for reason, keys in reasons.items()]


def _pairs(column: Column, rows: Sequence[Row], finished: Sequence[TrialRecord]) -> tuple[list[Row], stats.Comparison] | None:
    """The rows that can be compared, image by image where they have scores of images, else seed by seed."""
    trials = {(r.label, r.seed): r for r in finished if column.key in r.final}
    frames = [r.per_image[r.per_image["column"] == column.key].assign(label=r.label, seed=r.seed) for r in trials.values()]
    if frames := [f for f in frames if len(f)]:
        images = pd.concat(frames).pivot(index="image", columns=["label", "seed"], values="value")
        some = [r for r in rows if r.label in images.columns.get_level_values(0)]
        stacks, ids = [images[r.label].to_numpy(float).T for r in some], [list(images[r.label].columns) for r in some]
        return (some, stats.compare(stacks, higher_is_better=column.higher_is_better, seeds=ids)) if len(some) > 1 else None
    seeds = sorted(set.intersection(*(set(r.seeds) for r in rows)))
    scores = [[trials[r.label, s].final[column.key] if (r.label, s) in trials else math.nan for s in seeds] for r in rows]
    return list(rows), stats.compare(scores, higher_is_better=column.higher_is_better, over="seeds")


def _mark(column: Column, rows: Sequence[Row], result: stats.Comparison) -> None:
    """Best: better than every other row that competes, by the tests and not by a printed digit. Second: better than all but the best."""
    chosen = [i for i, r in enumerate(rows) if r.competes]
    beats = result.better[np.ix_(chosen, chosen)].sum(axis=1)
    for i, wins in zip(chosen, beats, strict=True):
        first = len(chosen) > 1 and wins == len(chosen) - 1
        second = len(chosen) > 1 and wins == len(chosen) - 2 and (beats == len(chosen) - 1).any()
        rows[i].cells[column.key].mark = "best" if first else "second" if second else ""


def _rank(table: Table) -> None:
    rows = [r for r in table.rows if r.competes or (r.diverged and not r.oracle)]
    for place, row in enumerate(rows, 1):
        above = rows[place - 2] if place > 1 else None
        tied = above is not None and not row.diverged and above.value(table.sort) == row.value(table.sort)
        row.rank = above.rank if above is not None and tied else place
    labels, result = table.comparisons.get(table.sort, ([], None))
    sound = [r for r in rows if not r.diverged and not math.isnan(r.value(table.sort))]
    if result is None or result.reason or not {r.label for r in sound} <= set(labels):
        return
    chosen = [labels.index(r.label) for r in sound]
    for row, beaten in zip(sound, np.maximum.accumulate(result.better[np.ix_(chosen, chosen)].sum(axis=0)), strict=True):
        row.rank = 1 + int(beaten)
