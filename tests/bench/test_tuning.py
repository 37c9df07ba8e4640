"""Settings are found on one budget, on validation alone, and what that took stands on the row."""

import contextlib
import dataclasses
import math
import re
import sys
import types

import pandas as pd
import pytest

from bench.commands import run as main
from bench.commands.report import report_suite
from bench.errors import Unavailable, UsageError
from bench.scheduling import scheduler, search_rules, tuning
from bench.spec import parse
from bench.store import validation
from bench.store.record import TrialRecord
from bench.store.record_files import write
from bench.store.stored import CURVES
from bench.suites import read
from bench.suites.schema import Space
from bench.training.loop import Interrupted
from bench.training.progress import Progress

# x starts at 8 and descends x^2/2: one step of plain descent at rate r leaves 8 (1 - r): 1 is the best rate, 2 or more gets nowhere
TASK = '''"""A parabola. Validation and test differ by a constant."""
import dataclasses
from typing import ClassVar
import torch
from torch import nn
from bench.cards import Card
from bench.task import Scores, Task
KIND = "task"
@dataclasses.dataclass(kw_only=True, eq=False)
class Parabola(Task):
    """x^2."""
    verb: ClassVar[str] = "minimise"
    scale: float = 1.0
    @property
    def offers(self):
        return frozenset()
    def fingerprint(self):
        return {}
    def cards(self):
        return {"loss": Card(metric="loss", definition="x^2/2", unit="", higher_is_better=False, protocol={})}
    def batch(self, n, rng):
        return None
    def validate(self, method):
        return {"loss": float(self.scale * method.x.x.square() / 2)}
    def score(self, method, progress):
        return Scores({"loss": 100 + float(self.scale * method.x.x.square() / 2)})
    def sample(self):
        return None
    def gallery(self, method, folder):
        pass
'''
METHOD = '''"""Descends a parabola.

Departures: none.
"""
import dataclasses
import torch
from torch import nn
from bench.method import Method, TrainHP, param
class Point(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.tensor(8.0))
class Descends(Method):
    """x^2/2."""
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        """Ours."""
        steps: int = param(3, "ours")
        optimizer: str = param("sgd", "ours")
    def build(self, task):
        self.x = Point()
        self.opt = self.optimizer(self.x)
    def train(self, data):
        while self.t < self.hp.steps:
            next(data)
            self.opt.zero_grad()
            loss = self.task.scale * self.x.x.square() / 2
            loss.backward()
            self.opt.step()
            self.t += 1
            yield {"loss": torch.where(loss < 1e3, loss, torch.inf).detach()}
    def minimise(self):
        return self.x
'''.replace("class Point", "class _Point").replace("Point()", "_Point()")
SUITE = """
title = "Rates"
axes = {{ optimizer = ["sgd", "nag", "adam"] }}
references = ["sgd"]
[[workloads]]
name = "one"
task = "parabola"
method = "descends"
sort = "loss"
[[workloads]]
name = "two"
task = "parabola[scale=3]"
method = "descends"
sort = "loss"
[tuning]
rule = "{rule}"
trials = {trials}
studies = {studies}
spaces.descent = {{ rules = ["sgd", "nag"], ranges = {{ lr = [1e-3, 1e2] }} }}
spaces.adaptive = {{ rules = ["adam"], ranges = {{ lr = [1e-3, 1e1] }} }}
fixed = {{ sgd = {{ lr = 0.5 }}, "two/sgd" = {{ lr = 0.3 }}, nag = {{ lr = 0.1, momentum = 0.5 }}, adam = {{}} }}
[tiers.smoke]
evaluations = 1
seeds = [0, 1]
"""
_TWO = ["one/sgd", "two/sgd"]


@pytest.fixture
def grid(tiny, plugin):
    plugin("parabola", TASK)
    plugin("descends", METHOD)

    def make(rule="quasirandom", trials=4, studies=3, extra=""):
        tiny.file.write_text(SUITE.format(rule=rule, trials=trials, studies=studies) + extra)
        return Rates(tiny)

    return make


