"""Copies of a trial's checkpoints at an fsspec URL (a folder, s3://, gs://, ...), for machines that do not see this one's disk."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from bench.errors import UsageError
from bench.text import first_line, path_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_LOCAL = "file://"


class CheckpointMirror:
    """The copies of one trial. There are none: it keeps to its own disk."""

    def fetch(self) -> None:
        """Bring the copies here, unless there is a checkpoint here already."""

    def keep(self, path: Path) -> None:
        """Copy a checkpoint; an earlier copy stays whole until the new one is."""

    def drop(self) -> None:
        """Delete the copies."""

    def notes(self) -> dict[str, str]:
        """A mark on the trial where copies failed."""
        return {}


@dataclasses.dataclass
class RemoteMirror(CheckpointMirror):
    """Copies at a URL.

    A copy that fails is no reason to stop: the checkpoint lies in `folder`, and a trial that finds none begins afresh.

    Attributes:
        folder: where the trial works.
        url: where its copies lie.
        last_error: what went wrong with them last; empty where nothing did.
    """

    folder: Path
    url: str
    last_error: str = ""

    @override
    def fetch(self) -> None:
        if any(self.folder.rglob("checkpoint.safetensors")):
            return
        with self._open() as (files, root):
            for name in sorted(files.find(root)):  # "best" comes before "checkpoint", without which it means nothing
                if name.endswith(".safetensors"):
                    path = self.folder / os.path.relpath(name, root)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files.get_file(name, f"{path}.part")
                    os.replace(f"{path}.part", path)

    @override
    def keep(self, path: Path) -> None:
        with self._open() as (files, root):
            name = f"{root}/{path.relative_to(self.folder).as_posix()}"
            files.makedirs(name.rpartition("/")[0], exist_ok=True)
            part = f"{name}.{uuid.uuid4().hex}.part"  # another process may be at this trial too, where this one was taken for dead
            files.put_file(str(path), part)
            files.mv(part, name)

    @override
    def drop(self) -> None:
        with self._open() as (files, root):
            if files.exists(root):
                files.rm(root, recursive=True)

    @override
    def notes(self) -> dict[str, str]:
        return {"checkpoints": self.last_error} if self.last_error else {}

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[AbstractFileSystem, str]]:
        try:
            yield _open(self.url)
        except Exception as error:  # every kind of storage has its own
            self.last_error = f"its checkpoints could not all be copied to {self.url}: {first_line(error)}"


def normalise_url(url: str) -> str:
    """The URL of a place for copies: with its protocol, without a slash at its end.

    Raises:
        UsageError: there is no such kind of storage, or it does not answer.
    """
    try:
        files, root = _open(url)
        files.exists(root)
    except Exception as error:
        raise UsageError(f"cannot use --checkpoints {url}: {first_line(error)}") from error
    return url.rstrip("/") if "://" in url else f"{_LOCAL}{root}"


def _open(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system and the path in it; that of a local one may hold what means something in a URL."""
    import fsspec

    if "://" not in url or url.startswith(_LOCAL):
        path = path_of(url.removeprefix(_LOCAL)).absolute()
        return fsspec.filesystem("file"), str(path).rstrip("/")
    files, root = fsspec.core.url_to_fs(url)
    return files, root.rstrip("/")
