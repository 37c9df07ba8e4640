"""One file from the network: resumed where it broke off, bounded in size, verified, put into place whole or not at all.

Standard library only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import http
import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.errors import Unavailable
from bench.external.fingerprint import Fingerprint
from bench.external.https import ConnectionBroken, check_address, chunks, request

LARGEST = 32 << 30  # bytes of one file, unless it says otherwise

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and their total (None where the server does not state it)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """Limits of a download: size, waiting and retries."""

    largest: int = LARGEST  # bytes
    patience: float = 30.0  # seconds without a byte
    tries: int = 5  # in a row that bring nothing new
    pause: float = 1.0  # seconds before the second try; doubled each time, 30 at most
    local: bool = False  # plain http to this very machine is allowed


_RULES, _UNKNOWN = Rules(), Fingerprint()


def download(
    url: str, path: Path, known: Fingerprint = _UNKNOWN, progress: Progress = lambda done, total: None, rules: Rules = _RULES
) -> str:
    """Fetch a file over https.

    What has arrived is kept as `NAME.part`, beside a note of what it belongs to, and the next call resumes from there.

    Args:
        url: its address; redirects are followed to https only.
        path: where it goes; what lies there is replaced at the end, at once.
        known: what it is known by, as far as that is published.
        progress: see `Progress`.
        rules: see `Rules`.

    Returns:
        Its sha256.

    Raises:
        Unavailable: one line on what went wrong, and whether the same command goes on from what came.
    """
    check_address(url, rules.local)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_name(f"{path.name}.part")) as file:
            part = _Part(file, url)
            found = _Transfer(url, part, progress, rules).run(known)
            part.finish(path)
            return found
    except OSError as error:  # of the disk: those of the network were told apart where they arose
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, then run the same command again: it goes on from what came" if full else "check the folder"
        raise Unavailable(f"cannot fetch {url}: cannot write {path}: {error.strerror}; {hint}") from error


class _Part:
    """A partial download, `NAME.part`, and a JSON file beside it that says what it belongs to: address, version, total size."""

    def __init__(self, file: Path, url: str) -> None:
        self.file, self.url, self.note = file, url, file.with_name(f"{file.name}.json")

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.file.stat().st_size

    @property
    def digest(self) -> str:
        """Their sha256 in hex digits."""
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read_note(self, *, verified: bool) -> dict[str, Any]:
        """The JSON file's content; empty, and the partial file deleted, where bytes of two versions could be mixed unnoticed."""
        try:
            about = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            about = None
        if isinstance(about, dict) and about.get("url") == self.url and (about.get("mark") or verified):
            return about
        self.drop()
        return {}

    def begin(self, mark: str | None, size: int | None) -> None:
        """Write the JSON file for a download that starts at byte 0."""
        self.note.write_text(json.dumps({"url": self.url, "mark": mark, "size": size}), encoding="utf-8")

    def drop(self) -> None:
        """Delete the JSON file and empty the partial file, which stays locked."""
        self.note.unlink(missing_ok=True)
        if self.size:
            os.truncate(self.file, 0)

    def finish(self, path: Path) -> None:
        """Move the complete file to its place in one step."""
        os.replace(self.file, path)
        self.note.unlink(missing_ok=True)


