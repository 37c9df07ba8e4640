"""What every update rule must hold: it descends, heeds the learning rate, and goes on from a saved state to the same bits."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from bench import registry
from bench.conformance._tools import Checks, generator, leaves_no_trace, place

_SHAPES = ((3, 4), (5,))


class _Bowl:
    """Two tensors at the bottom of whose bowl lies 0, an optimiser over them, and gradients with a little noise of their own."""

    def __init__(self, name: str) -> None:
        rng = generator()
        self.w = [torch.nn.Parameter(torch.randn(shape, generator=rng).to(place())) for shape in _SHAPES]
        self.opt: torch.optim.Optimizer = registry.make("optimizer", name)(self.w)
        assert isinstance(self.opt, torch.optim.Optimizer), f"{name} returned {type(self.opt).__name__}, not a torch.optim.Optimizer"

    @property
    def height(self) -> float:
        """Half the sum of squares."""
        return sum(float(w.detach().square().sum()) for w in self.w) / 2

    def descend(self, first: int, last: int) -> list[Tensor]:
        """The weights after the updates from `first` to `last`; update i is a function of i."""
        for i in range(first, last):
            rng = generator(i)
            for w in self.w:
                w.grad = w.detach() + 0.1 * torch.randn(w.shape, generator=rng).to(w)
            self.opt.step()
        return [w.detach().clone() for w in self.w]

    def resumed(self, name: str) -> _Bowl:
        """Another one with these weights and the saved state of this one's optimiser."""
        other = _Bowl(name)
        with torch.no_grad():
            for mine, theirs in zip(self.w, other.w, strict=True):
                theirs.copy_(mine)
        other.opt.load_state_dict(copy.deepcopy(self.opt.state_dict()))
        return other


def check_descends(name: str) -> None:
    """A hundred updates at its own learning rate lead down, by its gradients alone."""
    bowl = _Bowl(name)
    start = bowl.height
    with leaves_no_trace(name):
        bowl.descend(0, 100)
    assert bowl.height < start, f"{name} leads from {start:.4g} up to {bowl.height:.4g} on a quadratic"


def check_rate(name: str) -> None:
    """Schedules set `group["lr"]`: a rule that reads it elsewhere would not heed them."""
    plain, slow = _Bowl(name), _Bowl(name)
    for group in slow.opt.param_groups:
        assert "lr" in group, f"{name} keeps no `lr` in its groups: schedules could not change it"
        group["lr"] /= 2
    assert any(not torch.equal(a, b) for a, b in zip(plain.descend(0, 3), slow.descend(0, 3))), f'{name} does not heed `group["lr"]`'


def check_resume(name: str) -> None:
    """Saved and loaded after update 5, it ends on the bits of an undisturbed run."""
    whole, first = _Bowl(name), _Bowl(name)
    first.descend(0, 5)
    ends = whole.descend(0, 10), first.resumed(name).descend(5, 10)
    assert all(map(torch.equal, *ends)), f"{name} goes on otherwise from a loaded state: keep everything in `state` or `param_groups`"


def check_no_gradient(name: str) -> None:
    """Gradients of 0 leave finite weights; a tensor without a gradient stays as it is."""
    bowl = _Bowl(name)
    still = bowl.w[1].detach().clone()
    bowl.w[0].grad = torch.zeros_like(bowl.w[0])
    bowl.opt.step()
    assert bowl.w[0].isfinite().all(), f"{name} makes weights that are not finite of gradients that are 0"
    assert torch.equal(bowl.w[1], still), f"{name} moves a tensor that has no gradient"


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"descends": check_descends, "learning rate": check_rate, "resume": check_resume, "no gradient": check_no_gradient}
