"""What optimisers remember: an exact resume, precision under narrow parameters, closures, refusals, rules that look ahead."""

import dataclasses
import inspect
import itertools

import pytest
import torch
from torch import nn

from bench import registry
from bench.conformance import checks
from bench.errors import UsageError
from bench.method import Samples
from bench.store import checkpoint
from methods.optimizers import _torch
from methods.optimizers._rule import Rule
from methods.procedures import descend

NAMES = registry.names("optimizer")
OURS = [name for name in NAMES if isinstance(registry.make("optimizer", name)([nn.Parameter(torch.zeros(1))]), Rule)]


@pytest.mark.parametrize("spec", [*NAMES, "swats[rtol=1e9]"])  # the last switches after two steps
@pytest.mark.parametrize("cut", [1, 3])
def test_a_resumed_run_has_the_bits_of_an_undisturbed_one(spec, cut, tmp_path):
    def made(seed=0):
        return checks.make("srcnn", seed, optimizer=spec, schedule="cosine")

    whole, first, resumed = made(), made(), made(seed=99)
    for folder in ("whole", "cut"):
        (tmp_path / folder).mkdir()
    checks.train(whole, tmp_path / "whole")
    checks.train(first, tmp_path / "cut", stop_at=cut)
    checks.train(resumed, tmp_path / "cut")
    assert first.t == cut
    assert checks.fingerprint(resumed) == checks.fingerprint(whole)
    assert checks.fingerprint(whole) != checks.fingerprint(made())


def _seeded(dtype, spec):
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(n).to(dtype)) for n in (3, 5)]
    return params, registry.make("optimizer", spec)(params)


def _steps(params, opt, seed, n):
    rng = torch.Generator().manual_seed(seed)
    for _ in range(n):
        for p in params:
            p.grad = torch.randn(p.shape, generator=rng).to(p.dtype)
        opt.step()


