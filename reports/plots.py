"""Curves and Pareto plots as SVG or PNG: the same bytes for the same records, colours that colour-blind readers can tell apart.

Inside a page the colours are CSS variables (`--ink`, `--rule`, `--c0` ...), so a figure follows the page's light or dark theme.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.store.record import TrialRecord
from reports.export import arrow, plain
from reports.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray

# Okabe and Ito's colours, the yellow left out (it vanishes on white); a second turn through them is dashed
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b")
MARKERS = "osD^vPX"
INK, RULE = "#1a1c1f", "#d5d8dc"
AXES = {"step": "updates", "images": "images seen", "seconds": "training time, s"}
POINTS = 160  # of a curve; longer ones are averaged in bins


@dataclasses.dataclass(frozen=True)
class Style:
    """How one label looks, everywhere in a report."""

    index: int

    @property
    def color(self) -> str:
        """Its colour."""
        return PALETTE[self.index % len(PALETTE)]

    @property
    def line(self) -> str:
        """Its dash pattern."""
        return ("-", "--", ":", "-.")[self.turn]

    @property
    def turn(self) -> int:
        """How often its colour was given before; after four times it begins again."""
        return self.index // len(PALETTE) % 4

    @property
    def marker(self) -> str:
        """Its marker."""
        return MARKERS[self.index % len(MARKERS)]


def styles(records: Sequence[TrialRecord]) -> dict[str, Style]:
    """One style a label, in the order of the records."""
    return {label: Style(i) for i, label in enumerate(dict.fromkeys(r.label for r in records))}


def pool_curves(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Curves over seeds. Columns: label, key, step, images, seconds, value (mean), low and high (extremes over seeds), cut (a seed diverged here).

    A validation score may be infinitely good; so is a mean with it.
    """
    frames = [_points(r) for r in records if len(r.curves)]
    columns = ["label", "key", "step", "images", "seconds", "value", "low", "high", "cut"]
    if not frames:
        return pd.DataFrame(columns=columns)
    rows = pd.concat(frames, ignore_index=True)
    spec = {k: (k, "mean") for k in ("images", "seconds", "value")} | {"low": ("value", "min"), "high": ("value", "max"), "cut": ("cut", "any")}
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
    figure, axes = blank(4.6, 2.75)
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
    longest = max((len(short(label)) for _, label, _ in ends), default=0)
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


def pareto(table: Table, cost: str, style: Mapping[str, Style]) -> Figure:
    """The ranked score against a cost (log scale); the stepped line joins the rows that no other row beats in both."""
    score, price = table.column(table.sort), table.column(cost)
    figure, axes = blank(4.6, 3.0)
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


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """Axes in the reports' look; inches."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings = {"font.size": 9, "axes.edgecolor": RULE, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK}
    settings |= {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.6}
    settings |= {"xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "axes.axisbelow": True, "font.family": "DejaVu Sans"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
    return figure, axes


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each label right of its curve's end, pushed apart so that none covers another."""
    low, high = axes.get_ylim()
    gap = min(0.075, 1 / max(len(ends), 1))  # of the height
    place = np.inf
    for below, (y, label, color) in zip(range(len(ends) - 1, -1, -1), sorted(ends, key=lambda e: -e[0]), strict=True):
        place = max(min(place - gap, float(np.clip((y - low) / (high - low), 0, 1))), gap * below)
        text = axes.annotate(short(label), (1.015, place), xycoords="axes fraction", color=color, va="center", fontsize=min(8, 105 * gap))
        text.set_parse_math(False)


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
        text = axes.annotate(short(label), (x, y), xytext=(0, 0), textcoords="offset points", color=color, fontsize=8)
        text.set_parse_math(False)

        def covers(place: tuple[float, float, str, str], text: Annotation = text, mark: NDArray[np.float64] = mark) -> int:
            text.set(position=place[:2], ha=place[2], va=place[3])
            box = text.get_window_extent(renderer).padded(3)
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            return int(4 * outside + 2 * box.count_overlaps(taken) + sum(bool(box.contains(*m)) for m in marks if m is not mark))

        covers(min(places, key=covers))  # leaves the text at the best place
        taken.append(text.get_window_extent(renderer))


def short(label: str, limit: int = 28) -> str:
    """The label as one line, cut where it is long."""
    text = plain(label)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def to_svg(figure: Figure, name: str) -> str:
    """An inline `<svg>` whose colours are the page's CSS variables; `name` keeps its inner ids apart from other figures'."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = re.sub(r"<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL))
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", re.sub(r"\n\s*", "\n", svg), count=1)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r" font-family: [^;]*;", "", svg)
    svg = re.sub(r"(\d\.\d\d)\d+(?=[^<]*>)", r"\1", svg)  # coordinates, but not what is written
    names = {color: f"c{i}" for i, color in enumerate(PALETTE)} | {INK: "ink", RULE: "rule"}
    return re.sub("|".join(names), lambda m: f"var(--{names[m[0]]})", svg)


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure for a paper or a slide, on white."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def to_pdf(figure: Figure) -> bytes:
    """The figure for a paper, its letters as text."""
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(out, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return out.getvalue()
