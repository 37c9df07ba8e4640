"""A record as a folder of files: `record.json`, written last, and a parquet file a frame. Where record.json stands, the record is whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.store.stored import ClaimCheck, Judgement, Run, Stored, Training

if TYPE_CHECKING:
    import pandas as pd

HEAD = "record.json"
RECORD = "record"  # the folder of the record of a run; those of judgements bear their ids
_RUNS: Mapping[str, type[Training] | type[ClaimCheck]] = {"training": Training, "claim": ClaimCheck}


def write(record: Stored, folder: Path) -> None:
    """A record as files: a parquet a frame, and record.json, which comes last: where it stands, all do.

    Raises:
        UsageError: the disk is full or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in record.frames:
            getattr(record, name).to_parquet(folder / f"{name}.parquet")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    write_head(record, folder)


def write_head(record: Stored, folder: Path) -> None:
    """All but the frames; an earlier head stays whole until the new one is.

    Raises:
        UsageError: the disk is full or the folder cannot be written.
    """
    part = folder / f"{HEAD}.part"
    try:
        part.write_text(json.dumps(record.head(), indent=1, allow_nan=False), encoding="utf-8")
        os.replace(part, folder / HEAD)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _cannot_write(folder, error) from error


def read_run(folder: Path, *, frames: bool = True) -> Run:
    """The training or the check of a claim in a folder.

    Raises:
        OSError: there is none.
        ValueError: it is damaged, or of another version.
    """
    head = read_head(folder)
    kind = _RUNS.get(str(head.get("kind")), Training)
    return kind.from_head(head, _frames(kind, folder) if frames else None)


def read_judgement(folder: Path, *, frames: bool = True) -> Judgement:
    """The judgement in a folder. Raises like `read_run`."""
    return Judgement.from_head(read_head(folder), _frames(Judgement, folder) if frames else None)


def read_whole(folder: Path) -> Stored | None:
    """The record in a folder, without its frames; None where there is none, or it is damaged or of another version."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        record = (read_run if folder.name == RECORD else read_judgement)(folder, frames=False)
        return record if record.attempt else None
    return None


def attempt_in(folder: Path) -> str | None:
    """The name of the attempt whose record lies in a folder; None where `read_whole` finds none."""
    record = read_whole(folder)
    return record.attempt if record else None


def read_head(folder: Path) -> dict[str, Any]:
    """What record.json says.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
    if not isinstance(head, dict):
        raise ValueError(f"{folder / HEAD} holds no record")
    return head


def _frames(kind: type[Stored], folder: Path) -> dict[str, pd.DataFrame]:
    import pandas as pd

    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in kind.frames}


def _cannot_write(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write the record {folder}: {error}; free some space or give another --out, then run the same command again")
