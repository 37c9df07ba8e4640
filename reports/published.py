"""The papers' own numbers, as data: reports/published/*.toml, read strictly."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench import registry
from bench.errors import UsageError
from bench.store.record import TrialRecord
from reports.table import Leaderboard, title_of

FOLDER = Path(__file__).with_name("published")
_DATA = "task.data"  # in `same_if`: the data set of the numbers
Evidence = Literal["verified", "recalled", "second-hand"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PublishedRow(_Strict):
    """One method's numbers, to the digit in print. `label` is the row of a leaderboard beside it; `evidence` overrides the table's."""

    name: str
    values: dict[str, Decimal] = Field(min_length=1)
    label: str = ""
    evidence: Evidence | None = None


class PublishedTable(_Strict):
    """One table of a paper.

    Attributes:
        protocol: how the numbers were made, as far as is known.
        same_if: what a measured trial's card, parts, parameters or tags must say for its protocol to be this one; empty: it never is.
        evidence: verified (read in the paper's own table), second-hand (read in another paper), recalled (from memory, not checked).
    """

    paper: str
    where: str
    data: str
    protocol: str
    evidence: Evidence
    units: dict[str, str]
    note: str = ""
    same_if: dict[str, str] = {}
    rows: list[PublishedRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _columns_are_declared(self) -> PublishedTable:
        if unknown := {key for row in self.rows for key in row.values} - self.units.keys():
            raise ValueError(f"column {min(unknown)!r} has no unit")
        return self

    def evidence_of(self, row: PublishedRow) -> str:
        """How far the numbers of a row can be trusted."""
        return row.evidence or self.evidence


class _File(_Strict):
    table: list[PublishedTable]


def load(path: Path) -> list[PublishedTable]:
    """The published tables of one file.

    Raises:
        UsageError: the file cannot be read, or holds an unknown key or a value of the wrong type.
    """
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)).table
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


@dataclasses.dataclass(frozen=True)
class PublishedComparison:
    """A published row beside the measured one. `measured` maps a column to its text; `verdict` says whether the protocols match."""

    name: str
    evidence: str
    published: dict[str, str]
    measured: dict[str, str]
    verdict: str


def published_title(table: Leaderboard, key: str) -> str:
    """The heading of a published column: as the leaderboard beside it heads it, else as the metric of that name is called."""
    measured = next((column.title for column in table.columns if column.key == key), None)
    if measured is None and key in registry.names("metric"):
        measured = title_of(key, {"title": registry.find("metric", key).title})
    return measured or title_of(key)


def concerns(published: PublishedTable, table: Leaderboard) -> bool:
    """Whether a paper's table has a score of this leaderboard, and where that is of one test set among several, names the set."""
    if not published.units.keys() & {c.key for c in table.scores}:
        return False
    told = f"{published.where} {published.data} {published.same_if.get(_DATA, '')}".casefold()
    return not table.test_set or table.test_set.casefold() in told


def compare_with_published(published: PublishedTable, table: Leaderboard, records: Sequence[TrialRecord]) -> list[PublishedComparison]:
    """Every row of a paper's table with what was measured under its label, if anything."""
    rows = {r.label: r for r in table.rows}
    out = []
    for row in published.rows:
        texts = {key: str(value) for key, value in row.values.items()}
        measured = rows.get(row.label)
        found = {k: table.column(k).text(measured.value(k)) for k in row.values if measured and k in measured.cells}
        verdict = _protocol_verdict(published, [r for r in records if r.label == row.label]) if found else ""
        out.append(PublishedComparison(row.name, published.evidence_of(row), texts, found, verdict))
    return out


def _protocol_verdict(published: PublishedTable, trials: Sequence[TrialRecord]) -> str:
    """Whether a measured label followed the published protocol, and where it did not."""
    said: dict[str, str] = {}
    for r in trials:
        for source in (r.tags, r.params, r.facts, *(card["protocol"] for card in r.cards.values())):
            said |= {k: str(v) for k, v in source.items()}
    if said.get("task.test"):  # what it was judged on, where that is not a split of what it was trained on
        said[_DATA] = said["task.test"]
    if not published.same_if:
        return "another protocol"
    wrong = [f"{k} is {said.get(k, 'not stated')}, not {v}" for k, v in published.same_if.items() if said.get(k) != v]
    return "another protocol: " + ", ".join(wrong) if wrong else "same protocol"
