"""Records -> leaderboard: one row a label, seeds pooled, uncertainty and ties worked out, nothing dropped in silence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bench.cards import differences
from bench.errors import UsageError
from bench.statistics import intervals, paired
from bench.store.image_scores import SharedImages, average_over_shared_images, compare, error_of, gather
from bench.store.record import TrialRecord
from bench.store.remarks import MARKS, environment_differences, remarks_of
from reports.table import COSTS, Cell, Leaderboard, LeaderboardColumn, LeaderboardRow, cost_column, title_of


def leaderboard(records: Sequence[TrialRecord], *, sort: str) -> Leaderboard:
    """Pool the seeds of each label and rank the labels.

    A label with a diverged seed comes last and wins no mark: a mean over the survivors flatters it. A label that was told more than the
    others (tag "oracle") is shown in its place but does not compete, unless all were. Labels whose every seed failed or was skipped have
    no row and stand in `unfinished`. The rank of a row is one more than the number of competing rows that `paired.compare` shows to be
    better, and at least that of every row with a better mean: rows that cannot be told apart share it.

    Args:
        records: trials of one task.
        sort: the column to rank by; the first column where no record has it.

    Raises:
        UsageError: two protocols in one column, two specs under one label, one seed twice, or one picture twice in a trial.
    """
    groups = _group_by_label(records)
    for label, group in groups.items():
        _check_label(label, group)
    labels = [label for label, group in groups.items() if any(r.outcome == "finished" for r in group)]
    rows_of, kept = average_over_shared_images([[r for r in groups[label] if r.outcome == "finished"] for label in labels])
    finished = dict(zip(labels, rows_of, strict=True))
    columns, footnotes = _columns([r for row in rows_of for r in row]), [f"{column}: {of.why}" for column, of in kept.items()]
    ran = {label: group for label, group in groups.items() if any(r.outcome in ("finished", "diverged") for r in group)}
    rows = [_row(group, finished.get(label, []), columns, kept) for label, group in ran.items()]
    for row in rows:
        row.notes = _marks(groups[row.label], footnotes)
    _mark_environments(rows, [r for group in ran.values() for r in group], footnotes)
    footnotes += remarks_of(records)
    keys = [c.key for c in columns]
    sort = sort if sort in keys or not keys else keys[0]
    unfinished, workload = [r for r in records if r.outcome != "finished"], records[0].workload if records else ""
    table = Leaderboard(
        task=records[0].task if records else "", sort=sort, columns=columns, rows=rows, unfinished=unfinished, footnotes=footnotes,
        comparisons={}, workload=workload,
    )  # fmt: skip
    _order(table)
    _compare(table, finished)
    _rank(table)
    return table


def _group_by_label(records: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(record.label, []).append(record)
    return groups


def _check_label(label: str, group: Sequence[TrialRecord]) -> None:
    for field in ("task", "spec", "tier"):
        if len(found := sorted({getattr(r, field) for r in group})) > 1:
            raise UsageError(f"{label!r} stands for two {field}s, {found[0]!r} and {found[1]!r}: give each its own label")
    if len({r.seed for r in group}) < len(group):
        raise UsageError(f"{label!r} holds one seed twice: pass only the newest trial of each seed")
    for r in group:
        if (twice := r.per_image.duplicated(["column", "image"])).any():
            image = r.per_image.loc[twice, "image"].iloc[0]
            raise UsageError(
                f"{label!r}, seed {r.seed}, has two scores for pictures called {image!r}: run it again with --fresh, on names of their own"
            )


def _columns(finished: Sequence[TrialRecord]) -> list[LeaderboardColumn]:
    """Scores in the order of the records, then costs."""
    columns: list[LeaderboardColumn] = []
    for key in dict.fromkeys(k for r in finished for k in r.final):
        holders = [r for r in finished if key in r.final]
        if missing := [r.label for r in holders if key not in r.cards]:
            raise UsageError(f"column {key!r} of {missing[0]!r} has no card: score it again")
        first, other = holders[0].cards[key], next((r for r in holders if r.cards[key]["hash"] != holders[0].cards[key]["hash"]), None)
        if other:
            what = f"{differences(first, other.cards[key])} ({holders[0].label} | {other.label})"
            raise UsageError(f"column {key!r} holds two protocols, {what}: score both alike")
        decimals = _decimals(r.final[key] for r in holders)
        columns.append(LeaderboardColumn(key, title_of(key, first), first["unit"], first["higher_is_better"], decimals, first))
    known = list(COSTS)
    for key in sorted({k for r in finished for k in r.costs}, key=lambda k: (known.index(k) if k in COSTS else len(known), k)):
        columns.append(cost_column(key, next((r.cards[key] for r in finished if key in r.cards), None)))
    return columns


def _decimals(values: Iterable[float]) -> int | None:
    """Four significant digits of the largest value, at most three decimals; None where that would hide the smallest."""
    sizes = [abs(v) for v in values if math.isfinite(v) and v != 0]
    if not sizes:
        return 3
    places = min(3, 3 - math.floor(math.log10(max(sizes))))
    return places if places >= 0 and min(sizes) >= 0.5 * 10**-places else None


def _row(
    group: list[TrialRecord],
    done: list[TrialRecord],
    columns: list[LeaderboardColumn],
    kept: Mapping[str, SharedImages],
) -> LeaderboardRow:
    first = (done or group)[0]
    cells = {c.key: cell for c in columns if (cell := _cell(c, done, kept.get(c.key)))}
    diverged = sum(r.outcome == "diverged" for r in group)
    seeds = tuple(sorted(r.seed for r in done))
    return LeaderboardRow(
        label=first.label, spec=first.spec, tier=first.tier, seeds=seeds, planned=len(group), diverged=diverged, cells=cells,
        oracle=first.tags.get("oracle", ""), origin=first.tags.get("origin", ""),
    )  # fmt: skip


def _cell(column: LeaderboardColumn, done: Sequence[TrialRecord], kept: SharedImages | None) -> Cell | None:
    """The mean of a label's finished trials, over all images or those that are kept; None where none has that column."""
    if column.card is None:
        costs = [r.costs[column.key] for r in done if column.key in r.costs]
        return Cell(intervals.Interval(float(np.mean(costs)), math.nan, math.nan, len(costs), "nothing")) if costs else None
    holders = [r for r in done if column.key in r.final]
    if not holders:
        return None
    found = gather(column.key, [holders])
    scores, groups, sets = np.empty((1, 0)), list[str](), list[str]()
    if found:
        chosen = [i for i, image in enumerate(found.images) if kept is None or image in kept.images]
        scores, groups, sets = found.rows[0][:, chosen], [found.groups[i] for i in chosen], [found.sets[i] for i in chosen]
    finals = [r.final[column.key] for r in holders]
    interval = intervals.interval(finals, scores, groups, error_of(column.key, holders), sets)
    return Cell(interval.within(column.bounds))


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


