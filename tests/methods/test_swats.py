"""SWATS: a switch that can be computed by hand, the same rule on one tensor, and both tolerances on the digits."""

import math

import pytest
import torch
import torch.nn.functional as F
from _shadow import Device
from torch import nn

from bench import registry
from bench.errors import UsageError
from methods.procedures import descend

F64 = torch.float64


def _walk(opt, params, gradient, steps):
    points = [torch.cat([p.detach() for p in params])]
    for k in range(steps):
        for p, g in zip(params, gradient(points[-1], k).split([len(p) for p in params])):
            p.grad = g
        opt.step()
        points.append(torch.cat([p.detach() for p in params]))
    return torch.stack(points)


def _slope(spec, steps, sizes=(1, 2)):
    """Along f(w) = w_1 - 2 w_2 + 5 w_3, the vector in two tensors."""
    c = torch.tensor([1.0, -2.0, 5.0], dtype=F64)
    params = [nn.Parameter(torch.zeros(n, dtype=F64)) for n in sizes]
    opt = registry.make("optimizer", spec)(params)
    return opt, _walk(opt, params, lambda w, k: c, steps), c


def test_1_4_t1_switch_on_a_slope():
    opt, w, c = _slope("swats[lr=1e-3]", 62)
    (group,) = opt.param_groups
    assert group["switched"] == 2
    assert group["rate"] == pytest.approx(3.75e-4, rel=1e-6)  # n a / |c|_1, but for eps
    shares = (w[2:-1] - w[3:]) / (group["rate"] * c)
    expected = 1 - 0.9 ** torch.arange(1, 61, dtype=F64)
    assert (shares - expected[:, None]).abs().max() < 1e-12
    assert expected[[0, 1, 2, 9, 59]].tolist() == pytest.approx([0.1, 0.19, 0.271, 0.6513, 0.9982], abs=1e-4)


def test_a_schedule_scales_the_rate_of_descent():
    opt, w, c = _slope("swats[lr=1e-3]", 62)
    params = [p for group in opt.param_groups for p in group["params"]]
    opt.param_groups[0]["lr"] /= 4
    slow = _walk(opt, params, lambda w, k: c, 1)
    assert (slow[0] - slow[1]).tolist() == pytest.approx(((w[-2] - w[-1]) / 4).tolist(), rel=1e-3)


def _written_out(gradient, w, steps, rtol, a=1e-3, b1=0.9, b2=0.999, eps=1e-9):
    """Algorithm 1 on one vector."""
    m = v = u = torch.zeros_like(w)
    average, rate, switched, points = 0.0, None, 0, [w]
    for k in range(1, steps + 1):
        g = gradient(w, k - 1)
        if rate is not None:
            u = b1 * u + g
            w = w - (1 - b1) * rate * u
        else:
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            p = -a * math.sqrt(1 - b2**k) / (1 - b1**k) * m / (v.sqrt() + eps)
            w = w + p
            gamma = float(p @ p / -(p @ g))
            average = b2 * average + (1 - b2) * gamma
            estimate = average / (1 - b2**k)
            if k > 1 and estimate > 0 and abs(estimate - gamma) < 1e-9 + rtol * abs(gamma):
                rate, switched = estimate, k
        points.append(w)
    return torch.stack(points), switched


@pytest.mark.oracle("optimizer", "swats")
@pytest.mark.parametrize("rtol", [0.0, 0.003])
def test_1_4_is_algorithm_1(rtol):
    torch.manual_seed(0)
    curvatures, noise = torch.logspace(-1, 1, 6, dtype=F64), torch.randn(300, 6, dtype=F64)
    params = [nn.Parameter(torch.ones(n, dtype=F64)) for n in (1, 2, 3)]
    opt = registry.make("optimizer", f"swats[rtol={rtol}]")(params)

    def gradient(w, k):
        return curvatures * w + noise[k]

    found = _walk(opt, params, gradient, 300)
    expected, switched = _written_out(gradient, torch.ones(6, dtype=F64), 300, rtol)
    assert opt.param_groups[0]["switched"] == switched
    assert (switched > 2) == bool(rtol)
    assert (found - expected).abs().max() < 1e-11


