"""What else goes wrong overnight, caused for real: full disks, NaN, damaged checkpoints, locked stores, runners side by side."""

import contextlib
import functools
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from _jobs import make
from _runners import Runners, finish, mounted, newest, said, until
from PIL import Image

import runner
from bench.commands import options
from bench.judging.judge import Judge
from bench.registry import ROOT
from bench.running.train import Attempt
from bench.scheduling import scheduler
from bench.store import checkpoint, ledger
from bench.store.ledger import Ledger
from bench.store.mlflow_store import Store, judgements_of
from bench.store.run_dir import RunDir
from bench.training.loop import Interrupted, Training
from bench.training.progress import Progress
from reports import render

SUITE = """
title = "Some seconds"
task = 'deblur[crop=32,tile=64,pictures=1,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr",)]'
sort = "psnr"
methods = ["tally", "tally[width=3]"]
[tiers.smoke]
seeds = [0, 1]
evaluations = 2
hp = { steps = 30, batch_size = 1 }
"""

TALLY = '''"""A U-Net that notes down when it trains.

Departures: none
"""
import dataclasses
import os
from bench.method import param
from methods.restoration.unet import UNet


class Tally(UNet):
    """A line in the file TALLY, an environment variable, for every training that begins or goes on."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(UNet.HP):
        """Small."""

        width: int = param(2, "of the network")

    def train(self, data):
        """Regression."""
        with open(os.environ["TALLY"], "a") as file:
            file.write(f"{self.hp.width} {self.t}\\n")
        yield from super().train(data)
'''

PLUGIN = '''"""A method in which something is not a number.

Departures: none
"""
import torch
from torch import nn
from bench.method import Method, TrainHP
from bench.task import mix


class Plugin(Method):
    """Trains one number."""

    HP = TrainHP

    def build(self, task):
        """The number."""
        self.net = nn.Conv2d(3, 3, 1)
        self.seed = torch.initial_seed()

    def train(self, data):
        """Counts."""
        while self.t < self.hp.steps:
            next(data)
            self.t += 1
            yield {"loss": torch.tensor(LOSS)}

    def restore(self, batch):
        """What it was given."""
        return RESTORED
'''

NAN_PICTURES = '''"""Photographs, one of which was computed wrongly."""
import dataclasses
from typing import ClassVar
import torch
from bench.dataset import PictureSet
from datasets.photos import Photos

KIND = "dataset"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NanPhotos(Photos):
    """The bundled ones."""

    where: str = "train"

    def open(self, root, split):
        """With a NaN in the first of a split."""
        sound = super().open(root, split)

        def load(i):
            picture = sound[i]
            if i == 0 and split == self.where:
                picture.target[0, 0, 0] = float("nan")
            return picture

        return PictureSet(sound.names, load, sound.fingerprint + self.where)
'''


def command(bench, *words):
    return ["--suite", str(bench.file), "--tier", "smoke", "--device", "cpu", "--out", str(bench.out), *map(str, words)]


