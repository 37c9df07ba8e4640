"""The options of one component of a row, such as its optimizer: what a suite says of them, and how they are changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bench import registry
from bench.errors import UsageError
from bench.spec import Spec, parse
from bench.suites.components import check_method
from bench.suites.grid import kind_of
from bench.suites.schema import Space, Tuning
from bench.suites.trial import Trial


def with_options(trial: Trial, option: str, hyperparameters: Mapping[str, Any]) -> Trial:
    """The trial with options of one of its method's components changed.

    Raises:
        UsageError: the component has no such option, or not that value.
    """
    hp = registry.find("method", trial.spec.name).HP(**trial.spec.options)
    part = parse(getattr(hp, option))
    options = registry.bind(
        registry.find(kind_of(option), part.name), {**part.options, **hyperparameters}, f"{kind_of(option)} {part.name!r}"
    )
    changed = Spec(part.name, options)
    return dataclasses.replace(trial, spec=check_method(Spec(trial.spec.name, {**trial.spec.options, option: str(changed)})))


def component_of(row: Trial, option: str) -> str:
    """The name of the component that the row's method has as this option, such as `adam`; empty where it has none."""
    hp = registry.find("method", row.spec.name).HP(**row.spec.options)
    value = getattr(hp, option, "")
    return parse(value).name if isinstance(value, str) and value else ""


def space_of(row: Trial, tuning: Tuning) -> Space:
    """The search space of the row's component.

    Raises:
        UsageError: there is none.
    """
    rule = component_of(row, tuning.option)
    for space in tuning.spaces.values():
        if rule in space.rules:
            return space
    raise UsageError(f"[tuning] spaces: none holds {rule!r}, the {tuning.option} of the row {row.label!r}")


def fixed_options(row: Trial, tuning: Tuning) -> dict[str, Any]:
    """The options that the suite file fixes for the row's component.

    Raises:
        UsageError: there are none.
    """
    rule = component_of(row, tuning.option)
    for key in (f"{row.base_workload}/{rule}", f"{row.spec.name}/{rule}", rule):
        if key in tuning.fixed:
            return tuning.fixed[key]
    raise UsageError(
        f"[tuning] fixed: no options for {rule!r}, the {tuning.option} of the row {row.label!r} (an empty table takes its defaults)"
    )
