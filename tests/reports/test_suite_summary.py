import dataclasses
import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bench.store import validation
from reports import figure_style
from reports.html import page
from reports.render import tables_of
from reports.suite_summary import summarise


def _of(records, suite=None, sort="score"):
    rows = [r for r in records if r.role == "row"]
    tables = tables_of(records, sort=sort)
    return summarise(tables, records, figure_style.styles(rows), suite), tables


@pytest.fixture(scope="module")
def across(optimizers):
    return _of(optimizers)[0]


def test_standings_by_hand(across, optimizers):
    assert [s.label for s in across.comparison.standings] == ["adam", "nadam", "sgdm", "sgd", "adadelta"]
    best, _, _, _, last = across.comparison.standings
    assert best.improves is None
    assert best.iqm.mean > 0.8
    assert last.iqm.mean == pytest.approx(0, abs=0.1)  # the worst row's median is 0 by definition
    assert last.rank == 5
    assert last.improves.mean == 0
    assert across.comparison.ranks.n == 7
    assert "Friedman's test over 7 workloads: p < 0.001" in across.comparison.verdict
    assert across.comparison.baseline == best.label


def test_time_to_the_target_of_the_middle_row(across):
    """The target is where the middle row (sgdm) ends; rows above reach it earlier, those below never."""
    score = {s.label: (s.score, s.faster) for s in across.comparison.standings}
    assert score["adam"][0] == pytest.approx(1, abs=0.05)
    assert score["sgd"] == (0, 0)
    assert all(w.reached in (2, 3) for w in across.comparison.workloads)
    assert across.comparison.workloads[0].seeds == 3


def test_references_set_target_and_baseline(optimizers, suite_of):
    workloads = [{"name": w, "task": "learn", "method": "descent", "sort": "score"} for w in dict.fromkeys(r.workload for r in optimizers)]
    suite = suite_of(axes={"optimizer": ["sgd"]}, references=["sgd"], workloads=workloads)
    found, _ = _of(optimizers, suite)
    assert found.comparison.baseline == "sgd"
    speeds = {s.label: s.speed for s in found.comparison.standings}
    assert speeds["sgd"] == pytest.approx(1)
    assert speeds["adam"] > 1.5
    assert found.grids == []  # one axis is no grid


def test_a_run_that_diverged_reached_no_target(optimizers):
    burst = [dataclasses.replace(r, outcome="diverged", final={}) if (r.label, r.workload) == ("adam", "vae") else r for r in optimizers]
    score = {s.label: s.score for s in _of(burst)[0].comparison.standings}
    assert score["adam"] == pytest.approx(6 / 7, abs=0.01)


def test_rows_that_a_table_lacks_are_named_and_left_out(optimizers):
    found, _ = _of([r for r in optimizers if not (r.label == "sgdm" and r.workload == "gan")])
    assert found.comparison.left_out == ["sgdm"]
    assert "sgdm" not in [s.label for s in found.comparison.standings]


def test_few_workloads_give_no_verdict(optimizers):
    found, _ = _of([r for r in optimizers if r.workload in ("digits", "vae", "gan")])
    assert found.comparison.verdict.startswith("No verdict: 5 rows on 3 workloads")
    assert not found.comparison.ranks.different.any()


def test_sensitivity_and_tuning(across):
    widths = {label: (width, share) for _, label, width, share in across.widths}
    assert widths["adam"][0] == pytest.approx(2 * 12.1 * (1 - 1 / 1.1) / 1.5, rel=0.1)
    assert widths["adam"][1] == pytest.approx(4 / 11 * 2 / 3)
    assert [d.name for d in across.figures] == ["profile", "ranks", "sensitivity0", "tuning0"]


def test_a_run_beats_the_leader_on_the_scores_as_they_are(make_trial):
    """Workloads of both directions; runs above the best median are not ties."""
    records = []
    for seed in range(4):
        records += [
            make_trial("a", seed, "up", 10.0 + 0.1 * seed),
            make_trial("b", seed, "up", 10.15 + 0.01 * seed),
            make_trial("c", seed, "up", 0.0),
        ]
        losses = {"a": 0.2, "b": 0.1 - 0.01 * seed, "c": 5.0}
        for label, loss in losses.items():
            r = make_trial(label, seed, "down", loss)
            records.append(dataclasses.replace(r, cards={"score": r.cards["score"] | {"higher_is_better": False}}))
    found = _of(records)[0]
    improves = {s.label: s.improves.mean for s in found.comparison.standings if s.improves}
    assert improves in ({"b": 0.75, "c": 0}, {"a": 0.25, "c": 0})  # half of the pairs on the one workload, all on the other