class Rates:
    """A suite with tuning on a bench."""

    def __init__(self, bench):
        self.bench = bench
        self.level = read.load_suite(str(bench.file)).tiers["smoke"]
        self.ran = []

    def rows(self, **chosen):
        return tuning.prepare(self.bench.trials(**chosen), self.level)

    def train(self, trials):
        class Seen:
            def start(_, job, total):
                self.ran += job.trials
                return Progress()

        return scheduler.run_all(trials, self.bench.settings, self.bench.ledger, Seen())

    def tune(self, **chosen):
        return tuning.tune(self.rows(**chosen), self.level.tuning, self.train)

    def guess(self, trials):
        """The records that training would leave, by the closed form; without a store."""
        self.ran += trials
        return [_guessed(trial) for trial in trials]

    def guess_tune(self, **chosen):
        return tuning.tune(self.rows(**chosen), self.level.tuning, self.guess)


def _guessed(trial):
    scale = trial.task.options.get("scale", 1)
    loss = scale * (8 * (1 - scale * rate(trial)) ** 3) ** 2 / 2 if "sgd" in str(trial.spec) else rate(trial)
    finished = loss < 1e3
    points = [("validation/loss", 0, 0, 0.0, 32.0 * scale)] + [("validation/loss", 3, 3, 0.1, loss)] * finished
    return TrialRecord(
        "rates", str(trial.task), trial.label, str(trial.spec), trial.seed, trial.tier, "", "finished" if finished else "diverged",
        curves=pd.DataFrame(points, columns=CURVES), summary={"steps": 3.0 if finished else 1.0}, costs={"train_seconds": 0.5},
        cards={"loss": {"higher_is_better": False}}, role=trial.role, tried=dict(trial.tried),
    )  # fmt: skip


def rate(trial):
    return parse(trial.spec.options["optimizer"]).options["lr"]


# -- points
def test_sobol_points_are_a_function_of_the_seed():
    space = Space(rules=["sgd"], ranges={"lr": (1e-4, 1.0), "momentum": (0.1, 0.9)})
    five = search_rules.quasirandom(space, 5, 1000, [])
    assert five == search_rules.quasirandom(space, 5, 1000, [])
    assert five != search_rules.quasirandom(space, 5, 1001, [])
    assert five == search_rules.quasirandom(space, 8, 1000, [])[:5]  # a larger budget goes on where a smaller one ends
    assert search_rules.quasirandom(space, 5, 1000, [(p, 0.0) for p in five[:2]]) == five[2:]
    assert search_rules.quasirandom(space, 5, 1000, [(p, 0.0) for p in five]) == []
    assert search_rules.quasirandom(space, 1, 0, []) == search_rules.quasirandom(space, 2, 0, [])[:1]


def test_sobol_points_are_spread_evenly_over_the_logarithm():
    lows, highs = 1e-4, 1.0
    points = search_rules.quasirandom(Space(rules=["sgd"], ranges={"lr": (lows, highs)}), 16, 3, [])
    cells = sorted(int(16 * math.log(p["lr"] / lows) / math.log(highs / lows)) for p in points)
    assert cells == list(range(16))  # a (0, 4, 1)-net: one point in every sixteenth


def test_families_share_the_unit_points():
    points = [search_rules.quasirandom(Space(rules=["sgd"], ranges={"lr": ends}), 8, 0, []) for ends in ((1e-4, 1.0), (1e-6, 1e2))]
    shares = [
        [math.log(p["lr"] / low) / math.log(high / low) for p in some] for some, (low, high) in zip(points, ((1e-4, 1.0), (1e-6, 1e2)))
    ]
    assert shares[0] == pytest.approx(shares[1], abs=1e-3)


def test_half_decades():
    assert search_rules.half_decades(1e-3, 1e-1) == [1e-3, 3.16e-3, 1e-2, 3.16e-2, 1e-1]
    assert len(search_rules.half_decades(1e-5, 10)) == 13