def _mark_environments(rows: Sequence[LeaderboardRow], records: Sequence[TrialRecord], footnotes: list[str]) -> None:
    """A footnote for everything that may move bits and differs between rows, borne by the rows that differ from most."""
    ran = [r for r in records if r.outcome in ("finished", "diverged")]
    for difference in environment_differences(ran):
        for row in rows:
            if row.label in difference.unusual_rows:
                row.notes += (len(footnotes),)
        footnotes.append(difference.text)


def _order(table: Leaderboard) -> None:
    """Best first by mean; then rows without the score; then rows with a diverged seed."""
    sign = -1 if not table.columns or table.column(table.sort).higher_is_better else 1

    def place(row: LeaderboardRow) -> tuple[bool, bool, float, str]:
        value = row.value(table.sort)
        return row.diverged > 0, math.isnan(value), 0 if math.isnan(value) else sign * value, row.label

    table.rows.sort(key=place)
    blind = [r for r in table.rows if not r.oracle]
    for row in table.rows:
        row.competes = not row.diverged and (not row.oracle or not blind)


def _compare(table: Leaderboard, trials: Mapping[str, list[TrialRecord]]) -> None:
    """Marks and tie letters of every score, among the rows of which no seed diverged; footnotes on the tests, once for all columns."""
    notes: dict[str, list[str]] = {}
    for column in table.scores:
        rows = [r for r in table.rows if not r.diverged and not math.isnan(r.value(column.key))]
        if len(rows) < 2:
            continue
        compared, result = _pairs(column, rows, trials)
        table.comparisons[column.key] = [r.label for r in compared], result
        for note in filter(None, _caveats(result, compared)):
            notes.setdefault(note, []).append(column.key)
        if result.reason:
            continue
        for row, letters in zip(compared, paired.tie_letters(result.better | result.better.T), strict=True):
            row.cells[column.key].tie = letters
        if len(compared) == len(rows):
            _mark(column, compared, result)
    table.footnotes += [f"{', '.join(keys)}: {note}" for note, keys in notes.items()]


