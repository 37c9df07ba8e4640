"""`runner.py sync` and `rebuild`: what lies in run directories goes into the store that lacks it, or into a new one."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from pathlib import Path

from bench.errors import UsageError
from bench.store import sqlite
from bench.store.ledger import Ledger
from bench.store.mlflow_connection import store_uri
from bench.store.mlflow_store import Store
from bench.store.record_files import read_head
from bench.store.run_dir import Locked, RunDirs
from bench.text import open_console


def sync(out: Path, uri: str | None) -> int:
    """Put every result below `out` that the store lacks into it, in the order in which they came, once. Returns the exit code.

    Raises:
        UsageError: there are no results below `out`, or the store does not answer.
    """
    console = open_console()
    for suite in _suites(out):
        Store(suite, out, uri)  # raises where it is away: there is nothing else to do today
        count = Ledger(suite, out, uri).sync()
        console.print(f"{suite}: {count} results went into {store_uri(out, uri)}")
    return 0


def rebuild(out: Path) -> int:
    """Make the database below `out` anew from the run directories; the old one and its artifacts move aside. Returns the exit code.

    What came from another output folder, by `sync`, has no run directory here: it gets one, from the artifacts.

    Raises:
        UsageError: there are no results below `out`, or the old store cannot be moved.
    """
    _adopt(out / "artifacts", out)
    _suites(out)
    aside = next(folder for i in itertools.count(1) if not (folder := out / f"old-store-{i}").exists())
    old = [
        path for name in ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlflow.db-journal", "artifacts") if (path := out / name).exists()
    ]
    try:
        aside.mkdir()
        for path in old:
            shutil.move(path, aside)
    except OSError as error:
        raise UsageError(f"cannot move the old store to {aside}: {error.strerror}") from error
    open_console().print(f"the old store lies in {aside}: delete it once the new one holds all that you miss")
    return sync(out, sqlite.url_of(out.resolve() / "mlflow.db"))  # whatever store the environment names


def _adopt(artifacts: Path, out: Path) -> None:
    """Make run directories of the records among artifacts that have none; of a run the newest."""
    found: dict[tuple[str, str], tuple[float, Path]] = {}
    for file in artifacts.glob("*/*/artifacts/record/record.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):  # it is damaged: there is nothing to keep
            head = read_head(file.parent)
            key = file.relative_to(artifacts).parts[0], str(head["id"])
            found[key] = max(found.get(key, (-1.0, file)), (float(head["ended"]), file.parents[1]))
    for (suite, run_id), (_, files) in found.items():
        folder = RunDirs(suite, out).of(run_id)
        with contextlib.suppress(Locked), folder.lock():
            folder.adopt(files)


def _suites(out: Path) -> list[str]:
    found = sorted({file.parents[3].name for file in out.glob("*/trials/*/record/record.json")})
    if not found:
        raise UsageError(f"there are no results below {out}: give the --out of the runs")
    return found
