"""The papers' own numbers, as data: reports/published/*.toml, read strictly."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UsageError

FOLDER = Path(__file__).with_name("published")
Evidence = Literal["verified", "recalled", "second-hand"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PublishedRow(_Strict):
    """One method's numbers, to the digit in print. `label` is the row it stands beside in a leaderboard; `evidence` overrides the table's."""

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
