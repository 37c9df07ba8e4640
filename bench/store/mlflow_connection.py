"""The way to MLflow's store: where it is, how it is opened, and what its silence is called."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from bench.errors import UsageError
from bench.store import sqlite
from bench.text import first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

_P = ParamSpec("_P")
_T = TypeVar("_T")
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow's own two minutes are training time that is lost
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the ledger asks again; MLflow would begin a run twice
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class StoreUnavailable(UsageError):
    """The store does not answer. What it should have taken is not lost: see `bench.store.ledger`."""


def store_uri(out: Path, uri: str | None) -> str:
    """Where the store is: as given (a database file by its path, too), else MLFLOW_TRACKING_URI, else the database in the output folder.

    Raises:
        UsageError: the name of the folder cannot stand in a URL.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return sqlite.url_of(out.resolve() / "mlflow.db")
    file = Path(given).expanduser()
    return sqlite.url_of(file) if "://" not in given and file.is_file() else given


@contextlib.contextmanager
def connect(uri: str) -> Iterator[MlflowClient]:
    """MLflow's client of a store. In here a database in a file is this process's own, to be made, checked or migrated.

    Raises:
        StoreUnavailable: a server that does not answer, or a locked database.
        UsageError: the store cannot be opened; the message says which and why.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # they announce every migration of a new database, and print at length what they raise anyway
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with sqlite.lock_database(uri):
            yield MlflowClient(tracking_uri=uri)
    except UsageError:
        raise
    except Exception as error:
        raise _opening_error(uri, error) from error


def _opening_error(uri: str, error: Exception) -> UsageError:
    reason = f"cannot open the tracking store {uri}: {first_line(error)}"
    if uri.startswith("http"):
        return StoreUnavailable(f"{reason}; check --tracking-uri")
    if "database is locked" in reason:
        return StoreUnavailable(reason)
    mend = "; if it is damaged, `runner.py rebuild` makes it anew from the run directories" if uri.startswith("sqlite") else ""
    return UsageError(f"{reason}; check --tracking-uri, or leave it out for a local one{mend}")


def report_silence(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorate a call of the store: its failures become StoreUnavailable."""

    @functools.wraps(call)
    def ask(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return call(*args, **kwargs)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(f"the tracking store does not answer: {first_line(error)}") from error

    return ask
