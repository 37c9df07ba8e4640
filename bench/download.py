"""One file from the network: resumed where it broke off, bounded in size, verified, put into place whole or not at all. Standard library only."""

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
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from bench.errors import Unavailable

LARGEST = 32 << 30  # bytes of one file, unless it says otherwise
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that may differ in a moment
_CHUNK = 1 << 16

Progress = Callable[[int, int | None], None]
"""Told of the bytes that are here and of those there will be (None: the server does not say)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """How patient and how strict a download is."""

    largest: int = LARGEST  # bytes
    patience: float = 30.0  # seconds without a byte
    tries: int = 5  # in a row that bring nothing new
    pause: float = 1.0  # seconds before the second try; doubled each time, 30 at most
    local: bool = False  # plain http to this very machine is allowed


_RULES = Rules()


def download(url: str, path: Path, sha256: str = "", progress: Progress = lambda done, total: None, rules: Rules = _RULES) -> str:
    """Fetch a file over https. What came so far is kept as `NAME.part`, with a note of what it belongs to, and the next call goes on from there.

    Args:
        url: its address; redirects are followed to https only.
        path: where it goes; what lies there is replaced at the end, at once.
        sha256: its digest or the leading digits of it.
        progress: see `Progress`.
        rules: see `Rules`.

    Returns:
        The whole digest.

    Raises:
        Unavailable: one line on what went wrong, and whether the same command goes on from what came.
    """
    _check_address(url, rules.local)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(f"{path.name}.part")) as part:
            transfer = _Transfer(url, part, progress, rules)
            found = transfer.whole(sha256)
            os.replace(part, path)
            transfer.note.unlink(missing_ok=True)
            return found
    except OSError as error:  # of the disk: those of the network were told apart where they arose
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space, then run the same command again: it goes on from what came" if full else "check the folder"
        raise Unavailable(f"cannot fetch {url}: cannot write {path}: {error.strerror}; {hint}") from error


class _Broken(Exception):
    """This attempt failed; another may not."""


class _Transfer:
    def __init__(self, url: str, part: Path, progress: Progress, rules: Rules) -> None:
        self.url, self.part, self.progress, self.rules = url, part, progress, rules
        self.note = part.with_name(f"{part.name}.json")  # what the part belongs to: address, validator, size
        self.resumed = False
        self.opener = urllib.request.build_opener(_Redirects(rules.local))

    @property
    def have(self) -> int:
        """Bytes that are here."""
        return self.part.stat().st_size

    def whole(self, sha256: str) -> str:
        """Try until all of it is here and is what was published; returns its digest."""
        found = self._digest(sha256)
        if self.resumed and not found.startswith(sha256):  # its beginning may be that of another file: once more, from the start
            self._drop()
            found = self._digest(sha256)
        if not found.startswith(sha256):
            self._drop()
            raise Unavailable(f"cannot fetch {self.url}: its sha256 is {found}, expected {sha256}: not the published file, thrown away")
        return found

    def _digest(self, sha256: str) -> str:
        self._persist(verified=bool(sha256))
        with self.part.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _persist(self, *, verified: bool) -> None:
        most, failures = self.have, 0
        while True:
            try:
                return self._attempt(verified=verified)
            except _Broken as broken:
                failures = 0 if self.have > most else failures + 1
                most = max(most, self.have)
                if failures >= self.rules.tries:
                    kept = "; the same command goes on from there" if self.have else ""
                    raise Unavailable(f"cannot fetch {self.url}: {broken}{kept}") from broken
                time.sleep(min(self.rules.pause * 2 ** max(failures - 1, 0), 30.0))

    def _attempt(self, *, verified: bool) -> None:
        """One request for what is missing, appended to the part."""
        about = self._about(verified=verified)
        start = self.have
        if start and start == about.get("size"):
            self.resumed = True
            return
        headers = {"User-Agent": "ganbench", "Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-"} | ({"If-Range": about["mark"]} if about.get("mark") else {})
        with self._open(headers) as response:
            total = self._agreed(response, start, about)
            start = start if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            self.resumed = start > 0
            self._room(start, total)
            if not start:
                self.note.write_text(json.dumps({"url": self.url, "mark": _mark(response), "size": total}), encoding="utf-8")
            self._receive(response, start, total)

    def _open(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        request = urllib.request.Request(self.url, headers=headers)
        try:
            with _network(self.url):
                response: http.client.HTTPResponse = self.opener.open(request, timeout=self.rules.patience)
                return response
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers:
                    self._drop()
                    raise _Broken("the server has nothing beyond what came: its file changed, or the length that it stated is false") from error
                if error.code in _PASSING:
                    raise _Broken(f"the server answers {error.code} {error.reason}") from error
                raise Unavailable(f"cannot fetch {self.url}: {_refusal(error)}") from error

    def _agreed(self, response: http.client.HTTPResponse, start: int, about: dict[str, Any]) -> int | None:
        """The size of the whole file, where it is known; the part is dropped where the answer does not continue it."""
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            return response.length
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        total = int(match[2]) if match and match[2] != "*" else None
        same = about.get("mark") in (None, _mark(response)) and about.get("size") in (None, total)
        if not match or int(match[1]) != start or not same:
            self._drop()
            raise _Broken("the file on the server changed, or another part than asked for came")
        return total

    def _receive(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        have = start
        self.progress(have, total)
        with self.part.open("ab" if start else "wb") as file:
            while chunk := self._read(response):
                have += len(chunk)
                if have > self.rules.largest:
                    self._too_large(f"more than {self.rules.largest:,}")
                file.write(chunk)
                self.progress(have, total)
        if total is not None and have != total:
            raise _Broken(f"the connection ended at {have:,} of {total:,} bytes")

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        with _network(self.url):
            return response.read1(_CHUNK)

    def _room(self, start: int, total: int | None) -> None:
        """The file fits: below the limit, on the disk."""
        if total is None:
            return
        if total > self.rules.largest:
            self._too_large(f"{total:,}")
        if (free := shutil.disk_usage(self.part.parent).free) < total - start:
            raise Unavailable(f"cannot fetch {self.url}: it needs {total - start:,} more bytes, {self.part.parent} has {free:,}; free some space")

    def _too_large(self, size: str) -> None:
        self._drop()
        raise Unavailable(f"cannot fetch {self.url}: it has {size} bytes, {self.rules.largest:,} are allowed")

    def _about(self, *, verified: bool) -> dict[str, Any]:
        """The note of the part; a part that nobody could tell from a mixture of two files is dropped."""
        try:
            about = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            about = None
        if isinstance(about, dict) and about.get("url") == self.url and (about.get("mark") or verified):
            return about
        self._drop()
        return {}

    def _drop(self) -> None:
        self.note.unlink(missing_ok=True)
        if self.have:
            os.truncate(self.part, 0)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect where its target would have been accepted as an address."""

    def __init__(self, local: bool) -> None:
        self.local = local

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """See the base class. Raises Unavailable."""
        if target := headers.get("Location"):
            with contextlib.ExitStack() as unless:
                unless.callback(fp.close)
                _check_address(urljoin(req.full_url, target), self.local, f"{req.full_url} redirects to ")
                unless.pop_all()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _check_address(url: str, local: bool, how: str = "") -> None:
    parts = urlsplit(url)
    if not (parts.scheme == "https" and parts.hostname) and not (local and parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise Unavailable(f"{how}{url}: refused, files are fetched over https only")


def _mark(response: http.client.HTTPResponse) -> str | None:
    """What tells two versions of a file apart, fit for If-Range: a strong ETag, or the date of the last change."""
    etag: str | None = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _refusal(error: urllib.error.HTTPError) -> str:
    if error.code in (301, 302, 303, 307, 308):
        return "the server redirects without end"
    return f"the server answers {error.code} {error.reason}" + (": the file has moved or is gone" if error.code in (404, 410) else "")


@contextlib.contextmanager
def _network(url: str) -> Iterator[None]:
    """Errors of the network: those that may pass become `_Broken`, the others `Unavailable`; answers of the server go through."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, socket.gaierror):
            raise Unavailable(f"cannot fetch {url}: its server is not found ({reason.strerror}); is there a network?") from error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Unavailable(f"cannot fetch {url}: the server's certificate is not to be trusted: {reason.verify_message}") from error
        raise _Broken(_what(reason)) from error


def _what(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server sends nothing any more"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended in the middle"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[Path]:
    """The part, made if need be, which no other process writes meanwhile (where the system can lock files)."""
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
