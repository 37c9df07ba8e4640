"""`runner.py check`: what it takes, what it prints, how it ends."""

import re

import pytest
from PIL import Image
from test_method_contract import GOOD

import runner
from bench.conformance import checks, contracts
from bench.errors import UsageError
from bench.registry import ROOT

SUITE = """
title = "Made up"
task = "sparse_logistic"
sort = "accuracy"
methods = ["descent"]
[tiers.smoke]
hp = { steps = 3 }
"""


def printed(capsys):
    """The lines, each in two columns."""
    return [(line[:20].strip(), line[20:].strip()) for line in capsys.readouterr().out.splitlines()]


def test_a_file_of_a_method(plugin, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(GOOD)
    assert contracts.print_check(str(tmp_path / "mine.py")) == 0
    title, *lines = printed(capsys)
    assert title == ("method mine", "")
    assert [line[0] for line in lines] == list(checks.CHECKS)
    assert {line[1] for line in lines} == {"holds"}


def test_what_fails_is_the_exit_code(plugin, tmp_path, capsys):
    (tmp_path / "bad.py").write_text(GOOD.replace("Departures: none", ""))
    assert runner.main(["check", str(tmp_path / "bad.py")]) == 1
    assert ("header", "FAILS: bad: the docstring has no 'Departures:' line (write 'none' where there are none)") in printed(capsys)


def test_a_plug_in_of_another_kind(plugin, tmp_path, capsys):
    (tmp_path / "ramp.py").write_text('KIND = "schedule"\n\ndef ramp(progress: float) -> float:\n    return 1 - progress / 2\n')
    assert runner.main(["check", str(tmp_path / "ramp.py")]) == 0
    assert printed(capsys) == [("schedule ramp", ""), ("factors", "holds"), ("pure", "holds")]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("psnr", ["metric psnr"]),
        ("psnr[border=4]", ["metric psnr[border=4]"]),
        ("l1", ["content l1", "metric l1"]),
        ("sr", ["task sr", "suite sr"]),
        (str(ROOT / "bench/metrics/regret.py"), ["metric regret"]),
        (str(ROOT / "bench/suites/toy2d.toml"), [f"suite {ROOT}/bench/suites/toy2d.toml"]),
    ],
)
def test_all_that_is_called_so(capsys, text, titles):
    assert runner.main(["check", text]) == 0
    assert re.findall(r"^\w+ \S+$", capsys.readouterr().out, re.MULTILINE) == titles


def test_what_is_not_here_is_not_checked(capsys, monkeypatch):
    monkeypatch.setenv("GANBENCH_DATA", "")
    assert runner.main(["check", "gopro"]) == 0
    assert printed(capsys)[1][1].startswith("not checked: data set 'gopro' not found without a data root")


def test_the_data_root_may_be_given(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GANBENCH_DATA", "")
    for i in (1, 2):
        (tmp_path / "kodak24").mkdir(exist_ok=True)
        Image.effect_noise((8, 8), 20 * i).save(tmp_path / f"kodak24/kodim0{i}.png")
    assert runner.main(["check", "kodak24", "--data-root", str(tmp_path)]) == 0
    assert {verdict for _, verdict in printed(capsys)[1:]} == {"holds"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "nothing is called 'nonsense'; see `runner.py list`, or give a file"),
        ("absent.py", "no plug-in file .*absent.py"),
        ("absent.toml", "cannot read the suite absent.toml"),
        ("psnr[bordr=1]", "unknown option 'bordr'; known: "),
    ],
)
def test_what_there_is_not(text, says):
    with pytest.raises(UsageError, match=says):
        contracts.print_check(text)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"accuracy"', '"f1"', "columns +FAILS: .* sorts by 'f1', which the task sparse_logistic does not score; known: .*accuracy"),
        ("steps = 3", "stps = 3", "tiers +FAILS: .*no method has the hyper-parameter 'stps'"),
    ],
)
def test_a_suite_that_would_spoil_a_run(tmp_path, capsys, old, new, says):
    file = tmp_path / "mine.toml"
    file.write_text(SUITE)
    assert runner.main(["check", str(file)]) == 0
    capsys.readouterr()
    file.write_text(SUITE.replace(old, new))
    assert runner.main(["check", str(file)]) == 1
    assert re.search(says, capsys.readouterr().out)
