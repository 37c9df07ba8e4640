"""Every update rule against its formula written out for one tensor, and the distances between the rules that share a name."""

import math
from collections import defaultdict

import pytest
import torch
from torch import nn

from bench import registry
from methods.optimizers.muon import _orthogonal

F64 = torch.float64
STEPS = 200
CURVATURES = torch.tensor([1.0, 2.0, 5.0, 10.0, 0.5, 0.1], dtype=F64)


def _rosenbrock_slope(w):
    bend = 200 * (w[1] - w[0] ** 2)
    return torch.stack([2 * (w[0] - 1) - 2 * w[0] * bend, bend])


LANDSCAPES = {  # start, rate, sizes of the tensors it is split into, gradient
    "rosenbrock": (torch.tensor([-1.2, 1.0], dtype=F64), 1e-3, (1, 1), _rosenbrock_slope),
    "quadratic": (torch.ones(6, dtype=F64), 1e-2, (1, 2, 3), lambda w: CURVATURES * w),
}


@pytest.fixture(autouse=True)
def _in_double():
    """NAdam's product of momenta has the default precision, whatever that of the parameters."""
    torch.set_default_dtype(F64)
    yield
    torch.set_default_dtype(torch.float32)


def _path(make, landscape, steps=STEPS):
    """The parameters after each step of an optimiser over several tensors."""
    start, _, sizes, gradient = LANDSCAPES[landscape]
    params = [nn.Parameter(x.clone()) for x in start.split(sizes)]
    opt, points = make(params), [start]
    for _ in range(steps):
        for p, g in zip(params, gradient(points[-1]).split(sizes)):
            p.grad = g
        opt.step()
        points.append(torch.cat([p.detach() for p in params]))
    return torch.stack(points[1:])


def _registered(spec, landscape, steps=STEPS):
    return _path(registry.make("optimizer", spec), landscape, steps)


def _written_out(rule, landscape, steps=STEPS, rate=None):
    """The same from a rule on one tensor; `s["ahead"]` is how far ahead of w the next gradient is to be taken, and what is recorded."""
    w, lr, _, gradient = LANDSCAPES[landscape]
    s, points = defaultdict(lambda: torch.zeros((), dtype=F64)), []
    for t in range(1, steps + 1):
        w = w - rule(gradient(w - s["ahead"]), w - s["ahead"], s, t, rate or lr)
        points.append(w - s["ahead"])
    return torch.stack(points)


def _mean(s, name, x, b):
    s[name] = b * s[name] + (1 - b) * x
    return s[name]


def _adam_means(s, g):
    return _mean(s, "m", g, 0.9), _mean(s, "v", g * g, 0.999)


def _nag(g, w, s, t, a, ahead=0.9):
    m = _mean(s, "m", g, 0.9)
    s["ahead"] = ahead * a * m
    return a * m


def _adagrad(g, w, s, t, a):
    s["v"] = s["v"] + g * g
    return a * g / (s["v"].sqrt() + 1e-10)


def _adadelta(g, w, s, t, a, eps=1e-6):
    d = (s["u"] + eps).sqrt() / (_mean(s, "v", g * g, 0.9) + eps).sqrt() * g
    _mean(s, "u", d * d, 0.9)
    return a * d


def _adam(g, w, s, t, a, eps=1e-8):
    m, v = _adam_means(s, g)
    return a * m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + eps)


def _adam_notes(g, w, s, t, a):
    m, v = _adam_means(s, g)
    return a * m / (v.sqrt() + 1e-8)


def _nadam(g, w, s, t, a):
    m, v = _adam_means(s, g)
    mus = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in range(1, t + 2)]
    ahead = mus[t] * m / (1 - math.prod(mus)) + (1 - mus[t - 1]) * g / (1 - math.prod(mus[:t]))
    return a * ahead / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


def _nadam_notes(g, w, s, t, a):
    s["ahead"] = _adam_notes(g, w, s, t, a)
    return s["ahead"]


