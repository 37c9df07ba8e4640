"""Out of memory: again on half the batch, to the gradients of the whole; what cannot be halved fails with advice; and the row says so."""

import copy
import dataclasses
import gc
import io
import math
from types import SimpleNamespace

import pytest
import torch
from _jobs import make
from rich.console import Console
from torch import nn

from bench import registry
from bench.analysis import gradient_noise
from bench.commands import run as main
from bench.conformance import checks
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.method import Method, TrainHP
from bench.running.identify import identify
from bench.store import identity
from bench.tasks.deblur import Deblur
from bench.training.accumulation import accumulate
from bench.training.loop import Interrupted
from bench.training.out_of_memory import retry_with_smaller_batch
from methods.procedures import alternate, regress
from reports import export, latex
from reports.leaderboard import leaderboard
from reports.render import render, tables_of

HUNGRY = '''"""A U-Net whose batches are watched.

Departures: none
"""
from methods.restoration.unet import UNet


class Hungry(UNet):
    """Tells the size of every batch that it trains on."""

    told = staticmethod(lambda size: None)

    def loss(self, batch):
        """The U-Net's."""
        self.told(len(batch))
        return super().loss(batch)
'''
SPEC = "hungry[steps=4,width=4,batch_size={},optimizer='adam[lr=0.03]']"


