"""Which trials run: those that are missing, and the reason is told; Ctrl-C stops between two updates or two trials."""

import dataclasses
import os
import signal

import pytest

from bench.errors import UsageError
from bench.scheduling import planner, scheduler
from bench.training.loop import Interrupted

WAITING = '''"""Waits for a file.

Departures: none
"""
import dataclasses
from pathlib import Path
from bench.errors import Unavailable
from bench.method import Method


class Waits(Method):
    """Returns what it was given."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Nothing."""

    def build(self, task):
        """Look for the file."""
        if not Path("FILE").exists():
            raise Unavailable("the file has not come")

    def restore(self, batch):
        """The same."""
        return batch.observed
'''


def edited(bench, old, new):
    text = bench.file.read_text()
    assert old in text
    bench.file.write_text(text.replace(old, new))
    return bench


def test_the_first_run_runs_all_in_order(ran):
    _, records, seen = ran
    assert seen.jobs == [("identity", ""), ("unet", "")]
    assert seen.ends == [("identity", "finished"), ("unet", "finished")]
    assert [r.label for r in records] == ["identity", "unet"]
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]
    assert seen.judged[-1] == (2, 2)


def test_a_second_run_does_nothing_and_tells_the_same(continued, ran):
    records, seen = continued.run()
    assert (seen.jobs, seen.updates, seen.judged) == ([], [], [])
    for again, first in zip(records, ran[1], strict=True):
        assert again.to_json() == first.to_json() | {"gallery": None}


def test_a_changed_hyper_parameter_runs_the_method_that_has_it(continued):
    _, seen = edited(continued, "steps = 4", "steps = 3").run()
    assert seen.jobs == [("unet", "trains again: hp.steps changed")]


def test_a_changed_data_option_runs_all(continued):
    _, seen = edited(continued, "pictures=2", "pictures=3").run()
    assert seen.jobs == [("identity", "judges again: task.pictures changed"), ("unet", "judges again: task.pictures changed")]
    edited(continued, "max_len=8", "max_len=9,noise=0.5")
    edited(continued, "evaluations = 2", "evaluations = 1")
    _, seen = edited(continued, "crop=32", "crop=24").run(methods=["identity"])
    assert seen.jobs == [("identity", "trains again: evaluations changed, task.crop changed, task.blur changed")]


def test_a_long_list_of_reasons_is_cut(continued):
    edited(edited(continued, "crop=32", "crop=24"), "pictures=2", "pictures=1")
    edited(continued, "max_len=8", "max_len=9")
    _, seen = edited(continued, "evaluations = 2", "evaluations = 1").run(methods=["identity"])
    assert seen.jobs == [("identity", "trains again: evaluations changed, task.crop changed, task.blur changed")]
    edited(edited(continued, "crop=24", "crop=16"), "pictures=1", "pictures=3")
    edited(edited(edited(continued, "max_len=9", "max_len=7"), "kernels=4", "kernels=5"), "tile=64", "tile=48")
    _, seen = edited(continued, "evaluations = 1", "evaluations = 3").run(methods=["identity"])
    assert seen.jobs == [
        ("identity", "trains again: evaluations changed, task.crop changed, task.tile changed, task.blur changed and others")
    ]


def test_a_new_seed_is_new_not_changed(continued):
    records, seen = continued.run(methods=["identity"], seeds=[0, 1])
    assert seen.jobs == [("identity", "")]
    assert [r.seed for r in records] == [0, 1]


def test_fresh_runs_what_is_on_record(continued, ran):
    records, seen = continued.run(fresh=True, methods=["unet"])
    assert seen.jobs == [("unet", "trains again: asked to run afresh")]
    assert records[0].final == ran[1][1].final
    assert len(continued.store.queries.search(f"tags.run_id = '{records[0].training_id}'")) == 2


def test_what_was_skipped_runs_once_it_can(tiny, plugin, tmp_path):
    plugin("waits", WAITING.replace("FILE", str(tmp_path / "come")))
    (record,), seen = tiny.run(methods=["waits"])
    assert (record.outcome, record.reason, seen.jobs) == ("skipped", "the file has not come", [("waits", "")])
    (record,), seen = tiny.run(methods=["waits"])
    assert (record.outcome, seen.jobs) == ("skipped", [])
    (tmp_path / "come").touch()
    (record,), seen = tiny.run(methods=["waits"])
    assert (record.outcome, seen.jobs) == ("finished", [("waits", "trains again: it can run now")])


def test_stop_between_trials(tiny, ran, monkeypatch):
    started = []

    def run(job, *args, **kwargs):
        started.append(job.trial.label)
        os.kill(os.getpid(), signal.SIGINT)
        return [ran[1][0]]

    monkeypatch.setattr(scheduler.running, "run", run)
    with pytest.raises(Interrupted):
        tiny.run()
    assert started == ["identity"]


def test_stop_in_the_last_trial(tiny, ran, monkeypatch):
    """What comes next, such as the rows after their tuning, must not start."""

    def run(job, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        return [ran[1][0]]

    monkeypatch.setattr(scheduler.running, "run", run)
    with pytest.raises(Interrupted):
        tiny.run(methods=["identity"])


def test_reasons_are_found_without_asking_the_store(continued, monkeypatch):
    """The run directories hold what decided every trial."""
    monkeypatch.setattr(type(continued.store), "newest", lambda *_: pytest.fail("a question for each of thousands of trials"))
    _, seen = edited(continued, 'metrics=("psnr","ssim")', 'metrics=("psnr","gmsd")').run()
    assert [why for _, why in seen.jobs] == ["judges again: the metric gmsd is new, the metric ssim is gone"] * 2


def test_what_decides_a_trial_is_computed_once(continued, monkeypatch):
    counted, identify = [], planner.identify
    monkeypatch.setattr(planner, "identify", lambda *args: counted.append(args[0].label) or identify(*args))
    edited(continued, "steps = 4", "steps = 3").run()
    assert counted == ["identity", "unet"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_the_second_insists(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with scheduler.graceful_stop() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_replaced_record_needs_no_store_to_say_why(tiny, monkeypatch):
    """Nothing but the run directory holds it, and that is cleared."""
    (first,), _ = tiny.run(methods=["unet"])
    monkeypatch.setattr(type(tiny.ledger), "_connect", lambda self: None)
    (again,), seen = tiny.run(methods=["unet"], fresh=True)
    assert seen.jobs == [("unet", "trains again: asked to run afresh")]
    assert (again.final, again.attempt == first.attempt) == (first.final, False)


def test_a_store_that_goes_away_in_the_end_takes_nothing_along(continued, ran, monkeypatch):
    """What ran is reported; what only the store holds is named."""
    put = continued.ledger.put

    def go_away(folder):
        put(folder)
        monkeypatch.setattr(type(continued.ledger), "_connect", lambda self: None)

    monkeypatch.setattr(continued.ledger, "put", go_away)
    records, _ = edited(continued, "width = 4", "width = 5").run(methods=["unet"])
    assert [r.label for r in records] == ["unet"]
    monkeypatch.undo()
    monkeypatch.setattr(continued.ledger, "put", go_away)
    with pytest.raises(UsageError, match="1 results, the first of them identity, are on record in a store that no longer answers"):
        edited(continued, "width = 5", "width = 6").run()


def test_what_fits_into_memory_is_not_run_again_for_being_allowed_to_run_in_parts(continued):
    continued.settings = dataclasses.replace(continued.settings, on_oom="halve")
    assert continued.run()[1].jobs == []
    assert continued.run(seeds=[1])[1].jobs == [("identity", ""), ("unet", "")]