def _amsgrad(g, w, s, t, a):
    m, v = _adam_means(s, g)
    s["u"] = torch.maximum(s["u"], v)
    return a * m / (s["u"].sqrt() + 1e-8)


def _amsgrad_torch(g, w, s, t, a):
    m, v = _adam_means(s, g)
    s["u"] = torch.maximum(s["u"], v)
    return a * m / (1 - 0.9**t) / ((s["u"] / (1 - 0.999**t)).sqrt() + 1e-8)


def _amsgrad_notes(g, w, s, t, a):
    m = _mean(s, "m", g, 0.9)
    s["v"] = torch.maximum(0.999 * s["v"] + 0.001 * g * g, s["v"])
    return a * m / (s["v"].sqrt() + 1e-8)


def _bounded(v, m, t, a, final=0.1, gamma=1e-3):
    rate = a * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (v.sqrt() + 1e-8)
    return rate.clamp(final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))) * m


def _adabound(g, w, s, t, a):
    m, v = _adam_means(s, g)
    return _bounded(v, m, t, a)


def _amsbound(g, w, s, t, a):
    m, v = _adam_means(s, g)
    s["u"] = torch.maximum(s["u"], v)
    return _bounded(s["u"], m, t, a)


def _radam(g, w, s, t, a):
    m, v = _adam_means(s, g)
    top = 2 / 0.001 - 1
    r = top - 2 * t * 0.999**t / (1 - 0.999**t)
    if r <= 5:
        return a * m / (1 - 0.9**t)
    rectified = math.sqrt((r - 4) * (r - 2) * top / ((top - 4) * (top - 2) * r))
    return a * rectified * m / (1 - 0.9**t) * math.sqrt(1 - 0.999**t) / (v.sqrt() + 1e-8)


def _lion(g, w, s, t, a, decay=0.0):
    step = (0.9 * s["m"] + (1 - 0.9) * g).sign() + decay * w
    _mean(s, "m", g, 0.99)
    return a * step


def _adan(g, w, s, t, a, decay=0.0):
    change = (g - s["before"]) * (t > 1)
    s["before"] = g
    m, v, n = _mean(s, "m", g, 0.98), _mean(s, "v", change, 0.92), _mean(s, "n", (g + 0.92 * change) ** 2, 0.99)
    step = a * (m / (1 - 0.98**t) + 0.92 * v / (1 - 0.92**t)) / ((n / (1 - 0.99**t)).sqrt() + 1e-8)
    return w - (w - step) / (1 + a * decay)


def _muon(g, w, s, t, a):
    """Vectors follow Adam."""
    m, v = _mean(s, "m", g, 0.9), _mean(s, "v", g * g, 0.95)
    return a * m / (1 - 0.9**t) / ((v / (1 - 0.95**t)).sqrt() + 1e-10)


def _sgdm(g, w, s, t, a):
    s["u"] = 0.9 * s["u"] + g
    return a * s["u"]


def _decay(rule, rate):
    """L2: the rule on g plus a multiple of where g was taken."""
    return lambda g, w, s, t, a: rule(g + rate * w, w, s, t, a)


RULES = {
    "sgd": lambda g, w, s, t, a: a * g,
    "sgdm": _sgdm,
    "sgdm_ema": lambda g, w, s, t, a: a * _mean(s, "m", g, 0.9),
    "nag_notes": lambda g, w, s, t, a: _nag(g, w, s, t, a, ahead=1.0),
    "adagrad": _adagrad,
    "rmsprop": lambda g, w, s, t, a: a * g / (_mean(s, "v", g * g, 0.99).sqrt() + 1e-8),
    "adam": _adam,
    "adam_notes": _adam_notes,
    "nadam": _nadam,
    "nadam_notes": _nadam_notes,
    "amsgrad": _amsgrad,
    "amsgrad_torch": _amsgrad_torch,
    "amsgrad_notes": _amsgrad_notes,
    "adabound": _adabound,
    "amsbound": _amsbound,
    "radam": _radam,
    "lion": _lion,
    "adan": _adan,
    "adan[weight_decay=0.1]": lambda g, w, s, t, a: _adan(g, w, s, t, a, decay=0.1),
    "muon[adam=1.0]": _muon,
    "adamw[weight_decay=0.1]": lambda g, w, s, t, a: a * 0.1 * w + _adam(g, w, s, t, a),
    "lion[weight_decay=0.1]": lambda g, w, s, t, a: _lion(g, w, s, t, a, decay=0.1),
}
RULES |= {
    f"{name}[weight_decay=0.1]": _decay(RULES[name], 0.1)
    for name in ("sgdm_ema", "nag_notes", "adam_notes", "adagrad", "amsbound", "radam")
}


