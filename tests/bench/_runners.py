"""Runners in processes of their own, forked from one that has all imported, so that a start costs little; and full disks."""

import contextlib
import functools
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

MOMENTS = {
    "training": "checkpoint.safetensors",
    "weights": "record/last.safetensors",
    "record": "record/*.parquet",
    "judging": "record/record.json",
    "judgement": "judgements/*/*.parquet",
    "store": "judgements/*/record.json",
}
"""What a trial is about to do when the newest such file in its folder is new."""

PRELOAD = ["bench.commands.run", "mlflow.store.tracking.sqlalchemy_store", "reports.render", "methods.restoration.unet", "datasets.photos"]


def _work(words, log, environment):
    """`runner.py` in a child, which writes a checkpoint at every update."""
    os.setsid()
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{log}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ.update(environment)
    torch.set_num_threads(1)
    import runner
    from bench.commands import options
    from bench.scheduling import scheduler

    scheduler._LOGGED_EVERY = -1.0  # curves at every validation: the run in the store is open while a trial trains
    options.Settings = functools.partial(options.Settings, checkpoint_seconds=-1.0)
    sys.exit(runner.main(words))


class Runners:
    """Starts runners of one suite; what they say lies beside their folder of results."""

    def __init__(self, folder, text, database, *words):
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOAD)
        file, self.database = folder / "suite.toml", database
        file.write_text(text)
        self.words = ["--suite", str(file), "--tier", "smoke", "--device", "cpu", *map(str, words)]

    def __call__(self, out, *words, **environment):
        """The process of a runner with results in `out`."""
        if self.database and not out.exists():
            out.mkdir()
            shutil.copy(self.database, out / "mlflow.db")
        process = self.context.Process(target=_work, args=([*self.words, *map(str, words), "--out", str(out)], out, environment))
        process.start()
        return process


def finish(process, seconds=120):
    """Its exit code."""
    process.join(seconds)
    assert not process.is_alive()
    return process.exitcode


def said(out, stream="stdout"):
    """What the runners of a folder printed."""
    return Path(f"{out}.{stream}").read_text()


def until(condition, process=None):
    """Wait for what it returns to be true; None where the process ended first."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (process is None or process.is_alive()):
        if found := condition():
            return found
        time.sleep(0.002)
    return None


def newest(out, file):
    """When the newest file of that name in a trial's folder was written; None where there is none."""
    times = []
    for path in out.glob(f"*/trials/*/{file}"):
        try:
            times.append(path.stat().st_mtime_ns)
        except FileNotFoundError:  # it is gone just now
            continue
    return max(times, default=None)


class Disk:
    """A small disk that can be filled to the last byte."""

    def __init__(self, path):
        self.path, self.filler = path, path / "filler"

    def fill(self):
        with contextlib.suppress(OSError), self.filler.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def empty(self):
        self.filler.unlink()


@contextlib.contextmanager
def mounted(path, size="32m"):
    """A disk in memory of that size at a new folder; the test is skipped where none can be mounted."""
    if not shutil.which("mount"):
        pytest.skip("no small disk can be mounted here")
    path.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"a full disk needs leave to mount a small one: {mount.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