class _Transfer:
    """One download, over as many requests as it takes."""

    def __init__(self, url: str, part: _Part, progress: Progress, rules: Rules) -> None:
        self.url, self.part, self.progress, self.rules = url, part, progress, rules
        self.resumed = False

    def run(self, known: Fingerprint) -> str:
        """Request until the file is complete and verify it; returns its digest."""
        self._persist(verified=bool(known))
        found = self.part.digest
        fault = known.fault(self.part.file, found)
        if self.resumed and fault:  # its beginning may be that of another file: once more, from the start
            self.part.drop()
            self._persist(verified=True)
            found = self.part.digest
            fault = known.fault(self.part.file, found)
        if fault:
            self.part.drop()
            raise Unavailable(f"cannot fetch {self.url}: {fault}: not the published file, thrown away")
        return found

    def _persist(self, *, verified: bool) -> None:
        most, failures = self.part.size, 0
        while True:
            try:
                return self._attempt(verified=verified)
            except ConnectionBroken as broken:
                failures = 0 if self.part.size > most else failures + 1
                most = max(most, self.part.size)
                if failures >= self.rules.tries:
                    kept = "; the same command goes on from there" if self.part.size else ""
                    raise Unavailable(f"cannot fetch {self.url}: {broken}{kept}") from broken
                time.sleep(min(self.rules.pause * 2 ** max(failures - 1, 0), 30.0))

    def _attempt(self, *, verified: bool) -> None:
        """One request for what is missing, appended to the part."""
        about = self.part.read_note(verified=verified)
        start = self.part.size
        if start and start == about.get("size"):
            self.resumed = True
            return
        with self._request_from(start, about.get("mark")) as response:
            total = self._total_size(response, start, about)
            start = start if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            self.resumed = start > 0
            self._check_room(start, total)
            if not start:
                self.part.begin(_version(response), total)
            self._receive(response, start, total)

    def _request_from(self, start: int, mark: str | None) -> http.client.HTTPResponse:
        """The answer to a request for the bytes from `start` on, or for all of them where the version is no longer `mark`."""
        wanted = {"Range": f"bytes={start}-"} | ({"If-Range": mark} if mark else {}) if start else {}
        try:
            return request(self.url, wanted, self.rules.patience, self.rules.local)
        except ConnectionBroken as broken:
            if broken.status != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            self.part.drop()
            raise ConnectionBroken(
                "the server has nothing beyond what came: its file changed, or the length that it stated is false"
            ) from broken

    def _total_size(self, response: http.client.HTTPResponse, start: int, about: dict[str, Any]) -> int | None:
        """The size of the whole file where it is stated; raises, the partial file emptied, where the answer does not continue it."""
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            return response.length
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        total = int(match[2]) if match and match[2] != "*" else None
        same = about.get("mark") in (None, _version(response)) and about.get("size") in (None, total)
        if not match or int(match[1]) != start or not same:
            self.part.drop()
            raise ConnectionBroken("the file on the server changed, or another part than asked for came")
        return total

    def _receive(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        have = start
        self.progress(have, total)
        with self.part.file.open("ab" if start else "wb") as file:
            for chunk in chunks(self.url, response):
                have += len(chunk)
                if have > self.rules.largest:
                    self._too_large(f"more than {self.rules.largest:,}")
                file.write(chunk)
                self.progress(have, total)
        if total is not None and have != total:
            raise ConnectionBroken(f"the connection ended at {have:,} of {total:,} bytes")

    def _check_room(self, start: int, total: int | None) -> None:
        """Raise Unavailable where the file exceeds the limit or the free space."""
        if total is None:
            return
        if total > self.rules.largest:
            self._too_large(f"{total:,}")
        folder = self.part.file.parent
        if (free := shutil.disk_usage(folder).free) < total - start:
            raise Unavailable(f"cannot fetch {self.url}: it needs {total - start:,} more bytes, {folder} has {free:,}; free some space")

    def _too_large(self, size: str) -> None:
        self.part.drop()
        raise Unavailable(f"cannot fetch {self.url}: it has {size} bytes, {self.rules.largest:,} are allowed")


def _version(response: http.client.HTTPResponse) -> str | None:
    """What tells two versions of a file apart, fit for If-Range: a strong ETag, or the date of the last change."""
    etag: str | None = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[Path]:
    """The partial file, created where there is none, locked against other processes where the system can; empty ones are deleted."""
    with part.open("ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(f"{part} is being fetched by another process") from error
        except (ImportError, OSError):
            pass
        try:
            yield part
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()
