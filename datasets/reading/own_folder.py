"""The folder that a user names in a spec, and what lies in it."""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import Unavailable, UsageError
from datasets.reading.folders import ENDINGS, NOT_READ, PICTURES, files_in, once, unread_pictures, with_endings

BY_HASH = "a hash of the names chooses the split, 80 % train, 10 % validation, 10 % test"
OR_TEST = ": give split=test to test on all"  # where a source has that option


def own_folder(name: str, path: str | None, root: Path | None) -> Path:
    """The folder `path`, below the data root if it is there; the data root itself where none is named.

    Raises:
        Unavailable: neither is given.
        UsageError: there is no such folder.
    """
    if path is None and root is None:
        raise Unavailable(f"data set {name!r}: no folder given; write {name}[path=...], or give --data-root or GANBENCH_DATA")
    given = Path(path or "").expanduser()
    folder = root / given if root is not None and os.path.isdir(root / given) else given
    if not os.path.isdir(folder):
        raise UsageError(f"data set {name!r}: {folder} is not a folder, or may not be read")
    return folder


def own_images(name: str, folder: Path, *, recursive: bool = True) -> tuple[list[Path], dict[Path, str]]:
    """The images of a folder; and what may be taken for one more, each with why it is left out.

    Raises:
        UsageError: there are no images.
    """
    found = files_in(folder, recursive=recursive)
    files, twins = once(with_endings(found, PICTURES))
    others = with_endings(found, unread_pictures())
    if not files:
        more = f", but {len(others)} pictures of other kinds" if others else ""
        raise UsageError(f"data set {name!r}: no images in {folder}{more}; known endings are {ENDINGS}")
    return files, twins | dict.fromkeys(others, NOT_READ)
