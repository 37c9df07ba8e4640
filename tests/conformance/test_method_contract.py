"""Each check of the contract goes red on a method that breaks its law, and only there."""

import pytest

from bench.conformance import checks
from bench.errors import UsageError

GOOD = '''"""A gain that is trained. Nobody, nowhere.

Departures: none
"""
import dataclasses
import torch
from torch import nn
from bench.method import Method, TrainHP, param


class Good(Method):
    """One number for all pictures."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """Made up."""

        gain: float = param(1.0, "here")

    def build(self, task):
        """The number and its optimiser."""
        self.net = nn.Conv2d(3, 3, 1)
        self.opt = self.optimizer(self.net)
        self.seen = 0
        self.mean = torch.zeros(())

    def train(self, data):
        """Least squares."""
        while self.t < self.hp.steps:
            batch = next(data)
            loss = self.loss(batch)
            self.anneal()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.mean = 0.9 * self.mean + 0.1 * loss.detach()
            self.t += 1
            yield {"loss": loss.detach()}

    def loss(self, batch):
        """With noise."""
        return (self.net(batch.observed + 0.1 * torch.randn_like(batch.observed)) - self.hp.gain * batch.target).square().mean()

    def restore(self, batch):
        """N x 3 x H x W."""
        return self.net(batch.observed).clamp(0, 1)
'''
STEP = "self.opt.step()"
RESTORE = "return self.net(batch.observed).clamp(0, 1)"
LOOP = "while self.t < self.hp.steps:"

RESUME = {"resume at 1", "resume at 3"}
CHANCE = {"deterministic", "evaluation-neutral"} | RESUME
ALL = {"weights", "runs"} | CHANCE  # it does not train to the end

IGNORE = """nn.init.dirac_(self.net.weight), nn.init.zeros_(self.net.bias)
            loss = 0 * self.net(batch.observed).sum()"""
BREAKS = {  # name -> (what is replaced, by what, the checks that must fail, no others)
    "no_header": (GOOD[: GOOD.index("import")], "", {"header"}),
    "no_departures": ("Departures: none", "", {"header"}),
    "unread": (
        'gain: float = param(1.0, "here")',
        'gain: float = param(1.0, "here")\n        idle: int = param(3, "here")',
        {"hyper-parameters"},
    ),
    "undocumented": ('gain: float = param(1.0, "here")', "gain: float = 1.0", {"hyper-parameters"}),
    "local_state": (LOOP, "rate = 0.0\n        " + LOOP + "\n            rate += 1\n            self.net.bias.data += rate", RESUME),
    "local_loop": (LOOP, "for _ in range(self.hp.steps):", RESUME),
    "odd_state": ("self.seen = 0", "self.seen = 0\n        self.odd = object()", ALL),
    "finite_stream": (LOOP, "import itertools\n        for batch in itertools.islice(data, 3):", ALL),
    "exhausted": ("batch = next(data)", "batch = next(data) if self.t < 2 else next(iter(()))", ALL),
    "restore_trains": (RESTORE, "self.net.bias.data += 0.1\n        " + RESTORE, {"evaluation-neutral"}),
    "restore_counts": (RESTORE, "self.seen += 1\n        " + RESTORE, {"evaluation-neutral"}),
    "numpy": (STEP, STEP + "\n            import numpy\n            self.net.bias.data += float(numpy.random.rand())", CHANCE),
    "random": (STEP, STEP + "\n            import random\n            self.net.bias.data += random.random()", CHANCE),
    "clock": (STEP, STEP + "\n            import time\n            self.net.bias.data += time.perf_counter() % 1", CHANCE),
    "seed_ignored": ("loss = self.loss(batch)", IGNORE, {"deterministic"}),
    "nan": ('yield {"loss": loss.detach()}', 'yield {"loss": loss.detach() if self.t < 3 else torch.tensor(float("nan"))}', ALL),
    "out_of_range": (RESTORE, "return self.net(batch.observed) + 2", {"runs"}),
    "below_zero": (RESTORE, "return self.net(batch.observed).clamp(0, 1) - 1", {"runs"}),
    "wrong_shape": (RESTORE, "return self.net(batch.observed)[..., 1:].clamp(0, 1)", ALL),
    "wrong_type": (RESTORE, "return self.net(batch.observed).clamp(0, 1).double()", {"runs"}),
    "restore_nan": (RESTORE, "return self.net(batch.observed).clamp(0, 1) * float('nan')", ALL),
    "sees_the_truth": (RESTORE, "return batch.target", ALL),
    "crashes": (STEP, "raise RuntimeError('no')", ALL),
}  # fmt: skip


def failing(name):
    failed = set()
    for title, check in checks.CHECKS.items():
        try:
            check(name)
        except Exception:
            failed.add(title)
    return failed


def test_a_good_method_passes(plugin):
    plugin("good", GOOD)
    assert failing("good") == set()


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_law_is_found(plugin, name):
    old, new, laws = BREAKS[name]
    assert GOOD.count(old) == 1
    plugin(name, GOOD.replace(old, new))
    assert failing(name) == laws


def test_restore_that_draws_random_numbers_is_allowed_but_gets_no_trace(plugin):
    plugin("draws", GOOD.replace(RESTORE, "torch.rand(5); torch.manual_seed(3)\n        " + RESTORE))
    assert failing("draws") == set()


# -- generation
GAN = '''"""A generator that wins by being told. Nobody, nowhere.

Departures: none
"""
from methods.two_player import TwoPlayer
from methods.procedures import alternate


class Mine(TwoPlayer):
    """On Wasserstein's losses."""

    def critic_loss(self, batch):
        """On pictures and samples."""
        return self.D(self.fake(len(batch)).detach()).mean() - self.D(batch.x).mean() + 0.0 * batch.labels.sum()

    def generator_loss(self, batch):
        """On samples."""
        return -self.D(self.fake(len(batch))).mean()

    def train(self, data):
        """In turn."""
        yield from alternate(self, data, self.critic_loss, self.generator_loss)

    def sample(self, n):
        """N x 1 x 16 x 16."""
        return self.fake(n)
'''
SAMPLE = "return self.fake(n)"


def test_a_good_generator_passes(plugin):
    plugin("mine", GAN)
    assert failing("mine") == set()


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("return self.fake(n) + 1", "went above 1"),
        ("return self.fake(n) - 1", "went below 0"),
        ("return self.fake(n) * float('nan')", "validation/mse is not finite"),
        ("return self.fake(max(n, 3))", r"sample\(1\) returned \(3, 1, 16, 16\), not \(1, 1, 16, 16\)"),
        ("return self.fake(n).flatten(1).unflatten(1, (16, 1, 16))", r"sample\(1\) returned"),
        ("return self.fake(n).double()", "returned torch.float64"),
    ],
)
def test_a_bad_sample_is_found(plugin, new, says):
    plugin("off", GAN.replace(SAMPLE, new))
    with pytest.raises(Exception, match=says):
        checks.check_runs("off")


def test_sampling_that_trains_is_found(plugin):
    plugin("moves", GAN.replace(SAMPLE, "next(self.G.parameters()).data += 1\n        " + SAMPLE))
    assert failing("moves") == {"evaluation-neutral"}


def test_a_method_without_a_verb(plugin):
    plugin("mute", GOOD.replace("def restore", "def mend"))
    with pytest.raises(UsageError, match="must define one of restore, sample"):
        checks.make("mute")
