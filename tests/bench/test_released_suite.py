"""`--suite released`: what papers print, released weights and training here, on whatever of data and weights this machine has."""

import re

import pytest

import runner
from bench.suites.expand import expand
from bench.suites.read import load_suite
from reports.published import FOLDER, load

SUITE = load_suite("released")


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without data and weights."""
    for name in ("GANBENCH_DATA", "GANBENCH_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(bare, *words):
    return runner.main(["--suite", "released", "--tier", "smoke", "--out", str(bare / "runs"), "--device", "cpu", *words])


def test_without_data_and_weights_what_can_run_does_and_the_rest_is_said(bare, capsys):
    assert run(bare, "--set", "photos.pictures=1") == 0
    said = capsys.readouterr().out
    left_out = re.findall(r"^(\S+) is left out: data set '(\w+)' not found", said, re.M)
    assert left_out == [
        ("denoise/bsd68", "bsd68"), ("denoise/set12", "set12"), ("sr4/set5", "set5"), ("sr4/set14", "set14"), ("sr3/set5", "set5"),
        ("deblur/gopro", "gopro"), ("ldct/mayo", "mayo"), ("saliency/salicon", "salicon"),
    ]  # fmt: skip
    assert "5 trials, tier smoke" in said
    assert len(set(re.findall(r"skipped: weights \S+ not found: run `runner\.py weights fetch (\w+)`", said))) == 3


def test_where_nothing_of_what_is_asked_can_run_the_reason_is_the_error(bare, capsys):
    assert run(bare, "--methods", "deblur*/identity") == 2
    assert re.fullmatch(r"error: data set 'gopro' not found [^\n]*\n", capsys.readouterr().err)


@pytest.mark.parametrize("tier", SUITE.tiers)
def test_every_row_of_weights_names_known_ones_and_does_not_train(tier):
    from bench import registry
    from bench.external import weights

    rows = [t for t in expand(SUITE, tier) if "weights" in t.spec.options]
    assert len({t.spec.options["weights"] for t in rows}) == 16
    for row in rows:
        assert row.spec.options["weights"] in weights.manifest()
        assert registry.find("method", row.spec.name).HP(**row.spec.options).steps == 0


def test_released_weights_have_no_seeds():
    """Several would be the same numbers several times, and an interval of no width."""
    trials = expand(load_suite("denoise"), "standard", methods=["dncnn[weights=kair_dncnn_25]", "dncnn", "identity"])
    assert [sum(t.label.startswith(label) for t in trials) for label in ("dncnn[", "dncnn", "identity")] == [1, 4, 1]


def test_published_numbers_stand_beside_rows_that_there_are():
    labels = {t.label for t in expand(SUITE, "smoke")}
    published = {row.label for table in load(FOLDER / "released.toml") for row in table.rows}
    assert published <= labels
    assert sum("weights=" in label for label in published) == 10


def test_a_workload_has_one_method_or_several(tmp_path):
    from bench.errors import UsageError

    text = 'title = "T"\n[[workloads]]\nname = "a"\ntask = "denoise"\nsort = "psnr"\n{}\n[tiers.smoke]\n'
    for line in ("", 'method = "median"\nmethods = ["identity"]'):
        (tmp_path / "s.toml").write_text(text.format(line))
        with pytest.raises(UsageError, match=r"workloads\.0: give a method, or a list of methods"):
            load_suite(str(tmp_path / "s.toml"))
    (tmp_path / "s.toml").write_text(text.format('methods = ["identity", "median"]'))
    assert [t.label for t in expand(load_suite(str(tmp_path / "s.toml")), "smoke")] == ["identity", "median"]
