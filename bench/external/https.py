"""One request over https, and what its failure means: another try may help (`ConnectionBroken`), or none will (`Unavailable`).

Standard library only.
"""

from __future__ import annotations

import contextlib
import http
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from typing_extensions import override

from bench.errors import Unavailable

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that may differ in a moment
_CHUNK = 1 << 16


class ConnectionBroken(Exception):
    """A request failed that may succeed when repeated. `status`: the server's status code; 0: it did not answer."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


def check_address(url: str, local: bool, how: str = "") -> None:
    """Addresses are https, or plain http to this very machine where `local` allows it.

    Raises:
        Unavailable: another one; the message begins with `how` it came about.
    """
    parts = urlsplit(url)
    if not (parts.scheme == "https" and parts.hostname) and not (local and parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise Unavailable(f"{how}{url}: refused, files are fetched over https only")


def request(url: str, headers: Mapping[str, str], patience: float, local: bool) -> http.client.HTTPResponse:
    """Send a GET request and return the answer, its body unread; redirects are followed where `check_address` allows.

    Args:
        url: the address.
        headers: of the request.
        patience: seconds without a byte, here and when the body is read.
        local: see `check_address`.

    Raises:
        Broken, Unavailable: see above.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "ganbench", "Accept-Encoding": "identity", **headers})
    try:
        with _network(url):
            response: http.client.HTTPResponse = urllib.request.build_opener(_Redirects(local)).open(request, timeout=patience)
            return response
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _PASSING or (error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers):
                raise ConnectionBroken(f"the server answers {error.code} {error.reason}", error.code) from error
            raise Unavailable(f"cannot fetch {url}: {_refusal(error)}") from error


def chunks(url: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body in the pieces that arrive.

    Raises:
        Broken, Unavailable: see above.
    """
    while True:
        with _network(url):
            chunk = response.read1(_CHUNK)
        if not chunk:
            return
        yield chunk


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect where its target would have been accepted as an address."""

    def __init__(self, local: bool) -> None:
        self.local = local

    @override
    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Check the target before it is asked.

        Raises:
            Unavailable: it is no address that would be accepted.
        """
        if target := headers.get("Location"):
            with contextlib.ExitStack() as unless:
                unless.callback(fp.close)
                check_address(urljoin(req.full_url, target), self.local, f"{req.full_url} redirects to ")
                unless.pop_all()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _refusal(error: urllib.error.HTTPError) -> str:
    if error.code in (301, 302, 303, 307, 308):
        return "the server redirects without end"
    return f"the server answers {error.code} {error.reason}" + (": the file has moved or is gone" if error.code in (404, 410) else "")


@contextlib.contextmanager
def _network(url: str) -> Iterator[None]:
    """Turn errors of the network into `ConnectionBroken` or `Unavailable`; status codes of the server pass."""
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
        raise ConnectionBroken(_what(reason)) from error


def _what(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server sends nothing any more"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended in the middle"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
