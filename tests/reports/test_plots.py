import io
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from reports import figure_style, plots
from reports.leaderboard import leaderboard


def test_curves_are_pooled_over_seeds(make):
    a, b = make(seed=0), make(seed=1)
    for r, values in ((a, (1.0, 2.0)), (b, (3.0, 6.0))):
        r.curves = pd.DataFrame([("validation/psnr", s, s, s * 2.0, v) for s, v in zip((10, 20), values)], columns=list(a.curves.columns))
    b.outcome = "diverged"
    pooled = plots.pool_curves([a, b])
    assert pooled[["value", "low", "high"]].to_numpy().tolist() == [[2, 1, 3], [4, 2, 6]]
    assert pooled["cut"].tolist() == [False, True]


def test_long_curves_are_averaged_in_bins_and_values_that_are_not_finite_dropped(make):
    record = make(outcome="diverged")
    record.curves = record.curves.iloc[::-1]  # a store may hand them back in any order
    pooled = plots.pool_curves([record])
    loss = pooled[pooled["key"] == "train/loss_g"]
    raw = record.curves[(record.curves["key"] == "train/loss_g") & np.isfinite(record.curves["value"])]
    assert len(loss) == plots.POINTS
    assert np.isfinite(loss["value"].astype(float)).all()
    assert loss["cut"].sum() == 1
    assert loss["cut"].iloc[-1]
    assert loss["value"].mean() == pytest.approx(raw["value"].mean(), rel=0.05)


def test_nothing_to_draw_is_not_an_error(make):
    assert plots.pool_curves([make("identity")]).empty


def test_front_keeps_what_nothing_beats():
    points = [(1, 20), (2, 25), (3, 24), (4, 30), (4, 29)]
    assert plots._front(points, True) == [(1, 20), (2, 25), (4, 30)]
    assert plots._front(points, False) == [(1, 20)]


def test_svg_is_well_formed_themed_and_the_same_every_time(records, hostile):
    style = figure_style.styles(records)
    table = leaderboard(records, sort="psnr")

    def draw():
        return figure_style.to_svg(plots.pareto(table, "ms_per_image", style), "a"), figure_style.to_svg(
            plots.curve(plots.pool_curves(records), "train/loss_g", "step", style), "b"
        )

    first = draw()
    assert first == draw()
    for svg in first:
        ET.fromstring(svg)
        assert "<script" not in svg
        assert "#0072b2" not in svg
        assert "var(--ink)" in svg
        assert "--&gt;" not in svg or "<!--" not in svg
    assert hostile.startswith("<script>")


def test_styles_never_repeat_within_28_labels(make):
    looks = [figure_style.Style(i) for i in range(28)]
    assert len({(s.color, s.line) for s in looks}) == 28


def test_png_is_a_picture_and_the_same_every_time(records):
    table, style = leaderboard(records, sort="psnr"), figure_style.styles(records)
    data = figure_style.to_png(plots.pareto(table, "ms_per_image", style), dpi=80)
    assert data == figure_style.to_png(plots.pareto(table, "ms_per_image", style), dpi=80)
    assert Image.open(io.BytesIO(data)).size == (368, 240)
