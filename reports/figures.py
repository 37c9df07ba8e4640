"""Draws what `bench.figure` describes: measured marks in colour, what a theory predicts dashed or hollow in ink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.figure import Arrows, Bars, Heat, Line, Mark, Panel, Points
from reports.figure_style import INK, MARKERS, PALETTE, RULE, blank_axes, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_WIDTH, _HEIGHT = 4.4, 2.9  # inches of a panel
_GROUP = 0.8  # of the room of a name that its bars fill


def svg(panel: Panel, name: str) -> str:
    """An inline `<svg>` of a panel; `name` keeps its inner ids apart from other figures'."""
    figure, axes = blank_axes(_WIDTH, _HEIGHT)
    axes.set_position((0.14, 0.17, 0.83, 0.73 if panel.title else 0.79))
    if panel.square:
        axes.set_aspect("equal", adjustable="datalim")
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
    bars = [mark for mark in panel.marks if isinstance(mark, Bars)]
    for i, mark in enumerate(panel.marks):
        color = INK if getattr(mark, "theory", False) else PALETTE[_color_index(panel.marks, i) % len(PALETTE)]
        _draw(axes, mark, color, bars)
    axes.set_xlabel(panel.x, parse_math=False)
    axes.set_ylabel(panel.y, parse_math=False)
    axes.set_title(panel.title, fontsize=9, loc="left", parse_math=False)
    if any(getattr(mark, "label", "") for mark in panel.marks):
        legend = axes.legend(fontsize=7.5, frameon=False, labelcolor=INK, handlelength=1.6, borderpad=0, labelspacing=0.3)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return to_svg(figure, name)


def _color_index(marks: Sequence[Mark], i: int) -> int:
    """The colour of mark `i`, by its place among the measured marks: they take the colours in turn."""
    return sum(not getattr(mark, "theory", False) for mark in marks[:i])


def _draw(axes: Axes, mark: Mark, color: str, bars: Sequence[Bars]) -> None:
    """Draw one mark; the bars of a panel stand side by side."""
    match mark:
        case Line():
            _line(axes, mark, color)
        case Points():
            _points(axes, mark, color)
        case Arrows():
            _arrows(axes, mark)
        case Heat():
            _heat(axes, mark)
        case Bars():
            _bars(axes, mark, color, bars.index(mark), len(bars))


def _line(axes: Axes, mark: Line, color: str) -> None:
    style: dict[str, Any] = {"ls": (0, (4, 2)), "lw": 1.3, "zorder": 3} if mark.theory else {"lw": 1.6}
    axes.plot(_floats(mark.x), _floats(mark.y), color=color, label=mark.label, solid_capstyle="round", **style)


def _points(axes: Axes, mark: Points, color: str) -> None:
    style: dict[str, Any] = {"marker": "o", "ms": 7, "mfc": "none", "zorder": 3}
    if not mark.theory:
        style = {"marker": MARKERS[PALETTE.index(color)], "ms": 4.5}
    axes.plot(_floats(mark.x), _floats(mark.y), ls="none", color=color, label=mark.label, **style)


def _arrows(axes: Axes, mark: Arrows) -> None:
    x, y, u, v = map(_floats, (mark.x, mark.y, mark.u, mark.v))
    moves = np.hypot(u, v) > 0
    x, y, u, v = x[moves], y[moves], u[moves], v[moves]
    length = np.hypot(u, v)
    axes.quiver(x, y, u / length, v / length, color=RULE, angles="xy", pivot="mid", scale=28, width=0.004, zorder=0)


def _heat(axes: Axes, mark: Heat) -> None:
    axes.imshow([_floats(row) for row in mark.z], extent=mark.extent, cmap="gray", aspect=axes.get_aspect(), interpolation="nearest")
    axes.grid(visible=False)


def _bars(axes: Axes, mark: Bars, color: str, place: int, of: int) -> None:
    width = _GROUP / of
    at = np.arange(len(mark.names)) + (place - (of - 1) / 2) * width
    theory = {"fill": False, "edgecolor": color, "ls": (0, (3, 1.5)), "lw": 1.1}
    style: dict[str, Any] = theory if mark.theory else {"color": color, "lw": 0}
    axes.bar(at, _floats(mark.y), width * 0.92, label=mark.label, **style)
    crowded = sum(map(len, mark.names)) >= 40
    if crowded:  # room for slanted names
        left, _, width_, _ = axes.get_position().bounds
        axes.set_position((left, 0.3, width_, 0.62))
    axes.set_xticks(range(len(mark.names)), mark.names, rotation=30 if crowded else 0, ha="right" if crowded else "center", fontsize=7.5)
    for text in axes.get_xticklabels():
        text.set_parse_math(False)
    axes.grid(visible=False, axis="x")


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in values], dtype=float)