def test_detectable_difference_is_that_of_the_spread_of_seeds(make_trial):
    def rows(n):
        noise = np.random.default_rng(4).normal(0, 0.01, (3, 4))
        return [make_trial(label, seed, w, i + noise[i, seed]) for w in "vw" for i, label in enumerate("abc") for seed in range(n)]

    assert all(np.isnan(w.detectable) for w in _of(rows(1))[0].comparison.workloads)
    assert 0.01 < _of(rows(4))[0].comparison.workloads[0].detectable < 0.05


def test_how_much_the_standings_rest_on_is_said(across):
    assert across.comparison.sample == "7 workloads, 3 seeds a row on each, tier quick."


def test_divergence_before_the_first_validation_turns_no_direction(optimizers):
    goal = validation.target(optimizers_on_vae := [r for r in optimizers if r.workload == "vae"], ["sgd", "adam"])
    early = dataclasses.replace(
        optimizers_on_vae[0],
        label="sgd",
        seed=7,
        outcome="diverged",
        curves=optimizers_on_vae[0].curves[:0],
        final={},
    )
    assert not validation.column_of(early)
    assert validation.target([early, *optimizers_on_vae], ["sgd", "adam"]) == goal > 12
    assert validation.final(early, *optimizers_on_vae) == -np.inf


def test_how_many_tuning_trials_diverged_stands_beside_the_name(across):
    (tuning,) = [d for d in across.figures if d.name == "tuning0"]
    assert {t.get_text() for t in tuning.figure.axes[0].texts} == {"adam (3 of 15 diverged)", "sgd (3 of 15 diverged)"}


@pytest.mark.parametrize(
    ("changes", "moves"),
    [({"unit": ""}, True), ({"protocol": {"log10": True}, "unit": ""}, False), ({"unit": "dB"}, False)],
)
def test_the_width_on_a_logarithmic_score_does_not_depend_on_its_zero(optimizers, changes, moves):
    def widths(shift):
        swept = [r for r in optimizers if r.workload == "digits" and r.role != "tuning"]
        up = [dataclasses.replace(r, curves=r.curves.assign(value=r.curves["value"] + shift)) for r in swept]
        return _of([dataclasses.replace(r, cards={"score": r.cards["score"] | changes}) for r in up])[0].widths[0][2]

    assert (abs(widths(40.0) - widths(0.0)) > 1e-9) == moves


def test_nothing_is_said_of_one_table_without_axes(records, optimizers):
    assert _of(records, sort="psnr")[0] is None
    assert _of([r for r in optimizers if r.workload == "vae"])[0] is None


@pytest.fixture(scope="module")
def grid(losses, grid_suite):
    (grid,) = _of(losses, grid_suite)[0].grids
    return grid


def test_a_grid_leaves_out_the_level_that_diverged_and_finds_what_was_planted(grid):
    assert grid.axes == ("adversarial", "optimizer")
    assert grid.note == "Left out, because cells of theirs diverged or are missing: optimizer lion."
    share = {e.name: e.share for e in grid.effects}
    cells = np.array([[10, 10.5, 11], [8, 5.5, 9], [6, 6.5, 7]])
    mains = [cells.mean(1) - cells.mean(), cells.mean(0) - cells.mean()]
    total = 2 * ((cells - cells.mean()) ** 2).sum() + 18 * 0.05**2
    assert share["adversarial"] == pytest.approx(2 * 3 * (mains[0] ** 2).sum() / total)
    assert share["optimizer"] == pytest.approx(2 * 3 * (mains[1] ** 2).sum() / total)
    assert share["adversarial x optimizer"] == pytest.approx(1 - share["adversarial"] - share["optimizer"] - share["seed"])
    assert share["residual"] == pytest.approx(0)


def test_ablation_changes_one_thing_at_a_time(grid, grid_suite):
    changes = [f"{axis}: {level}" for axis, levels in grid_suite.axes.items() for level in levels[1:]]
    levels = [(axis, first, [a.levels[i] for a in grid.ablation]) for i, (axis, first) in enumerate(zip(grid.axes, ("wgan_gp", "adam")))]
    assert [f"{axis}: {level}" for axis, first, found in levels for level in found if level != first] == changes
    assert [a.levels for a in grid.ablation[:2]] == [("wgan_gp", "adam"), ("lsgan", "adam")]
    assert grid.ablation[1].difference.mean == pytest.approx(-2)
    assert grid.ablation[1].cell.value == pytest.approx(8.05)
    assert grid.ablation[0].difference is None


