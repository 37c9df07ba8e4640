"""One training judged on several test sets: beside a leaderboard of each set, one of the means over all of them.

A row's score is the mean of its means on the sets, so a small set counts as much as a large one; each set's images have an error of
their own (`bench.statistics.intervals.Sets`). Rows that some set lacks have no mean and no rank; why stands where the number would.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.cards import differences
from bench.statistics import across_workloads
from bench.statistics.intervals import Interval
from bench.store.image_scores import TEST_SET
from bench.store.record import TrialRecord, sampling_error
from bench.store.remarks import MARKS
from reports.leaderboard import leaderboard
from reports.table import Cell, Leaderboard, LeaderboardColumn, LeaderboardRow
from reports.trials import Trials, group_by_table, rows_of

MEAN_RANK = "mean_rank"
_OF_ROWS = ("oracle", "origin")  # tags that stand at a row
_OF_DATA = ("data", "n")  # what a card says of the pictures, not of how they are judged
_CompleteRows = Mapping[str, Mapping[int, Sequence[TrialRecord]]]  # label -> seed -> its trial on each set, of the seeds that every set has


def group_by_training(tables: Sequence[Leaderboard]) -> list[list[Leaderboard]]:
    """The tables that judge the same trainings, in their order: those of the test sets of one table of the suite."""
    several = {t.suite_table for t in tables if t.test_set}
    groups: dict[tuple[str, str], list[Leaderboard]] = {}
    for table in tables:
        groups.setdefault((table.suite_table, "" if table.suite_table in several else table.task), []).append(table)
    return list(groups.values())


def overviews(tables: Sequence[Leaderboard], records: Sequence[TrialRecord]) -> list[Leaderboard]:
    """A leaderboard of means for every table of the suite with two test sets or more.

    Its columns are the mean of the ranked score, that score on each set, the mean rank, and the means of the other scores.

    Args:
        tables: the leaderboards of a suite, from `reports.render.tables_of`.
        records: the trials behind them.
    """
    trials = group_by_table(records)
    groups = [[t for t in group if t.rows and t.scores] for group in group_by_training(tables)]
    return [_overview(group, trials) for group in groups if len(group) > 1]


def _overview(sets: Sequence[Leaderboard], trials: Trials) -> Leaderboard:
    complete = _complete_rows(sets, trials)
    reasons = _same_images(sets, trials) | _protocol_differences(sets)
    averaged = [c.key for c in sets[0].scores if c.key not in reasons and all(c.key in {d.key for d in t.scores} for t in sets)]
    means = [_average(group, averaged, sets) for seeds in complete.values() for group in seeds.values()]
    missing = [_strip_scores(label, sets, trials) for label in _labels(sets) if label not in complete]
    table = leaderboard([*means, *missing], sort=sets[0].sort)
    table.workload, table.overview_of = sets[0].suite_table, tuple(map(_set_name, sets))
    for row in table.rows:
        if row.label not in complete:
            row.competes, row.rank = False, None
    table.columns = _columns(table, sets)
    table.headline = (sets[0].sort, *map(_key, sets), MEAN_RANK)
    ranks = _mean_ranks(sets, [row.label for row in table.rows if row.competes or row.diverged])
    for row in table.rows:
        _add_sets(row, sets, ranks)
    if sets[0].sort not in [c.key for c in table.columns]:  # no mean to rank by
        table.sort = MEAN_RANK
        table.rows.sort(key=lambda row: ranks.get(row.label, math.inf))
    table.footnotes += [_explain(sets), *(f"{key}: {reason}" for key, reason in reasons.items()), *_seeds_left_out(complete, sets, trials)]
    return table


def _labels(sets: Sequence[Leaderboard]) -> list[str]:
    return list(dict.fromkeys(row.label for t in sets for row in t.rows))


def _set_name(table: Leaderboard) -> str:
    return table.test_set or table.name


def _trials_by_seed(table: Leaderboard, trials: Trials, label: str) -> dict[int, TrialRecord]:
    """Seed -> the trial of a row that ran to its end."""
    return {r.seed: r for r in rows_of(table, trials) if r.label == label and r.outcome in ("finished", "diverged")}


def _complete_rows(sets: Sequence[Leaderboard], trials: Trials) -> _CompleteRows:
    found = {}
    for label in _labels(sets):
        of_sets = [_trials_by_seed(t, trials, label) for t in sets]
        if seeds := [seed for seed in of_sets[0] if all(seed in of_set for of_set in of_sets)]:
            found[label] = {seed: [of_set[seed] for of_set in of_sets] for seed in seeds}
    return found


def _protocol_differences(sets: Sequence[Leaderboard]) -> dict[str, str]:
    """Column -> in what its cards differ besides the data, for those that every set has and no mean may be taken of."""
    reasons: dict[str, str] = {}
    for column in sets[0].scores:
        for table in sets[1:]:
            other = next((c for c in table.scores if c.key == column.key), None)
            if other and (said := differences(_drop_data(column.card or {}), _drop_data(other.card or {}))):
                where = f"{said} ({_set_name(sets[0])} | {_set_name(table)})"
                reasons.setdefault(column.key, f"no mean over the test sets, for they are judged by two protocols: {where}")
    return reasons


def _same_images(sets: Sequence[Leaderboard], trials: Trials) -> dict[str, str]:
    """Column -> why no mean may be taken of it: every set is judged on the very same images, which would count several times."""
    frames = [rows_of(table, trials)[0].per_image for table in sets]
    shown = [frame.groupby("column")["image"].agg(frozenset).to_dict() for frame in frames]
    same = [c for c in shown[0] if c in {s.key for s in sets[0].scores} and all(images.get(c) == shown[0][c] for images in shown[1:])]
    return dict.fromkeys(same, "no mean over the test sets, for all of them are judged on the same images")


def _drop_data(card: Mapping[str, Any]) -> dict[str, Any]:
    protocol = {k: v for k, v in card["protocol"].items() if k not in _OF_DATA and not k.startswith("data.")}
    return {**card, "protocol": protocol}


def _average(group: Sequence[TrialRecord], columns: Sequence[str], sets: Sequence[Leaderboard]) -> TrialRecord:
    """One training as a trial whose scores are means over the test sets; its images are those of all sets."""
    first, shared = group[0], [c for c in columns if all(c in r.final for r in group)]
    imaged = [c for c in shared if all((r.per_image["column"] == c).any() for r in group)]
    errors = {c: [r.summary.get(sampling_error(c), math.nan) for r in group] for c in shared}
    costs = {k: float(np.mean([r.costs[k] for r in group])) for k in first.costs if all(k in r.costs for r in group)}
    where = dict.fromkeys(key for r in group for key in r.environment)
    return dataclasses.replace(
        first,
        task=sets[0].task,
        outcome="diverged" if any(r.outcome == "diverged" for r in group) else "finished",
        final={c: float(np.mean([r.final[c] for r in group])) for c in shared},
        per_image=_collect_images(group, imaged, sets),
        summary={sampling_error(c): math.hypot(*e) / len(group) for c, e in errors.items()},
        costs=costs,
        cards={key: first.cards[key] for key in (*shared, *costs) if key in first.cards},
        environment={key: " and ".join(dict.fromkeys(r.environment.get(key, "unknown") for r in group)) for key in where},
        tags={k: v for r in group for k, v in r.tags.items() if k in (*_OF_ROWS, *MARKS)},
    )


def _collect_images(group: Sequence[TrialRecord], columns: Sequence[str], sets: Sequence[Leaderboard]) -> Any:
    """The scores of the images of all sets, each image and group under its set's name."""
    import pandas as pd

    frames = []
    for r, name in zip(group, map(_set_name, sets), strict=True):
        frame = r.per_image[r.per_image["column"].isin(columns)]
        under = {k: [f"{name}/{v}" for v in frame[k]] for k in ("image", "group")}
        frames.append(frame.assign(**under, **{TEST_SET: name}))
    return pd.concat(frames, ignore_index=True)


