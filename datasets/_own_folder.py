"""The folder that a user names in a spec."""

from __future__ import annotations

from pathlib import Path

from bench.errors import Unavailable, UsageError


def own_folder(name: str, path: str | None, root: Path | None) -> Path:
    """The folder `path`, below the data root if it is there; the data root itself where none is named.

    Raises:
        Unavailable: neither is given.
        UsageError: there is no such folder.
    """
    if path is None and root is None:
        raise Unavailable(f"data set {name!r}: no folder given; write {name}[path=...], or give --data-root or GANBENCH_DATA")
    given = Path(path or "").expanduser()
    folder = root / given if root is not None and (root / given).is_dir() else given
    if not folder.is_dir():
        raise UsageError(f"data set {name!r}: {folder} is not a folder")
    return folder
