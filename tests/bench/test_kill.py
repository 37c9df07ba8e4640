"""A runner that is killed again and again ends with the bits of one that was left alone; Ctrl-C and SIGTERM stop it cleanly."""

import os
import random
import signal
import time

import pytest
import safetensors.torch
import torch
from _runners import MOMENTS, Runners, finish, newest, said, until

from bench.store.mlflow_runs import judgements_of
from bench.store.mlflow_store import Store

SUITE = """
title = "Something that takes a second"
task = 'deblur[crop=32,tile=64,pictures=1,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr",)]'
sort = "psnr"
methods = ["keras_deblurgan"]
[tiers.smoke]
evaluations = 3
hp = { steps = 40, batch_size = 1, content = "l1", ngf = 2, ndf = 2, blocks = 1 }
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory, database):
    """Start the runner on the suite with results in a folder; returns the process."""
    return Runners(tmp_path_factory.mktemp("suite"), SUITE, database)


def results(out):
    """Seed -> weights, curves and scores, from the run directories and the store."""
    found = {}
    for record in (store := Store("suite", out)).read(store.trials()):
        weights = safetensors.torch.load_file(out / "suite" / "trials" / record.training_id / "record" / "last.safetensors")
        points = [(key, step, images, value) for key, step, images, _, value in record.curves.itertuples(index=False)]
        found[record.seed] = weights, points, (record.final, record.best, record.outcome)
    return found


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    """What comes of so many seeds where nobody disturbs them; computed once for each number."""
    known = {}

    def of(seeds):
        if seeds not in known:
            out = tmp_path_factory.mktemp("kill") / "undisturbed"
            assert finish(start(out, "--seeds", seeds), 600) == 0, said(out, "stderr")
            known[seeds] = results(out)
        return known[seeds]

    return of


def same(out, undisturbed):
    """Every trial is there once, with the same bits; nothing is left over."""
    found = results(out)
    assert found.keys() == undisturbed.keys()
    for seed, (weights, points, scores) in found.items():
        assert weights.keys() == undisturbed[seed][0].keys()
        assert all(torch.equal(weights[k], v) for k, v in undisturbed[seed][0].items())
        assert (points, scores) == undisturbed[seed][1:]
    runs = (store := Store("suite", out)).queries.search("")
    assert [run.info.status for run in runs] == ["FINISHED"] * len(found)
    assert len({run.data.tags["run_id"] for run in runs}) == len(found)
    for run in runs:
        assert len(judgements_of(run)) == 1
        steps = [m.step for m in store.client.get_metric_history(run.info.run_id, "train/generator")]
        assert steps == list(range(1, 41))
    assert not list(out.glob("suite/trials/*/*.safetensors*"))


@pytest.mark.fault(
    "process: the runner is killed at random moments",
    cause="kill -9 while it starts, trains, judges, writes a record or writes to the store",
    expected="finished results all there, none twice, weights, curves and scores bit for bit those of a run left alone",
)
@pytest.mark.slow
@pytest.mark.parametrize(("kills", "seeds"), [(5, 2), (100, 60)])
def test_killed_at_random_moments(start, undisturbed, tmp_path, record_property, kills, seeds):
    rng, out, hit = random.Random(kills), tmp_path / "killed", []
    while len(hit) < kills:
        process = start(out, "--seeds", seeds)
        if (moment := rng.choice(["start", "training", "training", *MOMENTS])) == "start":
            time.sleep(rng.uniform(0, 3))
        else:
            before = newest(out, MOMENTS[moment])
            until(lambda: newest(out, MOMENTS[moment]) not in (None, before), process)  # noqa: B023 (it is called here)
            time.sleep(rng.uniform(0, 0.1))
        process.kill()
        if finish(process) == -signal.SIGKILL:
            hit.append(moment)
        elif moment != "start":  # all was done
            break
    record_property("count", len(hit))
    assert len(hit) >= kills - 2  # a short suite may end before
    assert kills < 100 or set(hit) == {"start", *MOMENTS}
    assert finish(start(out, "--seeds", seeds), 600) == 0
    assert said(out, "stderr") == ""
    same(out, undisturbed(seeds))


@pytest.mark.fault(
    "process: the runner is asked to stop",
    cause="SIGINT (Ctrl-C) or SIGTERM (a scheduler) while it trains",
    expected="it saves, says so and exits with 130; the same command goes on to the same bits",
)
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(start, undisturbed, tmp_path, number):
    out = tmp_path / "stopped"
    process = start(out, "--seeds", 2)
    assert until(lambda: newest(out, MOMENTS["training"]), process)
    os.kill(process.pid, number)
    assert finish(process) == 130
    assert "stopped; everything is saved: give the same command again to go on" in said(out)
    assert said(out, "stderr") == ""
    assert len(list(out.glob("suite/trials/*/checkpoint.safetensors"))) == 1
    assert Store("suite", out).trials() == {}
    assert finish(start(out, "--seeds", 2)) == 0
    same(out, undisturbed(2))
