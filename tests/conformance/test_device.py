"""Every part on a GPU: nothing mixes devices, and training never waits for the device between two points of a curve.

On one that is not there; on that of this machine, where it has one, by `pytest -m gpu`.
"""

import contextlib
import functools
import tempfile
from pathlib import Path

import pytest
import torch
from _gpu import GpuHere
from _shadow import Device
from conformance.test_contracts import files, folder, specs  # noqa: F401

from bench import registry
from bench.conformance import checks, contracts
from bench.conformance import task as contract_of_tasks
from bench.conformance._tools import checked_on, place
from bench.errors import Unavailable
from bench.evaluation import evaluation_mode
from bench.store import checkpoint
from bench.suites import expand, read
from bench.task import Stream
from bench.training.build import build

METHODS = registry.names("method")
POINTS = {  # on a ring and on a grid: each row that has another method or options
    str(trial.spec): trial for suite in ("toy2d", "toy2d_grid") for trial in expand.expand(read.load_suite(suite), "smoke")
}


@contextlib.contextmanager
def _checked_on(kind):
    """A device on which nothing was refused at the end, and nothing done that is not the same twice."""
    torch.use_deterministic_algorithms(True)
    try:
        with checked_on("cuda"), kind() as device:
            yield device
    finally:
        torch.use_deterministic_algorithms(False)
    assert not device.faults
    assert not device.nondeterministic


@pytest.fixture(params=[Device, pytest.param(GpuHere, marks=pytest.mark.gpu)], ids=["shadow", "here"])
def gpu(request):
    """Enters the device."""
    return functools.partial(_checked_on, request.param)


def watch_updates(method, device):
    """What the host waits for in each update of the method's training, once it has been trained."""
    updates, train = [], method.train

    def watched(data):
        device.reset()
        for logs in train(data):
            updates.append([event for event in device.events if event[0].endswith("wait")])
            yield logs
            device.reset()

    method.train = watched
    return updates


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_without_a_wait_and_goes_on_from_a_checkpoint(gpu, name):
    with gpu() as device, tempfile.TemporaryDirectory() as cut:
        method = checks.make(name)
        updates = watch_updates(method, device)
        with tempfile.TemporaryDirectory() as folder:
            checks.train(method, Path(folder))
        waits = [event for events in updates[1:] for event in events]  # constants are put on the device in the first update
        assert not waits, f"{name} waits for the device: {waits}"
        if not updates:
            return
        whole = checks.fingerprint(method)
        checks.train(checks.make(name), Path(cut), stop_at=2, evaluations=checks._STEPS)
        resumed = checks.make(name, seed=99)
        checks.train(resumed, Path(cut), evaluations=checks._STEPS)
        assert checks.fingerprint(resumed) == whole, f"{name}: evaluated at every update and resumed on a GPU it ends elsewhere"


@pytest.mark.gpu
@pytest.mark.parametrize("name", METHODS)
def test_a_method_holds_its_contract_on_a_gpu(name):
    with _checked_on(GpuHere):
        for check in checks.CHECKS.values():
            check(name)


@pytest.mark.parametrize("trial", list(POINTS.values()), ids=list(POINTS))
def test_a_generator_trains_on_points_without_a_wait(gpu, trial):
    """They are drawn on the CPU and may be asked for while a method is being built on the device."""
    with gpu() as device:
        task = registry.make("task", trial.task)
        task.open(None, place())
        method = build(trial, task)
        stream = Stream(task, 0, method.hp.batch_size)
        method.prepare(stream)
        updates = method.train(stream)
        next(updates)
        device.reset()
        next(updates)
        assert device.waits == 0, f"{trial.spec} waits for the device: {device.events}"
        with evaluation_mode(method):
            task.validate(method)


@pytest.mark.parametrize(("kind", "spec"), [part for part in specs() if part[0] not in ("dataset", "suite", "task", "schedule")])
def test_a_part_holds_its_contract_on_a_gpu(gpu, kind, spec):
    with gpu():
        for check in contracts.checks_of(kind, spec).values():
            with contextlib.suppress(Unavailable):
                check(spec)


@pytest.mark.parametrize("spec", [spec for kind, spec in specs() if kind == "task"])
def test_a_task_draws_batches_without_a_wait_and_judges(gpu, spec, folder, files):  # noqa: F811
    spec = spec.replace("FOLDER", str(folder)).replace("FILES", str(files))
    with gpu() as device:
        task, _ = contract_of_tasks._pair(spec)
        if task.offers == {"files"}:
            pytest.skip("nothing is trained")
        rngs = [torch.Generator().manual_seed(i) for i in range(4)]
        with place():  # as a method that is being built may; data are read in the first
            task.batch(4, rngs[0])
        device.reset()
        for rng in rngs[1:]:
            task.batch(4, rng)
        assert device.waits == 0, f"{spec} waits for the device: {device.events}"
        method = contract_of_tasks._method(task)
        with evaluation_mode(method), contextlib.suppress(Unavailable):
            task.validate(method)
            task.score(method, lambda done, total: None)


@pytest.mark.parametrize("rule", [*registry.names("optimizer"), "swats[rtol=1e9]"])  # the last switches after two steps
def test_a_rule_steps_without_a_wait_also_after_a_checkpoint(gpu, rule):
    with gpu() as device:
        w = [torch.nn.Parameter(torch.ones(n, device="cuda")) for n in (3, 4, 5)]

        def step(opt):
            for x in w:
                x.grad = torch.ones_like(x)
            opt.step()

        first, again = registry.make("optimizer", rule)(w), registry.make("optimizer", rule)(w)
        step(first)
        again.load_state_dict(checkpoint.to(first.state_dict(), "cuda"))
        for opt in (first, again) * 3:
            device.reset()
            step(opt)
            assert device.waits == 0, f"{rule} waits for the device: {device.events}"