@pytest.mark.parametrize(
    ("spec", "switches"), [("swats", 0), ("swats[rtol=0.003]", 1), ("swats[rtol=1e9]", 1), ("swats[rtol=0.01,scope=tensor]", 2)]
)
def test_a_gpu_decides_as_the_host_does(spec, switches):
    """With a rate that is halved on the way and a step without a gradient."""
    torch.manual_seed(0)
    curvatures, noise = torch.logspace(-1, 1, 6, dtype=F64), torch.randn(300, 6, dtype=F64)
    found = []
    for device in ("cpu", "cuda"):
        with Device() as gpu:
            params = [nn.Parameter(torch.ones(n, dtype=F64).to(device)) for n in (1, 2, 3)]
            opt = registry.make("optimizer", spec)(params)
            for k in range(300):
                g = (curvatures * torch.cat([p.detach().cpu() for p in params]) + noise[k]) * (k != 9)
                for p, part in zip(params, g.split([1, 2, 3]), strict=True):
                    p.grad = part.to(device)
                gpu.reset()
                opt.step()
                assert gpu.waits == 0
                if k == 150:
                    for group in opt.param_groups:
                        group["lr"] /= 2
            found.append((torch.cat([p.detach().cpu() for p in params]), opt.extra_metrics()))
    (host, told), (device, said) = found
    assert torch.allclose(host, device, rtol=1e-9, atol=1e-12)
    assert said == pytest.approx(told, rel=1e-6)
    assert sum(value > 0 for name, value in told.items() if name.startswith("switched")) == switches


def test_a_step_across_the_gradient_is_no_estimate():
    w = nn.Parameter(torch.ones(2, dtype=F64))
    opt = registry.make("optimizer", "swats")([w])
    w.grad = torch.zeros(2, dtype=F64)
    opt.step()
    (group,) = opt.param_groups
    assert (group["gamma"], group["average"], group["switched"]) == (0.0, 0.0, 0)
    assert w.tolist() == [1.0, 1.0]


def test_descent_never_has_a_negative_rate():
    w = nn.Parameter(torch.zeros(1, dtype=F64))
    opt = registry.make("optimizer", "swats[rtol=1e9]")([w])
    (group,) = opt.param_groups
    _walk(opt, [w], lambda w, k: torch.tensor([(1.0, -0.1)[k]], dtype=F64), 2)  # the second step leads up
    assert group["estimate"] < 0
    assert group["switched"] == 0


def test_1_4_the_scope_of_the_criterion_may_be_a_tensor():
    """Each tensor is then a run of its own, as libraries have it."""
    opt, w, c = _slope("swats[lr=1e-3,scope=tensor]", 20)
    parts = [c[:1], c[1:]]
    for i, (group, part) in enumerate(zip(opt.param_groups, parts, strict=True)):
        assert group["switched"] == 2
        assert group["rate"] == pytest.approx(len(part) * 1e-3 / part.abs().sum().item(), rel=1e-5)
        assert opt.extra_metrics()[f"rate.{i}"] == group["rate"]
    shares = (w[10] - w[11]) / c
    assert (shares[1] / shares[0]).item() == pytest.approx((2 / 7) / (1 / 1), rel=1e-5)


def test_the_switch_is_told():
    before, after = _slope("swats", 1)[0].extra_metrics(), _slope("swats", 9)[0].extra_metrics()
    assert before.keys() == after.keys() == {"fused", "gamma", "estimate", "switched", "rate"}
    assert (before["switched"], before["rate"]) == (0, 0)
    assert before["gamma"] == pytest.approx(3.75e-4, rel=1e-5)
    assert after["switched"] == 2
    assert after["rate"] == after["estimate"] == pytest.approx(3.75e-4, rel=1e-5)


def test_no_other_scope():
    with pytest.raises(UsageError, match="scope"):
        registry.make("optimizer", "swats[scope=layer]")([nn.Parameter(torch.zeros(1))])


def _switched(spec, seed, most):
    """The step at which training on the digits switched; 0 if it did not within `most`."""
    torch.manual_seed(seed)
    digits, rng = registry.make("dataset", "digits[size=8]").open(None, "train"), torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    opt = registry.make("optimizer", spec)(list(net.parameters()))
    (group,) = opt.param_groups
    while group["t"] < most and not group["switched"]:
        batch = digits.draw(64, rng)
        descend(opt, F.cross_entropy(net(batch.x), batch.labels))
    return group["switched"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_1_4_t2_only_the_practical_tolerance_switches_on_the_digits(seed):
    assert _switched("swats", seed, 3000) == 0
    assert 2 < _switched("swats[rtol=1e-3]", seed, 3000) < 1500
