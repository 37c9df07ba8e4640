"""Claims: what a verdict means, how they run, what is on record, and that each of them holds."""

import contextlib
import io
import json
import math
import shutil
import subprocess

import pytest
import rich.console
import torch

import runner
from bench import claim as claims
from bench.claim import Finding, Paper, claim
from bench.commands import check_claims
from bench.errors import Unavailable
from bench.figure import FIGURE, Arrows, Bars, Heat, Line, Panel, Points
from bench.store.run_dir import RunDirs
from reports import claims as rendered

CHAPTERS = claims.chapters()
CLAIMS = {c.id: c for chapter in CHAPTERS for c in chapter.claims}
FIGURES = [Panel(marks=[Line(x=[0, 1], y=[1, math.inf])], x="t")]


def one(predicted, measured, **options):
    @claim(place="Eq. 1", statement="A.", predicted="b", how="c", **options)
    def example():
        return Finding({"": (predicted, measured)}, FIGURES)

    return example


# -- what a verdict means
@pytest.mark.parametrize(
    ("predicted", "measured", "options", "verdict"),
    [
        (1.0, 1.0, {}, "holds"),
        (1.0, 1.01, {"tolerance": 0.02}, "holds"),
        (1.0, 0.97, {"tolerance": 0.02}, "fails"),
        (100.0, 101.0, {"tolerance": 0.02, "relative": True}, "holds"),
        (100.0, 103.0, {"tolerance": 0.02, "relative": True}, "fails"),
        (1.0, 5.0, {"relation": ">="}, "holds"),
        (1.0, 0.9, {"relation": ">="}, "fails"),
        (1.0, 0.9, {"relation": "<="}, "holds"),
        (1.0, 1.1, {"relation": "<="}, "fails"),
        (1.0, math.nan, {"tolerance": 9.0}, "fails"),
        (1.0, math.inf, {"relation": ">="}, "fails"),
        (math.inf, math.inf, {}, "holds"),
        (1.0, 1.0, {"deviation": "The paper prints another sign."}, "holds with a deviation"),
        (1.0, 2.0, {"deviation": "The paper prints another sign."}, "fails"),
    ],
)
def test_verdicts(predicted, measured, options, verdict):
    assert one(predicted, measured, **options).check().verdict == verdict


def test_a_claim_without_cases_fails():
    @claim(place="", statement="", predicted="", how="")
    def empty():
        return Finding({}, [])

    assert empty.check().verdict == "fails"


def test_one_case_that_misses_fails_the_claim():
    @claim(place="", statement="", predicted="", how="", tolerance=0.1)
    def mixed():
        return Finding({"a": (1, 1), "b": (1, 2)}, [])

    assert mixed.check().verdict == "fails"


def test_what_is_missing_is_not_checked_and_an_error_is_a_failure():
    @claim(place="", statement="", predicted="", how="")
    def absent():
        raise Unavailable("the optimizer swats is not registered")

    @claim(place="", statement="", predicted="", how="")
    def broken():
        raise ValueError("two\nlines")

    assert (absent.check().verdict, absent.check().reason) == ("not checked", "the optimizer swats is not registered")
    assert (broken.check().verdict, broken.check().reason) == ("fails", "ValueError: two")
    assert "raise ValueError" in broken.check().trace


def test_a_claim_starts_from_seed_0_and_leaves_the_generator_alone():
    @claim(place="", statement="", predicted="", how="")
    def draws():
        return Finding({"": (torch.rand(()).item(),) * 2}, [])

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = draws.check().cases
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert draws.check().cases == first


def test_figures_survive_the_store():
    marks = [
        Line(x=torch.arange(2), y=[1.0, math.nan], label="a"), Points(x=[1], y=[2], theory=True), Bars(names=["p"], y=[3]),
        Arrows(x=[0], y=[0], u=[1], v=[0]), Heat(z=torch.eye(2)),
    ]  # fmt: skip
    figure = [Panel(marks=marks, log="y", square=True)]
    again = FIGURE.validate_python(json.loads(json.dumps(FIGURE.dump_python(figure, mode="json"), allow_nan=False)))
    assert again == figure
    assert again[0].marks[0].y == [1.0, None]


