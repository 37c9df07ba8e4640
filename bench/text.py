"""Text that can be printed anywhere."""

from __future__ import annotations


def one_line(text: object) -> str:
    """Text as one printable line: line breaks, tabs and the control characters that steer terminals become their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def brief(text: str, most: int = 1000) -> str:
    """Text without its middle where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def first_line(error: BaseException) -> str:
    """What an error says first; its kind where it says nothing."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return next((line for line in lines if not line.startswith("(raised as a result of ")), lines[0])  # SQLAlchemy's advice to programmers


def inert(value: object) -> object:
    """A cell of a CSV file: control characters but line breaks become their escapes, and what a spreadsheet would compute gets an apostrophe."""
    if not isinstance(value, str):
        return value
    text = "\n".join(map(one_line, value.split("\n")))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
