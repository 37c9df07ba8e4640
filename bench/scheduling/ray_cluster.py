"""A connection to Ray: a cluster that runs already, or one of our own on this machine."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.external.safety import harden
from bench.text import first_line

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # folders for Ray's sockets where the name of the usual one is too long
_LONGEST = 20  # characters of such a folder: a socket's name has 103 at most, ours has 17 and Ray's own 64 of them


@contextlib.contextmanager
def connect(cpus: int, address: str | None) -> Iterator[int]:
    """Ray on this machine with so many CPUs, or the cluster at an address, until the end of the body.

    Args:
        cpus: of a Ray of our own.
        address: of a cluster that runs already, such as `10.0.0.1:6379` or `auto`.

    Yields:
        The CPUs of its largest node.

    Raises:
        UsageError: Ray is not installed or cannot start, or there is no such cluster.
    """
    if not address:
        _isolate_environment()
    try:
        import ray
    except ImportError:
        raise UsageError("--workers and --ray need Ray: pip install 'ganbench[ray]'") from None
    folder = None if address else _make_socket_folder()
    try:
        _start(cpus, address, folder)
        yield max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    except (OSError, RuntimeError, ValueError) as error:
        if ray.is_initialized():
            raise
        if address:
            raise UsageError(f"cannot reach the cluster at {address}: {first_line(error)}; see `ray status`") from error
        reason = f"cannot start Ray on this machine: {first_line(error)}"
        raise UsageError(f"{reason}; without --workers trials run one after another") from error
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _start(cpus: int, address: str | None, folder: Path | None) -> None:
    import ray

    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    if address:
        ray.init(address=address, **common)
    else:
        ray.init("local", num_cpus=cpus, include_dashboard=False, _temp_dir=str(folder), **common)


def _isolate_environment() -> None:
    """Delete what the environment says of Ray's clusters: `--workers` starts a Ray of our own, whatever is inherited.

    Ray reads it when it is imported and in all of its processes. Its finer settings, which are in small letters, stay.
    """
    for name in [name for name in os.environ if re.fullmatch("RAY_[A-Z0-9_]+", name)]:
        del os.environ[name]
    harden()
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=_token())  # else Ray would leave one of its own in the home directory


@functools.cache
def _token() -> str:
    return secrets.token_hex(32)


def _make_socket_folder() -> Path:
    """Make a folder for Ray with a short name: the names of its sockets begin with it.

    Raises:
        UsageError: there is no place for one.
    """
    for parent in (tempfile.gettempdir(), *_SHORT):
        if len(os.fsencode(os.path.abspath(parent))) <= _LONGEST and os.access(parent, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="ganbench-", dir=parent))
    raise UsageError(f"Ray needs a folder with a short name for its sockets: set TMPDIR to one of at most {_LONGEST} characters")
