"""One training judged on several test sets: a table each, and one leaderboard of the means over all of them."""

import csv
import dataclasses
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
import rich.console
from _page import tags_of

from reports import export, figure_style, latex, paper
from reports.html import page
from reports.overview import overviews
from reports.render import render, tables_of
from reports.suite_summary import summarise

SETS = {"set5": 6, "set14": 14, "bsd100": 30}
ROWS = {"deblurgan": (0, 1, 2), "srgan": (0, 1, 2), "identity": (0,), "unsharp": (0,)}


@pytest.fixture(scope="module")
def judge(make, make_card):
    """judge(label, seed, test set, **fields): one training on one test set."""

    def judged(label, seed, name, outcome="finished", reason="", workload="", **changes):
        n = SETS[name]
        cards = {column: card | {"protocol": card["protocol"] | {"data": name, "n": n}} for column, card in make().cards.items()}
        fields = {"workload": f"{workload}/{name}".strip("/"), "test": name, "task": f'deblur[test="{name}"]', "cards": cards} | changes
        return make(label, seed, outcome, reason, n=n, **fields)

    return judged


@pytest.fixture(scope="module")
def records(judge):
    trials = [judge(label, seed, name) for name in SETS for label, seeds in ROWS.items() for seed in seeds]
    lost = [judge("wiener", 0, "set5", tags={}), judge("wiener", 0, "set14", "failed", "out of memory", tags={})]
    return [*trials, *lost]


@pytest.fixture(scope="module")
def tables(records):
    return tables_of(records, sort={"": "psnr"})


@pytest.fixture(scope="module")
def overview(tables, records):
    (found,) = overviews(tables, records)
    return found


def _row(table, label):
    return next(r for r in table.rows if r.label == label)


def test_a_table_for_every_test_set_in_the_order_of_the_records(tables):
    assert [(t.name, t.test_set, t.suite_table, t.sort) for t in tables] == [(f"deblur on {name}", name, "", "psnr") for name in SETS]


def test_the_overview_has_the_mean_the_sets_and_the_mean_rank(overview, tables):
    assert overview.name == "deblur over 3 test sets"
    assert [c.title for c in overview.columns][:6] == ["mean PSNR", "set5", "set14", "bsd100", "mean rank", "mean SSIM"]
    row = _row(overview, "deblurgan")
    means = [_row(t, "deblurgan").value("psnr") for t in tables]
    assert [row.value(f"psnr@{name}") for name in SETS] == pytest.approx(means)
    assert row.value("psnr") == pytest.approx(np.mean(means))
    assert row.value("ssim") == pytest.approx(np.mean([_row(t, "deblurgan").value("ssim") for t in tables]))
    orders = [[r.label for r in t.rows if r.label in ROWS] for t in tables]
    assert _row(overview, "srgan").value("mean_rank") == pytest.approx(np.mean([1 + order.index("srgan") for order in orders]))
    assert _row(overview, "identity").value("mean_rank") == 4
    assert (row.cells["psnr"].interval.over, row.cells["psnr"].interval.n) == ("images", 50)
    assert row.cells["psnr"].interval.low < row.value("psnr") < row.cells["psnr"].interval.high


def test_rows_are_compared_on_their_means_over_the_sets(overview):
    labels, result = overview.comparisons["psnr"]
    i, j = labels.index("deblurgan"), labels.index("identity")
    assert result.better[i, j]
    assert result.difference[i, j] == pytest.approx(_row(overview, "deblurgan").value("psnr") - _row(overview, "identity").value("psnr"))
    assert _row(overview, "deblurgan").rank == 1
    assert not set(_row(overview, "deblurgan").cells["psnr"].tie) & set(_row(overview, "identity").cells["psnr"].tie)


def test_why_a_row_has_no_mean_stands_where_the_number_would(overview):
    row = _row(overview, "wiener")
    assert overview.rows[-1] is row
    assert (row.rank, row.competes, "psnr" in row.cells) == (None, False, False)
    assert row.absent == {"psnr@set14": "failed", "psnr@bsd100": "not judged"}
    assert row.value("psnr@set5") > 0