def _pairs(
    column: LeaderboardColumn, rows: Sequence[LeaderboardRow], trials: Mapping[str, list[TrialRecord]]
) -> tuple[list[LeaderboardRow], paired.Comparison]:
    """The rows that can be compared, image by image where they have scores of images, else seed by seed."""
    holders = {r.label: [t for t in trials[r.label] if column.key in t.final] for r in rows}
    some = [r for r in rows if gather(column.key, [holders[r.label]])]
    found = gather(column.key, [holders[r.label] for r in some]) if len(some) > 1 else None
    compared = some if found else list(rows)
    return compared, compare(column.key, [holders[r.label] for r in compared], found)


def _caveats(result: paired.Comparison, rows: Sequence[LeaderboardRow]) -> list[str]:
    """What a reader must know of a column's tests: why there are none, which images are not independent, that a single seed was trained."""
    dependent = result.over == "images" and result.groups < result.n
    groups = f"{result.n} images in {result.groups} groups: those of one photograph, video or patient count once" if dependent else ""
    lone = [r for r in rows if r.trained and len(r.seeds) == 1]
    weights = (
        "one training seed: intervals, bold, letters and ranks are about these weights, not about the methods; --seeds 3 compares methods"
        if lone
        else ""
    )
    return [result.reason, groups] if result.reason else [groups, weights]


def _mark(column: LeaderboardColumn, rows: Sequence[LeaderboardRow], result: paired.Comparison) -> None:
    """Best: better than every other row that competes, by the tests and not by a printed digit. Second: better than all but the best."""
    chosen = [i for i, r in enumerate(rows) if r.competes]
    beats = result.better[np.ix_(chosen, chosen)].sum(axis=1)
    for i, wins in zip(chosen, beats, strict=True):
        first = len(chosen) > 1 and wins == len(chosen) - 1
        second = len(chosen) > 1 and wins == len(chosen) - 2 and (beats == len(chosen) - 1).any()
        rows[i].cells[column.key].mark = "best" if first else "second" if second else ""


def _rank(table: Leaderboard) -> None:
    rows = [r for r in table.rows if r.competes or (r.diverged and not r.oracle)]
    sound = [r for r in rows if not r.diverged and not math.isnan(r.value(table.sort))]
    labels, result = table.comparisons.get(table.sort, ([], None))
    index = {label: i for i, label in enumerate(labels)}
    better = np.zeros((len(sound), len(sound)), bool)
    if result is not None:
        for (a, row), (b, other) in itertools.product(enumerate(sound), repeat=2):
            better[a, b] = row.label in index and other.label in index and result.better[index[row.label], index[other.label]]
    for row, beaten in zip(sound, np.maximum.accumulate(better.sum(axis=0)), strict=True):
        row.rank = 1 + int(beaten)
    for row in rows:
        if row.rank is None:  # it diverged, or lacks the score: behind all that have it
            row.rank = len(sound) + 1
