"""The database file of a local store: made, migrated and checked by one process at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def opening(uri: str) -> Iterator[None]:
    """A database in a file is made and migrated by one process at a time, and a new one in full before it gets its name: either cut short breaks it.

    Raises:
        sqlite3.DatabaseError: a disk or a copy has damaged it, which SQLite itself notices only where it reads.
    """
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if not uri.startswith("sqlite:///"):
        yield
        return
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.is_file():
            file = f"{path.resolve().as_uri()}?mode=rw"  # for writing too: SQLite must undo what a process began that was killed
            with contextlib.closing(sqlite3.connect(file, uri=True)) as database:
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        else:
            _make(path)
        yield


def _make(path: Path) -> None:
    """A new database."""
    from mlflow import MlflowClient

    for left in path.parent.glob(f"{path.name}.new-*"):  # by a runner that was killed here
        left.unlink()
    new = path.with_name(f"{path.name}.new-{uuid.uuid4().hex}")  # MLflow keeps connections by name
    MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
    os.replace(new, path)
