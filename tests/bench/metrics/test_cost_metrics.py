"""Costs of a method with known parameters and operations."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import UsageError
from bench.method import Batch, Method

ON_CPU = SimpleNamespace(device=torch.device("cpu"))


class Toy(Method):
    def build(self, task):
        self.G = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Conv2d(4, 3, 1))
        self.D = nn.Linear(5, 1)
        self.calls = 0

    def restore(self, batch):
        assert batch.target is None
        assert not torch.is_grad_enabled()
        self.calls += 1
        torch.rand(1)
        return self.G(batch.observed)

    def sample(self, n):
        torch.rand(1)
        return self.G(torch.zeros(n, 3, 8, 8))


class Plain(Method):
    def restore(self, batch):
        return batch.observed * 2


@pytest.fixture
def toy():
    return Toy(task=ON_CPU)


BATCH = Batch(observed=torch.zeros(2, 3, 8, 6), target=torch.zeros(2, 3, 8, 6))


def cost(spec):
    return registry.make("metric", spec)


@pytest.mark.parametrize("spec", ["time", "throughput", "memory", "parameters", "flops"])
@pytest.mark.parametrize("batch", [BATCH, 3])
def test_contract(spec, batch, toy):
    before = torch.get_rng_state()
    value = cost(spec)(toy, batch)
    assert isinstance(value, float)
    assert value > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module._forward_pre_hooks for module in toy.G.modules())


@pytest.mark.oracle("metric", "parameters")
def test_parameters(toy):
    assert cost("parameters")(toy, BATCH) == 3 * 4 * 9 + 4 * 3 + 3  # the critic does not run
    assert cost("parameters[of=training]")(toy, BATCH) == 123 + 6
    assert cost("parameters[of=training]").per_network(toy, BATCH) == {"G": 123, "D": 6}
    toy.E = toy.G  # shared
    assert cost("parameters[of=training]").per_network(toy, BATCH) == {"G": 123, "D": 6, "E": 0}
    assert cost("parameters")(Plain(task=ON_CPU), BATCH) == 0


@pytest.mark.oracle("metric", "flops")
def test_flops(toy):
    assert cost("flops")(toy, BATCH) == pytest.approx(2 * 8 * 6 * (3 * 4 * 9 + 4 * 3) / 1e9)
    assert math.isnan(cost("flops")(Plain(task=ON_CPU), BATCH))


@pytest.mark.oracle("metric", "time")
def test_time_uses_warmup_and_repeats(toy, monkeypatch):
    ticks = iter([0, 50, 100, 101, 200, 203, 300, 302])  # one warm-up of 50 s, then 1, 3 and 2 s
    monkeypatch.setattr("bench.metrics._inference.perf_counter", lambda: next(ticks))
    assert cost("time[warmup=1,repeats=3]")(toy, BATCH) == 1000  # median 2 s for two images
    assert toy.calls == 4


@pytest.mark.oracle("metric", "throughput")
def test_throughput_counts_output_pixels(toy, monkeypatch):
    ticks = iter([0, 2])
    monkeypatch.setattr("bench.metrics._inference.perf_counter", lambda: next(ticks))
    assert cost("throughput[warmup=0,repeats=1]")(toy, BATCH) == pytest.approx(2 * 8 * 6 / 2 / 1e6)


@pytest.mark.oracle("metric", "memory")
@pytest.mark.parametrize(("system", "mebibytes"), [("linux", 3.0), ("darwin", 3 / 1024)])
def test_memory_of_the_process(system, mebibytes, toy, monkeypatch):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=3 * 1024))
    assert cost("memory")(toy, BATCH) == mebibytes


def test_card_names_the_machine():
    assert {"device", "torch"} <= cost("time").card().protocol.keys()
    assert "peak" in cost("memory").card().protocol["measured"] or "cuda" in cost("memory").card().protocol["measured"]


@pytest.mark.parametrize("spec", ["time[repeats=0]", "throughput[warmup=-1]"])
def test_nothing_to_time(spec):
    with pytest.raises(UsageError, match="repeats >= 1"):
        cost(spec)
