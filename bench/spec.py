"""Spec strings, `name[key=value,...]`, values of which may be spec strings again; and the options that a part has, to be set in one."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import types
import typing
import warnings
from collections.abc import Mapping
from typing import Any

from bench.errors import UsageError

_DEEPEST = 50  # brackets inside one another: parts inside parts


REQUIRED = dataclasses.MISSING
"""The default of an option that has none."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a part.

    Attributes:
        name: its key in a spec string.
        type: as Python writes it, such as "float" or "int | None"; of choices, that of the values.
        choices: the only values it takes; empty where its type alone limits them.
        default: the value it has where none is given; `REQUIRED` where one must be.
        meaning: what it sets, in one line; empty where nothing says so.
    """

    name: str
    type: str
    choices: tuple[Any, ...]
    default: Any
    meaning: str


def param(default: Any, meaning: str, *, file: bool = False) -> Any:
    """A field of a dataclass part or a method's `HP`: its default, and one line that says what it means and where that stands.

    Args:
        default: its value where none is given.
        meaning: one line.
        file: whether it is the path of a file or folder whose content decides the result: its hash is on record.
    """
    return dataclasses.field(default=default, metadata={"doc": meaning, "file": file})


def options_of(part: Any) -> list[Option]:
    """The options of a part in their order.

    Args:
        part: a method (its `HP`), a dataclass (the fields its constructor takes, meanings by `param`), or a function (its keyword-only
            arguments, meanings by `Annotated[float, "meaning"]`).
    """
    owner = getattr(part, "HP", part)
    hints = typing.get_type_hints(owner, include_extras=True)
    if dataclasses.is_dataclass(owner):
        fields = [f for f in dataclasses.fields(owner) if f.init]
        return [_option(f.name, hints[f.name], _default_of(f), f.metadata.get("doc", "")) for f in fields]
    arguments = [p for p in inspect.signature(owner).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return [_option(p.name, hints[p.name], REQUIRED if p.default is p.empty else p.default, "") for p in arguments]


def _default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _option(name: str, hint: Any, default: Any, meaning: str) -> Option:
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        meaning = meaning or next((extra for extra in extras if isinstance(extra, str)), "")
    return Option(name, _type_name(hint), _choices(hint), default, meaning)


def _choices(hint: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, or of one that may be None; none of any other type."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        found = [_choices(member) for member in typing.get_args(hint) if member is not type(None)]
        return (*sum(found, ()), None) if all(found) and type(None) in typing.get_args(hint) else sum(found, ()) if all(found) else ()
    return ()


def _type_name(hint: Any) -> str:
    if choices := _choices(hint):
        return " | ".join(dict.fromkeys("None" if value is None else type(value).__name__ for value in choices))
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


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
    except (
        ValueError,
        SyntaxError,
        TypeError,
        MemoryError,
        RecursionError,
    ):  # the last two: brackets or signs beyond what the parser holds
        return text


def _literal(value: Any) -> str:
    if not isinstance(value, str):
        return str(value)
    bare = re.fullmatch(r"[\w./-]+", value) and value_of(value) == value
    quoted = f'"{value}"'
    return value if bare else quoted if value_of(quoted) == value else repr(value)
