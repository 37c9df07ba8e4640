"""The components that hyper-parameters and options name: optimizers, losses, data sets, ..., at any depth."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.spec import Spec, parse
from bench.suites import grid


def check_method(spec: Spec) -> Spec:
    """Check a method's options, those of the components it names included; returns the spec with converted values.

    Raises:
        UsageError: an unknown method, component, option or value.
    """
    method = registry.find("method", spec.name)
    options = registry.bind(method, spec.options, f"method {spec.name!r}")
    try:
        hp = method.HP(**options)
    except ValueError as error:
        raise UsageError(f"method {spec}: {error}") from error
    for kind, component in components_of(hp):
        with contextlib.suppress(Unavailable):  # a missing weight skips the trial when its turn comes
            registry.make(kind, component)
    ints = [f.name for f in dataclasses.fields(hp) if type(f.default) is int and f.default >= 0]
    if below := [name for name in ints if getattr(hp, name) < 0]:
        raise UsageError(f"method {spec}: {below[0]} must not be negative")
    return Spec(spec.name, options)


def components_of(hp: Any) -> list[tuple[str, str]]:
    """(kind, spec) of every component that hyper-parameters name: `optimizer`, `adversarial`, ...; an empty string names none."""
    values = {f.name: getattr(hp, f.name) for f in dataclasses.fields(hp)}
    return [(kind, v) for k, v in values.items() if (kind := grid.kind_of(k)) in registry.FOLDERS and isinstance(v, str) and v]


def nested_components(components: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The components (kind, spec), each followed by those that its own options name, defaults included, at any depth, none twice.

    An option names a component if it is called after a kind (`detection[detector=yolo]`) or holds one of the same kind
    (`warmup[then=cosine]`).
    """
    waiting, seen = list(components), set[tuple[str, str]]()  # a component may name itself
    while waiting:
        kind, text = found = waiting.pop(0)
        if found in seen:
            continue
        seen.add(found)
        yield found
        spec = parse(text)
        part = registry.find(kind, spec.name)
        defaults = {p.name: p.default for p in inspect.signature(getattr(part, "HP", part)).parameters.values()}
        values = {k: v for k, v in {**defaults, **spec.options}.items() if isinstance(v, str) and v}
        waiting[:0] = [(known, v) for k, v in values.items() for known in {grid.kind_of(k), kind} if _is_component(known, v)]


def _is_component(kind: str, text: str) -> bool:
    try:
        return kind in registry.FOLDERS and parse(text).name in registry.names(kind)
    except UsageError:  # any other text
        return False