def one_line(capsys):
    """The complaint of the last command."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def weights(bench, record):
    return (bench.out / "tiny" / "trials" / record.training_id / "record" / "last.safetensors").read_bytes()


def runs(out, name="tiny", uri=None):
    """Training -> the states of its runs in the store."""
    found = {}
    for run in Store(name, out, uri).queries.search(""):
        found.setdefault(run.data.tags["run_id"], []).append(run.info.status)
    return found


# -- the disk is full
@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk") as small:
        yield small


PLACES = {
    "a checkpoint": ((Training, "save"), 1, "checkpoint.safetensors"),
    "the best weights": ((Training, "_validate"), 0, "best.safetensors"),
    "the last weights": ((Attempt, "_save_weights"), 0, "last.safetensors"),
    "a record": ((RunDir, "close"), 0, "record"),
    "the pictures of a result": ((Judge, "_score"), 0, "trials"),
    "a judgement": ((RunDir, "judge"), 0, "judgements"),
    "a report": ((render, "render"), 0, "report"),
}


@pytest.mark.fault(
    "disk: full while a checkpoint, weights, pictures, a record or the report is written",
    cause="a mounted file system of 32 MB is filled to the last byte just before",
    expected="one line, exit 2; what was there is whole; with space the same command ends with the same bits",
)
@pytest.mark.parametrize("what", PLACES)
def test_disk_full(disk, ran, monkeypatch, capsys, database, what):
    (owner, name), spared, file = PLACES[what]
    bench = type(ran[0])(disk.path, database=database)
    real, calls = getattr(owner, name), []

    def full(*args, **kwargs):
        calls.append(name)
        if len(calls) > spared:
            disk.fill()
        return real(*args, **kwargs)

    monkeypatch.setattr(options, "Settings", functools.partial(options.Settings, checkpoint_seconds=-1.0))
    monkeypatch.setattr(owner, name, full)
    assert runner.main(command(bench, "--methods", "unet")) == 2
    assert re.search(rf"{file}.*(No space left|os error 28|free some)", one_line(capsys))
    for left in bench.out.glob("tiny/trials/*/*.safetensors"):
        checkpoint.load(left)
    assert not list(bench.out.glob("**/*.part"))
    if what == "a checkpoint":
        assert checkpoint.load(next(bench.out.glob("tiny/trials/*/checkpoint.safetensors")))["method"]["t"] == 1
    monkeypatch.setattr(owner, name, real)
    disk.empty()
    assert runner.main(command(bench, "--methods", "unet")) == 0
    assert weights(bench, ran[1][1]) == weights(ran[0], ran[1][1])
    (record,) = Store("tiny", bench.out).read([ran[1][1].trial_id])
    assert (record.final, record.best) == (ran[1][1].final, ran[1][1].best)
    assert runs(bench.out) == {record.training_id: ["FINISHED"]}


@pytest.mark.fault(
    "disk: full while the store is written",
    cause="the database lies on a mounted file system that is filled to the last byte",
    expected="work goes on; what had to wait enters the store once there is space, once",
)
def test_disk_full_for_the_store(disk, tiny, database, capsys):
    uri = f"sqlite:///{disk.path}/mlflow.db"
    shutil.copy(database, disk.path / "mlflow.db")
    assert runner.main(command(tiny, "--methods", "identity", "--tracking-uri", uri)) == 0
    disk.fill()
    assert runner.main(command(tiny, "--tracking-uri", uri)) == 0
    out, err = capsys.readouterr()
    assert (out.count("disk is full. Work goes on"), err) == (1, "")
    assert [row.split(",")[0] for row in (tiny.out / "tiny/report/leaderboard.csv").read_text().splitlines()[1:]]
    disk.empty()
    assert runner.main(command(tiny, "--tracking-uri", uri)) == 0
    assert "all 2 trials are on record already" in capsys.readouterr().out
    assert list(runs(tiny.out, uri=uri).values()) == [["FINISHED"]] * 2


# -- what is not a number
@pytest.mark.fault(
    "NaN: in the data",
    cause="a picture source yields a NaN in the train, validation or test split",
    expected="one line that names the picture, exit 2: it would spoil every trial, and is no divergence",
)
@pytest.mark.parametrize(("split", "name"), [("train", "astronaut"), ("validation", "chelsea"), ("test", "coffee")])
def test_nan_in_the_data(tiny, plugin, tmp_path, capsys, split, name):
    plugin("nan_photos", NAN_PICTURES)
    assert runner.main(command(tiny, "--set", f"data=nan_photos[where={split}]", "--plugin", tmp_path / "nan_photos.py")) == 2
    assert f"the picture {name} holds values that are not finite" in one_line(capsys)


@pytest.mark.fault(
    "NaN: in a file of pictures",
    cause="a TIFF of 32-bit floats holds one",
    expected="one line that names the file, exit 2; with on_corrupt=skip it is left out and the record says so",
)
def test_nan_in_a_file(tiny, tmp_path, capsys):
    folder = tmp_path / "own"
    folder.mkdir()
    for i in range(2):
        Image.effect_noise((64, 64), 80).convert("RGB").save(folder / f"{i}.png")
    Image.new("F", (64, 64), float("nan")).save(folder / "broken.tif")
    data = ["--methods", "identity", "--set", f"data=folder[path={folder},split=test]"]
    assert runner.main(command(tiny, *data)) == 2
    assert "broken.tif: its samples are of mode F, not 8 or 16 bits" in one_line(capsys)
    assert runner.main(command(tiny, *data, "on_corrupt=skip")) == 0
    (record,) = Store("tiny", tiny.out).leaderboard_records("smoke", tmp_path)
    assert "broken.tif" in record.tags["skipped_files"]


@pytest.mark.fault(
    "NaN: in one seed only",
    cause="the loss of seed 1 of three is NaN at its second update",
    expected="that trial has diverged, the other seeds stand, the row says 1 of 3 and ranks behind those that held",
)
def test_nan_in_one_seed(tiny, plugin, tmp_path, capsys):
    text = PLUGIN.replace("LOSS", 'float("nan") if self.t == 2 and self.seed == mix(1) else 1.0').replace(
        "RESTORED", "batch.observed * 0.999"
    )
    plugin("wobbles", text)
    assert runner.main(command(tiny, "--seeds", 3, "--methods", "wobbles", "identity", "--plugin", tmp_path / "wobbles.py")) == 0
    store = Store("tiny", tiny.out)
    records = {(r.label, r.seed): r for r in store.read(store.trials())}
    assert [records["wobbles", seed].outcome for seed in range(3)] == ["finished", "diverged", "finished"]
    assert records["wobbles", 1].reason == "loss is not finite at update 2"
    assert all(records["wobbles", seed].final for seed in (0, 2))
    held, row, *_ = json.loads((tiny.out / "tiny/report/leaderboard.json").read_text())["leaderboard"]
    assert (held["label"], held["rank"]) == ("identity", 1)
    assert (row["label"], row["rank"], row["seeds"], row["reason"]) == ("wobbles", 2, "0 2", "1 of 3 seeds diverged")
    assert "1 of 3 seeds diverged" in capsys.readouterr().out


@pytest.mark.fault(
    "NaN: in what a method restores",
    cause="a trained method returns NaN for every picture",
    expected="the trial has diverged at its first validation; the others do not notice",
)
def test_nan_in_the_results(tiny, plugin):
    plugin("blank", PLUGIN.replace("LOSS", "1.0").replace("RESTORED", 'batch.observed * float("nan")'))
    (record, fine), _ = tiny.run(methods=["blank", "identity"])
    assert (record.outcome, record.reason) == ("diverged", "validation/psnr is not finite at update 0")
    assert fine.outcome == "finished"


# -- a checkpoint is damaged
def truncated(file):
    os.truncate(file, file.stat().st_size // 2)


def emptied(file):
    os.truncate(file, 0)


def flipped(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # in a tensor: the header still holds
    file.write_bytes(data)


DAMAGED = pytest.mark.fault(
    "checkpoint: truncated, empty, one bit flipped",
    cause="the file of a stopped trial is changed: the one training goes on from, or that of the best weights",
    expected="the trial begins afresh, ends with the same bits, and its record says so; the others do not notice",
)


@DAMAGED
@pytest.mark.parametrize("damage", [truncated, emptied, flipped])
def test_damaged_checkpoint(tiny, ran, damage):
    updates = []
    watcher = Progress()
    watcher.update = lambda *args: updates.append(args)
    with pytest.raises(Interrupted):
        make(tiny.trials()[1], tiny.settings, watcher, lambda: len(updates) == 2)
    (file,) = tiny.out.glob("tiny/trials/*/checkpoint.safetensors")
    damage(file)
    (fine, record), seen = tiny.run()
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]
    assert record.tags["restarted"] == "its checkpoint was damaged, so training began afresh"
    assert "restarted" not in fine.tags
    assert (record.outcome, record.final) == ("finished", ran[1][1].final)
    assert weights(tiny, record) == weights(ran[0], record)


@DAMAGED
def test_damaged_best_weights(tiny, plugin):
    plugin("peaks", PLUGIN.replace("LOSS", "1.0").replace("RESTORED", "batch.observed if self.t == 2 else 0 * batch.observed"))
    judged = []
    watcher = Progress()
    watcher.evaluating = lambda *args: judged.append(args)
    (peaks,) = tiny.trials(methods=["peaks"])
    with pytest.raises(Interrupted):
        make(peaks, tiny.settings, watcher, lambda: bool(judged))
    (file,) = tiny.out.glob("tiny/trials/*/record/best.safetensors")
    flipped(file)
    (record,), seen = tiny.run(methods=["peaks"])
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]
    assert (record.outcome, record.summary["best_step"], "restarted" in record.tags) == ("finished", 2, True)
    assert record.best["psnr"] > record.final["psnr"]


@pytest.mark.fault(
    "checkpoint: damaged again and again",
    cause="every file of best weights loses its second half as soon as it is written",
    expected="that trial has failed, with the file named; the others run",
)
def test_a_disk_that_damages_every_checkpoint(tiny, plugin, monkeypatch):
    plugin("peaks", PLUGIN.replace("LOSS", "1.0").replace("RESTORED", "batch.observed if self.t == 2 else 0 * batch.observed"))
    save = checkpoint.save

    def bad(path, tree):
        save(path, tree)
        truncated(path)

    monkeypatch.setattr(checkpoint, "save", bad)
    (record, fine), _ = tiny.run(methods=["peaks", "identity"])
    assert (record.outcome, fine.outcome) == ("failed", "finished")
    assert re.fullmatch(r"CorruptCheckpoint: cannot read the checkpoint .*best\.safetensors: .*", record.reason)


@pytest.mark.fault(
    "record: damaged before the store took it in",
    cause="the scores of a record in its run directory are truncated, or a byte of its head is another",
    expected="one line names it where its scores are lost, the trial runs again, the others are taken in",
)
@pytest.mark.parametrize("damage", ["scores", b"\xff", b'"labex"'])
def test_damaged_record(tiny, ran, damage):
    for trial in tiny.trials():
        record = make(trial, tiny.settings)
    folder, told = tiny.ledger.folders.of(record.training_id), []
    if damage == "scores":
        truncated(folder.judged(record.trial_id) / "per_image.parquet")
    else:
        (folder.results / "record.json").write_bytes((folder.results / "record.json").read_bytes().replace(b'"title"', damage))
    tiny.ledger = Ledger("tiny", tiny.out, None, told.append)
    records, seen = tiny.run()
    assert [record.training_id in line for line in told] == [True] * (damage == "scores")
    assert [label for label, _ in seen.jobs] == ["unet"]
    assert [r.final for r in records] == [r.final for r in ran[1]]


# -- judging again
GMSD = 'metrics=("psnr","ssim","gmsd")'


@pytest.mark.fault(
    "weights: one bit flipped",
    cause="the kept weights of a training are changed before another metric is to judge them",
    expected="the training is made again, to the same scores, and its record says so; the others do not notice",
)
def test_damaged_weights(tiny, ran):
    tiny.run()
    (file,) = tiny.out.glob("tiny/trials/*/record/last.safetensors")
    flipped(file)
    (fine, record), seen = tiny.run(overrides=[GMSD])
    assert record.tags["restarted"] == "its weights were damaged, so it was trained again"
    assert "restarted" not in fine.tags
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]
    assert record.final["psnr"] == ran[1][1].final["psnr"]


@pytest.mark.fault(
    "weights: deleted",
    cause="the run directories are deleted; or the kept weights there and in the store",
    expected="they are brought from the store and judged; or the training is made again, to the same scores, and says why",
)
@pytest.mark.parametrize("everywhere", [False, True])
def test_deleted_weights(tiny, ran, everywhere):
    tiny.run(methods=["unet"])
    if everywhere:
        for file in tiny.out.rglob("last.safetensors"):
            file.unlink()
    else:
        shutil.rmtree(tiny.out / "tiny" / "trials")
    (record,), seen = tiny.run(methods=["unet"], overrides=[GMSD])
    assert [why for _, why in seen.jobs] == (
        ["trains again: its weights were not kept"] if everywhere else ["judges again: the metric gmsd is new"]
    )
    assert record.final["psnr"] == ran[1][1].final["psnr"]


@pytest.mark.fault(
    "store: the runner died before it heard of a judgement",
    cause="a judgement lies in its run directory, the store holds the training alone",
    expected="it enters the store, nothing is judged again",
)
def test_a_judgement_that_never_reached_the_store(tiny):
    tiny.run(methods=["unet"])
    (trial,) = tiny.trials(methods=["unet"], overrides=[GMSD])
    made = make(trial, tiny.settings)
    (record,), seen = tiny.run(methods=["unet"], overrides=[GMSD])
    assert (seen.jobs, record.judged) == ([], made.judged)
    (run,) = tiny.store.queries.search("")
    assert made.trial_id in judgements_of(run)


@pytest.mark.fault(
    "process: the runner is killed while it judges again",
    cause="kill -9 at random moments of a run that has another metric for trainings on record",
    expected="no training is made again; every judgement is there once, with the scores of a run left alone",
)
@pytest.mark.slow
def test_killed_while_judging_again(start, tmp_path):
    out, tally, rng = tmp_path / "killed", tmp_path / "tally", random.Random(7)
    assert finish(start(out, TALLY=str(tally))) == 0
    trained, hits = tally.read_text(), 0
    alone = tmp_path / "alone"
    shutil.copytree(out, alone)
    assert finish(start(alone, "--set", GMSD, TALLY=str(tally))) == 0
    while hits < 3:
        before = newest(out, "judgements/*/*")
        process = start(out, "--set", GMSD, TALLY=str(tally))
        until(lambda: newest(out, "judgements/*/*") != before, process)  # noqa: B023 (it is called here)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        if finish(process) != -signal.SIGKILL:
            break
        hits += 1
    assert hits
    assert finish(start(out, "--set", GMSD, TALLY=str(tally))) == 0, said(out, "stderr")
    assert tally.read_text() == trained
    assert list(runs(out, "suite").values()) == [["FINISHED"]] * 4
    one, other = (Store("suite", folder) for folder in (out, alone))
    assert {r.trial_id: r.final for r in one.read(one.trials())} == {r.trial_id: r.final for r in other.read(other.trials())}


# -- the store stalls, is locked, loses an answer
@pytest.fixture
def stalled():
    """A server that accepts and never answers; and how often it was asked."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=50))
        asked = []

        def listen():
            with contextlib.suppress(OSError):
                while True:
                    asked.append(stack.enter_context(listening.accept()[0]))

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.fault(
    "tracking server: stalls",
    cause="a socket accepts and never answers",
    expected="work goes on after ten seconds, the server is left alone for ten times as long, the report comes from the run directories",
)
def test_a_server_that_never_answers(tiny, stalled, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    uri, asked = stalled
    assert runner.main(command(tiny, "--tracking-uri", uri)) == 0
    out, err = capsys.readouterr()
    assert (out.count("Work goes on; results wait in"), err, len(asked)) == (1, "", 1)
    assert (tiny.out / "tiny" / "report" / "index.html").is_file()
    assert runner.main(["sync", "--out", str(tiny.out)]) == 0
    assert list(runs(tiny.out).values()) == [["FINISHED"]] * 2


def test_a_store_waits_seconds_not_minutes(tiny):
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"


def test_a_store_that_stalls_is_asked_seldom(tiny, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(ledger.time, "monotonic", lambda: clock[0])

    def stall(*args):
        clock[0] += 20.0
        raise ledger.StoreUnavailable("it stalls")

    lost = Ledger("tiny", tiny.out, None, lambda line: None)
    monkeypatch.setattr(ledger, "Store", stall)
    lost._query(stall)
    assert lost._next_try == 20.0 + 200.0
    clock[0] = 219.0
    assert lost._query(stall) is None
    assert clock[0] == 219.0


HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(database):
    """By a process of its own."""
    words = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield
        process.stdin.close()


@pytest.mark.fault(
    "store: locked by another process",
    cause="a process holds BEGIN EXCLUSIVE on the database, from the start or from the middle on",
    expected="work goes on; results enter when it is free, once; nobody is advised to rebuild",
)
@pytest.mark.parametrize("when", ["start", pytest.param("middle", marks=pytest.mark.slow)])  # MLflow waits for 20 s
def test_a_locked_database(tiny, monkeypatch, when):
    monkeypatch.setattr(ledger, "_PAUSE", 0.0)
    monkeypatch.setattr(ledger, "_PATIENCE", 0.0)
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, timeout=0.1))
    uri, told = f"sqlite:///{tiny.out}/mlflow.db?timeout=0.1", []
    with contextlib.ExitStack() as lock:
        if when == "start":
            lock.enter_context(locked(tiny.out / "mlflow.db"))
        tiny.ledger = Ledger("tiny", tiny.out, uri, told.append)
        made = scheduler.running.run

        def run(*args):
            if when == "middle" and not told:
                lock.enter_context(locked(tiny.out / "mlflow.db"))
            return made(*args)

        monkeypatch.setattr(scheduler.running, "run", run)
        _, seen = tiny.run()
        assert [outcome for _, outcome in seen.ends] == ["finished", "finished"]
        assert len(told) == 1
        assert "database is locked" in told[0]
        assert "rebuild" not in told[0]
    assert tiny.ledger.records.trials()
    assert told[1:] == ["the tracking store answers again: 2 results that had to wait have entered it"]
    assert list(runs(tiny.out).values()) == [["FINISHED"]] * 2