# -- what a run of the suite does
def test_every_row_gets_the_same_trials_under_seeds_of_their_own(grid):
    rates = grid(trials=4, studies=3)
    tuned = rates.guess_tune()
    assert tuning.count(rates.rows(), rates.level) == 12 + 6 * 12 == len(tuned) + len(rates.ran)
    by_row = {}
    for trial in rates.ran:
        assert (trial.role, trial.seed) == ("tuning", 1000 + trial.tried["study"])
        by_row.setdefault((trial.workload, trial.label), []).append(trial.tried["study"])
    assert set(by_row) == {(w, o) for w in ("one", "two") for o in ("sgd", "nag", "adam")}
    assert all(sorted(studies) == [0] * 4 + [1] * 4 + [2] * 4 for studies in by_row.values())
    assert {t.seed for t in tuned} == {0, 1}
    assert all(t.costs["tuning_trials"] == 12 and 12 <= t.costs["tuning_updates"] <= 36 and t.costs["tuning_seconds"] == 6 for t in tuned)


def test_the_median_study_chooses(grid):
    """Of each study the best final validation loss, of the studies the median. Descent from 8 at rate r ends at 8 (1 - scale r)^3."""
    rates = grid(trials=4, studies=3)
    tuned = rates.guess_tune()
    for scale, workload in ((1, "one"), (3, "two")):
        winners = []
        for study in range(3):
            points = [p["lr"] for p in search_rules.quasirandom(rates.level.tuning.spaces["descent"], 4, 1000 + study, [])]
            winners.append(min(points, key=lambda r, s=scale: abs(1 - s * r)))
        expected = sorted(winners, key=lambda r, s=scale: abs(1 - s * r))[1]
        assert {rate(t) for t in tuned if (t.workload, t.label) == (workload, "sgd")} == {expected}


def test_tuning_never_sees_the_test_split_and_makes_no_row(grid):
    rates = grid(trials=2, studies=1)
    records = rates.train(rates.tune(methods=["sgd"]))
    store = rates.bench.store
    assert {r.role for r in records} == {"row"}
    assert all(r.final["loss"] >= 100 for r in records if r.outcome == "finished")
    board = store.leaderboard_records("smoke", rates.bench.out)
    assert sorted((r.workload, r.label, r.seed) for r in board) == sorted((r.workload, r.label, r.seed) for r in records)
    beside = store.tuning_records(board)
    assert len(beside) == 4
    for r in beside:
        assert (r.role, r.final, set(r.tried)) == ("tuning", {}, {"study", "lr"})
        assert r.plan in {b.plan for b in board if (b.workload, b.label) == (r.workload, r.label)}


def test_the_cost_stands_on_the_row(grid):
    rates = grid(trials=2, studies=2)
    records = rates.train(rates.tune(methods=["one/sgd", "two/nag"]))
    spent = {}
    for r in rates.bench.store.tuning_records(records):
        spent.setdefault((r.workload, r.label), []).append(r)
    for record in records:
        of_row = spent[record.workload, record.label]
        assert record.costs["tuning_trials"] == len(of_row) == 4
        assert record.costs["tuning_diverged"] == sum(r.outcome == "diverged" for r in of_row)
        assert record.costs["tuning_updates"] == sum(r.summary["steps"] for r in of_row)
        assert record.costs["tuning_seconds"] == pytest.approx(sum(r.costs["train_seconds"] for r in of_row))


def test_how_many_tuning_trials_diverged_is_part_of_the_cost():
    ends = [("finished", 5.0), ("diverged", 2.0), ("diverged", 3.0)]
    trials = [TrialRecord("s", "t", "l", "m", 0, "smoke", "0", outcome, summary={"steps": n}, role="tuning") for outcome, n in ends]
    assert tuning.cost(trials) == {"tuning_trials": 3.0, "tuning_diverged": 2.0, "tuning_updates": 10.0, "tuning_seconds": 0.0}


def test_nothing_runs_twice_and_a_tuning_stopped_half_way_goes_on(grid, monkeypatch):
    rates, left = grid(trials=2, studies=2), [3]
    real = scheduler.running.run

    def run(*args, **kwargs):
        if not left[0]:
            raise Interrupted
        left[0] -= 1
        return real(*args, **kwargs)

    monkeypatch.setattr(scheduler.running, "run", run)
    with pytest.raises(Interrupted):
        rates.tune(methods=_TWO)
    monkeypatch.setattr(scheduler.running, "run", real)
    first = len(rates.ran)
    again = grid(trials=2, studies=2)
    tuned = again.tune(methods=_TWO)
    assert (first, len(again.ran)) == (3, 2 * 4 - 3)
    once_more = grid(trials=2, studies=2)
    assert [str(t.spec) for t in once_more.tune(methods=_TWO)] == [str(t.spec) for t in tuned]
    assert once_more.ran == []


