"""What a trial takes of a GPU is measured where several share one, and what is about time has a node to itself."""

import dataclasses
import types

import pytest
import torch

from bench.running.job import Job
from bench.scheduling import gpu_share, ray_engine
from bench.suites import schema
from bench.training.compute import Compute
from bench.training.loop import Interrupted

MIB = 2**20


@pytest.fixture
def gpu(monkeypatch):
    """The counters of a GPU of 80 GiB, as far as they are read; `updates` are those that were run on it, `reserved` is in MiB."""
    state = types.SimpleNamespace(updates=[], reserved=1000, cleared=0)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: setattr(state, "cleared", state.cleared + 1))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: state.reserved * MIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(total_memory=80 * 1024 * MIB))
    collect = gpu_share.Training._collect
    monkeypatch.setattr(gpu_share.Training, "_collect", lambda run, logs: (state.updates.append(run.method.t), collect(run, logs)))
    return state


def test_the_first_updates_are_measured(tiny, gpu):
    (unet,) = tiny.trials(methods=["unet[steps=6]"])
    assert gpu_share.measure(unet, tiny.settings) == gpu_share.share(1000, 80 * 1024) == 0.03  # (1000 * 1.25 + 600) / 81920 = 0.0226
    assert gpu.updates == [1, 2, 3, 4]  # of six
    assert gpu.cleared == 1
    assert not list(tiny.out.glob("tiny/**/*"))


def test_they_compute_as_the_trial_would(tiny, gpu, monkeypatch):
    (unet,) = tiny.trials(methods=["unet[steps=6]"])
    compute, done = Compute("bf16"), []
    monkeypatch.setattr(Compute, "apply", lambda self, method: done.append(self) or method)
    gpu_share.measure(unet, dataclasses.replace(tiny.settings, compute=compute))
    assert done == [compute]


def test_what_is_not_trained_is_measured_in_use(tiny, gpu, monkeypatch):
    (identity,) = tiny.trials(methods=["identity"])
    used = []
    task = type(gpu_share.open_task(str(identity.task), None, torch.device("cpu")))
    monkeypatch.setattr(task, "validate", lambda self, method: used.append(torch.is_grad_enabled()))
    gpu_share.measure(identity, tiny.settings)
    assert used == [False]


def test_a_trial_that_fails_tells_so_itself(tiny, gpu, monkeypatch):
    (unet,) = tiny.trials(methods=["unet"])
    monkeypatch.setattr(gpu_share, "build", lambda *args: 1 / 0)
    assert gpu_share.measure(unet, tiny.settings) == 1.0


@pytest.mark.parametrize(
    ("used", "total", "expected"), [(0, 80_000, 0.01), (19_520, 100_000, 0.25), (19_528, 100_000, 0.26), (90_000, 80_000, 1.0)]
)
def test_a_share_is_rounded_up_to_hundredths(used, total, expected):
    assert gpu_share.share(used, total) == expected


# -- who is measured
@pytest.fixture
def ray(monkeypatch):
    """As much of Ray as hands out two GPUs: `asked` for a measurement, `answers` in turn."""
    fake = types.SimpleNamespace(asked=[], answers=[], exceptions=types.SimpleNamespace(RayError=KeyError))

    def get(ref):
        answer = fake.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    measuring = types.SimpleNamespace(remote=lambda job, settings: fake.asked.append((job.trial.label, job.trial.seed)) or object())
    fake.remote = lambda **resources: lambda function: measuring
    fake.cluster_resources = lambda: {"CPU": 16.0, "GPU": 2.0}
    fake.wait, fake.get = (lambda refs, timeout: (refs[:1], refs[1:])), get
    monkeypatch.setitem(__import__("sys").modules, "ray", fake)
    return fake


def jobs_of(bench, seeds):
    return [Job(i, (t,), ()) for i, t in enumerate(bench.trials(seeds=seeds))]


def test_one_trial_of_a_row_is_measured_for_all_and_once(tiny, ray):
    gpus, jobs = ray_engine._Gpus(None), jobs_of(tiny, [0, 1, 2])
    ray.answers = [0.05, 0.3]
    gpus.measure(jobs, tiny.settings, lambda: False)
    assert sorted(ray.asked) == [("identity", 0), ("unet", 0)]
    assert sorted({(job.trial.label, gpus.share_of(job)) for job in jobs}) in (
        [("identity", 0.05), ("unet", 0.3)],
        [("identity", 0.3), ("unet", 0.05)],
    )
    gpus.measure(jobs, tiny.settings, lambda: False)
    assert len(ray.asked) == 2


def test_a_trial_that_kills_its_process_takes_a_whole_gpu(tiny, ray):
    gpus, jobs = ray_engine._Gpus(None), jobs_of(tiny, [0, 1, 2])
    ray.answers = [KeyError("its process died"), 0.3]
    gpus.measure(jobs, tiny.settings, lambda: False)
    assert sorted({gpus.share_of(job) for job in jobs}) == [0.3, 1.0]


@pytest.mark.parametrize(("given", "seeds"), [(0.25, [0, 1, 2]), (0.0, [0, 1, 2]), (None, [0])])
def test_what_is_given_or_has_room_is_not_measured(tiny, ray, given, seeds):
    gpus, jobs = ray_engine._Gpus(given), jobs_of(tiny, seeds)
    gpus.measure(jobs, tiny.settings, lambda: False)
    assert ray.asked == []
    assert {gpus.share_of(job) for job in jobs} == {1.0 if given is None else given}


def test_a_stop_while_it_is_measured(tiny, ray):
    ray.answers = [0.1, 0.1]
    with pytest.raises(Interrupted):
        ray_engine._Gpus(None).measure(jobs_of(tiny, [0, 1, 2]), tiny.settings, lambda: True)


def test_a_suite_leaves_the_share_open_unless_it_says_one():
    assert schema.Tier().gpus is None
    assert schema.Tier(gpus=0.25).gpus == 0.25
    assert not schema.Tier().alone


def test_trials_at_once_are_as_many_as_the_gpus_of_a_node_hold(tiny, ray):
    ray.nodes = lambda: [{"Resources": {"CPU": 16.0}}, {"Resources": {"CPU": 16.0, "GPU": 2.0}}]
    jobs = jobs_of(tiny, [0, 1, 2])
    assert ray_engine._Gpus(0.25).capacity(jobs) == 8
    assert ray_engine._Gpus(0.0).capacity(jobs) == len(jobs) == 6
    assert ray_engine._Gpus(None, {("", "unet"): 0.5}).capacity(jobs) == 4  # identity has a whole one
