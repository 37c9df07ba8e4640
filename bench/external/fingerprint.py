"""What a published file is known by: its sha256, whole or the digits that are published, and its id where it lies in a git tree."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

_DIGITS = 64  # of a whole sha256
_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Digests of a published file; what is empty is not known."""

    sha256: str = ""  # all of its digits or the leading ones
    git_blob: str = ""

    def __bool__(self) -> bool:
        return bool(self.sha256 or self.git_blob)

    def fault(self, path: Path, digest: str) -> str:
        """What tells a file from the published one; empty where nothing does.

        Args:
            path: the file.
            digest: its sha256.
        """
        if not digest.startswith(self.sha256):
            return f"its sha256 is {digest}, expected {self.sha256}"
        if self.git_blob and (found := git_blob(path)) != self.git_blob:
            return f"its git blob is {found}, expected {self.git_blob}"
        return ""

    @property
    def described(self) -> str:
        """How far a file that has no fault was compared."""
        if len(self.sha256) == _DIGITS:
            return "verified"
        if self.git_blob:
            return "verified by its git blob"
        if not self:
            return "not verified (no digest is published)"
        return f"prefix verified ({len(self.sha256)} of the {_DIGITS} digits of its sha256 are published)"


def git_blob(path: Path) -> str:
    """The id that git gives a file: the sha1 of "blob SIZE", a zero byte and the content."""
    found = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