def test_a_larger_budget_keeps_what_was_tried(grid):
    grid(trials=2, studies=1).tune(methods=["one/sgd"])
    more = grid(trials=4, studies=1)
    records = more.train(more.tune(methods=["one/sgd"]))
    assert sum(t.role == "tuning" for t in more.ran) == 2
    assert len(more.bench.store.tuning_records(records)) == 4


def test_a_row_whose_every_trial_diverged_is_still_judged(grid):
    extra = '[tiers.smoke.tuning]\nspaces.descent = { rules = ["sgd", "nag", "adam"], ranges = { lr = [5e1, 1e2] } }\n'
    rates = grid(trials=2, studies=1, extra=extra)
    records = rates.train(rates.tune(methods=["two/sgd"]))
    assert {r.outcome for r in records} == {"diverged"}
    assert all(r.costs["tuning_trials"] == 2 for r in records)


def failing(bad):
    """What `_guessed` says, but for the trials that fail."""

    def run(trials):
        return [
            dataclasses.replace(_guessed(t), outcome="failed", reason="OutOfMemory: too big") if bad(t) else _guessed(t) for t in trials
        ]

    return run


def test_trials_that_failed_choose_nothing(grid):
    rates = grid(trials=4, studies=1)
    rows = rates.rows(methods=["one/sgd"])
    points = [p["lr"] for p in search_rules.quasirandom(rates.level.tuning.spaces["descent"], 4, 1000, [])]
    best = min(points, key=lambda r: abs(1 - r))
    (other, *_) = tuning.tune(rows, rates.level.tuning, failing(lambda t: rate(t) == best))
    assert rate(other) == min(set(points) - {best}, key=lambda r: abs(1 - r))
    diverged = max(points)  # a divergence is a result, and the only one
    (last, *_) = tuning.tune(rows, rates.level.tuning, failing(lambda t: rate(t) != diverged))
    assert rate(last) == diverged
    assert last.costs["tuning_trials"] == 4


def test_a_study_that_failed_leaves_the_choice_to_the_others(grid):
    rates = grid(trials=2, studies=3)
    rows, of = rates.rows(methods=["one/sgd"]), rates.level.tuning
    whole = [p["lr"] for j in (1, 2) for p in search_rules.quasirandom(of.spaces["descent"], 2, 1000 + j, [])]
    assert rate(tuning.tune(rows, of, failing(lambda t: t.seed == 1000))[0]) in whole


def test_a_row_whose_every_tuning_trial_failed_is_an_error(grid):
    rates = grid(trials=2, studies=2)
    with pytest.raises(UsageError, match=r"one: sgd: no trial .* all of them failed, the first with: OutOfMemory: too big$"):
        tuning.tune(rates.rows(methods=["sgd"]), rates.level.tuning, failing(lambda t: t.workload == "one"))


def test_failed_tuning_is_told_and_is_exit_code_1(grid, plugin, capsys, monkeypatch):
    bench, real = grid(trials=2, studies=1).bench, scheduler.running.run

    def run(job, settings, *args):
        (record,) = real(job, settings, *args)
        return [record] if (job.trial.role, job.trial.tried.get("lr")) != ("tuning", bad) else fail(job, settings)

    def fail(job, settings):
        folder = scheduler.running.folder_of(job, settings)
        write(dataclasses.replace(folder.read(), outcome="failed", reason="RuntimeError: on purpose"), folder.results)
        return scheduler.running.read(job, settings)

    bad = search_rules.quasirandom(read.load_suite(str(bench.file)).tiers["smoke"].tuning.spaces["descent"], 2, 1000, [])[0]["lr"]
    monkeypatch.setattr(scheduler.running, "run", run)
    assert main.run_suite(main.RunOptions(suite=str(bench.file), tier="smoke", out=bench.out, methods=["one/sgd"])) == 1
    said = capsys.readouterr().out
    assert f"1 of 4 trials failed, the first of them one: sgd (tuning: study 0, lr {bad:g}), seed 1000: RuntimeError: on purpose\n" in said
    assert [line.split("]")[0] for line in said.splitlines() if line.startswith("[")] == [f"[{i}/4" for i in (1, 2, 3, 4)]


