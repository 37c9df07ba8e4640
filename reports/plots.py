"""What is drawn of one table: curves over training, and the ranked score against a cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.store.record import TrialRecord
from reports.figure_style import INK, Style, blank_axes, label_ends, shorten
from reports.table import Leaderboard
from reports.wording import arrow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray

AXES = {"step": "updates", "images": "images seen", "seconds": "training time, s"}
POINTS = 160  # of a curve; longer ones are averaged in bins


def pool_curves(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Curves over seeds. Columns: label, key, step, images, seconds, value (mean), low and high (extremes), cut (a seed diverged here).

    A validation score may be infinitely good; so is a mean with it.
    """
    frames = [_points(r) for r in records if len(r.curves)]
    columns = ["label", "key", "step", "images", "seconds", "value", "low", "high", "cut"]
    if not frames:
        return pd.DataFrame(columns=columns)
    rows = pd.concat(frames, ignore_index=True)
    spec = {k: (k, "mean") for k in ("images", "seconds", "value")} | {
        "low": ("value", "min"),
        "high": ("value", "max"),
        "cut": ("cut", "any"),
    }
    pooled = rows.groupby(["label", "key", "step"], as_index=False, sort=True).agg(**spec)
    parts = [_binned(part) for _, part in pooled.groupby(["label", "key"], sort=False)]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _points(record: TrialRecord) -> pd.DataFrame:
    rows = record.curves[record.curves["value"].notna()].sort_values(["key", "step"], kind="stable")
    last = ~rows.duplicated("key", keep="last")
    return rows.assign(label=record.label, cut=last & (record.outcome == "diverged"))


def _binned(part: pd.DataFrame) -> pd.DataFrame:
    if len(part) <= POINTS:
        return part
    bins = np.arange(len(part)) * POINTS // len(part)
    means = dict.fromkeys(["step", "images", "seconds", "value", "low", "high"], "mean")
    return part.groupby(bins).agg({"label": "first", "key": "first", **means, "cut": "any"})


def curve(pooled: pd.DataFrame, key: str, x: str, style: Mapping[str, Style]) -> Figure:
    """One key against updates ("step"), "images" or "seconds": mean over seeds, their range as a band, a cross where a label diverged.

    What is infinite is a diamond on the edge of the frame.
    """
    figure, axes = blank_axes(4.6, 2.75)
    shown = pooled[pooled["key"] == key]
    low, high = _limits(shown)
    ends = []
    for label, part in shown.replace({np.inf: high, -np.inf: low}).groupby("label", sort=False):
        look, beyond = style[label], ~np.isfinite(shown.loc[part.index, "value"].astype(float))
        axes.plot(part[x], part["value"], color=look.color, ls=look.line, lw=1.6, solid_capstyle="round")
        if beyond.any():
            axes.plot(part[x][beyond], part["value"][beyond], color=look.color, ls="none", marker="d", ms=6, clip_on=False)
        if (part["high"] > part["low"]).any():
            axes.fill_between(part[x].astype(float), part["low"], part["high"], color=look.color, alpha=0.15, lw=0)
        cut = part[part["cut"].astype(bool)]
        axes.plot(cut[x], cut["value"], marker="x", ms=7, mew=2, color=look.color, ls="none")
        ends.append((part["value"].iloc[-1], label, look.color))
    if len(shown):
        axes.set_ylim(low, high)
    axes.set_xlabel(AXES[x])
    axes.margins(x=0)
    longest = max((len(shorten(label)) for _, label, _ in ends), default=0)
    axes.set_position((0.11, 0.17, 0.86 - 0.0155 * longest, 0.79))  # room on the right for the labels
    label_ends(axes, ends)
    return figure


def _limits(shown: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis of values: one run that blows up must not flatten the others, and what is infinite has no say."""
    values = shown[["value", "low", "high"]].astype(float).replace([np.inf, -np.inf], np.nan)
    if values["value"].isna().all():
        return 0.0, 1.0
    low, high = np.nanpercentile(values["value"], [1, 99])
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1
    return max(low - pad, values["low"].min() - pad), min(high + pad, values["high"].max() + pad)


def pareto(table: Leaderboard, cost: str, style: Mapping[str, Style]) -> Figure:
    """The ranked score against a cost (log scale); the stepped line joins the rows that no other row beats in both."""
    score, price = table.column(table.sort), table.column(cost)
    figure, axes = blank_axes(4.6, 3.0)
    axes.set_position((0.12, 0.16, 0.86, 0.81))
    points = [(r.value(cost), r.value(table.sort), r) for r in table.rows]
    points = [(x, y, r) for x, y, r in points if np.isfinite(x) and np.isfinite(y) and x > 0]
    for x, y, row in points:
        i, look = row.cells[table.sort].interval, style[row.label]
        if np.isfinite(i.low):
            axes.plot([x, x], [i.low, i.high], color=look.color, lw=1.2, alpha=0.6)
        axes.plot(x, y, marker=look.marker, ms=7.5, color=look.color, mfc=look.color if row.competes else "none", mew=1.5, ls="none")
    front = _front([(x, y) for x, y, r in points if r.competes], score.higher_is_better)
    if front:
        axes.step(*zip(*front, strict=True), where="post", color=INK, lw=0.9, ls=":", zorder=0)
    if points:
        axes.set_xscale("log")
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        wide = max(x for x, *_ in points) / min(x for x, *_ in points) > 30
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.2, y=0.14)
    axes.set_xlabel(", ".join(filter(None, [price.title if cost != "train_seconds" else "training time", price.unit])), parse_math=False)
    axes.set_ylabel(", ".join(filter(None, [score.title, score.unit])) + f" {arrow(score)}", parse_math=False)
    _label_points(axes, [(x, y, f"{r.label} (oracle)" if r.oracle else r.label, style[r.label].color) for x, y, r in points])
    return figure


def _front(points: list[tuple[float, float]], higher_is_better: bool) -> list[tuple[float, float]]:
    """The points that none beats in both, by rising cost."""
    sign = 1 if higher_is_better else -1
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda p: (p[0], -sign * p[1])):
        if not front or sign * y > sign * front[-1][1]:
            front.append((x, y))
    return front


def _label_points(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each label beside its point, at whichever of eight places covers least: other labels, points, the frame."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    renderer = canvas.get_renderer()
    marks = [axes.transData.transform((x, y)) for x, y, *_ in points]
    frame = axes.get_window_extent()
    taken: list[Bbox] = []
    places = [(7, 5, "left", "bottom"), (-7, 5, "right", "bottom"), (7, -5, "left", "top"), (-7, -5, "right", "top"),
              (0, 9, "center", "bottom"), (0, -9, "center", "top"), (9, 0, "left", "center"), (-9, 0, "right", "center")]  # fmt: skip
    for (x, y, label, color), mark in zip(points, marks, strict=True):
        text = axes.annotate(shorten(label), (x, y), xytext=(0, 0), textcoords="offset points", color=color, fontsize=8)
        text.set_parse_math(False)

        def covers(place: tuple[float, float, str, str], text: Annotation = text, mark: NDArray[np.float64] = mark) -> int:
            text.set(position=place[:2], ha=place[2], va=place[3])
            box = text.get_window_extent(renderer).padded(3)
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            return int(4 * outside + 2 * box.count_overlaps(taken) + sum(bool(box.contains(*m)) for m in marks if m is not mark))

        covers(min(places, key=covers))  # leaves the text at the best place
        taken.append(text.get_window_extent(renderer))