def _at(spec, rate):
    name, _, options = spec.rstrip("]").partition("[")
    return f"{name}[{','.join(filter(None, [f'lr={rate}', options]))}]"


@pytest.mark.oracle(
    "optimizer",
    "sgd",
    "sgdm",
    "sgdm_ema",
    "nag_notes",
    "adagrad",
    "rmsprop",
    "adam",
    "adam_notes",
    "adamw",
    "nadam",
    "nadam_notes",
    "amsgrad",
    "amsgrad_torch",
    "amsgrad_notes",
    "adabound",
    "amsbound",
    "radam",
    "lion",
    "adan",
    "muon",
)
@pytest.mark.parametrize("landscape", LANDSCAPES)
@pytest.mark.parametrize("spec", RULES)
def test_1_2_each_rule_is_its_formula(spec, landscape):
    found = _registered(_at(spec, LANDSCAPES[landscape][1]), landscape)
    assert (found - _written_out(RULES[spec], landscape)).abs().max() < 1e-12


@pytest.mark.oracle("optimizer", "nag")
@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_1_2_nag_iterates_the_look_ahead_point_of_the_averaging_form(landscape):
    found = _registered(_at("nag", (1 - 0.9) * LANDSCAPES[landscape][1]), landscape)
    assert (found - _written_out(_nag, landscape)).abs().max() < 1e-12


@pytest.mark.oracle("optimizer", "adadelta")
@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_1_2_adadelta_is_zeilers(landscape):
    found = _registered("adadelta", landscape, steps=50)  # chaotic near 0
    assert (found - _written_out(_adadelta, landscape, steps=50, rate=1.0)).abs().max() < 1e-12


def test_every_rule_is_checked():
    checked = {spec.partition("[")[0] for spec in RULES} | {"nag", "adadelta", "swats"}  # swats: test_swats.py
    assert checked == set(registry.names("optimizer"))


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("adam_notes", "adam", 0.11),
        ("nadam_notes", "nadam", 0.11),
        ("amsgrad", "amsgrad_torch", 0.11),
        ("amsgrad_notes", "amsgrad", 2e-5),
        ("nag_notes", "nag", 4e-3),
    ],
)
def test_1_2_rules_of_one_name_part_on_rosenbrocks_function(one, other, distance):
    rates = {"nag": (1 - 0.9) * 1e-3}
    a, b = (_registered(_at(name, rates.get(name, 1e-3)), "rosenbrock") for name in (one, other))
    assert (a - b).abs().max().item() == pytest.approx(distance, rel=0.25)


def test_1_2_dampening_is_not_the_averaging_form():
    damped = _path(lambda params: torch.optim.SGD(params, lr=1e-3, momentum=0.9, dampening=0.1), "rosenbrock")
    assert (damped - _registered("sgdm_ema[lr=1e-3]", "rosenbrock")).abs().max().item() == pytest.approx(1.62, abs=0.01)


@pytest.mark.parametrize("landscape", LANDSCAPES)
def test_1_2_uncorrected_adam_is_adam_at_another_rate(landscape):
    def rule(g, w, s, t, a):
        return _adam(g, w, s, t, a * (1 - 0.9**t) / math.sqrt(1 - 0.999**t), eps=0.0)

    found = _registered(_at("adam_notes[eps=0.0]", LANDSCAPES[landscape][1]), landscape)
    assert (found - _written_out(rule, landscape)).abs().max() < 1e-12


