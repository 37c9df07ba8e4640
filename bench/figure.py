"""A figure as plain data: what is drawn, not how. The store keeps it, the report draws it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter


def _numbers(values: Iterable[Any]) -> list[float | None]:
    """A list, array or tensor of one axis; numbers that are not finite become gaps."""
    return [value if math.isfinite(value) else None for value in (float("nan") if v is None else float(v) for v in values)]


Numbers = Annotated[Any, BeforeValidator(_numbers)]  # given as any list, array or tensor, kept as list[float | None]
Rows = Annotated[Any, BeforeValidator(lambda rows: [_numbers(row) for row in rows])]


class _Mark(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Mark):
    """A curve through points, in their order. `theory` draws it as what a paper predicts."""

    kind: Literal["line"] = "line"
    x: Numbers
    y: Numbers
    label: str = ""
    theory: bool = False


class Points(_Mark):
    """Points. `theory` draws them hollow, as what a paper predicts."""

    kind: Literal["points"] = "points"
    x: Numbers
    y: Numbers
    label: str = ""
    theory: bool = False


class Arrows(_Mark):
    """A vector field: arrows (u, v) at (x, y)."""

    kind: Literal["arrows"] = "arrows"
    x: Numbers
    y: Numbers
    u: Numbers
    v: Numbers


class Bars(_Mark):
    """One bar a name; several of them in a panel stand side by side."""

    kind: Literal["bars"] = "bars"
    names: list[str]
    y: Numbers
    label: str = ""
    theory: bool = False


class Heat(_Mark):
    """A matrix as shades, its first row on top; `extent` is left, right, bottom, top."""

    kind: Literal["heat"] = "heat"
    z: Rows
    extent: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)


Mark = Line | Points | Arrows | Bars | Heat


class Panel(BaseModel):
    """One pair of axes. `log` names the logarithmic ones; `square` gives both the same unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    marks: Sequence[Annotated[Mark, Field(discriminator="kind")]]
    x: str = ""
    y: str = ""
    title: str = ""
    log: Literal["", "x", "y", "xy"] = ""
    square: bool = False


Figure = list[Panel]
FIGURE: TypeAdapter[Figure] = TypeAdapter(Figure)
"""Reads and writes a figure as JSON."""
