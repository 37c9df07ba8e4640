"""What a part must declare before it is registered: a base class, the class attributes that its base asks for, options that can be set.

A class attribute that a contract (`bench.metric`, `bench.dataset`, ...) annotates as a `ClassVar` without a value needs one in the part.
Nothing beyond the part is imported.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

BASES = {
    "method": "bench.method.Method",
    "metric": "bench.metric.Metric",
    "dataset": "bench.dataset.DataSource",
    "task": "bench.task.Task",
    "detector": "bench.detector.Detector",
    "feature": "bench.feature.Features",
    "segmenter": "bench.detector.Segmenter",
    "adversarial": "methods.losses.contracts.AdversarialLoss",
}
"""Kind -> the class that its parts derive from; parts of the other kinds are functions or dataclasses of their own."""

_CLASS_VARIABLE = re.compile(r"(?:\w+\.)?ClassVar(?:\[(.*)\])?", re.DOTALL)


def kind_of(part: Any) -> str | None:
    """The kind that a part's base class says, if it says one."""
    ancestors = {f"{base.__module__}.{base.__qualname__}" for base in getattr(part, "__mro__", ())}
    return next((kind for kind, base in BASES.items() if base in ancestors), None)


def check_declaration(kind: str, part: Any, where: str) -> None:
    """Refuse a part whose declaration a run would fall over.

    Args:
        kind: what it is registered as.
        part: the class or function.
        where: its file, named in the error.

    Raises:
        UsageError: one line that names the file, what is missing or wrong, and what to write.
    """
    if kind in BASES and kind_of(part) != kind:
        raise UsageError(f"{where}: {part.__name__} is no {kind}: derive it from {BASES[kind]}")
    if kind == "method" and not (isinstance(part.HP, type) and dataclasses.is_dataclass(part.HP)):
        raise UsageError(f"{where}: the HP of {part.__name__} must be a dataclass")
    if isinstance(part, type):
        _check_class_attributes(part, BASES.get(kind, "").rpartition(".")[0], where)
        _check_decorated(part if kind != "method" else part.HP, kind, where)  # type: ignore[attr-defined]
    else:
        _check_arguments(part, where)


def _check_class_attributes(part: type, contract: str, where: str) -> None:
    """Every class attribute that the classes of a contract's module ask for has a value, of the type that they say."""
    for base in (cls for cls in part.__mro__ if cls.__module__ == contract):
        for name, annotation in inspect.get_annotations(base).items():
            if not _is_class_variable(annotation):
                continue
            shown = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
            if not hasattr(part, name):
                raise UsageError(
                    f"{where}: {part.__name__} has no {name}: write `{name}: {shown} = ...` in the class (see {base.__module__})"
                )
            if wrong := _complaint(base, name, getattr(part, name)):
                raise UsageError(f"{where}: {part.__name__}.{name} = {getattr(part, name)!r}, which is no {shown}: {wrong}")


def _is_class_variable(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return bool(_CLASS_VARIABLE.fullmatch(annotation))
    return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def _complaint(base: type, name: str, value: Any) -> str:
    """What is wrong with the value of a class attribute; empty where nothing is."""
    from pydantic import ValidationError

    try:
        _adapter(base, name).validate_python(value, strict=True)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return ""


@functools.cache
def _adapter(base: type, name: str) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    annotation = inspect.get_annotations(base)[name]
    if isinstance(annotation, str):
        inner = (_CLASS_VARIABLE.fullmatch(annotation) or ["", ""])[1] or "object"
        holder = types.SimpleNamespace(__annotations__={name: inner})
        try:
            hint = typing.get_type_hints(holder, vars(sys.modules[base.__module__]))[name]
        except NameError:  # imported for type checkers alone
            hint = Any
    else:
        hint = (typing.get_args(annotation) or (Any,))[0]
    return TypeAdapter(hint, config=None if dataclasses.is_dataclass(hint) else ConfigDict(arbitrary_types_allowed=True))


def _check_decorated(owner: type, kind: str, where: str) -> None:
    """Annotated attributes are options only in a dataclass; without the decorator nobody could set them."""
    options = [name for name, annotation in inspect.get_annotations(owner).items() if not _is_class_variable(annotation)]
    if options and "__dataclass_fields__" not in vars(owner):
        decorator = "kw_only=True, eq=False" if kind == "task" else "frozen=True, kw_only=True"
        raise UsageError(f"{where}: nobody can set {options[0]}: write @dataclasses.dataclass({decorator}) above {owner.__name__}")
    if kind == "task" and owner.__hash__ is None:
        raise UsageError(f"{where}: {owner.__name__} must be hashable: write @dataclasses.dataclass(kw_only=True, eq=False) above it")


def _check_arguments(part: Any, where: str) -> None:
    """The options of a function stand after a `*`, each with a type."""
    for argument in inspect.signature(part).parameters.values():
        if argument.kind is argument.POSITIONAL_OR_KEYWORD and argument.default is not argument.empty:
            raise UsageError(
                f"{where}: nobody can set {argument.name}: write `*, {argument.name}: ... = {argument.default!r}` in {part.__name__}"
            )
        if argument.kind is argument.VAR_KEYWORD:
            raise UsageError(
                f"{where}: {part.__name__} takes **{argument.name}, which would swallow typing errors: name its options after a `*`"
            )
        if argument.kind is argument.KEYWORD_ONLY and argument.annotation is argument.empty:
            raise UsageError(
                f"{where}: the option {argument.name} of {part.__name__} has no type: write `{argument.name}: float = ...`, say"
            )