def out_of_memory(*_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried\nto")


@pytest.fixture
def hungry(tiny, plugin, monkeypatch):
    """Run the method on a batch where only `fit` examples fit, under `--on-oom halve`; `seen` are the sizes that were tried."""
    plugin("hungry", HUNGRY)
    tiny.settings = dataclasses.replace(tiny.settings, on_oom="halve")
    tiny.seen = []

    def told(size):
        tiny.seen.append(size)
        if size > tiny.fit:
            out_of_memory()

    def run(batch, fit, **options):
        tiny.fit = fit
        (record,), _ = tiny.run(methods=[SPEC.format(batch)], **options)
        return record

    monkeypatch.setattr(registry.find("method", "hungry"), "told", staticmethod(told))
    run.bench = tiny
    return run


# -- the life of a trial
@pytest.mark.fault(
    "memory: a batch does not fit, with --on-oom halve",
    cause="a method raises the error of the device above 8 examples of 24",
    expected="it trains on a fraction of the batch with the gradients of the whole, and the row says so",
)
def test_it_begins_again_retry_with_smaller_batch(hungry):
    record = hungry(24, fit=8)
    assert hungry.bench.seen == [24, 12] + [6] * 16  # 4 updates of 4 turns
    assert (record.outcome, record.reason, record.summary["steps"], record.params["batch_size"]) == ("finished", "", 4, "24")
    assert record.tags["on_oom"] == "batch of 24 as 4 x 6: out of GPU memory; batch statistics are those of 6"
    assert hungry.bench.mlflow_run(record).data.tags["on_oom"] == record.tags["on_oom"]
    losses, validated = (record.curves[record.curves.key == key] for key in ("train/loss", "validation/psnr"))
    assert (list(losses.step), list(losses.images)) == ([1, 2, 3, 4], [24, 48, 72, 96])
    assert list(validated.step) == [0, 2, 4]
    folder = hungry.bench.out / "tiny" / "trials" / record.training_id
    assert sorted(p.name for p in folder.iterdir()) == ["judgements", "lock", "record"]
    hungry.bench.seen.clear()
    assert hungry(24, fit=8).attempt == record.attempt  # it is on record
    assert hungry.bench.seen == []


def test_what_fits_is_left_alone(hungry):
    record = hungry(8, fit=8)
    assert hungry.bench.seen == [8] * 4
    assert (record.outcome, "on_oom" in record.tags) == ("finished", False)


@pytest.mark.parametrize("how", ["halve", "fail"])
def test_one_seed_that_ran_both_ways_stands_in_the_table_once(hungry, tmp_path, how):
    first = hungry(9, fit=8 if how == "fail" else 9)
    hungry.bench.settings = dataclasses.replace(hungry.bench.settings, on_oom=how)
    second = hungry(9, fit=9)
    (shown,) = hungry.bench.store.leaderboard_records(None, tmp_path)
    assert (first.trial_id == second.trial_id, shown.trial_id) == (how == "halve", second.trial_id)
    (shown,) = hungry.bench.store.leaderboard_records(None, tmp_path, [first])
    assert shown.trial_id == first.trial_id


@pytest.mark.parametrize(("batch", "sizes"), [(32, [32, 16, 8, 4, 2, 1]), (100, [100, 50, 25, 10, 5, 2, 1]), (7, [7, 1]), (1, [1])])
def test_sizes_divide_the_batch(tmp_path, monkeypatch, batch, sizes):
    monkeypatch.setattr(gc, "collect", lambda: 0)  # nothing was made
    tried = []
    with pytest.raises(torch.OutOfMemoryError):
        retry_with_smaller_batch(lambda size, folder: tried.append(size) or out_of_memory(), batch, tmp_path, "halve")
    assert tried == sizes


@pytest.mark.fault(
    "memory: a batch does not fit",
    cause="a method raises the error of the device",
    expected="the trial has failed, with the settings to lower",
)
def test_without_the_option_it_fails_and_names_it(hungry):
    hungry.bench.settings = dataclasses.replace(hungry.bench.settings, on_oom="fail")
    record = hungry(9, fit=8)
    assert (record.outcome, hungry.bench.seen) == ("failed", [9])
    assert record.reason == (
        "out of GPU memory (CUDA out of memory. Tried) with batch_size=9, width=4: "
        "lower it with --set batch_size=... or --set crop=..., or give --on-oom halve"
    )


def test_one_example_that_does_not_fit_fails_with_advice(hungry):
    record = hungry(4, fit=0)
    assert (record.outcome, hungry.bench.seen) == ("failed", [4, 2, 1])
    assert "with batch_size=4, width=4: not even one example at a time fits: lower crop" in record.reason
    assert record.reason.endswith("batch of 4 as 4 x 1: out of GPU memory; batch statistics are those of 1")
    assert len(record.curves[record.curves.key == "validation/psnr"]) == 1  # nothing is left of the larger batches


@pytest.mark.parametrize("verb", ["validate", "score"])
def test_evaluation_is_not_tried_again(hungry, monkeypatch, verb):
    monkeypatch.setattr(Deblur, verb, out_of_memory)
    record = hungry(4, fit=8)
    assert hungry.bench.seen == ([] if verb == "validate" else [4] * 4)
    assert record.outcome == "failed"
    assert record.reason.startswith(
        "out of GPU memory (CUDA out of memory. Tried) in evaluation, where a smaller training batch does not help: "
    )


@pytest.mark.parametrize("halves_fit", [True, False])
def test_memory_that_runs_out_later_leaves_nothing_behind(hungry, tmp_path, database, monkeypatch, halves_fit):
    """The whole batch trains for three updates and leaves checkpoints; the half starts at its first update all the same."""
    bench, method = hungry.bench, registry.find("method", "hungry")
    whole, told = hungry(6, fit=3 if halves_fit else 0), method.told
    late = type(bench)(tmp_path / "late", database=database)
    late.settings = dataclasses.replace(bench.settings, out=late.out, checkpoint_seconds=-1.0)

    def patient(size):
        if size < 6 or bench.seen.count(6) == 3:
            told(size)
        bench.seen.append(size)

    bench.seen.clear()
    monkeypatch.setattr(method, "told", staticmethod(patient))
    (record,), _ = late.run(methods=[SPEC.format(6)])
    assert bench.seen[:3] == [6] * 3
    assert (record.outcome, record.final, record.tags) == (whole.outcome, whole.final, whole.tags)
    assert record.summary.keys() == whole.summary.keys()
    assert record.curves.drop(columns="seconds").equals(whole.curves.drop(columns="seconds"))


@pytest.mark.fault(
    "memory: halved, then stopped",
    cause="a stop while a halved batch trains",
    expected="the same command goes on to the same bits",
)
@pytest.mark.parametrize("stop", [Interrupted, KeyboardInterrupt])
def test_stopped_between_two_turns_it_goes_on_to_the_same_bits(hungry, tmp_path, database, monkeypatch, stop):
    """Ctrl-C waits for the whole update; a process that dies in the middle of one goes on from the last whole one."""
    bench, method = hungry.bench, registry.find("method", "hungry")
    whole, turns, told = hungry(9, fit=3), [], method.told

    def cut(size):
        told(size)
        turns.append(size)
        if stop is KeyboardInterrupt and len(turns) == 5 and size == 3:  # the second of the three turns of update 2
            raise KeyboardInterrupt

    monkeypatch.setattr(method, "told", staticmethod(cut))
    other = type(bench)(tmp_path / "other", database=database)
    other.settings = dataclasses.replace(bench.settings, out=other.out, checkpoint_seconds=-1.0)
    (trial,) = other.trials(methods=[SPEC.format(9)])
    with pytest.raises(stop):
        make(trial, other.settings, None, lambda: stop is Interrupted and len(turns) >= 5)
    assert len(turns) == (6 if stop is Interrupted else 5)
    monkeypatch.setattr(method, "told", staticmethod(told))
    bench.seen.clear()
    (record,), _ = other.run(methods=[SPEC.format(9)])
    assert bench.seen == [3] * (3 * (2 if stop is Interrupted else 3))  # no larger batch is tried again
    assert (record.trial_id, record.final, record.tags["on_oom"]) == (whole.trial_id, whole.final, whole.tags["on_oom"])
    weights = [b.out / "tiny" / "trials" / whole.training_id / "record" / "last.safetensors" for b in (bench, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_memory_that_runs_out_once_a_method_is_trained_halves_no_batch(tiny, monkeypatch):
    """What is measured of the last weights is no update."""
    measure, asked = gradient_noise.measure, []

    def tight(method, seed, when):
        asked.append(when)
        if when == "end":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return measure(method, seed, when)

    monkeypatch.setattr(gradient_noise, "measure", tight)
    tiny.settings = dataclasses.replace(tiny.settings, on_oom="halve")
    (record,), _ = tiny.run(methods=["unet[batch_size=2]"])
    assert asked == ["start", "end"]
    assert (record.outcome, "on_oom" in record.tags) == ("failed", False)
    assert "in evaluation, where a smaller training batch does not help" in record.reason


def test_it_is_another_trial_only_where_it_is_asked_for(tiny):
    trial = tiny.trials()[1]
    plain, halving = (identify(trial, dataclasses.replace(tiny.settings, on_oom=how)).training for how in ("fail", "halve"))
    assert halving.keys() - plain.keys() == {"on_oom", "code.accumulation"}
    assert plain.items() <= halving.items()
    assert identity.protocol_of(plain) == identity.protocol_of(halving)


def test_another_word_is_refused():
    with pytest.raises(UsageError, match="--on-oom 'quarter': give fail or halve"):
        main.run_suite(main.RunOptions(suite="deblur", on_oom="quarter"))
    with pytest.raises(UsageError, match="--on-oom means nothing to the claims"):
        main.run_suite(main.RunOptions(suite="claims", on_oom="halve"))


# -- the mark on the report
def test_the_row_says_so_everywhere(hungry, tmp_path):
    mark = "batch of 9 as 3 x 3: out of GPU memory; batch statistics are those of 3"
    records = [hungry(9, fit=3), hungry(9, fit=9, seeds=[1]), *hungry.bench.run(methods=["identity"])[0]]
    table = leaderboard(records, sort="psnr")
    (row,) = (r for r in table.rows if r.label.startswith("hungry"))
    assert [table.footnotes[n] for n in row.notes] == [f"{mark} (seed 0)"]
    assert [r.notes for r in table.rows if r is not row] == [()]
    number = row.notes[0] + 1
    out = io.StringIO()
    Console(file=out, width=200).print(export.terminal(table))
    assert f"[{number}]" in next(line for line in out.getvalue().splitlines() if "hungry" in line)
    assert f"[{number}] {mark}" in out.getvalue()
    tex = latex.to_tex([table])
    assert rf"\textsuperscript{{[{number}]}}" in next(
        line for line in tex.splitlines() if line.strip().startswith(("1 & hungry", "2 & hungry"))
    )
    assert rf"\par\footnotesize [{number}] batch of 9 as 3 x 3: out of GPU memory" in tex
    assert f"\\[{number}\\]" in next(line for line in export.to_markdown([table], "t").splitlines() if "hungry" in line)
    assert mark in export.to_csv([table])
    page = render(tables_of(records, sort="psnr"), records, tmp_path / "report", title="t")[0].read_text(encoding="utf-8")
    assert f'<sup title="{mark} (seed 0)">[{number}]</sup>' in page
    assert f"<li>{mark} (seed 0)</li>" in page


ON_CPU = SimpleNamespace(device=torch.device("cpu"))


# -- the gradient
class _Linear(Method):
    """Least squares by any update rule."""

    HP = TrainHP

    def build(self, task):
        torch.manual_seed(1)
        self.net = nn.Linear(3, 2)
        self.opt = self.optimizer(self.net)

    def loss(self, batch):
        x, y = batch
        return (self.net(x) - y).square().mean()

    def train(self, data):
        yield from regress(self, data, self.loss, self.hp.steps)


def trained(data, turns, optimizer, steps=5, kind=_Linear):
    """The method after its updates, and their losses."""
    method = kind(None, steps=steps, optimizer=optimizer, schedule="cosine")
    if turns > 1:
        accumulate(method, turns)
    return method, [float(logs["loss"]) for logs in method.train(iter(data))]


def batches(n, turns):
    """The same examples in batches of 12, or in as many parts of each."""
    g = torch.Generator().manual_seed(3)
    for _ in range(n):
        x, y = torch.randn(12, 3, generator=g, dtype=torch.float32), torch.randn(12, 2, generator=g)
        yield from zip(x.chunk(turns), y.chunk(turns), strict=True)


@pytest.mark.parametrize("turns", [2, 3, 12])
@pytest.mark.parametrize("rule", registry.names("optimizer"))
def test_micro_batches_give_the_step_of_the_whole_batch(rule, turns):
    whole, parts = (trained(batches(5, k), k, rule) for k in (1, turns))
    assert (parts[0].t, len(parts[1])) == (5, 5)
    assert parts[1] == pytest.approx(whole[1], rel=1e-5)
    for a, b in zip(whole[0].net.parameters(), parts[0].net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_sgd_and_adam_in_closed_form():
    class Scalar(_Linear):
        def build(self, task):
            self.net = nn.Linear(1, 1, bias=False)
            nn.init.zeros_(self.net.weight)
            self.opt = self.optimizer(self.net)

    data = [(torch.ones(1, 1), torch.full((1, 1), y)) for y in (1.0, 3.0, 5.0, -4.0)]  # loss (w - y)^2, gradient 2 (w - y)
    sgd, losses = trained(data, 2, "sgd[lr=0.25]", steps=2, kind=Scalar)
    first = 0.25 * 2 * 2.0  # along the mean of -2 and -6
    assert losses == pytest.approx([5.0, ((first - 5) ** 2 + (first + 4) ** 2) / 2])
    assert sgd.net.weight.item() == pytest.approx(first - 0.125 * 2 * (first - 0.5))  # half-way the cosine halves the rate
    adam, _ = trained(data, 4, "adam[lr=0.1]", steps=1, kind=Scalar)
    assert adam.net.weight.item() == pytest.approx(0.1)  # the sign of the mean, not of the last gradient
    assert adam.opt.state[adam.net.weight]["step"] == 1


def test_a_parameter_that_one_turn_leaves_out_gets_its_share():
    class Gated(_Linear):
        def loss(self, batch):
            return (self.net.weight.sum() if batch else 0) + self.net.bias.sum()

    method, _ = trained([True, False], 2, "sgd[lr=1.0]", steps=1, kind=Gated)
    before = Gated(None, steps=1)
    torch.testing.assert_close(method.net.weight, before.net.weight - 0.5)
    torch.testing.assert_close(method.net.bias, before.net.bias - 1.0)


def test_each_player_accumulates_for_itself():
    class Game(_Linear):
        def build(self, task):
            self.G, self.D = nn.Linear(1, 1), nn.Linear(1, 1)
            self.opt_g, self.opt_d = self.optimizer(self.G), self.optimizer(self.D)
            self.log = []
            self.opt_g.register_step_post_hook(lambda *_: self.log.append("G"))
            self.opt_d.register_step_post_hook(lambda *_: self.log.append("D"))

        def train(self, data):
            loss = lambda network: lambda x: self.log.append(x) or network.weight.sum() * 1.0  # noqa: E731
            for logs in alternate(self, data, loss(self.D), loss(self.G), n_critic=3):
                yield {"loss": logs["critic"]}

    method, _ = trained(range(100), 2, "sgd", steps=2, kind=Game)
    update = ["0", "1", "D", "2", "2", "3", "D", "4", "5", "D", "5", "G"]
    assert [str(entry) for entry in method.log[:12]] == update
    assert [method.log.count(player) for player in "GD"] == [2, 6]


def test_evaluating_and_rehearsing_leave_no_gradient_behind():
    plain, disturbed = (_Linear(ON_CPU, steps=3, optimizer="adam") for _ in range(2))
    for method in (plain, disturbed):
        accumulate(method, 3)
    disturbed._dry_run(batches(1, 3))
    list(plain.train(batches(3, 3)))
    for _ in disturbed.train(batches(3, 3)):
        with evaluation_mode(disturbed):
            copy.deepcopy(disturbed.state())
    assert checks.fingerprint(plain) == checks.fingerprint(disturbed)


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("self.opt.step(lambda: None)", "this update rule evaluates the loss by itself"),
        ("self.turn % 2 or self.opt.step()", "_Linear.train steps on some micro-batches and not on others"),
    ],
)
def test_what_cannot_accumulate_is_refused_in_one_line(train, says):
    method = _Linear(ON_CPU, steps=2)
    method.turn = 0

    def updates(data):
        while method.t < 2:
            eval(train, {"self": method})
            method.turn += 1
            method.t += 1
            yield {"loss": 0.0}

    method.train = updates
    accumulate(method, 2)
    with pytest.raises(RuntimeError, match=f"^{says}, so gradients cannot be accumulated over micro-batches: lower batch_size instead$"):
        list(method.train(iter(())))
    del method.opt
    with pytest.raises(RuntimeError, match="_Linear has no optimiser, so"):
        accumulate(method, 2)


# -- real methods
REAL = ["wgan_gp", "r1_gan", "vae", "srgan", "gcbd", "cyclegan", "consensus_gan", "fgan", "descent", "unet", "dcgan"]


def accumulated(name, folder, **run):
    options = {"init": "lsuv"} if name == "unet" else {"ema": 0.9} if name == "dcgan" else {}
    folder.mkdir(exist_ok=True)
    method = checks.make(name, batch_size=2, **options)
    accumulate(method, 2)
    return method, checks.train(method, folder, **run)


@pytest.mark.parametrize("name", REAL)
def test_real_methods_keep_the_contract(tmp_path, name):
    method, training = accumulated(name, tmp_path / "whole")
    assert method.t == training.steps == 4
    assert all(math.isfinite(value) for *_, value in training.points)
    assert {step for key, step, *_ in training.points if key.startswith("train/")} == {1, 2, 3, 4}
    accumulated(name, tmp_path / "cut", stop_at=3)
    resumed, _ = accumulated(name, tmp_path / "cut")
    assert checks.fingerprint(resumed) == checks.fingerprint(method)
