"""The shared training loops, on quadratics whose every step is known."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from methods.procedures import alternate, alternate_on_batch, descend, regress


class _Scalar(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(value))


def _game(steps: int = 3, lr: float = 0.1) -> SimpleNamespace:
    m = SimpleNamespace(G=_Scalar(1.0), D=_Scalar(2.0), t=0, hp=SimpleNamespace(steps=steps), annealed=[])
    m.opt_g, m.opt_d = (torch.optim.SGD(n.parameters(), lr) for n in (m.G, m.D))
    m.opt = m.opt_g
    m.anneal = lambda: m.annealed.append(m.t)
    return m


def test_descend_steps_and_leaves_other_networks_alone():
    m = _game()
    loss = descend(m.opt_g, m.G.w * m.D.w)
    assert m.G.w.item() == pytest.approx(1 - 0.1 * 2)
    assert m.D.w.grad is None
    assert not loss.requires_grad
    assert loss.item() == 2


def test_descend_tolerates_parameters_that_the_loss_does_not_reach():
    m = _game()
    opt = torch.optim.SGD([*m.G.parameters(), *m.D.parameters()], 0.1)
    descend(opt, m.G.w.square())
    assert m.D.w.item() == 2


def test_regress_ends_at_its_step_and_anneals_before_each_update():
    m = _game()
    logs = list(regress(m, itertools.count(1), lambda x: x * m.G.w, 2))
    assert [float(log["loss"]) for log in logs] == pytest.approx([1.0, 2 * 0.9])
    assert m.t == 2
    assert m.annealed == [0, 1]
    assert list(regress(m, itertools.count(1), lambda x: x * m.G.w, 2)) == []


def test_alternate_draws_a_fresh_batch_each_critic_step_and_reuses_the_last():
    m, seen, constrained = _game(steps=2), [], []

    def loss(who, w):
        return lambda x: seen.append((who, x)) or w * 1.0

    list(alternate(m, itertools.count(), loss("d", m.D.w), loss("g", m.G.w), n_critic=2, constrain=constrained.append))
    assert seen == [("d", 0), ("d", 1), ("g", 1), ("d", 2), ("d", 3), ("g", 3)]
    assert constrained == [m.D] * 4
    assert m.D.w.item() == pytest.approx(2 - 0.4)
    assert m.G.w.item() == pytest.approx(1 - 0.2)


def test_alternate_on_batch_makes_one_fake_an_update():
    m, fakes = _game(steps=2), []

    def fake(x):
        fakes.append(x)
        return m.G.w * x

    def critic_loss(x, y):
        assert not y.requires_grad
        return m.D.w * y

    logs = list(alternate_on_batch(m, itertools.count(1), fake, critic_loss, lambda x, y: -m.D.w * y, n_critic=3))
    assert fakes == [1, 2]
    assert [float(log["critic"]) for log in logs[:1]] == pytest.approx([2 - 0.2])
    # update 1: D falls by 3 x 0.1 x 1 to 1.7, then G rises by 0.1 x 1.7; update 2: x = 2, y = 2.34
    assert m.D.w.item() == pytest.approx(1.7 - 0.3 * 2.34)
    assert m.G.w.item() == pytest.approx(1.17 + 0.1 * (1.7 - 0.3 * 2.34) * 2)


def test_a_resumed_loop_goes_on_where_it_stopped():
    def played(cut):
        m, data = _game(steps=4), itertools.count(1)
        arguments = (m, data, lambda x: m.G.w * x, lambda x, y: m.D.w * y + m.D.w.square(), lambda x, y: -m.D.w * y)
        list(itertools.islice(alternate_on_batch(*arguments), cut))
        list(alternate_on_batch(*arguments))
        return m.G.w.item(), m.D.w.item(), m.t

    assert played(0) == played(1) == played(3)
