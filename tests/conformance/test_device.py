"""Every part on a GPU that is not there: nothing mixes devices, and training never waits for the device between two points of a curve."""

import contextlib
import tempfile
from pathlib import Path

import pytest
import torch
from _shadow import Device, is_on_device
from conformance.test_contracts import files, folder, specs  # noqa: F401

from bench import registry
from bench.conformance import checks, contracts
from bench.conformance import task as contract_of_tasks
from bench.conformance._tools import checked_on
from bench.errors import Unavailable
from bench.evaluation import evaluation_mode
from bench.store import checkpoint
from bench.task import Stream

METHODS = registry.names("method")


@contextlib.contextmanager
def gpu():
    """A device on which nothing was refused at the end, and nothing done that is not the same twice."""
    torch.use_deterministic_algorithms(True)
    try:
        with checked_on("cuda"), Device() as device:
            yield device
    finally:
        torch.use_deterministic_algorithms(False)
    assert not device.faults
    assert not device.nondeterministic


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_without_a_wait_and_goes_on_from_a_checkpoint(name):
    with gpu() as device, tempfile.TemporaryDirectory() as cut:
        method = checks.make(name)
        stream = Stream(method.task, 0, getattr(method.hp, "batch_size", 1))
        method.prepare(stream)
        updates = method.train(stream)
        next(updates, None)  # constants are put on the device in the first
        device.reset()
        logs = list(updates)
        assert device.waits == 0, f"{name} waits for the device: {device.events}"
        assert all(is_on_device(x) for entry in logs for x in entry.values() if isinstance(x, torch.Tensor) and x.dim())
        with evaluation_mode(method):
            method.task.validate(method)
        if not (whole := checks._undisturbed(name)):
            return
        checks.train(checks.make(name), Path(cut), stop_at=2)
        resumed = checks.make(name, seed=99)
        checks.train(resumed, Path(cut))
        assert checks.fingerprint(resumed) == whole, f"{name}: resumed on a GPU it ends elsewhere"


@pytest.mark.parametrize(("kind", "spec"), [part for part in specs() if part[0] not in ("dataset", "suite", "task", "schedule")])
def test_a_part_holds_its_contract_on_a_gpu(kind, spec):
    with gpu():
        for check in contracts.checks_of(kind, spec).values():
            with contextlib.suppress(Unavailable):
                check(spec)


@pytest.mark.parametrize("spec", [spec for kind, spec in specs() if kind == "task"])
def test_a_task_draws_batches_without_a_wait_and_judges(spec, folder, files):  # noqa: F811
    spec = spec.replace("FOLDER", str(folder)).replace("FILES", str(files))
    with gpu() as device:
        task, _ = contract_of_tasks._pair(spec)
        if task.offers == {"files"}:
            pytest.skip("nothing is trained")
        rngs = [torch.Generator().manual_seed(i) for i in range(4)]
        task.batch(4, rngs[0])  # data are read in the first
        device.reset()
        for rng in rngs[1:]:
            task.batch(4, rng)
        assert device.waits == 0, f"{spec} waits for the device: {device.events}"
        method = contract_of_tasks._method(task)
        with evaluation_mode(method), contextlib.suppress(Unavailable):
            task.validate(method)
            task.score(method, lambda done, total: None)


@pytest.mark.parametrize("rule", registry.names("optimizer"))
def test_a_rule_steps_without_a_wait_also_after_a_checkpoint(rule):
    if rule == "swats":
        pytest.skip("whether to switch to descent is decided on the host: a step of Adam waits once, as its page says")
    with gpu() as device:
        w = [torch.nn.Parameter(torch.ones(n, device="cuda")) for n in (3, 4, 5)]

        def step(opt):
            for x in w:
                x.grad = torch.ones_like(x)
            opt.step()

        first, again = registry.make("optimizer", rule)(w), registry.make("optimizer", rule)(w)
        step(first)
        again.load_state_dict(checkpoint.to(first.state_dict(), "cuda"))
        for opt in (first, again):
            device.reset()
            step(opt)
            assert device.waits == 0, f"{rule} waits for the device: {device.events}"
