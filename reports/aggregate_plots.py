"""What is drawn across the tables of a suite: profiles, critical differences, sensitivity, what tuning buys, heat maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.statistics.across_workloads import R_MAX, PerformanceProfile, Ranks
from bench.statistics.effects import RateSensitivity
from reports.figure_style import INK, PALETTE, RULE, Style, blank_axes, label_ends, shorten
from reports.table import Cell, LeaderboardColumn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_FAINT, _STRONG = 0.04, 0.62  # how opaque the worst and the best cell of a heat map are: ink stays readable on both
_SHORT = 22  # letters of a label in a critical-difference diagram
_LINE = 0.23  # inches of height of a label in a critical-difference diagram


def _leave_room_for(axes: Axes, texts: Sequence[str]) -> None:
    """Room on the right for what is written beside curves."""
    longest = max(map(len, texts), default=0)
    axes.set_position((0.13, 0.17, 0.84 - 0.0155 * longest, 0.79))


def profile(labels: Sequence[str], found: PerformanceProfile, style: Mapping[str, Style]) -> Figure:
    """The share of workloads that each row trains to the target within tau times the fastest row's updates."""
    figure, axes = blank_axes(4.6, 2.9)
    tau = np.unique(np.concatenate([[1.0], found.ratio[np.isfinite(found.ratio) & (found.ratio <= R_MAX)], [R_MAX]]))
    shares = found.share(tau)
    for label, share in zip(labels, shares, strict=True):
        look = style[label]
        axes.step(tau, share, where="post", color=look.color, ls=look.line, lw=1.6)
    axes.set(xlim=(1, R_MAX), ylim=(-0.03, 1.03), xlabel="times the fastest row's updates", ylabel="share of workloads")
    _leave_room_for(axes, [shorten(label) for label in labels])
    label_ends(axes, [(float(share[-1]), label, style[label].color) for label, share in zip(labels, shares, strict=True)])
    return figure


