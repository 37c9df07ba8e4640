"""What goes wrong on a GPU, and what is said of it, on one that is not there."""

import dataclasses
import time
import types

import pytest
import torch
from _shadow import Device

from bench.commands.options import resolve_device
from bench.conformance import checks
from bench.conformance._tools import checked_on
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.metrics.memory import Memory
from bench.running.identify import identify
from bench.training import device_errors, loop
from bench.training.out_of_memory import EvaluationOutOfMemory, evaluation_memory_guard, retry_with_smaller_batch

MIB = 2**20
CUBLAS = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
CUDNN = "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"
ASSERT = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported"


def test_memory_is_that_of_the_method_on_its_own_device(monkeypatch):
    asked = []
    with checked_on("cuda:1"), Device(count=2):
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: asked.append(device) or 100 * MIB)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 130 * MIB)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
        method = checks.make("unet")
        weights = sum(p.nbytes for network in method.modules().values() for p in (*network.parameters(), *network.buffers()))
        found = Memory()(method, method.task.batch(2, torch.Generator()))
    assert found == pytest.approx(30 + weights / MIB)
    assert {str(device) for device in asked} == {"cuda:1"}


def test_only_the_device_in_use_is_asked_for_its_random_state(tmp_path):
    with checked_on("cuda:1"), Device(count=2) as gpus:
        method = checks.make("wgan_gp")
        checks.train(method, tmp_path, stop_at=2)
        checks.train(checks.make("wgan_gp", seed=9), tmp_path)
        with evaluation_mode(method):
            method.sample(2)
    assert gpus.opened == {1}


def test_nothing_asks_for_a_gpu_where_training_is_on_the_cpu(tmp_path):
    with Device() as gpu:
        checks.train(checks.make("gan"), tmp_path)
    assert not gpu.opened
    assert not gpu.counts


@pytest.mark.parametrize("message", [CUBLAS, CUDNN, "CUDA error: out of memory"])
def test_a_library_without_memory_is_memory_that_ran_out(tmp_path, message):
    sizes = []

    def train(size, folder):
        sizes.append(size)
        if size > 2:
            raise RuntimeError(message)

    retry_with_smaller_batch(train, 8, tmp_path, "halve")
    assert sizes == [8, 4, 2]
    with pytest.raises(EvaluationOutOfMemory, match="lower the task's tile"), evaluation_memory_guard():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="another"), device_errors.allocation_failures():
        raise RuntimeError("another")


def test_after_an_error_that_takes_the_gpu_along_the_run_ends_and_the_same_command_goes_on(tiny, monkeypatch):
    from methods.restoration.unet import UNet

    methods = ["unet", "identity", "median"]
    with monkeypatch.context() as patch:
        patch.setattr(UNet, "train", lambda self, data: (_ for _ in ()).throw(RuntimeError(ASSERT)))
        with pytest.raises(UsageError, match="unet, seed 0, ended with RuntimeError: CUDA error: device-side assert triggered: after that"):
            tiny.run(methods=methods)
    records, watched = tiny.run(methods=methods)
    assert [record.outcome for record in records] == ["failed", "finished", "finished"]
    assert records[0].tags["device_lost"]
    assert [label for label, _ in watched.jobs] == ["identity", "median"]


def test_other_errors_leave_the_gpu_in_use():
    assert device_errors.loses_device(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not device_errors.loses_device(RuntimeError(CUBLAS))
    assert not device_errors.loses_device(ValueError("device-side assert triggered"))


def test_a_head_without_a_gpu_sends_trials_to_those_that_have_one(tiny):
    assert resolve_device("cuda", elsewhere=True) == torch.device("cuda")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="torch finds no CUDA GPU"):
            resolve_device("cuda")
        settings = dataclasses.replace(tiny.settings, device=torch.device("cuda"))
        assert settings.device_here == torch.device("cpu")
        trial = tiny.trials(methods=["unet"])[0]
        assert identify(trial, settings).facts["device"] == "cuda"


class Clock:
    """Time that passes where it is told to."""

    def __init__(self):
        self.now = 0.0

    def pass_(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    fake = types.SimpleNamespace(perf_counter=lambda: clock.now, monotonic=time.monotonic)
    monkeypatch.setattr(loop, "time", fake)
    return clock


def test_the_start_of_libraries_is_no_training(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(loop, "warm_up", lambda device: clock.pass_(100))
    assert checks.train(checks.make("gan"), tmp_path).spent == 0


def test_what_is_queued_when_a_checkpoint_is_written_is_training(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(loop, "synchronize", lambda device: clock.pass_(3))
    assert checks.train(checks.make("gan"), tmp_path).spent == 3


def test_a_device_is_warm_after_every_library_was_used_there_and_back():
    with Device() as gpu:
        device_errors.warm_up(torch.device("cuda"))
        assert gpu.counts["op"] > 5
        gpu.reset()
        device_errors.warm_up(torch.device("cpu"))
        device_errors.synchronize(torch.device("cpu"))
        assert not gpu.counts
