"""Tables and figures compile in a two-column paper; a printed cell that is not what the store holds is found."""

import re
import shutil
import subprocess

import pytest

from bench.errors import UsageError
from reports import figure_style, paper, render
from reports.render import tables_of, write_all
from reports.suite_summary import summarise
from runner import main


@pytest.fixture(scope="module")
def printed(optimizers, losses, grid_suite):
    """Two suites' files: name -> text or bytes."""
    out = []
    for records, suite in ((optimizers, None), (losses, grid_suite)):
        tables = tables_of(records, sort="score")
        across = summarise(tables, records, figure_style.styles(records), suite)
        out.append((paper.texts(tables, across), paper.figures(tables, records, across)))
    return out


def test_files(printed):
    (texts, figures), (of_grid, heats) = printed
    assert list(texts) == ["leaderboard.tex", "leaderboard_table.tex", "across_table.tex"]
    assert list(of_grid) == ["leaderboard.tex", "leaderboard_table.tex", "grid0_table.tex"]
    assert {"profile.pdf", "ranks.pdf", "sensitivity0.pdf", "tuning0.pdf", "table0_validation.pdf"} < set(figures)
    assert "grid0_0.pdf" in heats
    for files in (figures, heats):
        named = re.findall(r"\{(\w+\.pdf)\}", files["figures.tex"].decode())
        assert sorted([*named, "figures.tex"]) == sorted(files)


def test_a_report_with_figures_looks_across_its_tables_once(printed, optimizers, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(render, "summarise", lambda *given: calls.append(given) or summarise(*given))
    written = render.render(
        tables_of(optimizers, sort="score"), optimizers, tmp_path / "report", title="t", latex=tmp_path / "report" / ".." / "report"
    )
    assert len(calls) == 1
    figures = printed[0][1]
    found = {p.name: p.read_bytes() for p in (tmp_path / "report").iterdir() if p.name in figures}
    assert found == figures  # the page's drawings change nothing
    assert {p.name for p in written} == {p.name for p in (tmp_path / "report").iterdir()}


def test_tables_say_what_the_page_says(printed):
    across, grid = printed[0][0]["across_table.tex"], printed[1][0]["grid0_table.tex"]
    assert re.search(r"^adam & 1\.00 \{\\scriptsize \[0\.9\d, 1\.0\d\]\} & -- & 1\.00 & 1\.00 & 1\.00 \(7\) \\\\$", across, re.MULTILINE)
    assert "7 workloads, 3 seeds a row on each, tier quick." in across
    assert r"lsgan & adam & 8.05 [7.41, 8.69] & $-$2.00 [$-$2.73, $-$1.27] \\" in grid
    assert r"77.6\,\%" in grid


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_everything_compiles_in_two_columns(printed, tmp_path):
    for i, (texts, figures) in enumerate(printed):
        folder = tmp_path / str(i)
        folder.mkdir()
        write_all({folder / name: data for name, data in (texts | figures).items()})
        body = "\n\n".join(rf"\input{{{name}}}" for name in texts if name != "leaderboard.tex") + r"\input{figures}"
        preamble = r"\documentclass[twocolumn]{article}\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,graphicx}"
        (folder / "paper.tex").write_text(rf"{preamble}\begin{{document}}{body}\end{{document}}", encoding="utf-8")
        for name in ("paper", "leaderboard"):
            done = subprocess.run(
                ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", name],
                cwd=folder,
                capture_output=True,
                timeout=120,
            )
            log = done.stdout.decode(errors="replace")
            assert done.returncode == 0, log[-2000:]
            wide = [float(pt) for pt in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
            assert not [pt for pt in wide if pt > 2], log[-3000:]


@pytest.fixture
def folder(printed, tmp_path):
    write_all({tmp_path / name: text for name, text in printed[0][0].items()})
    return tmp_path


def test_what_was_written_holds(printed, folder):
    assert paper.check(printed[0][0], folder) == ""


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("across_table.tex", "0.96 {", "0.86 {", r"row 'nadam', column 'IQM $\\uparrow$': printed '0.86 {"),
        ("leaderboard_table.tex", "& 3 seeds", "& 9 seeds", "table 1, row 'adam', column 'n': printed '9 seeds', stored '3 seeds'"),
        ("leaderboard_table.tex", "sgdm", "SGDM", "table 1, row 'sgdm': not printed"),
        ("across_table.tex", r"\\", r"& 7 \\", "row 'row', column '7': printed '7', stored 'nothing'"),
    ],
)
def test_an_edited_cell_is_found(printed, folder, name, old, new, says):
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    complaint = paper.check(printed[0][0], folder)
    assert complaint.startswith(f"{folder / name}: ")
    assert says in complaint
    assert "\n" not in complaint


def test_white_space_and_comments_are_no_difference(printed, folder):
    path = folder / "across_table.tex"
    path.write_text("% mine\n" + path.read_text(encoding="utf-8").replace(" & ", "  &\n  "), encoding="utf-8")
    assert paper.check(printed[0][0], folder) == ""


def test_a_folder_without_tables_is_refused(printed, tmp_path):
    with pytest.raises(UsageError, match=r"holds none of leaderboard\.tex, .*: write them with --latex"):
        paper.check(printed[0][0], tmp_path)


def test_the_command(ran, tmp_path, capsys):
    bench, *_ = ran
    words = ["report", "--suite", str(bench.file), "--out", str(bench.out), "--latex", str(tmp_path / "paper")]
    assert main(words) == 0
    assert {"leaderboard.tex", "leaderboard_table.tex", "figures.tex"} < {p.name for p in (tmp_path / "paper").iterdir()}
    assert main([*words, "--check"]) == 0
    table = tmp_path / "paper" / "leaderboard_table.tex"
    text = table.read_text(encoding="utf-8")
    number = re.search(r"\d\d\.\d\d", text)[0]
    table.write_text(text.replace(number, "99.99", 1), encoding="utf-8")
    capsys.readouterr()
    assert main([*words, "--check"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert complaint.startswith(str(table))
    assert "99.99" in complaint
    assert number in complaint
    assert table.read_text(encoding="utf-8") != text  # a check writes nothing
    assert main([*words[:-2], "--check"]) == 2
