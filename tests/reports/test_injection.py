"""No name becomes code: not in a spreadsheet, a page, a paper, a table or a terminal. And the store is shown to this machine alone."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import pytest
from _page import tags_of

from bench.text import inert
from reports import export
from reports.leaderboard import leaderboard
from reports.render import render, tables_of

FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1"]
MARKUP = [
    "<script>alert(1)</script>", "</script><script>alert(1)//", "</title><svg onload=alert(1)>", '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)", "javascript:alert(1)", "{{7*7}}", "{% raw %}", "</style><b>", "<!--", "]]>", "&lt;b&gt;",
]  # fmt: skip
TEX = [r"\input{/etc/passwd}", r"\write18{id}", "\\end{document}", "%", "$x$", "a & b \\\\", "~^#_{}", "\n\n\\par"]
PIPES = ["a | b", "a\n| - |", "[x](javascript:alert(1))", "`x`", "![x](http://192.0.2.1/x.png)"]
ESCAPES = ["\x1b[2J\x1b[31m", "\x07", "\u202e", "\x9b31m"]
ACTIVE = {"iframe", "object", "embed", "link", "base", "form", "foreignobject", "animate", "set", "template", "math"}
NAMES = FORMULAS + MARKUP + TEX + PIPES + ESCAPES


@pytest.fixture(scope="module")
def written(make, tmp_path_factory):
    """A report in which everything that has a name has a hostile one."""
    records = []
    for i, name in enumerate(NAMES):
        changes = {
            "spec": f"x[{name}]",
            "reason": name,
            "tier": "quick",
            "params": {name: name},
            "training_facts": {name: name},
            "tags": {name: name},
        }
        changes["environment"] = {"python": name, "torch": name, "device": name, "git": name, name: name}
        outcome = ("finished", "failed", "skipped", "diverged")[i % 4]
        records.append(make(name, 0, outcome, **(changes if outcome != "finished" else changes | {"reason": ""})))
    folder = tmp_path_factory.mktemp("report")
    render(tables_of(records, sort="psnr"), records, folder, title=NAMES[7] + NAMES[0])
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}, records


def test_csv(written):
    rows = list(csv.reader(io.StringIO(written[0]["leaderboard.csv"])))
    assert len({len(row) for row in rows}) == 1
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?![\d.])", cell)]
    assert "'=cmd|' /C calc'!A0" in cells


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1", "'=1"),
        ("a=1", "a=1"),
        (-1.5, -1.5),
        ("", ""),
        (None, None),
        ("-", "'-"),
        (True, True),
        ("\t=1\r\x1b", "\\t=1\\r\\x1b"),
        ("a\nb", "a\nb"),
    ],
)
def test_a_cell_is_inert(value, cell):
    assert inert(value) == cell


def test_html(written):
    page = written[0]["index.html"]
    tags = tags_of(page)
    assert [tag for tag, _ in tags].count("script") == 1  # our own
    assert not ACTIVE & {tag for tag, _ in tags}
    for tag, attributes in tags:
        assert not [key for key in attributes if key.startswith("on")], tag
        assert all(attributes.get(key, "#").startswith(("#", "data:")) for key in ("href", "src", "xlink:href")), tag
    assert "7*7" in page  # a template's braces are text


def test_markdown(written):
    text = written[0]["leaderboard.md"]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert not re.search(r"<script|<svg|<img|(?<!\\)\]\(", text)


def test_json(written):
    data = json.loads(written[0]["leaderboard.json"])
    assert len(data["trials"]) == len(NAMES)


def test_tex(written):
    for file in ("leaderboard.tex", "leaderboard_table.tex"):
        text = written[0][file]
        assert not re.search(r"\\(input|write18|immediate|openin|catcode)", text)
        assert text.count("\\end{document}") == ("\\documentclass" in text)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
def test_tex_compiles(written, tmp_path):
    (tmp_path / "x.tex").write_text(written[0]["leaderboard.tex"], encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("file", ["leaderboard.csv", "leaderboard.md", "leaderboard.tex", "leaderboard_table.tex", "index.html"])
def test_no_file_steers_a_terminal(written, file):
    found = set(re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", written[0][file]))
    assert not found


def test_the_terminal_table(written):
    import rich.console

    console = rich.console.Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(export.terminal(leaderboard(written[1], sort="psnr"), NAMES[-1]))
    assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", console.file.getvalue())


@pytest.mark.slow  # importing its command line takes seconds
def test_mlflow_serves_this_machine_alone_unless_told_otherwise():
    """The command that we print and the README names no host: the default must be the loopback."""
    code = """
from mlflow.cli import cli
(host,) = [option for option in (cli.commands.get("ui") or cli.commands["server"]).params if option.name == "host"]
print(host.default)
"""  # in a process of its own: importing the command line warns
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True).stdout.split()[-1] == "127.0.0.1"