def test_every_form_shows_it(records, tables, overview, tmp_path):
    files = {p.name: p.read_text(encoding="utf-8") for p in render(tables, records, tmp_path, title="Deblur", suite=None)}
    text = files["index.html"]
    tags_of(text)
    assert re.findall(r"<h2>([^<]*(?:leaderboard|test sets))</h2>", text) == [
        "Deblur over 3 test sets",
        *(f"Deblur on {name}: leaderboard" for name in SETS),
    ]
    assert '<p class="headline">deblur over 3 test sets: ' in text
    assert 'data-value="">failed</td>' in text
    assert 'data-value="">not judged</td>' in text
    assert f"{len(records) - 1} judgements finished" in text
    assert text.count("The curves of these trainings stand under") == 2
    assert list(csv.DictReader(io.StringIO(files["overview.csv"])))[-2]["outcome"] in ("finished", "remark")
    lost = next(r for r in csv.DictReader(io.StringIO(files["overview.csv"])) if r["label"] == "wiener")
    assert (lost["reason"], lost["psnr@set14"], lost["rank"]) == ("set14: failed, bsd100: not judged", "", "")
    workloads = [r["workload"] for r in csv.DictReader(io.StringIO(files["leaderboard.csv"]))]
    assert list(dict.fromkeys(workloads)) == list(SETS)
    markdown = files["leaderboard.md"].replace("\\", "")
    assert re.findall(r"^## (.*?)(?::.*)?$", markdown, re.MULTILINE) == ["deblur over 3 test sets", *(f"deblur on {name}" for name in SETS)]
    assert "| failed | not judged |" in markdown
    assert files["overview_table.tex"].count("set14") >= 1
    assert "& failed & not judged &" in files["overview_table.tex"]
    assert re.findall(r"textbf\{(deblur [^:}]*)", files["leaderboard.tex"]) == [overview.name, *(f"deblur on {name}" for name in SETS)]
    data = json.loads(files["leaderboard.json"])
    assert [r["label"] for r in data["overview"]] == [r.label for r in overview.rows]
    assert any("each of which counts alike" in note for note in data["footnotes"][overview.name])


def test_the_terminal_says_which_set_and_shows_the_sets_side_by_side(tables, overview):
    out = io.StringIO()
    console = rich.console.Console(file=out, width=100, color_system=None)
    console.print(export.terminal(tables[0], ""))
    console.print(export.terminal(overview))
    text = out.getvalue()
    assert "deblur on set5" in text
    assert "deblur over 3 test sets" in text
    heads = [c.header.plain.split("\n")[0] for c in export.terminal(overview).columns[2:]]
    assert [h.split(" ↑")[0] for h in heads[:5]] == ["mean PSNR", "set5", "set14", "bsd100", "mean rank ↓"]
    assert not [h for h in heads if "SSIM" in h]
    assert "not judged" in " ".join(text.split())


def test_scores_are_averaged_only_where_the_cards_agree_but_for_the_data(records):
    changed = []
    for r in records:
        card = r.cards.get("ssim")
        if card and r.workload == "set14":
            protocol = card["protocol"] | {"window": "box7"}
            r = dataclasses.replace(r, cards=r.cards | {"ssim": card | {"protocol": protocol, "hash": "other"}})
        changed.append(r)
    (found,) = overviews(tables_of(changed, sort={"": "psnr"}), changed)
    keys = [c.key for c in found.columns]
    assert "psnr" in keys
    assert "ssim" not in keys
    assert [n for n in found.footnotes if "ssim: no mean" in n] == [
        "ssim: no mean over the test sets, for they are judged by two protocols: window = gauss11 | box7 (set5 | set14)"
    ]


def test_where_the_ranked_scores_may_not_be_averaged_the_mean_rank_orders(records):
    changed = []
    for r in records:
        other = r.cards and r.workload == "set14"
        changed.append(dataclasses.replace(r, cards=r.cards | {"psnr": r.cards["psnr"] | {"protocol": {"border": 4}}}) if other else r)
    tables = tables_of(changed, sort={"": "psnr"})
    (found,) = overviews(tables, changed)
    assert (found.sort, [c.key for c in found.columns][:4]) == ("mean_rank", ["psnr@set5", "psnr@set14", "psnr@bsd100", "mean_rank"])
    ranks = [row.value("mean_rank") for row in found.rows if row.label != "wiener"]
    assert ranks == sorted(ranks)
    text = page(tables, changed, title="t", summary=summarise(tables, changed, figure_style.styles(changed)))
    assert "no mean over the test sets" in text


def test_a_seed_that_some_set_lacks_is_left_out_and_said(records):
    fewer = [r for r in records if (r.label, r.seed, r.workload) != ("srgan", 2, "set14")]
    (found,) = overviews(tables_of(fewer, sort={"": "psnr"}), fewer)
    assert _row(found, "srgan").seeds == (0, 1)
    assert "srgan: without seed 2, which not every test set has" in found.footnotes


def test_a_row_that_diverged_is_last_of_those_that_have_all_sets(records, judge):
    burst = [judge("cyclegan", seed, name, "diverged" if seed else "finished", "nan") for name in SETS for seed in (0, 1)]
    every = [*records, *burst]
    (found,) = overviews(tables_of(every, sort={"": "psnr"}), every)
    row = _row(found, "cyclegan")
    assert (row.diverged, row.value("mean_rank"), row.rank) == (1, 5, 5)


def test_a_score_without_images_is_compared_over_seeds(records):
    bare = [dataclasses.replace(r, per_image=r.per_image[:0]) for r in records if r.label in ("deblurgan", "srgan")]
    (found,) = overviews(tables_of(bare, sort={"": "psnr"}), bare)
    assert found.comparisons["psnr"][1].over == "seeds"
    assert _row(found, "srgan").cells["psnr"].interval.over == "seeds"


