"""Text that can be printed anywhere."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


def open_console(width: int | None = None) -> Console:
    """Standard output. Text stands there as it is: names hold brackets and colons, which Rich would take for markup and emoji."""
    from rich.console import Console

    return Console(soft_wrap=True, width=width, markup=False, emoji=False, highlight=False)


def accept_any_text() -> None:
    """Let standard output and error print every character: what their encoding lacks becomes a question mark, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):  # not where someone has put an object of their own there
            reconfigure(errors="replace")


def one_line(text: object) -> str:
    """Text as one printable line: line breaks, tabs and the control characters that steer terminals become their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def encodable(text: object) -> str:
    """Text that files and databases take: bytes of a file's name that are no text become their escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def brief(text: str, most: int = 1000) -> str:
    """Text without its middle where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def first_line(error: BaseException) -> str:
    """What an error says first; its kind where it says nothing."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return next((line for line in lines if not line.startswith("(raised as a result of ")), lines[0])  # SQLAlchemy's advice to programmers


def inert(value: object) -> object:
    """A cell of a CSV file: control characters but line breaks are escaped, what a spreadsheet would compute gets an apostrophe."""
    if not isinstance(value, str):
        return value
    text = "\n".join(map(one_line, value.split("\n")))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def path_of(text: str | Path) -> Path:
    """A path as the command line gives it; a `~` at its beginning is the home folder, also where no shell has seen to that.

    Raises:
        UsageError: it holds a control character, or bytes that are no text: it cannot stand in a line, a URL or a database.
    """
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in str(text)):
        raise UsageError(f"the path {one_line(text)} holds a control character or bytes that are no text: give another one")
    return Path(os.path.expanduser(text))
