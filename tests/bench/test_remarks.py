"""What a reader of a table must know beside its numbers stands under every table, once, in every form."""

import csv
import dataclasses
import io
import json

import pytest

import runner
from bench.store.remarks import remarks_of
from reports import export, paper
from reports.html import page
from reports.render import tables_of

LOST = "weights alexnet.pth not found: run `runner.py weights fetch alexnet`"


@pytest.fixture
def record(ran):
    """record(label, **tags): a finished trial that bears these tags."""

    def with_tags(label, **tags):
        return dataclasses.replace(ran[1][0], label=label, spec=label, tags={k.replace("__", "."): v for k, v in tags.items()})

    return with_tags


def test_each_once_and_those_of_one_reason_in_one_line(record):
    both = {
        "unavailable__fid": "needs x",
        "unavailable__kid": "needs x",
        "unavailable__lpips[net=alex]": LOST,
        "skipped_files": "2: a.png; b.png",
    }
    assert remarks_of([record("a", **both), record("b", **both)]) == [
        "fid, kid: unavailable: needs x",
        f"lpips[net=alex]: unavailable: {LOST}",
        "files left out: 2: a.png; b.png",
    ]


def test_rows_are_named_where_a_remark_is_not_of_all(record):
    some = [record("a", unavailable__lpips=LOST), record("b"), record("c", unavailable__lpips=LOST), record("d", unavailable__lpips=LOST)]
    assert remarks_of(some[:2]) == [f"lpips: unavailable for a: {LOST}"]
    assert remarks_of(some[:3]) == [f"lpips: unavailable for a and c: {LOST}"]
    assert remarks_of(some) == [f"lpips: unavailable for a and c and 1 more: {LOST}"]


def test_a_tag_that_nobody_thought_of_is_told_and_those_of_rows_stand_there(record):
    tags = {"oracle": "PSF", "at_once": "x", "capped": "x", "on_oom": "x", "restarted": "x", "checkpoints": "x", "empty": ""}
    assert remarks_of([record("a", pictures_without_truth="3: a; b; c", **tags)]) == ["pictures without truth: 3: a; b; c"]
    assert remarks_of([]) == []


def test_the_home_of_whoever_ran_it_is_not_shown(record, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    lost = record("a", unavailable__lpips="put it into /home/ada/.cache/torch; /home/adam/x is another")
    assert remarks_of([lost]) == ["lpips: unavailable: put it into ~/.cache/torch; /home/adam/x is another"]


def test_under_every_table(record):
    """Terminal, page, Markdown, LaTeX, CSV and JSON."""
    records = [record("a", unavailable__lpips=LOST, capped="stopped"), record("b", unavailable__lpips=LOST)]
    tables = tables_of(records, sort="psnr")
    told = f"lpips: unavailable: {LOST}"
    forms = {
        "terminal": str(export.terminal(tables[0]).caption),
        "page": page(tables, records, title="x").partition("<ol")[2].partition("</ol>")[0],
        "markdown": export.to_markdown(tables, "x").replace("\\", ""),
        "latex": paper.texts(tables, None)["leaderboard_table.tex"].replace(r"\textasciigrave{}", "`"),
        "csv": export.to_csv(tables),
        "json": json.dumps(json.loads(export.to_json(tables, records, "x"))["footnotes"]),
    }
    assert {name: text.count(told) for name, text in forms.items()} == dict.fromkeys(forms, 1)
    lines = list(csv.DictReader(io.StringIO(forms["csv"])))
    assert [(line["label"], line["outcome"], line["reason"]) for line in lines] == [
        ("a", "finished", "stopped"),
        ("b", "finished", ""),
        ("", "remark", told),
        *[("", "remark", note) for note in tables[0].footnotes[2:]],
    ]


def test_a_metric_that_cannot_be_computed_is_told_at_the_end_of_a_run(tiny, monkeypatch, tmp_path, capsys):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.delenv("GANBENCH_DATA")
    words = ["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out), "--set", "metrics=('psnr','lpips[net=alex]')"]
    for _ in range(2):  # whether they run or are on record
        assert runner.main([*words, "--methods", "identity", "unsharp"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        lost = "lpips[net=alex]: unavailable: weights alexnet-owt-7be5be79.pth not found: run `runner.py weights fetch alexnet`"
        assert said.count(lost) == 1
    assert runner.main(["compare", "identity", "unsharp", "--suite", str(tiny.file), "--out", str(tiny.out)]) == 0
    assert "lpips[net=alex]: unavailable: " in capsys.readouterr().out
