"""LSUV against its claim: after one rescale a layer, every layer's output has variance 1 before the non-linearity."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from bench import registry
from bench.conformance import checks
from bench.conformance.toys import ToyGeneration
from bench.errors import UsageError
from bench.method import Samples
from bench.task import Stream
from methods.inits._layers import weighted
from methods.inits.lsuv import LSUV


def _variances(networks, run):
    """Of the output of each layer at its first call."""
    seen = {}

    def look(layer, inputs, output):
        if layer not in seen:
            seen[layer] = output.detach().var(correction=0).item()

    hooks = [layer.register_forward_hook(look) for network in networks for layer in weighted(network)]
    run()
    for hook in hooks:
        hook.remove()
    return list(seen.values())


def _mlp(activation):
    widths = [784, *[500] * 10, 10]
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b), activation())))


def _conv():
    widths = [3, 16, 16, 32, 32, 32, 64, 64]
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())))


CASES = {  # network, input, and the range of a hidden layer's variance before the rescale
    "relu": (lambda: _mlp(nn.ReLU), (256, 784), 0.42, 0.6),
    "tanh": (lambda: _mlp(nn.Tanh), (256, 784), 0.38, 0.41),
    "sigmoid": (lambda: _mlp(nn.Sigmoid), (256, 784), 0.25, 0.35),
    "conv": (_conv, (16, 3, 12, 12), 0.35, 0.65),
}


@pytest.mark.parametrize("case", CASES)
def test_unit_variance_after_one_rescale(case):
    make, shape, low, high = CASES[case]
    torch.manual_seed(0)
    network, x = make(), torch.randn(shape)
    init = registry.make("init", "lsuv[attempts=1]")
    init(network)
    orthonormal = [layer.weight.detach().clone() for layer in weighted(network)]

    def run():
        weights = {k: v.clone() for k, v in network.state_dict().items()}
        network(x).square().mean().backward()
        network.load_state_dict(weights)

    init.fit([network], run)
    assert _variances([network], lambda: network(x)) == pytest.approx([1] * len(orthonormal), abs=0.02)
    factors = [(layer.weight.norm() / w.norm()).item() for layer, w in zip(weighted(network), orthonormal)]
    for layer, w, factor in zip(weighted(network), orthonormal, factors):  # one factor a layer, nothing else
        assert torch.allclose(layer.weight, factor * w, rtol=1e-4, atol=1e-6)
        assert not layer.bias.any()
    found = [factor**-2 for factor in factors]  # the variance before the rescale
    assert found[0] == pytest.approx(1, abs=0.05) or case == "conv"  # orthonormal rows keep white noise white
    assert all(low < v < high for v in found[1:-1])
    assert not any(m._forward_pre_hooks for m in network.modules())


def test_a_layer_within_the_tolerance_is_left_and_a_dead_one_too():
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    init = registry.make("init", "lsuv[tolerance=0.3]")
    init(network)
    before = [layer.weight.detach().clone() for layer in network]
    x = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))
    init.fit([network], lambda: network(x))
    assert all(torch.equal(layer.weight, w) for layer, w in zip(network, before))
    init.fit([network], lambda: network(torch.zeros(4, 8)))
    assert all(layer.weight.isfinite().all() for layer in network)


def test_with_a_bias_the_attempts_are_used():
    layer = nn.Linear(64, 64)
    nn.init.constant_(layer.weight, 3.0)
    nn.init.normal_(layer.bias, 0, 0.7)
    x = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
    registry.make("init", "lsuv").fit([layer], lambda: None)  # an update that leaves it out
    assert (layer.weight == 3).all()
    registry.make("init", "lsuv").fit([layer], lambda: _undone(layer, x))
    assert layer(x).var(correction=0).item() == pytest.approx(1, abs=0.02)


def _undone(layer, x):
    weight = layer.weight.detach().clone()
    layer(x)
    layer.weight.data.copy_(weight)


@pytest.mark.parametrize(("name", "networks"), [("unet", {"G"}), ("deblurgan", {"G", "D"}), ("wgan_gp", {"G", "D"}), ("vae", {"E", "G"})])
def test_in_a_method_every_layer_sees_real_data_before_the_first_update(name, networks):
    method = checks.make(name, init="lsuv")
    assert method.networks().keys() >= networks
    stream = Stream(method.task, 0, 8)
    method.prepare(stream)
    drawn, rng = stream.drawn, torch.get_rng_state()
    before = method.state()
    method.data_dependent_init(stream)
    after = method.state()
    assert after["t"] == 0
    assert before.keys() == after.keys()
    for key in before.keys() - networks:
        assert list(checks._leaves(after[key])) == list(checks._leaves(before[key]))
    stream.drawn = drawn  # the same batch and latents again
    torch.set_rng_state(rng)
    variances = _variances(method.networks().values(), lambda: next(iter(method.train(stream))))
    assert len(variances) > 3
    assert variances == pytest.approx([1] * len(variances), abs=0.02)


def test_what_an_update_invents_is_forgotten(plugin):
    plugin("inventor", INVENTOR)
    method = registry.find("method", "inventor")(ToyGeneration(), init="lsuv")
    before = method.state()
    method.data_dependent_init(iter(lambda: Samples(torch.rand(4, 1, 16, 16)), None))
    assert method.state().keys() == before.keys()
    assert not hasattr(method, "memory")


INVENTOR = '''"""Departures: none."""
import torch
from bench.method import Method, TrainHP
class Inventor(Method):
    HP = TrainHP
    def build(self, task):
        self.G = torch.nn.Linear(256, 2)
    def train(self, data):
        while self.t < self.hp.steps:
            self.memory = self.G(next(data).x.flatten(1)).detach()
            self.t += 1
            yield {}
    def sample(self, n):
        return torch.zeros(n, 1, 16, 16)
'''


@pytest.mark.parametrize("name", ["unet", "wgan_gp"])
def test_resume_is_exact_and_data_are_seen_once(name, tmp_path, monkeypatch):
    calls, fit = [], LSUV.fit
    monkeypatch.setattr(LSUV, "fit", lambda *args: calls.append(fit(*args)))
    finals = []
    for cut in (None, 2):
        folder = tmp_path / str(cut)
        folder.mkdir()
        if cut:
            checks.train(checks.make(name, init="lsuv"), folder, stop_at=cut)
        method = checks.make(name, seed=99 if cut else 0, init="lsuv")
        checks.train(method, folder)
        finals.append(checks.fingerprint(method))
        assert len(calls) == len(finals)
    assert finals[0] == finals[1]


def test_other_initialisers_draw_no_data():
    method = checks.make("wgan_gp", init="he")
    method.data_dependent_init(iter(()))


@pytest.mark.parametrize("options", ["tolerance=0", "attempts=0"])
def test_options_out_of_range(options):
    with pytest.raises(UsageError, match="at least 1"):
        registry.make("init", f"lsuv[{options}]")