def test_what_tunes_a_row_keeps_no_weights(grid):
    rates = grid(trials=2, studies=1)
    rates.train(rates.tune(methods=["one/sgd"]))
    folders = rates.bench.ledger.folders
    kept = {
        tags["role"]: sorted(p.name for p in folders.of(tags["training_id"]).path.rglob("*.safetensors"))
        for tags in folders.trials().values()
    }
    assert kept["tuning"] == []
    assert "last.safetensors" in kept["row"]


def test_attempts_of_other_code_are_not_beside_the_row(grid, monkeypatch):
    rates = grid(trials=2, studies=1)
    records = rates.train(rates.tune(methods=["one/sgd"]))
    store = rates.bench.store
    assert len(store.tuning_records(records)) == 2
    newer = [dataclasses.replace(r, training_facts=r.training_facts | {"code.method": "0" * 16}) for r in records]
    assert store.tuning_records(newer) == []


def test_fixed_and_oneshot(grid):
    fixed = grid(rule="fixed").tune()
    specs = {(t.workload, t.label): t.spec.options["optimizer"] for t in fixed}
    assert specs == {
        ("one", "sgd"): "sgd[lr=0.5]", ("two", "sgd"): "sgd[lr=0.3]", ("one", "nag"): "nag[lr=0.1,momentum=0.5]",
        ("two", "nag"): "nag[lr=0.1,momentum=0.5]", ("one", "adam"): "adam", ("two", "adam"): "adam",
    }  # fmt: skip
    assert {t.spec.options["optimizer"] for t in grid(rule="oneshot").tune()} == {"sgd", "nag", "adam"}
    assert not grid(rule="oneshot").ran


def test_a_row_tells_its_present_cost(grid):
    """The same settings may be found again on another budget, or be the defaults."""
    rates = grid(rule="fixed")
    (first, *_) = rates.train(rates.tune(methods=["one/adam"], seeds=[0]))
    assert "tuning_trials" not in first.costs
    trial = rates.tune(methods=["one/adam"])[0]
    (again,) = rates.train([dataclasses.replace(trial, costs={"tuning_trials": 9.0}, label="other")])
    assert (again.trial_id, again.label, again.costs["tuning_trials"]) == (first.trial_id, "other", 9.0)
    (back,) = rates.train([trial])
    assert (back.label, "tuning_trials" in back.costs) == ("adam", False)


# -- what is refused before anything runs
@pytest.mark.parametrize(
    ("extra", "chosen", "message"),
    [
        ("", {"seeds": [1001]}, "seed 1001 would both tune and judge"),
        (
            '[tiers.smoke.tuning]\nspaces.a = { rules = ["sgd"], ranges = { lr = [1, 2] } }',
            {},
            "none holds 'nag', the optimizer of the row 'nag'",
        ),
        ('[tiers.smoke.tuning]\nspaces.a = { rules = ["sgdd"], ranges = { lr = [1, 2] } }', {}, "unknown optimizer 'sgdd'; known: "),
        (
            '[tiers.smoke.tuning]\nspaces.a = { rules = ["sgd", "nag", "adam"], ranges = { rate = [1, 2] } }',
            {},
            "unknown option 'rate'; known: lr",
        ),
        ('[tiers.smoke.tuning]\noption = "steps"', {}, "'steps' is no hyper-parameter that holds a part"),
        ('[tiers.smoke.tuning]\nrule = "fixed"\nfixed = { sgd = { lr = 1 } }', {}, "no options for 'nag'"),
        ('[tiers.smoke.sensitivity]\nrules = ["sgdd"]', {}, "unknown optimizer 'sgdd'"),
        ('[tiers.smoke.sensitivity]\nrules = ["sgd"]\nkey = "rate"', {}, "unknown option 'rate'"),
    ],
)
def test_refused(grid, extra, chosen, message):
    with pytest.raises(UsageError) as caught:
        grid(extra=extra).rows(**chosen)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# -- sensitivity
