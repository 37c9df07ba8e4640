"""The grammar of spec strings: `name[key=value,...]`, values of which may be spec strings again."""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from collections.abc import Mapping
from typing import Any

from bench.errors import UsageError

_DEEPEST = 50  # brackets inside one another: parts inside parts


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed spec string; `str(spec)` is its canonical form (options sorted, so equal specs print equally)."""

    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        inner = ",".join(f"{k}={_literal(v)}" for k, v in sorted(self.options.items()))
        return f"{self.name}[{inner}]" if inner else self.name


def parse(text: str) -> Spec:
    """Parse `name[key=value,...]`. Values are Python literals, bare words, or nested specs (quoted or not).

    Raises:
        UsageError: the string is not of that form.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", text, re.DOTALL)
    if not match:
        raise UsageError(f"cannot read the spec {text!r}: write name or name[key=value,...]")
    options: dict[str, Any] = {}
    for item in split(match[2] or ""):
        key, equals, value = item.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise UsageError(f"cannot read {item.strip()!r} in the spec {text!r}: write key=value")
        if key in options:
            raise UsageError(f"{key!r} is given twice in the spec {text!r}")
        options[key] = value_of(value)
    return Spec(match[1], options)


def split(text: str) -> list[str]:
    """Split at the commas that stand outside quotes and brackets.

    Raises:
        UsageError: a quote or bracket is left open, or brackets nest too deeply.
    """
    items, start, stack, quote = [], 0, [], ""
    escaped = False
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote and not escaped else quote
            escaped = c == "\\" and not escaped
        elif c in "\"'":
            quote = c
        elif c in "[({":
            stack.append({"[": "]", "(": ")", "{": "}"}[c])
            if len(stack) > _DEEPEST:
                raise UsageError(f"more than {_DEEPEST} brackets inside one another in {text!r}")
        elif c in "])}":
            if not stack or stack.pop() != c:
                raise UsageError(f"unbalanced {c!r} in {text!r}")
        elif c == "," and not stack:
            items.append(text[start:i])
            start = i + 1
    if stack or quote:
        raise UsageError(f"{(stack or [quote])[-1]!r} is missing in {text!r}")
    return [s for s in [*items, text[start:]] if s.strip()]


def value_of(text: str) -> Any:
    """A Python literal (`true`, `false`, `none` too); anything else is a string."""
    text = text.strip()
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a doubtful escape (a path of Windows, say) is no literal
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # the last two: brackets or signs beyond what the parser holds
        return text


def _literal(value: Any) -> str:
    if not isinstance(value, str):
        return str(value)
    bare = re.fullmatch(r"[\w./-]+", value) and value_of(value) == value
    quoted = f'"{value}"'
    return value if bare else quoted if value_of(quoted) == value else repr(value)
