"""Optimisers against hand-computed steps, schedules at their ends, the statistics of initialisers."""

import math

import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import UsageError
from methods.inits._layers import weighted


def _sgd(g, state, lr=0.1, mu=0.0):
    state["u"] = mu * state.get("u", 0.0) + g
    return lr * state["u"]


def _adam(g, state, lr=0.1, b1=0.5, b2=0.75, eps=1e-3):
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0.0) + (1 - b2) * g * g
    return lr * (state["m"] / (1 - b1**t)) / (math.sqrt(state["v"] / (1 - b2**t)) + eps)


RULES = {
    "sgd[lr=0.1]": (_sgd, 0.0),
    "sgd[lr=0.1,weight_decay=0.5]": (_sgd, 0.5),
    "sgdm[lr=0.1,momentum=0.8]": (lambda g, s: _sgd(g, s, mu=0.8), 0.0),
    "sgdm[lr=0.1,momentum=0.8,weight_decay=0.5]": (lambda g, s: _sgd(g, s, mu=0.8), 0.5),
    "adam[lr=0.1,betas=(0.5,0.75),eps=1e-3]": (_adam, 0.0),
    "adam[lr=0.1,betas=(0.5,0.75),eps=1e-3,weight_decay=0.5]": (_adam, 0.5),
}


@pytest.mark.parametrize("spec", RULES)
def test_three_steps_by_hand(spec):
    rule, decay = RULES[spec]
    p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    opt = registry.make("optimizer", spec)([p])
    w, states = [1.0, -2.0], [{}, {}]
    for _ in range(3):
        opt.zero_grad()
        (p**4 / 4).sum().backward()
        opt.step()
        w = [x - rule(x**3 + decay * x, s) for x, s in zip(w, states)]
    assert p.tolist() == pytest.approx(w, abs=1e-12)


def test_averaging_momentum_is_sgdm_at_a_smaller_rate():
    p = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    opt = registry.make("optimizer", "sgdm[lr=0.02,momentum=0.8]")([p])  # (1 - b) a with b = 0.8, a = 0.1
    w, m = 1.0, 0.0
    for _ in range(20):
        opt.zero_grad()
        (p**4 / 4).backward()
        opt.step()
        m = 0.8 * m + 0.2 * w**3
        w -= 0.1 * m
    assert p.item() == pytest.approx(w, abs=1e-12)


@pytest.mark.parametrize("name", ["adagrad", "adam", "adamw", "amsgrad_torch", "nag", "sgd", "sgdm", "sgdm_ema"])
def test_fused_where_it_exists(name):
    assert registry.make("optimizer", name)([nn.Parameter(torch.zeros(3))]).defaults["fused"]
    assert not registry.make("optimizer", name)([nn.Parameter(torch.zeros(3, device="meta"))]).defaults["fused"]


@pytest.mark.parametrize(
    ("spec", "points"),
    [
        ("constant", {0: 1, 0.5: 1, 1: 1}),
        ("linear_decay", {0: 1, 0.5: 1, 0.75: 0.5, 1: 0}),
        ("linear_decay[start=0,end=0.1]", {0: 1, 0.5: 0.55, 1: 0.1}),
        ("cosine", {0: 1, 0.5: 0.5, 1: 0, 1 / 3: 0.75}),
        ("cosine[end=0.2]", {0: 1, 0.5: 0.6, 1: 0.2}),
        ("step", {0: 1, 0.49: 1, 0.5: 0.1, 0.74: 0.1, 0.75: 0.01, 1: 0.01}),
        ("step[at=(0.2,),factor=0.5]", {0.19: 1, 0.2: 0.5, 1: 0.5}),
        ("exponential", {0: 1, 0.5: 0.1, 1: 0.01}),
        ("exponential[end=16.0]", {0.25: 2, 0.5: 4}),
        ("inverse_sqrt", {(t - 1) / 9999: t**-0.5 for t in (1, 2, 3, 100, 9999)}),
        ("inverse_sqrt[end=0.5]", {0: 1, 1: 0.5}),
        ("warmup", {0: 0, 0.025: 0.5, 0.05: 1, 1: 1}),
        ("warmup[share=0.2,start=0.5,then=cosine]", {0: 0.5, 0.1: 0.75, 0.2: 1, 0.6: 0.5, 1: 0}),
        ("warmup[share=0,then='step[at=(0.5,)]']", {0: 1, 0.49: 1, 0.5: 0.1}),
    ],
)
def test_schedules(spec, points):
    schedule = registry.make("schedule", spec)
    assert [schedule(p) for p in points] == pytest.approx(list(points.values()), abs=1e-12)


def test_a_decay_cannot_start_at_the_end():
    with pytest.raises((UsageError, ValueError), match="start"):
        registry.make("schedule", "linear_decay[start=1]")(0.0)


@pytest.mark.parametrize("spec", ["warmup[share=1]", "warmup[then=sideways]", "warmup[then='cosine[ends=0]']"])
def test_a_warmup_names_a_share_and_a_schedule_when_it_is_made(spec):
    with pytest.raises(UsageError, match=r"share|sideways|ends"):
        registry.make("schedule", spec)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(64, 96, 3),
        nn.BatchNorm2d(96),
        nn.ConvTranspose2d(96, 64, 4, stride=2),
        nn.Linear(256, 128),
        nn.InstanceNorm2d(3, affine=False),
    )


def _std(expected: float):
    return pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("name", "stds"),
    [
        ("normal02", (0.02, 0.02, 0.02)),
        ("he", (math.sqrt(2 / (64 * 9)), math.sqrt(2 / (96 * 16 / 4)), math.sqrt(2 / 256))),
        ("xavier", (math.sqrt(2 / (160 * 9)), math.sqrt(2 / (160 * 16)), math.sqrt(2 / 384))),
    ],
)
def test_scale_of_the_weights(name, stds):
    net = _network()
    registry.make("init", name)(net)
    layers = list(weighted(net))
    assert [layer.weight.std().item() for layer in layers] == [_std(s) for s in stds]
    assert all(layer.weight.mean().abs() < layer.weight.std() / 20 and not layer.bias.any() for layer in layers)
    gain = net[1].weight
    assert torch.equal(net[1].bias, torch.zeros(96))
    if name == "normal02":
        assert gain.mean().item() == pytest.approx(1, abs=0.01)
        assert 0.015 < gain.std().item() < 0.025
    else:
        assert torch.equal(gain, torch.ones(96))


def test_he_keeps_the_second_moment_through_relus_and_transposed_convolutions():
    torch.manual_seed(0)
    net = nn.Sequential(*(m for _ in range(4) for m in (nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1), nn.ReLU(), nn.AvgPool2d(1, 2))))
    registry.make("init", "he")(net)
    x = torch.randn(4, 64, 16, 16)
    assert 0.5 < (net(x).square().mean() / x.square().mean()).item() < 2


def test_orthonormal_rows_or_columns():
    net = _network()
    registry.make("init", "orthonormal")(net)
    for layer in weighted(net):
        w = layer.weight.detach().flatten(1)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-5)


def test_default_changes_nothing():
    net, twin = _network(), _network()
    registry.make("init", "default")(net)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters()))


@pytest.mark.parametrize("name", registry.names("init"))
def test_frozen_parameters_stay(name):
    net = _network()
    net[0].requires_grad_(False)
    before = [p.clone() for p in net[0].parameters()]
    registry.make("init", name)(net)
    assert all(torch.equal(p, q) for p, q in zip(net[0].parameters(), before))
