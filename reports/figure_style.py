"""How every figure of a report looks: colours that colour-blind readers can tell apart, and SVG, PNG or PDF of the same bytes each time.

Inside a page the colours are CSS variables (`--ink`, `--rule`, `--c0` ...), so a figure follows the page's light or dark theme.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.store.record import TrialRecord
from reports.wording import to_plain_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, the yellow left out (it vanishes on white); a second turn through them is dashed
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b")
MARKERS = "osD^vPX"
INK, RULE = "#1a1c1f", "#d5d8dc"


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


def blank_axes(width: float, height: float) -> tuple[Figure, Axes]:
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
        text = axes.annotate(shorten(label), (1.015, place), xycoords="axes fraction", color=color, va="center", fontsize=min(8, 105 * gap))
        text.set_parse_math(False)


def shorten(label: str, limit: int = 28) -> str:
    """The label as one line, cut where it is long."""
    text = to_plain_line(label)
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
