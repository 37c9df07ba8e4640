"""Tiles of test pictures: which are cut, which are left out; a suite that sorts by nothing that is scored."""

import pytest
import torch

import runner
from bench import registry
from bench.dataset import Picture
from bench.suites import expand, read
from bench.tasks._pictures import tiles


def halves():
    """16 x 32: the left half of contrast .5 in one channel, the right half flat."""
    target = torch.full((3, 16, 32), 0.5)
    target[0, :, :16] = torch.tensor([0.0, 1.0]).repeat(16, 8)
    return Picture(name="p", target=target)


def test_flat_tiles_are_left_out():
    assert [t.name for t in tiles(halves(), 16)] == ["p@0,0", "p@0,16"]
    assert [t.name for t in tiles(halves(), 16, 0.16)] == ["p@0,0"]  # mean over channels of (.5, 0, 0) is .167
    assert [t.name for t in tiles(halves(), 16, 0.18)] == []


def test_pictures_with_their_own_blur_and_small_ones_stay_whole():
    flat = torch.zeros(3, 16, 32)
    assert [t.target.shape[-1] for t in tiles(Picture(name="p", target=flat, observed=flat), 16, 0.5)] == [32]
    assert [t.target.shape[-1] for t in tiles(Picture(name="p", target=flat), 24, 0.5)] == [32]
    assert [t.target.shape[-1] for t in tiles(Picture(name="p", target=flat), 0, 0.5)] == [32]


def test_a_suite_that_sorts_by_an_unknown_column_is_refused_before_training(tmp_path, capsys):
    text = 'title = "x"\ntask = "deblur[scenes=0]"\nsort = "beauty"\nmethods = ["identity"]\n[tiers.smoke]\n'
    (tmp_path / "x.toml").write_text(text)
    assert runner.main(["--suite", str(tmp_path / "x.toml"), "--tier", "smoke", "--out", str(tmp_path / "out")]) == 2
    assert "sorts by 'beauty'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_suite_that_tunes_by_one_column_and_ranks_by_another_is_refused_before_training(tmp_path, capsys):
    text = """
title = "x"
axes.optimizer = ["sgd"]
[tuning]
rule = "quasirandom"
spaces.all = { rules = ["sgd"], ranges = { lr = [1e-3, 1.0] } }
[[workloads]]
name = "sparse"
task = "sparse_logistic"
method = "descent"
sort = "loss"
[tiers.smoke]
"""
    (tmp_path / "x.toml").write_text(text)
    assert runner.main(["--suite", str(tmp_path / "x.toml"), "--tier", "smoke", "--out", str(tmp_path / "out")]) == 2
    assert "workload 'sparse', sorts by 'loss', but validation, which tunes and sets targets, goes by 'accuracy'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tier", ["smoke", "quick", "standard"])
def test_the_suite_of_optimizers_ranks_by_what_it_tunes_by(tier):
    for trial in {t.workload: t for t in expand.expand(read.load_suite("optimizers"), tier)}.values():
        task = registry.make("task", trial.task)
        task.open(None, torch.device("cpu"))
        sort = next(w.sort for w in read.load_suite("optimizers").workloads if w.name == trial.workload)
        assert next(iter(task.cards())) == sort


def test_other_metrics_than_the_suites_rank_by_the_first_of_them(tmp_path, capsys):
    text = 'title = "x"\ntask = "deblur[scenes=0,scene_share=0,pictures=2]"\nsort = "psnr"\nmethods = ["identity"]\n[tiers.smoke]\n'
    (tmp_path / "x.toml").write_text(text)
    words = ["--suite", str(tmp_path / "x.toml"), "--tier", "smoke", "--out", str(tmp_path / "out")]
    assert runner.main([*words, "--set", 'metrics=("gmsd","ssim")']) == 0
    assert "GMSD" in capsys.readouterr().out
    assert "identity leads on GMSD" in (tmp_path / "out" / "x" / "report" / "index.html").read_text()
