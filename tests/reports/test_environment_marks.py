"""Rows that ran elsewhere than most are marked at their names in every form of a report, and a line under the table says in what."""

import csv
import io
import json
import re

import pytest

from reports import export, latex
from reports.html import page
from reports.leaderboard import leaderboard

LINE = "rows differ in torch: 2.15.0 (srgan), 2.11.0 (others)"


@pytest.fixture(scope="module")
def trials(make):
    rows = [make("identity"), make("unsharp"), make("deblurgan"), make("srgan")]
    rows[-1].environment["torch"] = "2.15.0"
    return [*rows, make("cyclegan", 0, "failed", "out of memory", environment={"torch": "2.9"})]


@pytest.fixture(scope="module")
def table(trials):
    return leaderboard(trials, sort="psnr")


def test_the_row_that_differs_from_most_bears_the_note(table):
    assert {row.label: [table.footnotes[n] for n in row.notes] for row in table.rows} == {
        "deblurgan": [],
        "srgan": [LINE],
        "unsharp": [],
        "identity": [],
    }


def test_every_form_marks_the_row_and_says_the_line(table, trials):
    number = table.footnotes.index(LINE) + 1
    forms = {
        "page": (page([table], trials, title="t"), rf"srgan<sup title=\"{re.escape(LINE)}\">\[{number}\]</sup>"),
        "markdown": (export.to_markdown([table], "t").replace("\\", ""), rf"\| srgan \[{number}\] \|"),
        "latex": (latex.to_tex([table]), rf"srgan\\textsuperscript\{{\[{number}\]\}}"),
    }
    for name, (text, mark) in forms.items():
        assert LINE in text, name
        assert len(re.findall(mark, text)) == 1, name
    shown = export.terminal(table)
    assert f"[{number}] {LINE}" in shown.caption.plain
    assert [cell.plain for cell in shown.columns[1].cells if "[" in cell.plain] == [f"srgan [{number}]"]
    lines = list(csv.DictReader(io.StringIO(export.to_csv([table]))))
    assert [line["label"] for line in lines if LINE in line["reason"]] == ["srgan"]
    assert LINE in json.loads(export.to_json([table], trials, "t"))["footnotes"]["deblur"]


def test_rows_that_ran_alike_say_nothing(make):
    assert not [note for note in leaderboard([make("identity"), make("unsharp")], sort="psnr").footnotes if "differ" in note]
