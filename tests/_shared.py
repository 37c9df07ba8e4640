"""A suite whose trials many processes share, the runner that runs it, and what comes of it where one process does."""

import subprocess
import sys

import pytest
import safetensors.torch

from bench.registry import ROOT
from bench.store.mlflow_store import Store

SUITE = """
title = "Trials that share a machine"
task = 'deblur[crop=32,tile=64,pictures=1,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr",)]'
sort = "psnr"
methods = ["identity", "unet"]
[tiers.smoke]
evaluations = 3
seeds = [0, 1]
hp = { steps = 40, batch_size = 1 }
methods.unet = { width = 4, optimizer = "adam[lr=0.03]" }
"""

MORTAL = '''"""A U-Net whose process dies.

Departures: none
"""
import dataclasses
import os
import signal
from pathlib import Path

from bench.method import param
from methods.restoration.unet import UNet


class Mortal(UNet):
    """Dies at an update unless its grave is there already, which it digs then."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(UNet.HP):
        """When and how often."""

        at: int = param(20, "the update")
        grave: str = param("", "a file; none: it dies every time")
        log: str = param("", "a file for its updates; beside it one for what Ray gave it")
        width: int = param(4, "of the network")

    def train(self, data):
        """Regression, and an end."""
        if self.hp.log:
            import ray

            given = ray.get_runtime_context().get_assigned_resources()
            with open(f"{self.hp.log}.resources", "a") as file:
                print(*(f"{name} {given[name]}" for name in sorted(given) if name in ("CPU", "GPU")), file=file)
        for logs in super().train(data):
            if self.hp.log:
                with open(self.hp.log, "a") as file:
                    print(self.t, file=file)
            yield logs
            if self.t >= self.hp.at and not (self.hp.grave and Path(self.hp.grave).exists()):
                if self.hp.grave:
                    Path(self.hp.grave).touch()
                os.kill(os.getpid(), signal.SIGKILL)
'''

START = """
import functools, sys
import runner
from bench.commands import options
options.Settings = functools.partial(options.Settings, checkpoint_seconds=-1.0)  # at every update
sys.exit(runner.main(sys.argv[1:]))
"""

UNDAUNTED = """
from bench.scheduling import ray_worker
ray_worker.RETRIES = 1000  # a trial may lose its process as often as that
"""


def start(*words, code=START):
    """The runner in a process group of its own."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], cwd=ROOT, start_new_session=True, **pipes)


def finish(process):
    """Its exit code, what it said, and its complaints."""
    said, complaints = process.communicate(timeout=600)
    return process.returncode, said, complaints


def results(out, name="shared"):
    """(Method, seed) -> what must be the same wherever it ran; and how many closed runs the store has of each."""
    found, store = {}, Store(name, out)
    for record in store.read(store.trials()):
        weights = out / name / "trials" / record.training_id / "record" / "last.safetensors"
        found[record.label, record.seed] = (
            record.trial_id,
            record.outcome,
            record.final,
            record.per_image.to_dict("list"),
            record.curves.drop(columns="seconds").to_dict("list"),
            {k: v.numpy().tobytes() for k, v in safetensors.torch.load_file(weights).items()} if weights.exists() else None,
        )
    return found, len(store.queries.search(""))


def same(out, single):
    """Every trial is there once, with the same bits, and none has failed; nothing is left over."""
    found, runs = results(out)
    assert {outcome for _, outcome, *_ in found.values()} == {"finished"}
    assert (found, runs) == single
    assert runs == len(found)
    assert not list(out.glob("shared/trials/*/*.safetensors*"))


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """The command, but for the folder of results."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "shared.toml").write_text(SUITE)
    (folder / "mortal.py").write_text(MORTAL)
    return ["--suite", folder / "shared.toml", "--tier", "smoke", "--device", "cpu", "--threads", 1, "--plugin", folder / "mortal.py"]


@pytest.fixture(scope="session")
def alone(words, tmp_path_factory):
    """What comes of the suite, with so many words more, where its trials run one after another; computed once for each."""
    known = {}

    def of(*more):
        if more not in known:
            out = tmp_path_factory.mktemp("alone")
            code, _, complaints = finish(start(*words, *more, "--out", out))
            assert (code, complaints) == (0, "")
            known[more] = results(out)
        return known[more]

    return of