def test_sensitivity_is_a_grid_beside_the_rows(grid):
    rates = grid(
        rule="oneshot", extra='[tiers.smoke.sensitivity]\nrules = ["sgd"]\nworkloads = ["two"]\nlow = 1e-1\nhigh = 1\nseeds = [0, 1]'
    )
    rows = rates.rows()
    trials = tuning.sensitivity_trials(rows, rates.level.sensitivity)
    assert [(t.workload, t.label, t.role, t.tried, t.seed) for t in trials] == [
        ("two", "sgd", "sensitivity", {"lr": lr}, seed) for lr in (0.1, 0.316, 1.0) for seed in (0, 1)
    ]
    assert tuning.count(rows, rates.level) == len(rows) + 6
    board = rates.train(rates.rows(methods=["sgd"]))
    ends = {r.tried["lr"]: validation.final(r) for r in rates.train(trials)}
    expected = {lr: pytest.approx((8 * (1 - 3 * lr) ** 3) ** 2 * 1.5, rel=1e-4) for lr in ends}
    assert ends == expected | {1.0: math.inf}  # it diverged
    assert {(r.label, r.role) for r in rates.bench.store.leaderboard_records("smoke", rates.bench.out)} == {
        ("sgd", "row")
    }  # though the newest are others
    assert len(rates.bench.store.tuning_records(board)) == 6


def test_target_of_a_workload(grid):
    rates = grid(rule="fixed")
    records = rates.train(rates.tune(methods=["one/sgd", "one/adam"], seeds=[0]))
    assert validation.column_of(records[0]) == "loss"
    assert validation.target(records, ["sgd"]) == pytest.approx((8 * 0.5**3) ** 2 / 2)
    assert validation.target(records, ["sgd", "adam"]) == validation.target(records, ["sgd"])
    assert math.isnan(validation.target(records, ["lion"]))


# -- optuna
def test_optuna_is_optional(grid, monkeypatch):
    monkeypatch.setattr(tuning.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match="needs the package optuna") as caught:
        grid(rule="optuna").rows()
    assert "\n" not in str(caught.value)


def fake_optuna():
    """Bisects towards the best point told, by the interface that is used."""

    class Study:
        def __init__(self, sampler):
            self.trials, self.sampler = [], sampler

        def add_trial(self, trial):
            self.trials.append(trial)

        def ask(self, axes):
            ((key, (low, high)),) = axes.items()
            middle = math.sqrt(low * high)
            best = max(self.trials, key=lambda t: t.value).params[key] if self.trials else middle
            return types.SimpleNamespace(params={key: min(max(best * 2 ** (len(self.trials) - 2), low), high)})

    made = []

    def create_study(direction, sampler):
        assert direction == "maximize"
        made.append(Study(sampler))
        return made[-1]

    space = types.SimpleNamespace
    return space(
        made=made, logging=space(set_verbosity=lambda level: None, WARNING=30), create_study=create_study,
        samplers=space(TPESampler=lambda seed, n_startup_trials: seed),
        distributions=space(FloatDistribution=lambda low, high, log: (low, high)),
        trial=space(create_trial=lambda params, distributions, value: space(params=params, value=value)),
    )  # fmt: skip


def test_optuna_asks_one_by_one_on_the_same_budget(grid, monkeypatch):
    fake = fake_optuna()
    monkeypatch.setitem(sys.modules, "optuna", fake)
    monkeypatch.setattr(tuning.importlib.util, "find_spec", lambda name: True)
    rates = grid(rule="optuna", trials=3, studies=2)
    tuned = rates.guess_tune()
    assert len(rates.ran) == 6 * 2 * 3
    assert all(math.isfinite(t.value) for study in fake.made for t in study.trials)  # what diverged was told as the worst of the others
    assert {t.costs["tuning_trials"] for t in tuned} == {6.0}
    again = grid(rule="optuna", trials=3, studies=2)
    assert [str(t.spec) for t in again.guess_tune()] == [str(t.spec) for t in tuned]


