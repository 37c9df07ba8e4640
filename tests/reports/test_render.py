import dataclasses
import errno
import json
import os
import re
from decimal import Decimal

import pytest
from _page import tags_of

from bench.errors import UsageError
from reports import figure_style, gallery, published
from reports.html import page
from reports.render import render, tables_of, write_all
from reports.suite_summary import summarise


@pytest.fixture(scope="module")
def report(records, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    tables = published.load(published.FOLDER / "deblur.toml")
    return out, render(tables_of(records, sort="psnr"), records, out, title='Deblur "quick" <suite>', published=tables)


def test_every_file_is_written(report):
    out, files = report
    assert [f.name for f in files] == [
        "index.html",
        "leaderboard.csv",
        "leaderboard.md",
        "leaderboard.json",
        "leaderboard.tex",
        "leaderboard_table.tex",
    ]
    assert sorted(p.name for p in out.iterdir()) == sorted(f.name for f in files)
    assert files[0].stat().st_size < 4e6
    assert oct(files[0].stat().st_mode)[-3:] == "644"


def test_page_is_well_formed_and_refers_to_nothing_outside(report):
    text = report[1][0].read_text(encoding="utf-8")
    for _, attributes in tags_of(text):
        for name in ("src", "href", "xlink:href", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", text)


def test_page_escapes_what_plug_ins_and_specs_say(report):
    text = report[1][0].read_text(encoding="utf-8")
    assert text.count("<script>") == 1  # our own
    assert "&lt;script&gt;window.hacked=1&lt;/script&gt;" in text
    assert "<title>Deblur &#34;quick&#34; &lt;suite&gt;</title>" in text
    assert "<b>restored</b>" not in text
    assert "<cuda:0>" not in text


def test_page_says_what_matters(report):
    text = report[1][0].read_text(encoding="utf-8")
    for words in (
        "deblurgan leads on PSNR: 27.84 dB", "No test tells it from srgan.", "oracle PSF", "1 of 3 seeds diverged", "1 trial skipped",
        "loss_g was nan at update 241", "needs labels, which the task deblur does not offer", "unverified", "another protocol",
        "cpu, 2 cores", "28.70", "26.10", "Comparison with deblurgan",
    ):  # fmt: skip
        assert words in text, words


def _without_curves(records):
    return [dataclasses.replace(r, curves=r.curves[:0]) for r in records]


def test_published_protocol_is_matched_against_cards(records):
    records = _without_curves(records[:3])
    paper = published.load(published.FOLDER / "deblur.toml")[1]
    for same_if, words in (({"data": "photos", "border": "0"}, "same protocol"), ({"border": "4"}, "another protocol: border is 0, not 4")):
        text = page(tables_of(records, sort="psnr"), records, title="t", published=[paper.model_copy(update={"same_if": same_if})])
        assert words in text


def test_two_tasks_have_two_leaderboards(make, tmp_path):
    records = [*_without_curves([make()]), make("identity"), dataclasses.replace(make("srgan"), task="denoise")]
    text = render(tables_of(records, sort="psnr"), records, tmp_path, title="t")[0].read_text(encoding="utf-8")
    assert text.count("leaderboard</h2>") == 2
    assert set(re.findall(r'<a href="#(\w+)">', text)) == set(re.findall(r'<section id="(task\d)"', text)) == {"task0", "task1"}
    assert text.count('<p class="headline">') == 2


def test_rows_whose_colour_comes_again_have_another_dot(make, tmp_path):
    records = [dataclasses.replace(make("identity"), label=f"row{i}") for i in range(2 * len(figure_style.PALETTE) + 1)]
    text = render(tables_of(records, sort="psnr"), records, tmp_path, title="t")[0].read_text(encoding="utf-8")
    dots = set(re.findall(r'<span class="dot (round\d)" style="--dot: var\(--(c\d)\)"></span>row(\d+)', text))
    assert len(dots) == len({dot[:2] for dot in dots}) == len(records)


@pytest.mark.parametrize("outcome", ["skipped", "failed", "diverged"])
def test_a_suite_in_which_nothing_finished_still_has_a_report(make, tmp_path, outcome):
    records = [make(outcome=outcome, reason="no <luck>")]
    text = render(tables_of(records, sort="psnr"), records, tmp_path, title="t")[0].read_text(encoding="utf-8")
    assert "no &lt;luck&gt;" in text
    assert "No trial finished." in text


def test_ranking_by_an_unknown_column_is_refused(make):
    with pytest.raises(UsageError, match=r"cannot rank by 'pnsr': .*known: .*psnr"):
        tables_of([make()], sort="pnsr")


def test_what_is_said_across_tables_is_worked_out_once(optimizers, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("reports.render.summarise", lambda *given: calls.append(given) or summarise(*given))
    records = [r for r in optimizers if r.workload in ("vae", "gan")]
    render(tables_of(records, sort="score"), records, tmp_path, title="t")
    assert len(calls) == 1
    assert "across_table.tex" in {p.name for p in tmp_path.iterdir()}


def test_the_same_records_give_the_same_page(make):
    records = [make(), make("identity")]
    assert page(tables_of(records, sort="psnr"), records, title="t") == page(tables_of(records, sort="psnr"), records, title="t")


def test_fragments_of_tables_that_are_no_more_are_removed(make, tmp_path):
    (tmp_path / "across_table.tex").write_text("of an earlier shape of the suite")
    records = [make("unet"), make("deblurgan")]
    written = render(tables_of(records, sort="psnr"), records, tmp_path, title="t")
    assert {file.name for file in tmp_path.glob("*.tex")} == {file.name for file in written if file.suffix == ".tex"}


def test_a_full_disk_leaves_the_earlier_report(tmp_path, monkeypatch):
    paths = [tmp_path / "a.html", tmp_path / "b.csv"]
    write_all(dict.fromkeys(paths, "old"))
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .*b\.csv: No space left on device"):
        write_all(dict.fromkeys(paths, "new"))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.html": "old", "b.csv": "old"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*file/x"):
        write_all({tmp_path / "file" / "x": "text"})


def test_gallery_orders_names_and_boxes(records, hostile):
    strips, left_out = gallery.strips(records, ["srgan", "deblurgan", "identity"])
    assert ([s.name for s in strips], left_out) == (["astronaut", "scene <1>"], 0)
    assert [p.caption for p in strips[0].pictures] == ["observed", "srgan", "deblurgan", "identity", "truth"]
    assert not strips[0].has_boxes
    target = strips[1].pictures[-1]
    assert [b.text for b in target.boxes] == ["digit <8> 0.93", "one 0.88"]
    assert (target.boxes[1].x, target.boxes[1].width, target.size) == (120.5, 59.5, (224, 160))
    assert len({b.kind for b in target.boxes}) == 2


def test_a_class_is_shown_by_its_name_whichever_way_its_number_was_written():
    texts = [gallery._box([0, 0, 9, 9, label, 0.64], list("0123456789"), {}).text for label in (8, 8.0)]
    assert texts == ["8 0.64", "8 0.64"]


def test_gallery_stays_within_its_budget(records, monkeypatch):
    monkeypatch.setattr(gallery, "BUDGET", 10)
    strips, left_out = gallery.strips(records, ["srgan"])
    assert (len(strips), left_out) == (1, 1)


def test_gallery_survives_missing_pictures(make, tmp_path):
    (tmp_path / "00.json").write_text(json.dumps({"name": "sample", "kind": "photo", "restored": "none.png"}))
    assert gallery.strips([make(gallery=tmp_path)], ["deblurgan"])[0][0].pictures == []


def test_published_columns_are_headed_as_measured_ones(records):
    units = {"ssim": "", "ms_ssim": "", "pixel_accuracy": "", "mos": ""}  # measured; another metric; one number of a metric; no metric
    rows = [published.PublishedRow(name="A", values={"ssim": Decimal("0.9")})]
    paper = published.PublishedTable(paper="P", where="w", data="d", protocol="p", evidence="recalled", units=units, rows=rows)
    text = page(tables_of(records, sort="psnr"), records, title="t", published=[paper])
    assert all(f'<th scope="col">{title}</th>' in text for title in ("SSIM", "MS-SSIM", "pixel accuracy", "mos"))