# -- runners side by side
@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Runners of a suite that trains four trials; no database is there when they begin."""
    folder = tmp_path_factory.mktemp("side")
    (folder / "tally.py").write_text(TALLY)
    return Runners(folder, SUITE, None, "--plugin", folder / "tally.py")


def tables(out):
    """What each runner printed at its end."""
    lines = said(out).splitlines()
    heads = [i for i, line in enumerate(lines) if re.match(r"\s*#\s+method", line)]
    return [[line for line in lines[i : i + 8] if re.match(r"\s*(\d|–|#)\s+\S", line)] for i in heads]


@pytest.mark.fault(
    "runners: two started at once on one new output folder",
    cause="two processes, no database yet",
    expected="both exit 0 and print the same table; every trial trained once and closed once",
)
@pytest.mark.slow
def test_two_runners_at_once(start, tmp_path):
    out, tally = tmp_path / "both", tmp_path / "tally"
    both = [start(out, TALLY=str(tally)) for _ in range(2)]
    assert [finish(p) for p in both] == [0, 0], said(out, "stderr")
    assert said(out, "stderr") == ""
    assert sorted(tally.read_text().splitlines()) == ["2 0", "2 0", "3 0", "3 0"]
    assert list(runs(out, "suite").values()) == [["FINISHED"]] * 4
    one, other = tables(out)
    assert len(one) == 3
    assert one == other


@pytest.mark.fault(
    "runners: one waits while the other is killed",
    cause="kill -9 of the runner that trains while a second one waits for its trial",
    expected="the second goes on from the checkpoint and exits 0; one closed run, the same bits",
)
@pytest.mark.slow
def test_a_runner_takes_over(start, tmp_path):
    out, tally = tmp_path / "over", tmp_path / "tally"
    words = ["--methods", "tally", "--seeds", 1, "--set", "steps=150"]
    first = start(out, *words, TALLY=str(tally))
    assert until(lambda: list(out.glob("suite/trials/*/checkpoint.safetensors")), first)
    second = start(out, *words, TALLY=str(tally))
    assert until(lambda: said(out).count("Some seconds") == 2, second)
    first.kill()
    assert finish(first) == -signal.SIGKILL
    assert finish(second) == 0, said(out, "stderr")
    (began, again) = tally.read_text().splitlines()
    assert began == "2 0"
    assert int(again.split()[1]) > 0
    assert list(runs(out, "suite").values()) == [["FINISHED"]]
    alone = tmp_path / "alone"
    assert finish(start(alone, *words, TALLY=str(tally))) == 0
    files = [next(o.glob("suite/trials/*/record/last.safetensors")) for o in (out, alone)]
    one, other = (file.read_bytes() for file in files)
    assert one == other


# -- the page
def test_the_page_lists_every_fault():
    names = {n for file in (ROOT / "tests").rglob("test_*.py") for n in re.findall(r'mark\.fault\(\s*"([^"]+)"', file.read_text())}
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert {line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")} - {"fault"} == names
    assert not Path(ROOT / "docs" / "reliability.md.part").exists()
