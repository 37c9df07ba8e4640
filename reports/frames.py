"""What is on record as pandas DataFrames: rows, pictures, curves, and the leaderboard as a notebook shows it."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.store.record import TrialRecord
from reports.render import tables_of
from reports.table import Leaderboard
from reports.wording import bracket, tier_sentence

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, repr=False)
class Results:
    """The trials of a suite. In a notebook it shows itself as the leaderboard.

    Attributes:
        title: of the suite.
        records: one a trial.
        sort: table -> the column that ranks.
    """

    title: str
    records: Sequence[TrialRecord]
    sort: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def rows(self) -> pd.DataFrame:
        """A line a trial: table, label, seed, outcome, reason, every score of the last weights, every cost, ids."""
        import pandas as pd

        return pd.DataFrame([
            {
                "table": r.workload, "label": r.label, "seed": r.seed, "tier": r.tier, "outcome": r.outcome, "reason": r.reason,
                **r.final, **r.costs, "trial": r.trial_id, "training": r.training_id,
            }
            for r in self.records
        ])  # fmt: skip

    @property
    def per_image(self) -> pd.DataFrame:
        """A line a score of a picture: table, label, seed, column, image, value, group."""
        return self._joined("per_image")

    @property
    def curves(self) -> pd.DataFrame:
        """A line a point of a curve: table, label, seed, key, step, images, seconds, value."""
        return self._joined("curves")

    @functools.cached_property
    def tables(self) -> list[Leaderboard]:
        """The leaderboards, one a table, with intervals, tie letters and ranks."""
        return tables_of(self.records, sort=self.sort)

    def leaderboard(self, table: str = "") -> pd.DataFrame:
        """One table as it is printed: rank, label, and the mean of every score with its interval and its letters; best first.

        Args:
            table: its name; empty: the first.

        Raises:
            UsageError: no such table, or none at all.
        """
        found = [t for t in self.tables if table in ("", t.name, t.workload)]
        if not found:
            known = ", ".join(t.name for t in self.tables)
            raise UsageError(f"unknown table {table!r}; known: {known}" if known else "there are no tables: no row is on record")
        return _frame(found[0])

    def _joined(self, frame: str) -> pd.DataFrame:
        import pandas as pd

        parts = []
        for r in self.records:
            part = getattr(r, frame).copy()
            for place, (name, value) in enumerate({"table": r.workload, "label": r.label, "seed": r.seed}.items()):
                part.insert(place, name, value)
            parts.append(part)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def __repr__(self) -> str:
        parts = [self.title]
        for board in self.tables:
            parts += [*([board.name] if board.workload else []), _frame(board).to_string(index=False)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        parts = [f"<h4>{html.escape(self.title)}</h4>"]
        for board in self.tables:
            parts += [f"<p>{html.escape(board.name)}</p>"] if board.workload else []
            parts.append(_frame(board).to_html(index=False, escape=True))
            parts += [f"<p><small>{html.escape(line)}</small></p>" for line in (tier_sentence(board), *board.footnotes)]
        return "\n".join(parts)


def _frame(board: Leaderboard) -> pd.DataFrame:
    """A table as it is printed, best row first."""
    import pandas as pd

    lines = []
    for row in board.rows:
        shown = [(column, row.cells[column.key]) for column in board.scores if column.key in row.cells]
        cells = {
            " ".join(filter(None, (c.title, c.unit))): " ".join(filter(None, (c.text(x.value), bracket(x, c), x.tie))) for c, x in shown
        }
        lines.append({"#": row.rank, "method": row.label, **cells, "note": row.note})
    return pd.DataFrame(lines)