def _strip_scores(label: str, sets: Sequence[Leaderboard], trials: Trials) -> TrialRecord:
    """A row that some set lacks, as a trial that has no mean."""
    record = next(r for t in sets for r in _trials_by_seed(t, trials, label).values())
    tags = {k: v for k, v in record.tags.items() if k in _OF_ROWS}
    empty = record.per_image[:0]
    return dataclasses.replace(record, task=sets[0].task, outcome="finished", final={}, per_image=empty, costs={}, cards={}, tags=tags)


def _columns(table: Leaderboard, sets: Sequence[Leaderboard]) -> list[LeaderboardColumn]:
    """The mean of the ranked score, the sets, the mean rank, the means of other scores; then costs."""
    ranked = sets[0].column(sets[0].sort)
    of_sets = [dataclasses.replace(t.column(t.sort), key=_key(t), title=_set_name(t)) for t in sets]
    rank = LeaderboardColumn(MEAN_RANK, "mean rank", "", False, 2, {})
    means = [dataclasses.replace(c, title=f"mean {c.title}") for c in table.scores]
    first = [c for c in means if c.key == ranked.key]
    return [*first, *of_sets, rank, *(c for c in means if c.key != ranked.key), *table.costs]


def _key(table: Leaderboard) -> str:
    """The column of a set in the overview."""
    return f"{table.sort}@{_set_name(table)}"


