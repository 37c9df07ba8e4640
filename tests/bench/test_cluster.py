"""What the runner asks of Ray and of its nodes."""

import dataclasses
import os
import sys
import tempfile
import time
import types
from pathlib import Path

import pytest

import runner
from bench.errors import UsageError
from bench.running import trial
from bench.scheduling import ray_engine, ray_worker
from bench.scheduling.scheduler import Job
from bench.store.identity import id_of
from bench.training.loop import Interrupted


@pytest.fixture
def job(tiny):
    (tiny_trial,) = tiny.trials(methods=["unet"])
    parts = trial.identify(tiny_trial, tiny.settings)
    folder = trial.folder_of(tiny_trial, id_of(parts), tiny.settings)
    folder.path.mkdir(parents=True)
    return Job(0, tiny_trial, parts, None)


@pytest.mark.fault(
    "node: other code or data",
    cause="a node whose parts of the identity differ",
    expected="refused in one line that names the difference",
)
def test_a_node_with_other_code_or_data_is_refused(tiny, job, monkeypatch):
    ray_worker._same_place(job, tiny.settings)
    there = {**job.parts, "code.method": "0" * 16}
    monkeypatch.setattr(trial, "identify", lambda *args: there)
    said = rf"node \S+ would compute something else: code\.method is 0{{16}} there, {job.parts['code.method']} here: give it the same"
    with pytest.raises(UsageError, match=said):
        ray_worker._same_place(job, tiny.settings)


def test_a_trial_starts_only_on_a_node_like_the_runners(tiny, job, monkeypatch):
    monkeypatch.setattr(ray_worker.Messenger, "tell", lambda self: None)
    monkeypatch.setattr(trial, "identify", lambda *args: {**job.parts, "code.method": "0" * 16})
    refused = ray_worker.work(job, tiny.settings, None)
    assert isinstance(refused, UsageError)
    assert "would compute something else" in str(refused)


def test_a_node_that_does_not_see_the_output_folder_is_refused(tiny, job, tmp_path):
    with pytest.raises(UsageError, match=r"node \S+ does not see .*: give an --out on storage that all nodes share"):
        ray_worker._same_place(job, dataclasses.replace(tiny.settings, out=tmp_path / "elsewhere"))


@pytest.fixture
def ray(monkeypatch):
    """The part of Ray that is used, in this process: a task is done when somebody waits for it. `results` is what the tasks return in turn."""
    fake, results = types.ModuleType("ray"), []

    class Remote:
        def __init__(self, call):
            self.remote = call

        def options(self, **resources):
            return self

    class Actor:
        def __init__(self, kind):
            self.kind = kind

        def remote(self):
            board = self.kind()
            return types.SimpleNamespace(**{name: Remote(getattr(board, name)) for name in ("tell", "take", "ask_to_stop")})

    def remote(**options):
        return lambda what: Actor(what) if isinstance(what, type) else Remote(lambda *given: object())

    fake.remote, fake.get = remote, lambda ref: results.pop(0) if type(ref) is object else ref
    fake.wait = lambda refs, timeout: (refs[:1], refs[1:])
    fake.get_runtime_context = lambda: types.SimpleNamespace(get_node_id=lambda: "here")
    fake.exceptions = types.SimpleNamespace(RayTaskError=KeyError, RayError=KeyError, RaySystemError=KeyError)
    strategies = types.ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda *args, **kwargs: None
    for name, module in (("ray", fake), ("ray.util", types.ModuleType("ray.util")), ("ray.util.scheduling_strategies", strategies)):
        monkeypatch.setitem(sys.modules, name, module)
    return results


def test_a_trial_that_another_runner_is_at_is_looked_at_again(tiny, job, ray):
    record = trial.blank(job.trial, tiny.settings)
    ray[:] = [Held("taken"), Held("taken"), record]
    assert list(ray_engine._run(1, ray_engine._Gpus(0.0), [job], tiny.settings, lambda: False, lambda job: None)) == [(job, record)]
    ray[:] = [Held("taken"), Held("taken"), record]
    with pytest.raises(Interrupted):  # the user asked to stop: whoever is at it goes on with it
        list(ray_engine._run(1, ray_engine._Gpus(0.0), [job], tiny.settings, lambda: True, lambda job: None))
    assert ray[-1:] == [record]


def test_a_trial_whose_machine_was_told_to_stop_begins_again(tiny, job, ray):
    record = trial.blank(job.trial, tiny.settings)
    ray[:] = [Interrupted(), record]
    assert list(ray_engine._run(1, ray_engine._Gpus(0.0), [job], tiny.settings, lambda: False, lambda job: None)) == [(job, record)]


def test_news_is_told_once_a_second_and_only_the_newest(monkeypatch):
    told = []
    messenger = ray_worker.Messenger(None, 7)
    monkeypatch.setattr(messenger, "tell", lambda: told.append(dict(messenger.news)) or setattr(messenger, "told", time.monotonic()))
    for step in range(100):
        messenger.update(step, 1.0, {"loss": 0.5})
        messenger.stopped()
    assert told == [{"update": (0, 1.0, {"loss": 0.5})}]
    assert messenger.news == {"update": (99, 1.0, {"loss": 0.5})}


def test_rays_folder_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 90)))
    folder = ray_engine._scratch()
    socket = folder / "session_2026-11-30_19-34-03_393058_4194304" / "sockets" / "plasma_store.9"
    assert len(str(socket)) <= 103  # of macOS; Linux has four more
    folder.rmdir()
    monkeypatch.setattr(ray_engine, "_SHORT", ("/none",))
    with pytest.raises(UsageError, match=r"Ray needs a folder with a short name for its sockets: set TMPDIR to one of at most 20 characters"):
        ray_engine._scratch()
    monkeypatch.setattr(ray_engine, "_SHORT", ("/tmp",))
    monkeypatch.setattr(tempfile, "tempdir", "/" + "é" * 19)  # bytes count
    (folder := ray_engine._scratch()).rmdir()
    assert folder.parent == Path("/tmp")


def test_what_is_inherited_of_clusters_is_forgotten(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_NAMESPACE", "RAY_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED", "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.9")
    ray_engine._keep_to_ourselves()
    ours = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    assert ours.pop("RAY_AUTH_TOKEN") not in ("", "theirs")
    assert ours == {"RAY_memory_usage_threshold": "0.9", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--workers", "2", "--ray", "auto"], "--workers starts Ray on this machine, --ray uses a cluster that runs: give one of them"),
        (["--workers", "0"], "Invalid value for '--workers'"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--ranks", "2"], "--ranks shares every trial out among processes of Ray: give --workers or --ray too"),
        (["--ranks", "2", "--workers", "1", "--on-oom", "halve"], "--ranks and --on-oom exclude each other"),
    ],
)
def test_what_cannot_be(words, says, tmp_path, capsys):
    assert runner.main(["--suite", "toy2d", "--tier", "smoke", "--out", str(tmp_path / "out"), *words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