def _buffers(state):
    """What a rule remembers of each number of a parameter, not of the steps."""
    return {k: x for k, x in state.items() if isinstance(x, torch.Tensor) and x.dim()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_buffers_are_float32_at_least_also_after_a_checkpoint(name, dtype, tmp_path):
    params, opt = _seeded(dtype, f"{name}[lr=0.01]")
    _steps(params, opt, 1, 3)
    checkpoint.save(tmp_path / "state", opt.state_dict())
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    other = registry.make("optimizer", name)(twins)
    other.load_state_dict(checkpoint.load(tmp_path / "state"))
    found = {x.dtype for p in twins for x in _buffers(other.state[p]).values()}
    assert found == ({torch.promote_types(dtype, torch.float32)} if name != "sgd" else set())
    for p, q in ((params, opt), (twins, other)):
        _steps(p, q, 2, 3)
    assert all(torch.equal(p, q) and p.dtype == dtype for p, q in zip(params, twins))
    assert all(torch.equal(x, other.state[q][k]) for p, q in zip(params, twins) for k, x in opt.state[p].items() if x is not None)


@pytest.mark.parametrize("name", NAMES)
def test_narrow_parameters_take_the_steps_of_wide_ones_but_for_their_own_rounding(name):
    """Small steps against a large start: every one of them is below what the narrow buffers could tell apart."""
    ends = []
    for dtype in (torch.bfloat16, torch.float32):
        w = nn.Parameter(torch.zeros(4, dtype=dtype))
        opt = registry.make("optimizer", name)([w])
        for k in range(40):
            w.grad = torch.full((4,), 1.0 if k < 1 else 2.0**-6, dtype=dtype)
            w.data.zero_()
            opt.step()
        ends.append(w.detach().double())
    assert ends[0].tolist() == pytest.approx(ends[1].tolist(), rel=2**-7)


def test_a_narrow_step_keeps_the_memory_and_the_gradients():
    params, opt = _seeded(torch.bfloat16, "adam")
    memory, groups = [p.data_ptr() for p in params], [id(p) for p in opt.param_groups[0]["params"]]
    _steps(params, opt, 1, 2)
    assert [p.data_ptr() for p in params] == memory
    assert [id(p) for p in opt.param_groups[0]["params"]] == groups == [id(p) for p in opt.state]
    assert {p.grad.dtype for p in params} == {torch.bfloat16}


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_tells_whether_it_runs_fused(name):
    _, opt = _seeded(torch.float32, name)
    fused = {"sgd", "sgdm", "sgdm_ema", "nag", "adam", "adamw", "amsgrad_torch", "adagrad"}  # those torch has a kernel of
    assert opt.extra_metrics()["fused"] == (name in fused) == bool(opt.param_groups[0].get("fused"))


@pytest.mark.parametrize("name", NAMES)
def test_loading_does_not_share_memory(name):
    params, opt = _seeded(torch.float32, name)
    _steps(params, opt, 1, 2)
    saved = opt.state_dict()
    twins, other = _seeded(torch.float32, name)
    other.load_state_dict(saved)
    before = checks.fingerprint(_Holder(saved))
    _steps(twins, other, 2, 2)
    assert checks.fingerprint(_Holder(saved)) == before


@dataclasses.dataclass
class _Holder:
    tree: dict

    def state(self):
        return self.tree


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_is_called_once_before_the_step(name):
    w = nn.Parameter(torch.ones(2))
    opt, calls = registry.make("optimizer", name)([w]), itertools.count(1)

    def closure():
        opt.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss * next(calls)

    assert opt.step(closure).item() == 2
    assert (w < 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_parameters_without_a_gradient_stay(name):
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    descend(registry.make("optimizer", name)([used, unused]), used.square().sum())
    assert (used < 1).all()
    assert torch.equal(unused, torch.ones(2))


def test_a_method_passes_on_what_its_optimizers_tell():
    m = checks.make("wgan", optimizer="swats")
    assert m.extra_metrics() == {f"{opt}.{k}": 0 for opt in ("opt_d", "opt_g") for k in ("fused", "gamma", "estimate", "switched", "rate")}
    m.opt_d.param_groups[0]["switched"] = 7
    assert (m.extra_metrics()["opt_d.switched"], m.extra_metrics()["opt_g.switched"]) == (7, 0)
    m.opt_g = torch.optim.SGD(m.G.parameters())  # of another's making
    assert "opt_g.fused" not in m.extra_metrics()


@pytest.mark.parametrize("name", OURS)
def test_groups_have_rates_of_their_own(name):
    a, b = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    opt = registry.make("optimizer", "muon[lr=0.01,adam=1.0]" if name == "muon" else f"{name}[lr=0.01]")([a])
    opt.add_param_group({"params": [b], "lr": 1e-4} | ({"base_lr": 1e-4, "final_lr": 1e-3} if "bound" in name else {}))
    descend(opt, (a + b).sum())
    assert ((1 - a) / (1 - b)).tolist() == pytest.approx([100.0] * 3, rel=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        "adam_notes[lr=-1.0]",
        "lion[betas=(0.9,1.0)]",
        "nag_notes[momentum=1.0]",
        "amsgrad[eps=-1e-8]",
        "adabound[gamma=0.0]",
        "swats[rtol=-1.0]",
    ],
)
def test_options_out_of_range_are_refused(spec):
    with pytest.raises(UsageError, match=r"must be|above 0"):
        registry.make("optimizer", spec)([nn.Parameter(torch.zeros(1))])


def test_sparse_and_complex_are_refused():
    w = nn.Parameter(torch.zeros(2))
    opt = registry.make("optimizer", "lion")([w])
    w.grad = torch.eye(2)[0].to_sparse()
    with pytest.raises(UsageError, match="dense"):
        opt.step()
    with pytest.raises(UsageError, match="real"):
        registry.make("optimizer", "lion")([nn.Parameter(torch.zeros(2, dtype=torch.complex64))])


@pytest.mark.parametrize("name", ["nag_notes", "nadam_notes"])
def test_looking_ahead_feels_the_clipping_of_a_critic(name):
    m = checks.make("wgan", optimizer=f"{name}[lr=1.0]", steps=3)
    for _ in m.train(itertools.repeat(Samples(torch.rand(4, *m.task.shape)))):
        weights = torch.cat([p.detach().flatten() for p in m.D.parameters()])
        assert weights.abs().max() <= 0.01
        assert weights.abs().max() > 0
    assert m.t == 3


@pytest.mark.gpu
@pytest.mark.parametrize("spec", [*NAMES, "swats[rtol=1e9]"])
def test_the_gpu_takes_the_same_steps(spec):
    ends = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        params = [nn.Parameter(torch.randn(n, dtype=torch.float64).to(device)) for n in (3, 5)]
        opt = registry.make("optimizer", spec)(params)
        for _ in range(10):
            descend(opt, sum((p**4).sum() for p in params))
        ends.append(torch.cat([p.detach().cpu() for p in params]))
    assert torch.allclose(*ends, rtol=1e-9, atol=0)


@pytest.mark.parametrize("used_before", [False, True])
def test_hooks_run_once_a_step_whoever_used_torchs_own_class(used_before, monkeypatch):
    """A running average hangs on one."""
    _torch._widened.cache_clear()
    monkeypatch.setattr(torch.optim.SGD, "step", inspect.unwrap(torch.optim.SGD.step, stop=lambda f: not getattr(f, "hooked", False)))
    parameter, calls = torch.nn.Parameter(torch.ones(2)), []
    if used_before:
        torch.optim.SGD([parameter])
    opt = registry.make("optimizer", "sgd[lr=0.5]")([parameter])
    torch.optim.SGD([parameter])
    opt.register_step_post_hook(lambda *_: calls.append("after"))
    opt.register_step_pre_hook(lambda *_: calls.append("before"))
    parameter.grad = torch.ones(2)
    opt.step()
    _torch._widened.cache_clear()
    assert calls == ["before", "after"]
    assert parameter.tolist() == [0.5, 0.5]
