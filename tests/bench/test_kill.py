"""A trial that is killed again and again ends with the bits of one that was left alone; Ctrl-C stops it cleanly.

The processes are forked from one that has everything imported, so that a start costs little.
"""

import functools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bench.tracking import Store

SUITE = """
title = "Something that takes a second"
task = 'deblur[crop=32,tile=64,pictures=1,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr",)]'
sort = "psnr"
methods = ["keras_deblurgan"]
[tiers.smoke]
evaluations = 3
hp = { steps = 60, batch_size = 1, content = "l1", ngf = 2, ndf = 2, blocks = 1 }
"""


def work(arguments, out):
    """`runner.py` in a child, with a checkpoint at every update."""
    os.setsid()
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{out}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    torch.set_num_threads(1)
    import runner
    from bench import main

    main.Settings = functools.partial(main.Settings, checkpoint_seconds=-1.0)
    sys.exit(runner.main([*arguments, "--out", str(out)]))


@pytest.fixture(scope="module")
def start(tmp_path_factory, database):
    """Start the runner on the suite with results in a folder; returns the process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["bench.main", "mlflow.store.tracking.sqlalchemy_store", "reports.render", "methods.restoration.unet", "datasets.photos"]
    )
    file = tmp_path_factory.mktemp("suite") / "second.toml"
    file.write_text(SUITE)

    def go(out):
        if not out.exists():
            out.mkdir()
            shutil.copy(database, out / "mlflow.db")
        process = context.Process(target=work, args=(["--suite", str(file), "--tier", "smoke", "--device", "cpu"], out))
        process.start()
        return process

    return go


def finish(process):
    process.join(120)
    assert not process.is_alive()
    return process.exitcode


def checkpoint_after(out, before, process):
    """Wait for a checkpoint that is newer; returns its time, None where the process ended first."""
    while process.is_alive():
        for file in out.glob("second/trials/*/checkpoint.safetensors"):
            try:
                if (now := file.stat().st_mtime_ns) != before:
                    return now
            except FileNotFoundError:  # it ended
                continue
        time.sleep(0.002)
    return None


def result(out):
    (weights,) = out.glob("second/trials/*/record/weights.safetensors")
    (record,) = Store("second", out).board("smoke", Path(out))
    points = [(key, step, images, value) for key, step, images, _, value in record.curves.itertuples(index=False)]
    return safetensors.torch.load_file(weights), points, record


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    out = tmp_path_factory.mktemp("kill") / "undisturbed"
    assert finish(start(out)) == 0, Path(f"{out}.stderr").read_text()
    return result(out)


def same(out, undisturbed):
    weights, points, record = result(out)
    assert weights.keys() == undisturbed[0].keys()
    assert all(torch.equal(weights[k], v) for k, v in undisturbed[0].items())
    assert points == undisturbed[1]
    assert (record.final, record.best, record.outcome) == (undisturbed[2].final, undisturbed[2].best, "finished")
    client = (store := Store("second", out)).client
    (run,) = store._search("")
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "train/generator")]
    assert steps == list(range(1, 61))
    assert [p.name for p in next(out.glob("second/trials/*")).glob("*.safetensors*")] == []


def test_killed_at_random_moments(start, undisturbed, tmp_path):
    rng, out, seen, codes = random.Random(0), tmp_path / "killed", 0, []
    for _ in range(5):
        process = start(out)
        seen = checkpoint_after(out, seen, process)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        codes.append(finish(process))
    assert set(codes) <= {-signal.SIGKILL, 0}
    assert codes.count(-signal.SIGKILL) >= 3
    assert finish(start(out)) == 0
    same(out, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(start, undisturbed, tmp_path, number):
    out = tmp_path / "stopped"
    process = start(out)
    checkpoint_after(out, 0, process)
    os.kill(process.pid, number)
    assert finish(process) == 130
    assert "stopped; everything is saved: give the same command again to go on" in Path(f"{out}.stdout").read_text()
    assert Path(f"{out}.stderr").read_text() == ""
    assert len(list(out.glob("second/trials/*/checkpoint.safetensors"))) == 1
    assert Store("second", out).done() == {}
    assert finish(start(out)) == 0
    same(out, undisturbed)