def _mean_ranks(sets: Sequence[Leaderboard], labels: Sequence[str]) -> dict[str, float]:
    """Label -> its mean rank over the sets, 1 is best; of the rows that every set has, one with a seed that diverged being last."""
    of_sets = [{row.label: row for row in t.rows} for t in sets]
    labels = [label for label in labels if all(label in rows for rows in of_sets)]
    if not labels:
        return {}
    signs = [1 if t.column(t.sort).higher_is_better else -1 for t in sets]
    scores = [
        [-math.inf if rows[label].diverged else sign * rows[label].value(t.sort) for label in labels]
        for t, rows, sign in zip(sets, of_sets, signs, strict=True)
    ]
    return dict(zip(labels, across_workloads.rank(scores).mean.tolist(), strict=True))


def _add_sets(row: LeaderboardRow, sets: Sequence[Leaderboard], ranks: Mapping[str, float]) -> None:
    """What each set's own leaderboard says of a row, or why it says nothing; and the mean rank."""
    for table in sets:
        own = next((r for r in table.rows if r.label == row.label), None)
        if own and table.sort in own.cells:
            row.cells[_key(table)] = own.cells[table.sort]
        else:
            row.absent[_key(table)] = _why_absent(table, own, row.label)
    if row.label in ranks:
        row.cells[MEAN_RANK] = Cell(Interval(ranks[row.label], math.nan, math.nan, len(sets), "nothing"))


def _why_absent(table: Leaderboard, row: LeaderboardRow | None, label: str) -> str:
    """Why a row has no score on a set, in a word or two."""
    if row is not None:
        return "diverged" if row.diverged else "not scored"
    return next((r.outcome for r in table.unfinished if r.label == label), "not judged")


def _explain(sets: Sequence[Leaderboard]) -> str:
    names = ", ".join(map(_set_name, sets))
    ranks = "mean rank: that of the means on each set, among the rows that all have"
    return f"means over the test sets {names}, each of which counts alike; {ranks}"


def _seeds_left_out(complete: _CompleteRows, sets: Sequence[Leaderboard], trials: Trials) -> list[str]:
    """A line for every row of which some seed was not judged on every set."""
    lines = []
    for label, seeds in complete.items():
        every = sorted({seed for t in sets for seed in _trials_by_seed(t, trials, label)})
        if left := [seed for seed in every if seed not in seeds]:
            lines.append(f"{label}: without seed{'s' * (len(left) > 1)} {', '.join(map(str, left))}, which not every test set has")
    return lines
