import csv
import io
import json
import re
import shutil
import subprocess

import pytest
import rich.console

from reports import export, latex, wording
from reports.leaderboard import leaderboard


@pytest.fixture(scope="module")
def tables(records):
    return [leaderboard([r for r in records if r.label != "srgan"], sort="psnr")]  # no rival that ties with the best


def test_csv_holds_every_row_in_full_precision(tables, hostile):
    rows = list(csv.DictReader(io.StringIO(export.to_csv(tables))))
    assert [r["outcome"] for r in rows] == ["finished"] * 5 + ["diverged", "diverged", "failed", "skipped", "remark"]
    first = next(r for r in rows if r["label"] == "deblurgan")
    assert float(first["psnr"]) == tables[0].rows[1].value("psnr")
    assert (first["psnr_mark"], first["psnr_over"], first["seeds"], first["rank"]) == ("best", "images", "0 1 2", "1")
    assert [r["label"] for r in rows].count(hostile) == 1
    assert rows[-2]["reason"] == "needs labels, which the task deblur does not offer"


def test_json_is_strict_and_holds_the_trials(tables, records):
    data = json.loads(export.to_json(tables, records, "t"), parse_constant=lambda name: pytest.fail(name))
    assert len(data["trials"]) == len(records)
    assert data["trials"][0]["cards"]["psnr"]["hash"] == records[0].cards["psnr"]["hash"]
    assert data["leaderboard"][1]["label"] == "deblurgan"


def test_markdown_rows_have_one_shape(tables):
    text = export.to_markdown(tables, "Deblur <suite>")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert len(lines) == 2 + 6
    assert "<script" not in text
    assert "# Deblur &lt;suite&gt;" in text
    assert "**27.84**" in text
    assert "- pix2pix, seed 0: skipped: needs labels" in text


def test_plain_is_one_printable_line():
    assert wording.to_plain_line("a\n\tb\x1b[31m\u202e\x00") == "a b\\x1b[31m\\u202e\\x00"


@pytest.mark.parametrize(
    ("text", "tex"),
    [("a_b & 50%", r"a\_b \& 50\%"), ("\\x{1}", r"\textbackslash{}x\{1\}"), ("β Ω Α", r"$\beta$ $\Omega$ $A$"),
     ("日é", "U+65E5é"), ("--", "{-}{-}"), ("x^~", r"x\textasciicircum{}\textasciitilde{}")],
)  # fmt: skip
def test_tex_escape(text, tex):
    assert latex.tex_escape(text) == tex


def test_tex_rows_have_one_shape(tables):
    text = latex.to_tex(tables)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {6}
    assert len(rows) == 2 + 6
    assert re.search(r"27\.84\}?\\textsuperscript\{\w+\} \{\\scriptsize \[2\d\.\d\d, 2\d\.\d\d\]\}", text)
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_tex_compiles(tables, tmp_path):
    (tmp_path / "leaderboard.tex").write_text(latex.to_tex_document(tables), encoding="utf-8")
    (tmp_path / "leaderboard_table.tex").write_text(latex.to_tex(tables), encoding="utf-8")
    paper = r"\documentclass[twocolumn]{article}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}"
    paper += r"\begin{document}\input{leaderboard_table}\end{document}"
    (tmp_path / "paper.tex").write_text(paper)
    for name in ("leaderboard", "paper"):
        done = subprocess.run(
            ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", name],
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        assert (tmp_path / f"{name}.pdf").stat().st_size > 1000


def test_terminal_table_fits_80_columns_and_shows_hostile_names_as_text(tables):
    out = io.StringIO()
    console = rich.console.Console(file=out, width=80, force_terminal=True, color_system=None)
    console.print(export.terminal(tables[0], "deblur [bold]"))
    text = out.getvalue()
    assert max(map(len, re.sub(r"\x1b\[[\d;]*m", "", text).splitlines())) <= 80
    assert "27.84" in text
    assert "deblur [bold]" in text
    assert "needs labels" in text


def test_trials_that_ended_for_one_reason_share_a_line(make):
    rows = [make("identity", 0)] + [make(name, seed, "skipped", "no weights") for name in ("a", "b", "c", "d") for seed in (0, 1)]
    table = leaderboard([*rows, make("e", 2, "failed", "RuntimeError: on purpose")], sort="psnr")
    lines = export.to_markdown([table], "t").splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- a and b and 2 more, seeds 0, 1: skipped: no weights",
        "- e, seed 2: failed: RuntimeError: on purpose",
    ]


def test_every_table_names_its_tier(tables):
    for text in (export.to_markdown(tables, "t"), latex.to_tex(tables), export.terminal(tables[0]).caption.plain):
        assert "Tier quick." in text