def critical_difference(labels: Sequence[str], ranks: Ranks, style: Mapping[str, Style]) -> Figure:
    """Demsar's diagram: rows on an axis of mean ranks, best left; a bar joins rows that no test tells apart."""
    k = len(labels)
    order = [int(i) for i in np.argsort(ranks.mean, kind="stable")]
    left, right = order[: (k + 1) // 2], order[(k + 1) // 2 :][::-1]
    depth = 1.2 + 0.55 * len(ranks.cliques)  # where the labels begin, in lines below the axis
    height = (depth + len(left) + 2.2) * _LINE
    margin = 0.55 + 0.075 * max(len(shorten(label, _SHORT)) for label in labels)  # inches for a label and its rank
    width = max(4.6, 2.2 + 2 * margin)
    figure, axes = blank_axes(width, height)
    axes.set_position((margin / width, 0.02, 1 - 2 * margin / width, 0.96))
    axes.set(xlim=(1, k), ylim=(-(depth + len(left)), 2.2))
    axes.axis("off")
    _rank_axis(axes, k, ranks.critical)
    for i, clique in enumerate(ranks.cliques):
        y, pad = -0.7 - 0.55 * i, 0.012 * (k - 1)
        ends = [ranks.mean[clique[0]] - pad, ranks.mean[clique[-1]] + pad]
        axes.plot(ends, [y, y], color=INK, lw=2.6, solid_capstyle="butt", clip_on=False)
    for side, rows in (("right", left), ("left", right)):
        edge = 1 - 0.03 * (k - 1) if side == "right" else k + 0.03 * (k - 1)
        for line, row in enumerate(rows):
            y, rank, color = -depth - line, ranks.mean[row], style[labels[row]].color
            axes.plot([rank, rank, edge], [0, y, y], color=color, lw=1, clip_on=False)
            name = f" {shorten(labels[row], _SHORT)}  {rank:.2f} "
            text = axes.text(edge, y, name, ha=side, va="center", fontsize=8, color=color)
            text.set_parse_math(False)
    return figure


def _rank_axis(axes: Axes, rows: int, critical: float) -> None:
    """An axis from rank 1 to the last, and above it the critical difference, where there is one."""
    axes.plot([1, rows], [0, 0], color=INK, lw=1)
    for tick in range(1, rows + 1):
        axes.plot([tick, tick], [0, 0.25], color=INK, lw=1)
        if (tick - 1) % math.ceil(rows / 12) == 0:
            axes.text(tick, 0.45, str(tick), ha="center", va="bottom", fontsize=8, color=INK)
    if math.isfinite(critical):
        end, said = min(1 + critical, rows), f"critical difference {critical:.2f}"
        axes.plot([1, end], [1.75, 1.75], color=INK, lw=1.6, marker="|", ms=6)
        axes.text(end + 0.03 * rows, 1.75, said, va="center", fontsize=8, color=INK)


def sensitivity(curves: Mapping[str, RateSensitivity], column: LeaderboardColumn, style: Mapping[str, Style], key: str) -> Figure:
    """The ranked score against one setting: median over seeds, their range as a band, a cross where seeds diverged, larger for more."""
    figure, axes = blank_axes(4.6, 2.9)
    axes.set_xscale("log")
    values = np.concatenate([c.value[np.isfinite(c.value)] for c in curves.values()] or [np.ones(1)])
    if len(values) and values.min() > 0 and values.max() / values.min() > 50:
        axes.set_yscale("log")
    floor = 0.02 if column.higher_is_better else 0.98  # of the height: where a rate stands at which every seed diverged
    for label, c in curves.items():
        look, seen = style[label], np.isfinite(c.value)
        axes.plot(c.rates[seen], c.value[seen], color=look.color, ls=look.line, lw=1.6, marker=look.marker, ms=3)
        axes.fill_between(c.rates[seen], c.low[seen], c.high[seen], color=look.color, alpha=0.15, lw=0)
        for rate, value, share in zip(c.rates, c.value, c.diverged):
            if share > 0:
                place = axes.transData if math.isfinite(value) else axes.get_xaxis_transform()
                axes.plot(rate, value if math.isfinite(value) else floor, "x", transform=place, color=look.color, ms=3 + 5 * share, mew=1.6)
    axes.set_xlabel({"lr": "learning rate"}.get(key, key.replace("_", " ")), parse_math=False)
    axes.set_ylabel(", ".join(filter(None, [column.title, column.unit])), parse_math=False)
    _legend(axes, list(curves), style, {})
    return figure


def expected_best(
    curves: Mapping[str, NDArray[np.float64]], column: LeaderboardColumn, style: Mapping[str, Style], notes: Mapping[str, str]
) -> Figure:
    """The expected best validation score of n tuning trials; `notes` are written behind the names."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = blank_axes(4.6, 2.9)
    for label, values in curves.items():
        look = style[label]
        axes.plot(np.arange(1, len(values) + 1), values, color=look.color, ls=look.line, lw=1.6, marker=look.marker, ms=3)
    axes.set_xlabel("tuning trials")
    axes.set_ylabel(", ".join(filter(None, [f"best {column.title}", column.unit])), parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, list(curves), style, notes)
    return figure


def _legend(axes: Axes, labels: Sequence[str], style: Mapping[str, Style], notes: Mapping[str, str]) -> None:
    """Names, each with its note, in a column on the right: curves that cross need their own order."""
    texts = [shorten(label) + notes.get(label, "") for label in labels]
    _leave_room_for(axes, texts)
    gap = min(0.075, 1 / max(len(labels), 1))
    for i, label in enumerate(labels):
        look, y = style[label], 0.98 - gap * (i + 0.5)
        axes.plot(
            [1.02, 1.07],
            [y, y],
            transform=axes.transAxes,
            color=look.color,
            ls=look.line,
            lw=1.6,
            marker=look.marker,
            ms=3,
            clip_on=False,
        )
        text = axes.text(1.085, y, texts[i], transform=axes.transAxes, color=look.color, va="center", fontsize=min(8, 105 * gap))
        text.set_parse_math(False)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], Cell],
    column: LeaderboardColumn,
    among: tuple[float, float],
) -> Figure:
    """A grid of two axes: the mean with its interval in each cell, the better the more colour; a dash where nothing finished.

    Args:
        rows: levels of the first axis. columns: of the second.
        cells: (row, column) -> its cell; a mean that is NaN has diverged.
        column: the score.
        among: worst and best mean of the whole grid: the scale of the colour.
    """
    wide = max(0.62, *(0.075 * len(shorten(c)) for c in columns))
    margin = 0.25 + 0.075 * max(len(shorten(r)) for r in rows)
    width, height = margin + 1.05 * wide * len(columns) + 0.1, 0.42 * len(rows) + 0.4
    figure, axes = blank_axes(width, height)
    axes.set_position((margin / width, 0.02, 1 - (margin + 0.1) / width, 1 - 0.4 / height))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), [shorten(c) for c in columns], fontsize=8, parse_math=False)
    axes.set_yticks(range(len(rows)), [shorten(r) for r in rows], fontsize=8, parse_math=False)
    worst, best = among
    for (row, name), cell in cells.items():
        x, y, i = columns.index(name), rows.index(row), cell.interval
        if not math.isfinite(i.mean):
            axes.fill_between([x - 0.48, x + 0.48], y - 0.46, y + 0.46, facecolor="none", edgecolor=RULE, lw=0.8)
            axes.text(x, y, "diverged" if cell.mark == "diverged" else "–", ha="center", va="center", fontsize=7, color=INK)
            continue
        strength = (i.mean - worst) / (best - worst) if best != worst else 0.5
        axes.fill_between([x - 0.48, x + 0.48], y - 0.46, y + 0.46, color=PALETTE[0], alpha=_FAINT + (_STRONG - _FAINT) * strength, lw=0)
        axes.text(x, y - 0.13, column.text(i.mean), ha="center", va="center", fontsize=8, color=INK)
        if math.isfinite(i.low):
            axes.text(x, y + 0.24, f"[{column.text(i.low)}, {column.text(i.high)}]", ha="center", va="center", fontsize=5.5, color=INK)
    return figure