def test_1_2_first_step_of_uncorrected_adam():
    start, *_ = LANDSCAPES["quadratic"]
    step = (start - _registered("adam_notes[lr=0.01,eps=0.0]", "quadratic", steps=1)[0]) / 0.01
    assert step.tolist() == pytest.approx([0.1 / math.sqrt(0.001)] * 6, rel=1e-9)


def test_1_2_maximum_inside_the_recursion_is_never_smaller():
    torch.manual_seed(0)
    w = [nn.Parameter(torch.zeros(50, dtype=F64)) for _ in range(2)]
    inside, outside = (
        registry.make("optimizer", name)([p]) for name, p in zip(("amsgrad_notes[betas=(0.9,0.9)]", "amsgrad[betas=(0.9,0.9)]"), w)
    )
    for _ in range(100):
        w[0].grad = w[1].grad = torch.randn(50, dtype=F64)
        inside.step()
        outside.step()
        assert (inside.state[w[0]]["v"] >= outside.state[w[1]]["largest"] - 1e-15).all()
    assert (inside.state[w[0]]["v"] > outside.state[w[1]]["largest"]).all()


def test_adan_takes_the_steps_of_its_authors_code():
    """Of (x^2 + 10 y^2) / 2 from (1, 1); both go the same way, as every step is relative to their gradients."""
    w = nn.Parameter(torch.ones(2, dtype=F64))
    opt, path = registry.make("optimizer", "adan[lr=0.1]")([w]), []
    for _ in range(4):
        w.grad = torch.tensor([1.0, 10.0], dtype=F64) * w.detach()
        opt.step()
        path.append(w.tolist())
    expected = [0.900000001, 0.8007731592, 0.7021294601, 0.6042380492]
    assert [x for x, _ in path] == pytest.approx(expected, abs=1e-10)
    assert [y for _, y in path] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("s", "image"), [(0.001, 0.4705), (0.01, 0.6989), (1.0, 0.6964)])
def test_muon_sends_singular_values_towards_one(s, image):
    """Beside a largest one that makes the norm 1."""
    x = torch.diag(torch.tensor([s, (1 - s**2) ** 0.5], dtype=F64))
    assert float(_orthogonal(x)[0, 0]) == pytest.approx(image, abs=2e-4)


def test_muons_steps_know_no_scale_and_go_to_hidden_matrices_alone():
    torch.manual_seed(0)
    shapes = ((6, 3), (6,), (8, 6), (4, 8, 3, 3), (2, 4))
    gradients = [torch.randn(shape, dtype=F64) for shape in shapes]

    def step(factor):
        params = [nn.Parameter(torch.zeros(shape, dtype=F64)) for shape in shapes]
        opt = registry.make("optimizer", "muon[lr=0.1]")(params)
        for p, g in zip(params, gradients, strict=True):
            p.grad = factor * g
        opt.step()
        return [p.detach() for p in params]

    once, tenfold = step(1), step(10)
    assert all(torch.allclose(a, b, rtol=1e-6) for a, b in zip(once, tenfold, strict=True))
    hidden, others = (once[2], once[3]), (once[0], once[1], once[4])
    assert all(torch.allclose(x.abs(), torch.full_like(x, 0.0015), rtol=1e-6) for x in others)  # a first step of Adam: its rate
    for x in hidden:
        rows, columns = x.flatten(1).shape
        assert (torch.linalg.svdvals(x.flatten(1)) / max(1, rows / columns) ** 0.5 / 0.1 - 1).abs().max() < 0.35


def test_muon_keeps_one_buffer_of_a_hidden_matrix():
    params = [nn.Parameter(torch.ones(3, 3)) for _ in range(3)]
    opt = registry.make("optimizer", "muon")(params)
    for p in params:
        p.grad = torch.ones_like(p)
    opt.step()
    assert [sorted(opt.state[p]) for p in params] == [["m", "v"], ["m"], ["m", "v"]]
