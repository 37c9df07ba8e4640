"""Figures as data become SVG: every kind of mark is drawn, theory apart from measurement, what is written stays as it is."""

import math
import re

import pytest

from bench.figure import Arrows, Bars, Heat, Line, Panel, Points
from reports import figures
from reports.figure_style import blank_axes, to_svg

MARKS = [
    (Line(x=[0, 1, 2], y=[1, math.nan, 3]), "c0"),
    (Points(x=[0, 1], y=[1, 2]), "c0"),
    (Bars(names=["a", "b"], y=[1, 2]), "c0"),
    (Arrows(x=[0, 1], y=[0, 1], u=[0, 1], v=[0, 1]), "fill: var(--rule)"),
    (Heat(z=[[0, 1], [1, 0]]), "<image"),
]


@pytest.mark.parametrize(("mark", "drawn_as"), MARKS, ids=lambda v: getattr(v, "kind", ""))
def test_every_mark_is_drawn(mark, drawn_as):
    assert drawn_as not in figures.svg(Panel(marks=[], x="x"), "a")
    drawn = figures.svg(Panel(marks=[mark], x="x"), "a")
    assert drawn_as in drawn
    assert drawn == figures.svg(Panel(marks=[mark], x="x"), "a")  # the same bytes for the same figure


def test_theory_is_drawn_in_ink_and_measurements_take_the_colours_in_turn():
    marks = [Line(x=[0, 1], y=[0, 1], theory=True), Line(x=[0, 1], y=[0, 2]), Line(x=[0, 1], y=[0, 3])]
    strokes = re.findall(r"stroke: var\(--(c\d|ink)\)", figures.svg(Panel(marks=marks), "a"))
    assert {"c0", "c1"} <= set(strokes)
    assert "c2" not in strokes


def test_labels_and_axes_are_written_as_given():
    drawn = figures.svg(Panel(marks=[Line(x=[0, 1], y=[0, 1], label="$x_1$ & <y>")], x="a_b", y="c$d", title="e^f"), "a")
    for text in ("$x_1$ &amp; &lt;y&gt;", "a_b", "c$d", "e^f"):
        assert text in drawn


def test_many_long_names_are_slanted():
    names = [f"a rather long name {i}" for i in range(5)]
    assert "rotate(-30" in figures.svg(Panel(marks=[Bars(names=names, y=range(5))]), "a")
    assert "rotate(-30" not in figures.svg(Panel(marks=[Bars(names=["a"], y=[1])]), "a")


def test_numbers_on_the_axes_keep_their_digits():
    figure, axes = blank_axes(3, 2)
    axes.set_yticks([0.9975, 1.0025], ["0.9975", "1.0025"])
    svg = to_svg(figure, "a")
    assert ">0.9975<" in svg
    assert not re.search(r'[ "]\d+\.\d{3,}[ "]', svg)  # coordinates are short