# -- the papers
def test_every_paper_says_what_it_teaches():
    for chapter in CHAPTERS:
        assert chapter.claims, chapter.name
        assert len(chapter.paper.lesson.split()) >= 25, chapter.name
        assert all([chapter.paper.title, chapter.paper.authors, chapter.paper.venue])
        assert 1980 < chapter.paper.year < 2027


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_told(name):
    c = CLAIMS[name]
    assert all([c.place, c.statement, c.predicted, c.how])
    assert c.statement.endswith(".")
    assert c.tolerance >= 0


@pytest.mark.parametrize("name", [name for name, c in CLAIMS.items() if c.cost == "fast"])
def test_fast_claims_hold(name):
    _holds(CLAIMS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, c in CLAIMS.items() if c.cost == "slow"])
def test_slow_claims_hold(name):
    _holds(CLAIMS[name])


def _holds(c):
    checked = c.check()
    assert checked.verdict != "fails", (
        checked.reason
        + checked.trace
        + "".join(f"\n{name}: predicted {p}, measured {m}" for name, p, m in checked.cases if not c.agrees(p, m))
    )
    if checked.verdict != "not checked":
        assert checked.figure, "a claim shows what it found"
        assert all(mark for panel in checked.figure for mark in panel.marks)


# -- the suite
@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("claims")
    assert runner.main(["--suite", "claims", "--methods", "gan", "--out", str(out)]) == 0
    return out


def test_what_is_on_record_is_not_checked_again(page, capsys):
    assert runner.main(["--suite", "claims", "--methods", "gan/optimal_critic", "--out", str(page)]) == 0
    assert "all 1 claims are on record already" in capsys.readouterr().out


def test_the_report_is_rebuilt_from_the_store_alone(page, capsys):
    folder = page / "claims" / "report"
    before = {f.name: f.read_text() for f in folder.iterdir()}
    assert before.keys() == {"index.html", "claims.csv", "claims.json", "claims.tex", "claims_table.tex"}
    for file in folder.iterdir():
        file.unlink()
    assert runner.main(["report", "--suite", "claims", "--out", str(page), "--latex", str(page / "paper")]) == 0
    assert {f.name: f.read_text() for f in folder.iterdir()} == before
    assert (page / "paper" / "claims_table.tex").is_file()
    assert "not asked for yet" in capsys.readouterr().out


def test_the_page_shows_every_claim_with_its_figure(page):
    html = (page / "claims" / "report" / "index.html").read_text()
    for name in CLAIMS:
        assert f'id="{name}"' in html
    assert html.count("<svg") >= 2
    assert "http:" not in html.replace("http://www.w3.org", "")
    assert "https:" not in html
    rows = json.loads((page / "claims" / "report" / "claims.json").read_text())
    assert {r["id"]: r["verdict"] for r in rows}["gan/optimal_critic"] == "holds"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_the_table_compiles(page, tmp_path):
    shutil.copy(page / "claims" / "report" / "claims.tex", tmp_path)
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "claims"], cwd=tmp_path, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


@pytest.fixture
def board(monkeypatch):
    """Put other claims in the place of all."""

    def put(*found):
        chapter = claims.Chapter("theory", Paper(title="T", authors="A", venue="V", year=2000, lesson="L"), found)
        monkeypatch.setattr(claims, "chapters", lambda: [chapter])
        return chapter

    return put


def test_a_failing_claim_is_seen_and_told(page, board, capsys):
    board(one(1.0, 2.0))
    assert check_claims.run("quick", [], page / "other", None, False) == 1
    assert "fails" in capsys.readouterr().out