def test_workloads_with_test_sets_have_an_overview_each_and_are_compared_once(judge, suite_of):
    trials = [
        judge(label, seed, name, workload=w)
        for name in ("set14", "bsd100")
        for w in ("digits", "photos")
        for label, seeds in ROWS.items()
        for seed in seeds
    ]
    tables = tables_of(trials, sort={"photos": "psnr", "digits": "ssim"})
    assert [(t.name, t.sort) for t in tables] == [
        ("photos on set14", "psnr"), ("photos on bsd100", "psnr"), ("digits on set14", "ssim"), ("digits on bsd100", "ssim"),
    ]  # fmt: skip
    summary = summarise(tables, trials, figure_style.styles(trials))
    assert [t.name for t in summary.overviews] == ["photos over 2 test sets", "digits over 2 test sets"]
    assert [w.name for w in summary.comparison.workloads] == ["photos on set14", "digits on set14"]
    assert "Of a workload with several test sets the first stands here." in summary.comparison.sample
    text = page(tables, trials, title="t", summary=summary)
    assert text.index("Photos over 2 test sets") < text.index("Across the 2 workloads") < text.index("Photos on set14: leaderboard")


def test_a_workload_that_the_suite_does_not_name_is_ranked_as_its_only_table(records):
    (table,) = tables_of([dataclasses.replace(r, test="") for r in records if r.workload == "set5"], sort={"old": "ssim"})
    assert (table.sort, table.test_set, table.name) == ("ssim", "", "set5")


def test_where_no_row_has_all_sets_nothing_is_averaged(judge):
    trials = [judge("identity", 0, "set5"), judge("unsharp", 0, "set5"), judge("srgan", 0, "set14"), judge("deblurgan", 0, "set14")]
    tables = tables_of(trials, sort={"": "psnr"})
    (found,) = overviews(tables, trials)
    assert [c.key for c in found.scores] == ["psnr@set5", "psnr@set14", "mean_rank"]
    assert {row.absent.get("psnr@set14") for row in found.rows if row.label in ("identity", "unsharp")} == {"not judged"}
    text = page(tables, trials, title="t", summary=summarise(tables, trials, figure_style.styles(trials)))
    assert "No row has this score on every test set." in text


def test_one_test_set_has_no_overview(records):
    one = [r for r in records if r.workload == "set5"]
    assert overviews(tables_of(one, sort={"": "psnr"}), one) == []


def test_tuning_is_shown_once_for_all_test_sets(records, make_trial, judge):
    tuned = [
        dataclasses.replace(make_trial("deblurgan", 1000 + i, "", 20.0 + i, key="psnr", role="tuning", tried={"study": i}), task="deblur")
        for i in range(3)
    ]
    tables = tables_of(records, sort={"": "psnr"})
    summary = summarise(tables, [*records, *tuned], figure_style.styles(records))
    assert [f.name for f in summary.figures] == ["tuning0"]
    figures = paper.figures(tables, [*records, *tuned], summary)
    assert [name for name in figures if "validation" in name] == ["table0_validation.pdf"]


def test_environments_mark_the_rows_of_the_overview_too(records):
    moved = [dataclasses.replace(r, environment=r.environment | {"torch": "2.15.0"}) if r.label == "srgan" else r for r in records]
    (found,) = overviews(tables_of(moved, sort={"": "psnr"}), moved)
    assert [found.footnotes[n] for n in _row(found, "srgan").notes] == ["rows differ in torch: 2.15.0 (srgan), 2.11.0 (others)"]


def test_latex_of_the_overview_has_rows_of_one_shape(overview):
    text = latex.to_tex([overview])
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")}) == 1


def test_an_overview_that_is_no_more_is_removed(records, tmp_path):
    one = [r for r in records if r.workload == "set5"]
    (tmp_path / "overview.csv").write_text("of several test sets")
    render(tables_of(one, sort={"": "psnr"}), one, tmp_path, title="t")
    assert not (tmp_path / "overview.csv").exists()


def test_images_that_all_sets_share_count_once_and_so_in_no_mean(judge):
    """Such as the scenes of a detector, which every test set of photographs is judged on."""
    trials = [judge(label, seed, name) for name in ("set14", "bsd100") for label, seeds in ROWS.items() for seed in seeds]
    shared = trials[0].per_image[trials[0].per_image.column == "ssim"]
    trials = [dataclasses.replace(r, per_image=pd.concat([r.per_image[r.per_image.column != "ssim"], shared])) for r in trials]
    (found,) = overviews(tables_of(trials, sort={"": "psnr"}), trials)
    assert "ssim" not in [c.key for c in found.scores]
    assert "ssim: no mean over the test sets, for all of them are judged on the same images" in found.footnotes
    assert "psnr" in [c.key for c in found.scores]