def test_three_axes_make_a_map_for_each_level_of_the_third(make_trial, suite_of):
    axes = {"adversarial": ["a", "b"], "content": ["c", "d"], "optimizer": ["e", "f", "g"]}
    cells = itertools.product(*axes.values())
    records = [make_trial(" + ".join(at), 0, "", float(i), params=dict(zip(axes, at))) for i, at in enumerate(cells)]
    (grid,) = _of(records, suite_of(task="learn", methods=["m"], sort="score", axes=axes))[0].grids
    assert [text for text, _ in grid.figures] == [f"score: adversarial by content, optimizer {o}" for o in "efg"]
    assert "higher interactions" in [e.name for e in grid.effects]


def test_methods_are_an_axis_where_there_are_several(make_trial, suite_of):
    records = [make_trial(f"{m} + {o}", 0, "", i, params={"init": o}) for i, (m, o) in enumerate(itertools.product("xy", "pq"))]
    (grid,) = _of(records, suite_of(task="learn", methods=["x", "y"], sort="score", axes={"init": ["p", "q"]}))[0].grids
    assert grid.axes == ("method", "init")


def test_figures_are_themed_and_the_same_every_time(optimizers, across, grid):
    again = _of(optimizers)[0]
    for first, second in zip(across.named_figures, again.named_figures, strict=True):
        svg = figure_style.to_svg(first.figure, first.name)
        ET.fromstring(svg)
        assert svg == figure_style.to_svg(second.figure, second.name)
        assert not any(color in svg for color in figure_style.PALETTE)
        assert all("fill: var(" in text for text in re.findall(r"<text [^>]*>", svg))  # black would vanish on a dark page
        assert figure_style.to_pdf(first.figure) == figure_style.to_pdf(second.figure)
        assert figure_style.to_pdf(first.figure).startswith(b"%PDF")
    heat = figure_style.to_svg(grid.figures[0][1], "g")
    assert "var(--c0)" in heat
    assert all("fill: var(" in text for text in re.findall(r"<text [^>]*>", heat))


def test_the_page_says_it_first(optimizers, losses, grid_suite):
    optimizers = [r for r in optimizers if r.workload in ("digits", "vae")]
    tables = _of(optimizers)[1]
    text = page(tables, optimizers, title="Optimizers", summary=_of(optimizers)[0])
    assert text.index("Across the 2 workloads") < text.index("leaderboard</h2>")
    assert "adam has the highest interquartile mean" in text
    assert "2 of 5" in text or "3 of 5" in text
    found, tables = _of(losses, grid_suite)
    text = page(tables, losses, title="Losses", summary=found)
    assert "What decides score" in text
    assert "adversarial × optimizer" in text
    assert "reference" in text


# -- gradient noise
@pytest.fixture
def noisy(optimizers):
    """Two workloads were measured, the ends of runs that diverged were not."""
    out = []
    for r in optimizers:
        if r.role == "row" and r.workload in ("digits", "vae"):
            much = r.workload == "vae"
            told = {"noise/examples": 4096.0, "noise/start/scale": 50.0 + r.seed, "noise/start/tail": 1.0}
            if r.outcome == "finished":
                told |= {"noise/end/scale": 4096.0 if much else 200.0 + 100 * r.seed, "noise/end/tail": 2.5 if much else 1.25}
            r = dataclasses.replace(r, summary=told, params=r.params | {"batch_size": "64"})
        out.append(r)
    return out


def test_gradient_noise_is_pooled_over_the_rows_of_a_workload(noisy):
    digits, vae = _of(noisy)[0].noise
    assert (digits.workload, digits.batch, digits.trials) == ("digits", "64", 15)
    assert [(e.text, e.bracket) for e in digits.scale + digits.tail] == [
        ("51", "[50, 52]"),
        ("300", "[200, 400]"),
        ("1.00", ""),
        ("1.25", ""),
    ]
    assert [e.text for e in vae.scale + vae.tail] == ["51", "> 4096", "1.00", "2.50"]


def test_gradient_noise_where_no_run_ended(noisy):
    ended = []
    for r in noisy:
        summary = {k: v for k, v in r.summary.items() if r.workload != "vae" or "end" not in k}
        ended.append(dataclasses.replace(r, summary=summary))
    assert _of(ended)[0].noise[1].scale[1] is None


def test_the_page_shows_gradient_noise(noisy, optimizers):
    two = [r for r in noisy if r.workload in ("digits", "vae")]
    found, tables = _of(two)
    text = page(tables, two, title="Optimizers", summary=found)
    assert re.search(r"<h3>Gradient noise</h3>.*vae.*&gt; 4096.*2\.50", text, re.DOTALL)
    found, tables = _of([r for r in optimizers if r.workload in ("digits", "vae")])
    assert "Gradient noise" not in page(tables, optimizers, title="Optimizers", summary=found)


def test_noise_alone_is_worth_a_section(noisy):
    found, _ = _of([r for r in noisy if r.workload == "vae" and r.role == "row"])
    assert (len(found.noise), found.comparison) == (1, None)
