"""The database file of a local store: its URL, its creation and check by one process at a time, its artifacts wherever it was moved."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from bench.text import path_of


def url_of(file: Path) -> str:
    """The SQLAlchemy URL of a database file, whatever stands in its name.

    A name that a URL would read otherwise (`?`, `%`) goes into a URI for SQLite, which MLflow leaves alone under the name of the driver.

    Raises:
        UsageError: the name holds a line break, another control character, or bytes that are no text.
    """
    from sqlalchemy.engine import URL, make_url

    path = path_of(file.absolute())
    plain, kept = f"sqlite:///{path}", URL.create("sqlite+pysqlite", database=path.as_uri(), query={"uri": "true"})
    read = make_url(plain)
    as_it_stands = "%" not in str(path) and (read.database, dict(read.query)) == (str(path), {})
    return plain if as_it_stands else kept.render_as_string()


def file_of(url: str) -> Path | None:
    """The file that a SQLAlchemy URL names; None where it names a server, or a database in memory."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except ArgumentError:  # no URL of a database
        return None
    if parts.get_backend_name() != "sqlite" or parts.database in (None, "", ":memory:"):
        return None
    if str(parts.query.get("uri", "")).lower() in ("", "false", "0"):
        return Path(parts.database).absolute()
    return Path(url2pathname(urlsplit(parts.database).path)).absolute()


@contextlib.contextmanager
def lock_database(url: str) -> Iterator[None]:
    """Keep other processes from a database in a file while the body runs. A new one is made in full first, an old one is checked.

    A process that was killed while it made or migrated one would leave it broken.

    Raises:
        sqlite3.DatabaseError: a disk or a copy has damaged it, which SQLite itself notices only where it reads.
    """
    if (path := file_of(url)) is None:
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
                _update_artifact_locations(database, path.resolve().parent)
        else:
            _create(path)
        yield


def artifacts_of(folder: Path, suite: str, run_id: str = "") -> Path:
    """Where a suite's artifacts lie beside a database in `folder`, or those of one of its runs."""
    home = folder / "artifacts" / suite
    return home / run_id / "artifacts" if run_id else home


def _update_artifact_locations(database: sqlite3.Connection, folder: Path) -> None:
    """Write down where our artifacts lie now: MLflow keeps their absolute paths, which a move or a copy of the folder makes wrong.

    Ours are found beside the database whatever is written there; MLflow's own pages need it. Where all is right nothing is written.
    """
    try:
        homes = database.execute("SELECT experiment_id, name, artifact_location FROM experiments WHERE name LIKE 'ganbench/%'").fetchall()
        runs = database.execute("SELECT run_uuid, experiment_id, artifact_uri FROM runs").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # not MLflow's yet
            return
        raise
    suites = {experiment: name.removeprefix("ganbench/") for experiment, name, _ in homes}
    moved = [(uri, i) for i, _, old in homes if folder_of(old) and (uri := artifacts_of(folder, suites[i]).as_uri()) != old]
    rows = [(uri, run) for run, i, old in runs if i in suites and (uri := home_of(old, artifacts_of(folder, suites[i], run))) != old]
    with database:
        database.executemany("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", moved)
        database.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", rows)


def home_of(uri: str, beside: Path) -> str:
    """The URI of the artifacts of a run: `beside` its database, unless they lie elsewhere on this machine or on another."""
    stored = folder_of(uri)
    return uri if stored is None or (stored.is_dir() and not beside.is_dir()) else beside.as_uri()


def folder_of(uri: str) -> Path | None:
    """The folder that an artifact URI names, where it is one of this machine's file system."""
    parts = urlsplit(uri)
    return {"file": Path(url2pathname(parts.path)), "": Path(uri)}.get(parts.scheme)


def _create(path: Path) -> None:
    """Make a new database: in full under another name, then renamed."""
    from mlflow import MlflowClient

    for left in path.parent.glob(f"{path.name}.new-*"):  # by a runner that was killed here
        left.unlink()
    new = path.with_name(f"{path.name}.new-{uuid.uuid4().hex}")  # MLflow keeps connections by name
    MlflowClient(tracking_uri=url_of(new)).search_experiments(max_results=1)
    os.replace(new, path)
