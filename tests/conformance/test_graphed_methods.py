"""Every trained method under `--cuda-graphs`: replayed updates give the bits of eager ones, or it says why it has none."""

import re
from pathlib import Path

import pytest
import torch
from _recorder import CallRecorder, as_on_a_gpu

from bench import registry
from bench.conformance import checks
from bench.graphs import _capturable
from bench.graphs.updates import GraphedUpdates
from bench.task import Stream
from bench.training.loop import Plan, Training
from bench.training.progress import Progress

ROOT = Path(__file__).parents[2]
STEPS = {False: 6, True: 10}  # an update is watched two or three times, recorded, and replayed: so is each of two stages
TRAINED = [name for name in registry.names("method") if "steps" in registry.settings(registry.find("method", name))]
FAST = {"cyclegan", "descent", "dncnn", "gan", "infogan", "mean_image", "unet", "wgan_gp"}  # one of each way to train
METHODS = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED]
EAGER = {"cyclegan": "reads a number back from a tensor"}  # whether a picture of the pool is exchanged
"""Those that cannot be replayed, and why; docs/performance.md has the same table."""


def _train(name, folder, graphed, **options):
    staged = bool({"pretrain", "gan_share"} & registry.settings(registry.find("method", name)).keys())
    method = checks.make(name, steps=STEPS[staged], **options)
    stream = Stream(method.task, 0, getattr(method.hp, "batch_size", 1))
    graphs = GraphedUpdates(method, stream, CallRecorder()) if graphed else None
    if not graphed:
        _capturable.make_capturable(method)
    folder.mkdir()
    plan = Plan(folder, 3, higher_is_better=False)
    training = Training(method, stream, lambda: method.task.validate(method), plan, Progress(), graphs)
    torch.manual_seed(1)
    training.run(lambda: False)
    return training, graphs


def _result(training):
    curves = [(key, step, images, value) for key, step, images, _, value in training.points]
    return checks.fingerprint(training.method), curves, training.stream.drawn, torch.get_rng_state().tolist()


@pytest.mark.parametrize("name", METHODS)
def test_replayed_updates_are_the_eager_ones_bit_for_bit(name, tmp_path):
    with as_on_a_gpu():
        eager = _result(_train(name, tmp_path / "eager", graphed=False)[0])
        training, graphs = _train(name, tmp_path / "graphed", graphed=True)
    assert _result(training) == eager
    if name in EAGER:
        assert not graphs.replayed
        assert EAGER[name] in graphs.note()
    else:
        assert graphs.replayed >= 3, graphs.note()
        assert graphs.note() == "updates are replayed from CUDA graphs"


def test_the_page_names_those_that_run_eagerly():
    page = (ROOT / "docs" / "performance.md").read_text()
    table = re.findall(r"^\| (`[^|]+) \| ", page.partition("**What is not**")[2].partition("**What changes.**")[0], re.MULTILINE)
    assert sorted(name for row in table for name in re.findall(r"`(\w+)`", row)) == sorted(EAGER)


@pytest.mark.parametrize("rule", [name for name in registry.names("optimizer") if name != "swats"])
def test_every_update_rule_is_replayed(rule, tmp_path):
    options = {"optimizer": rule, "schedule": "cosine"}
    with as_on_a_gpu():
        eager = _result(_train("descent", tmp_path / "eager", graphed=False, **options)[0])
        training, graphs = _train("descent", tmp_path / "graphed", graphed=True, **options)
    assert graphs.replayed >= 3, graphs.note()
    assert _result(training) == eager


def test_a_rule_that_decides_on_the_host_runs_eagerly(tmp_path):
    _, graphs = _train("descent", tmp_path / "graphed", graphed=True, optimizer="swats")
    assert not graphs.replayed
    assert graphs.note().startswith("updates run without CUDA graphs: self.opt.param_groups[0].t changes")