def test_what_is_infinitely_good_is_told_optuna_as_the_best_of_the_others(monkeypatch):
    fake = fake_optuna()
    monkeypatch.setitem(sys.modules, "optuna", fake)
    space = Space(rules=["sgd"], ranges={"lr": (1e-4, 1e2)})
    search_rules.optuna(space, 9, 0, [({"lr": 0.1}, v) for v in (20.0, math.inf, 28.0, -math.inf, math.nan)])
    search_rules.optuna(space, 9, 0, [({"lr": 0.1}, v) for v in (math.inf, -math.inf)])
    assert [[t.value for t in study.trials] for study in fake.made] == [[20, 28, 28, 20], [1, 0]]


def test_trials_that_failed_tell_optuna_nothing(grid, monkeypatch):
    fake, bad = fake_optuna(), iter([True, False, False])
    monkeypatch.setitem(sys.modules, "optuna", fake)
    monkeypatch.setattr(tuning.importlib.util, "find_spec", lambda name: True)
    rates = grid(rule="optuna", trials=3, studies=1)
    tuning.tune(rates.rows(methods=["one/sgd"]), rates.level.tuning, failing(lambda trial: next(bad)))
    assert [len(study.trials) for study in fake.made] == [0, 0, 1]


def test_optuna_itself():
    pytest.importorskip("optuna")
    space, told = Space(rules=["sgd"], ranges={"lr": (1e-4, 1e2)}), []
    for _ in range(12):
        (point,) = search_rules.optuna(space, 12, 7, told)
        assert [point] == search_rules.optuna(space, 12, 7, told)
        told.append((point, -abs(math.log(point["lr"]))))
    assert search_rules.optuna(space, 12, 7, told) == []
    assert max(value for _, value in told[4:]) > max(value for _, value in told[:4]) - 1e-9


# -- the whole way
def test_one_page_with_a_table_for_each_workload(grid, monkeypatch, capsys, tmp_path):
    bench = grid(
        trials=1, studies=1, extra='[tiers.smoke.sensitivity]\nrules = ["adam"]\nworkloads = ["one"]\nlow = 1e-2\nhigh = 1e-1\nseeds = [0]'
    ).bench
    options = main.RunOptions(suite=str(bench.file), tier="smoke", out=bench.out, methods=["sgd", "adam"], seeds="1")
    assert main.run_suite(options) == 0
    said = capsys.readouterr().out
    assert "11 trials, tier smoke" in said  # four rows, four that tune, three that vary
    assert "one: sgd (tuning: study 0, lr " in said
    assert "one: adam (sensitivity: lr 0.0316)" in said
    page = (bench.out / "tiny" / "report" / "index.html").read_text()
    assert re.findall(r"<h2>(\w+): leaderboard</h2>", page) == ["One", "Two"]
    assert len(re.findall(r"<th scope=\"row\" class=\"name\" data-value=\"(?:sgd|adam)\"", page)) >= 4
    board = (bench.out / "tiny" / "report" / "leaderboard.csv").read_text().splitlines()
    assert sum(",finished," in line for line in board) == 4
    assert {"workload", "tuning_trials", "tuning_diverged", "tuning_updates", "tuning_seconds"} <= set(board[0].split(","))
    assert main.run_suite(options) == 0
    assert "all 11 trials are on record already" in capsys.readouterr().out
    report_suite(str(bench.file), None, bench.out, None, None)
    assert (bench.out / "tiny" / "report" / "leaderboard.csv").read_text().splitlines() == board


def test_a_huge_grid_is_asked_about(grid, monkeypatch):
    monkeypatch.setattr(main, "_MANY", 5)
    bench = grid(rule="oneshot").bench
    with pytest.raises(UsageError, match="these are 12 trials: give --yes if that is meant"):
        main.run_suite(main.RunOptions(suite=str(bench.file), tier="smoke", out=bench.out))
    monkeypatch.setattr(main.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(main.sys.stdout, "isatty", lambda: True, raising=False)
    for answer, goes_on in (("n", False), ("", False), ("y", True)):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        with contextlib.nullcontext() if goes_on else pytest.raises(UsageError, match="nothing was run"):
            main._confirm_size(12, yes=False)
    main._confirm_size(12, yes=True)
