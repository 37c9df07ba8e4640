"""Where whole runs end: numbers found by other implementations, and limits that follow from the formulas."""

import math

import pytest
import torch
from torch import nn

from bench import registry
from bench.claims._optimization import path

F64 = torch.float64


def _rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


@pytest.mark.parametrize(
    ("spec", "loss"),
    [
        ("sgd[lr=1e-3]", 7.8e-2),
        ("sgdm_ema[lr=0.03]", 2.7e-25),
        ("nag[lr=1e-3]", 8.6e-9),
        ("adagrad[lr=1.0]", 5.9e-3),
        ("adam[lr=0.1]", 6.7e-17),
        ("adam_notes[lr=0.3]", 1.9e-18),
        ("nadam_notes[lr=0.03]", 3.6e-10),
        ("amsgrad[lr=0.3]", 7e-11),
        ("adabound[lr=0.1,final_lr=0.01]", 1.2e-11),
    ],
)
def test_1_5_c_rosenbrocks_function_after_2000_steps(spec, loss):
    end = path(spec, torch.tensor([-1.2, 1.0], dtype=F64), _rosenbrock, 2000)[-1]
    assert _rosenbrock(end).item() == pytest.approx(loss, rel=0.05, abs=0)  # two printed digits


def _adadelta(g, s):
    s[0] = 0.9 * s[0] + 0.1 * g * g
    d = math.sqrt((s[1] + 1e-6) / (s[0] + 1e-6)) * g
    s[1] = 0.9 * s[1] + 0.1 * d * d
    return 0.3 * d


def _rmsprop(g, s):
    s[0] = 0.99 * s[0] + 0.01 * g * g
    return 3e-3 * g / (math.sqrt(s[0]) + 1e-8)


@pytest.mark.parametrize(("spec", "rule", "loss"), [("adadelta[lr=0.3]", _adadelta, 0.14), ("rmsprop[lr=3e-3]", _rmsprop, 8.4e-3)])
def test_1_5_c_rules_that_rattle_in_the_valley(spec, rule, loss):
    """Starts 1e-14 apart differ in their losses by 5e-13 after 1000 steps; on the floor, by 1e-2 after 1200 and by 8e-2 after 2000."""
    points = path(spec, torch.tensor([-1.2, 1.0], dtype=F64), _rosenbrock, 2000)
    w, states = [-1.2, 1.0], ([0.0, 0.0], [0.0, 0.0])
    for _ in range(1000):
        bend = 200 * (w[1] - w[0] ** 2)
        w = [x - rule(g, s) for x, g, s in zip(w, (2 * (w[0] - 1) - 2 * w[0] * bend, bend), states)]
    assert points[1000].tolist() == pytest.approx(w, rel=1e-9)
    assert loss / 2 < _rosenbrock(points[2000]).item() < loss * 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "end"), [("adam_notes", 1.0), ("amsgrad", -0.97845), ("amsgrad_notes", -0.71119)])
def test_1_5_a2_one_large_gradient_in_101(name, end):
    x = nn.Parameter(torch.zeros(1, dtype=F64))
    opt = registry.make("optimizer", f"{name}[lr=0.5,betas=(0.9,0.99)]")([x])
    slopes = torch.tensor([[1010.0], [-10.0]], dtype=F64)
    for t in range(1, 101_001):
        x.grad = slopes[int(t % 101 != 1)]
        opt.param_groups[0]["lr"] = 0.5 / math.sqrt(t)
        opt.step()
        x.data.clamp_(-1, 1)
    assert x.item() == pytest.approx(end, abs=2e-5)


@pytest.mark.parametrize("name", ["adabound", "amsbound"])
def test_bounds_are_open_at_first_and_close_on_the_final_rate(name):
    slopes = torch.tensor([1e-9, 1e9], dtype=F64)
    w = path(f"{name}[final_lr=0.2,gamma=1.0,betas=(0.0,0.5)]", torch.zeros(2, dtype=F64), lambda w: w @ slopes, 1000)
    rates = -w.diff(dim=0) / slopes
    assert rates[0].tolist() == pytest.approx([0.2 * 2, 0.2 * 0.5])
    assert rates[-1].tolist() == pytest.approx([0.2 * (1 + 1e-3), 0.2 * (1 - 1 / 1001)], rel=1e-6)


def test_a_schedule_scales_the_bounds():
    w = nn.Parameter(torch.zeros(1, dtype=F64))
    opt = registry.make("optimizer", "adabound[final_lr=0.2,gamma=1e9]")([w])
    opt.param_groups[0]["lr"] /= 5
    w.grad = torch.ones(1, dtype=F64)
    opt.step()
    assert w.item() == pytest.approx(-0.2 / 5 * 0.1)