def test_a_claim_that_lacked_something_is_tried_again(tmp_path, board, capsys):
    tried = []

    @claim(place="", statement="", predicted="", how="")
    def needy():
        tried.append(True)
        if len(tried) == 1:
            raise Unavailable("no data")
        return Finding({"": (1.0, 1.0)}, FIGURES)

    board(needy)
    assert [check_claims.run("quick", [], tmp_path, None, False) for _ in range(3)] == [0, 0, 0]
    assert len(tried) == 2
    text = capsys.readouterr().out
    assert text.count("not checked") == 2  # in the first table and below it
    assert text.count("1 holds") == 2


def test_a_second_runner_waits_for_the_claim_that_another_is_at_and_takes_its_result(tmp_path, board, monkeypatch, capsys):
    checked, other = [], contextlib.ExitStack()

    @claim(place="", statement="", predicted="", how="")
    def shared():
        checked.append("shared")
        return Finding({"": (1.0, 1.0)}, FIGURES)

    @claim(place="", statement="", predicted="", how="")
    def last():  # while the second is at it, the first is done
        checked.append("last")
        folder.close(
            check_claims._record(shared, claims.Checked("holds", 0.1, (("", 1.0, 1.0),), FIGURES, "by the other"), check_claims.tree_hash())
        )
        other.close()
        return Finding({"": (1.0, 1.0)}, FIGURES)

    board(shared, last)
    monkeypatch.setattr(check_claims, "_WAIT", 0.01)
    folder = RunDirs("claims", tmp_path).of(check_claims.id_of(check_claims._facts(shared, check_claims.tree_hash())))
    other.enter_context(folder.lock())
    assert check_claims.run("quick", [], tmp_path, None, False) == 0
    assert checked == ["last"]
    text = capsys.readouterr().out
    assert "[1/2] ✓ test_claims/last" in text
    assert "[2/2] ✓ test_claims/shared  by the other" in text


def test_names_of_claims_do_not_break_in_the_table(board):
    @claim(place="Proposition 1", statement="", predicted="", how="")
    def the_gradient_of_the_distance_is_what_the_critic_says():
        return Finding({}, [])

    c = the_gradient_of_the_distance_is_what_the_critic_says
    out = io.StringIO()
    rich.console.Console(file=out, width=80, soft_wrap=True).print(
        rendered.terminal({board(c): [claims.ClaimEntry(c, claims.Checked("holds", 0.1))]})
    )
    assert [c.id, "Proposition", "1", "holds"] in [line.split() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--methods", "nope"], "no claim or paper 'nope'"),
        (["--tier", "smoke"], "no tier 'smoke'; known: quick, standard"),
        (["--seeds", "3"], "--seeds means nothing to the claims"),
        (["--set", "a=1"], "--set means nothing to the claims"),
        (["--device", "cuda"], "checked on the CPU"),
    ],
)
def test_wrong_options_are_one_line(options, says, tmp_path, capsys):
    assert runner.main(["--suite", "claims", "--out", str(tmp_path), *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_measurement_in_words():
    def words(*cases, **options):
        c = one(0, 0, **options)
        return rendered.measured_in_words(claims.ClaimEntry(c, claims.Checked("holds", 0.1, cases)))

    assert words(("", 1.0, 1.25)) == "1.25 for 1"
    assert words(("a", 1.0, 1.0), ("b", 1.0, -1.5), tolerance=0.1) == "1 of 2 cases, farthest off b: −1.5 for 1"
    assert words(("a", 1.0, 0.5), ("b", 1.0, 9.0), relation=">=") == "1 of 2 cases, farthest off a: 0.5 for ≥ 1"
    assert words(("a", 1.0, 0.5), ("b", 1.0, 0.25), relation="<=") == "2 of 2 cases, closest a: 0.5 for ≤ 1"
    assert rendered.measured_in_words(claims.ClaimEntry(one(0, 0), None)) == "not asked for yet"
