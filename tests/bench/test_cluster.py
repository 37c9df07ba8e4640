"""What the runner asks of Ray and of its nodes."""

import dataclasses
import os
import sys
import tempfile
import time
import types
from pathlib import Path

import pytest
from _jobs import job_of

import runner
from bench.errors import UsageError
from bench.running import job as running
from bench.scheduling import ray_cluster, ray_engine, ray_worker
from bench.store.run_dir import Locked
from bench.training.loop import Interrupted


@pytest.fixture
def job(tiny):
    (tiny_trial,) = tiny.trials(methods=["unet"])
    job = job_of(tiny_trial, tiny.settings)
    running.folder_of(job, tiny.settings).path.mkdir(parents=True)
    return job


def with_other_code(job):
    """What decides the job, on a node whose code is another."""
    (identity,) = job.identities
    return dataclasses.replace(identity, training=identity.training | {"code.method": "0" * 16})


@pytest.mark.fault(
    "node: other code or data",
    cause="a node whose parts of the identity differ",
    expected="refused in one line that names the difference",
)
def test_a_node_with_other_code_or_data_is_refused(tiny, job, monkeypatch):
    ray_worker._check_same_environment(job, tiny.settings)
    monkeypatch.setattr(ray_worker, "identify", lambda *args: with_other_code(job))
    code = job.identities[0].training["code.method"]
    said = rf"node \S+ would compute something else: code\.method is 0{{16}} there, {code} here: give it the same"
    with pytest.raises(UsageError, match=said):
        ray_worker._check_same_environment(job, tiny.settings)


def test_a_trial_starts_only_on_a_node_like_the_runners(tiny, job, monkeypatch):
    monkeypatch.setattr(ray_worker.RemoteProgress, "tell", lambda self: None)
    monkeypatch.setattr(ray_worker, "identify", lambda *args: with_other_code(job))
    refused = ray_worker.work(job, tiny.settings, None)
    assert isinstance(refused, UsageError)
    assert "would compute something else" in str(refused)


def test_a_node_that_does_not_see_the_output_folder_is_refused(tiny, job, tmp_path):
    with pytest.raises(UsageError, match=r"node \S+ does not see .*: give an --out on storage that all nodes share"):
        ray_worker._check_same_environment(job, dataclasses.replace(tiny.settings, out=tmp_path / "elsewhere"))


@pytest.fixture
def ray(monkeypatch):
    """The part of Ray that is used, in this process: a task is done when it is waited for, and returns the next of `results`."""
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
    records = ["of its trials"]
    ray[:] = [Locked("taken"), Locked("taken"), records]
    assert list(ray_engine._run(1, ray_engine._Gpus(0.0), [job], tiny.settings, lambda: False, lambda job: None)) == [(job, records)]
    ray[:] = [Locked("taken"), Locked("taken"), records]
    with pytest.raises(Interrupted):  # the user asked to stop: whoever is at it goes on with it
        list(ray_engine._run(1, ray_engine._Gpus(0.0), [job], tiny.settings, lambda: True, lambda job: None))
    assert ray[-1:] == [records]


def test_a_trial_whose_machine_was_told_to_stop_begins_again(tiny, job, ray):
    records = ["of its trials"]
    ray[:] = [Interrupted(), records]
    assert list(ray_engine._run(1, ray_engine._Gpus(0.0), [job], tiny.settings, lambda: False, lambda job: None)) == [(job, records)]


def test_news_is_told_once_a_second_and_only_the_newest(monkeypatch):
    told = []
    progress = ray_worker.RemoteProgress(None, 7)
    monkeypatch.setattr(progress, "tell", lambda: told.append(dict(progress.waiting)) or setattr(progress, "sent_at", time.monotonic()))
    for step in range(100):
        progress.update(step, 1.0, {"loss": 0.5})
        progress.stopped()
    assert told == [{"update": (0, 1.0, {"loss": 0.5})}]
    assert progress.waiting == {"update": (99, 1.0, {"loss": 0.5})}


def test_rays_folder_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 90)))
    folder = ray_cluster._make_socket_folder()
    socket = folder / "session_2026-11-30_19-34-03_393058_4194304" / "sockets" / "plasma_store.9"
    assert len(str(socket)) <= 103  # of macOS; Linux has four more
    folder.rmdir()
    monkeypatch.setattr(ray_cluster, "_SHORT", ("/none",))
    with pytest.raises(
        UsageError, match=r"Ray needs a folder with a short name for its sockets: set TMPDIR to one of at most 20 characters"
    ):
        ray_cluster._make_socket_folder()
    monkeypatch.setattr(ray_cluster, "_SHORT", ("/tmp",))
    monkeypatch.setattr(tempfile, "tempdir", "/" + "é" * 19)  # bytes count
    (folder := ray_cluster._make_socket_folder()).rmdir()
    assert folder.parent == Path("/tmp")


def test_what_is_inherited_of_clusters_is_forgotten(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_NAMESPACE", "RAY_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED", "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.9")
    ray_cluster._isolate_environment()
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
