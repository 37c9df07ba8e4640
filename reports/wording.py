"""The words that every form of a report shares: names, marks and notes of rows, intervals, what an interval is over."""

from __future__ import annotations

from bench.store.record import TrialRecord
from reports.table import Cell, Leaderboard, LeaderboardColumn, LeaderboardRow

LEGEND = (
    "Bold: better than every other row that competes, by the tests; underlined: better than all but that one. Brackets: 95 % interval over "
    "n, images with a correction for skewness and training seeds. Rows that share a letter cannot be told apart, nor can rows that share "
    "a rank (t-tests whose error has the same two parts; Holm)."
)


def to_plain_line(text: str) -> str:
    """One printable line: white space becomes a space, control characters their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))


def arrow(column: LeaderboardColumn) -> str:
    """Which way is better."""
    return "↑" if column.higher_is_better else "↓"


def bracket(cell: Cell, column: LeaderboardColumn) -> str:
    """The interval as "[low, high]", empty where there is none."""
    low, high = column.text(cell.interval.low), column.text(cell.interval.high)
    return "" if low == "–" else f"[{low}, {high}]"


def interval_basis(row: LeaderboardRow, table: Leaderboard) -> str:
    """What the interval of the ranked column is over: "3 seeds", "12 images", "11 groups and 3 seeds"; "1 seed" where there is none."""
    if not (cell := row.cells.get(table.sort)):
        return "–"
    i, seeds = cell.interval, f"{len(row.seeds)} seed{'s' * (len(row.seeds) != 1)}"
    if i.over in ("images", "groups"):
        images = f"{i.n} {i.over}"
        return f"{images} and {seeds}" if len(row.seeds) > 1 else images
    return f"samples of {seeds}" if i.over == "samples" else seeds


def tier_sentence(table: Leaderboard) -> str:
    """The tier of the rows as a sentence."""
    return f"Tier {', '.join(sorted({to_plain_line(r.tier) for r in table.rows}))}." if table.rows else ""


def heading(table: Leaderboard) -> str:
    """The title of a table among several."""
    if table.overview_of:
        return table.name
    return f"{table.name}: {table.task}" if table.workload else table.task


def unfinished_lines(table: Leaderboard) -> list[str]:
    """A line for every reason: which trials, how they ended, why."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for r in table.unfinished:
        groups.setdefault((r.outcome, r.reason), []).append(r)
    lines = []
    for (outcome, reason), records in groups.items():
        labels, seeds = list(dict.fromkeys(r.label for r in records)), sorted({r.seed for r in records})
        rows = " and ".join([*labels[:2], *([f"{len(labels) - 2} more"] if len(labels) > 2 else [])])
        lines.append(f"{rows}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}: {outcome}: {reason}")
    return lines


def rank_text(row: LeaderboardRow) -> str:
    """The rank; a dash for a row that does not compete."""
    return "–" if row.rank is None else str(row.rank)


def row_name(row: LeaderboardRow) -> str:
    """The label with what a reader must know of the row."""
    return f"{row.label} ({row.note})" if row.note else row.label
