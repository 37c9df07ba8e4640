"""A training is made once and judged by whatever is new: test sets, metrics, versions of a library, code that judges."""

import dataclasses
import hashlib
import json
import shutil

import pytest

import runner
from bench.errors import UsageError
from bench.registry import ROOT
from bench.running import environment, identify, job
from bench.scheduling import planner
from bench.store import code_hash
from bench.store.identity import describe_changes
from bench.store.mlflow_store import Store, judgements_of
from bench.suites import expand, read
from bench.tasks.deblur import Deblur

SETS = 'test=["photos","digit_scenes[test=3]"]'


def why(seen):
    return [reason for _, reason in seen.jobs]


# -- several test sets
def test_test_sets_share_a_training_and_make_a_table_each(tiny, ran):
    records, seen = tiny.run(methods=["unet"], overrides=[SETS])
    assert [(r.workload, r.test, r.outcome) for r in records] == [(name, name, "finished") for name in ("photos", "digit_scenes")]
    assert (len(seen.jobs), [step for step, _ in seen.updates]) == (1, [1, 2, 3, 4])
    assert len({r.attempt for r in records}) == 1
    assert records[0].final == ran[1][1].final  # the bundled photographs' own test split, which is also the default
    assert {r.environment["torch"] for r in records} == {ran[1][1].environment["torch"]}
    (run,) = tiny.store.queries.search("")
    assert judgements_of(run).keys() == {r.trial_id for r in records}
    assert run.data.metrics["final/photos/psnr"] == records[0].final["psnr"]
    assert run.data.metrics["final/digit_scenes/psnr"] == records[1].final["psnr"]


def test_a_test_set_that_is_added_later_trains_nothing(tiny):
    (first,), _ = tiny.run(methods=["unet"], overrides=['test=["photos"]'])
    records, seen = tiny.run(methods=["unet"], overrides=[SETS])
    assert (why(seen), seen.updates) == (["judges its weights on digit_scenes"], [])
    assert records[0].to_json() == first.to_json() | {"gallery": None}
    assert records[1].attempt == first.attempt
    assert tiny.run(methods=["unet"], overrides=[SETS])[1].jobs == []


@pytest.mark.parametrize("tests", ["[]", '["photos","photos"]'])
def test_test_sets_are_named_once(tiny, tests):
    with pytest.raises(UsageError, match="name at least one test set, and none twice"):
        tiny.trials(overrides=[f"test={tests}"])


def test_sets_of_one_name_are_told_apart(tiny):
    trials = tiny.trials(methods=["identity"], overrides=['test=["digit_scenes[test=2]","digit_scenes[test=3]","photos"]'])
    assert [t.test for t in trials] == ["digit_scenes[test=2]", "digit_scenes[test=3]", "photos"]


def test_a_suite_file_may_name_them(tiny):
    tiny.file.write_text(tiny.file.read_text().replace("[tiers.smoke]", '[tiers.smoke]\ntask.test = ["photos", "digit_scenes"]'))
    assert [t.workload for t in tiny.trials(methods=["identity"])] == ["photos", "digit_scenes"]


def test_the_report_has_a_table_each_and_one_over_them(tiny, capsys):
    words = ["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out)]
    assert runner.main([*words, "--set", SETS]) == 0
    printed = capsys.readouterr().out
    report = ["report", "--suite", str(tiny.file), "--out", str(tiny.out)]
    page = json.loads((tiny.out / "tiny/report/leaderboard.json").read_text())
    assert {row["test"] for row in page["trials"]} == {"photos", "digit_scenes"}
    assert runner.main(report) == 0  # from the store alone
    again = capsys.readouterr().out
    assert [line for line in printed.splitlines() if "unet " in line][-3:] == [line for line in again.splitlines() if "unet " in line]
    assert (tiny.out / "tiny/report/overview.csv").is_file()


# -- metrics
def test_a_new_metric_judges_and_trains_nothing(continued, ran):
    (record,), seen = continued.run(methods=["unet"], overrides=['metrics=("psnr","ssim","gmsd")'])
    assert (why(seen), seen.updates) == (["judges again: the metric gmsd is new"], [])
    assert list(record.final) == ["psnr", "ssim", "gmsd"]
    assert {k: record.final[k] for k in ("psnr", "ssim")} == {k: ran[1][1].final[k] for k in ("psnr", "ssim")}
    assert (record.best["psnr"], record.attempt) == (ran[1][1].best["psnr"], ran[1][1].attempt)
    assert record.per_image[record.per_image.column == "psnr"].value.tolist() == (
        ran[1][1].per_image[ran[1][1].per_image.column == "psnr"].value.tolist()
    )


def test_another_first_metric_chooses_other_weights(continued):
    _, seen = continued.run(methods=["unet"], overrides=['metrics=("ssim","psnr")'])
    (reason,) = why(seen)
    assert reason.startswith("trains again: ")
    assert "the metric that chooses the best weights changed" in reason


def test_many_judgements_hang_on_one_run_of_mlflow(tiny):
    (first,), _ = tiny.run(methods=["unet"])
    (second,), _ = tiny.run(methods=["unet"], overrides=['metrics=("psnr","gmsd")'])
    (run,) = tiny.store.queries.search("")
    assert judgements_of(run).keys() == {first.trial_id, second.trial_id}
    assert tiny.store.read([first.trial_id])[0].final == first.final
    shutil.rmtree(tiny.out / "tiny")  # the store alone
    assert [r.final for r in Store("tiny", tiny.out).read([first.trial_id, second.trial_id])] == [first.final, second.final]


def test_weights_come_back_from_the_store_to_be_judged(tiny):
    (first,), _ = tiny.run(methods=["unet"])
    shutil.rmtree(tiny.out / "tiny" / "trials")
    (record,), seen = tiny.run(methods=["unet"], overrides=['metrics=("psnr","gmsd")'])
    assert (seen.updates, record.attempt, record.final["psnr"]) == ([], first.attempt, first.final["psnr"])


METRIC = '''"""A metric that goes wrong."""
import dataclasses
import hashlib
from typing import ClassVar
from bench.metric import ImageMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wrong(ImageMetric):
    """Wrong."""

    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    title: ClassVar[str] = "wrong"
    definition: ClassVar[str] = "Nothing that is known."

    def __call__(self, x_hat, x):
        """Values."""
        values = x.double().flatten(1).mean(1).cpu()
        return VALUES
'''


def test_a_metric_of_a_wrong_shape_fails_its_trial_in_words_and_no_other(tiny, plugin):
    plugin("wrong", METRIC.replace("VALUES", "x.double().mean((2, 3)).cpu()"))
    tiny.run(methods=["identity"])
    (record,), seen = tiny.run(methods=["identity"], overrides=['metrics=("psnr","wrong")'])
    assert (record.outcome, len(seen.ends)) == ("failed", 1)
    assert record.reason == "ValueError: the metric wrong returned (2, 3) for 2 pictures: it must give one value each"


def test_scores_that_are_no_numbers_are_noted(tiny, plugin):
    plugin("lost", METRIC.replace("VALUES", "values * float('nan')"))
    (record,), _ = tiny.run(methods=["identity"], overrides=['metrics=("psnr","lost")'])
    assert (record.outcome, record.tags["not_finite.lost"]) == ("finished", "NaN on 2 of 2 images")
    assert "not_finite.psnr" not in record.tags


def test_columns_that_the_terminal_leaves_out_are_named(tiny, capsys):
    tiny.file.write_text(tiny.file.read_text().replace('sort = "psnr"', 'sort = "psnr"\nheadline = ["psnr"]'))
    words = ["--suite", str(tiny.file), "--tier", "smoke", "--methods", "identity", "--out", str(tiny.out)]
    assert runner.main(words) == 0
    assert "also scored, in the report: ssim\n" in capsys.readouterr().out


def test_what_still_cannot_run_is_judged_as_that_and_not_trained_again(tiny, plugin):
    plugin("never", METHOD)
    (first,), _ = tiny.run(methods=["never"])
    (record,), seen = tiny.run(methods=["never"], overrides=['metrics=("psnr","gmsd")'])
    assert (first.outcome, record.outcome, record.attempt) == ("skipped", "skipped", first.attempt)
    assert why(seen) == ["judges again: the metric gmsd is new, the metric ssim is gone"]


METHOD = '''"""Waits for what does not come.

Departures: none
"""
import dataclasses
import hashlib
from bench.errors import Unavailable
from bench.method import Method


class Never(Method):
    """Returns nothing."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Nothing."""

    def build(self, task):
        """Wait."""
        raise Unavailable("it has not come")

    def restore(self, batch):
        """The same."""
        return batch.observed
'''


# -- what is kept
def test_weights_that_were_not_kept_are_trained_again_to_the_same_bits(tiny, ran):
    tiny.settings = dataclasses.replace(tiny.settings, keep_weights="none")
    (first,), _ = tiny.run(methods=["unet"])
    folder = tiny.ledger.folders.of(first.training_id)
    assert not list(folder.path.rglob("*.safetensors"))
    assert first.final == ran[1][1].final
    assert tiny.run(methods=["unet"])[1].jobs == []
    (record,), seen = tiny.run(methods=["unet"], overrides=['metrics=("psnr","gmsd")'])
    assert why(seen) == ["trains again: its weights were not kept"]
    assert record.final["psnr"] == first.final["psnr"]
    again, seen = tiny.run(methods=["unet"])
    assert (seen.jobs, again[0].final) == ([], first.final)  # the first judgement holds for the new weights: they are the same


def test_the_last_weights_alone(tiny, plugin):
    tiny.settings = dataclasses.replace(tiny.settings, keep_weights="last")
    (first,), _ = tiny.run(methods=["unet"])
    folder = tiny.ledger.folders.of(first.training_id)
    assert {p.name for p in folder.results.glob("*.safetensors")} == {"last.safetensors"}
    (record,), seen = tiny.run(methods=["unet"], overrides=['metrics=("psnr","gmsd")'])
    assert (seen.updates, record.best) == ([], {})
    assert record.tags["best"] == "the weights that were best on validation were not kept"


def test_damaged_weights_are_trained_again(tiny):
    (first,), _ = tiny.run(methods=["unet"])
    file = tiny.ledger.folders.of(first.training_id).results / "last.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    (record,), seen = tiny.run(methods=["unet"], overrides=['metrics=("psnr","gmsd")'])
    assert record.tags["restarted"] == "its weights were damaged, so it was trained again"
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]
    assert record.final["psnr"] == first.final["psnr"]


def test_a_method_without_weights_is_judged_from_its_settings(continued):
    (record,), seen = continued.run(methods=["identity"], overrides=['metrics=("psnr","gmsd")'])
    assert (why(seen), record.outcome) == (["judges again: the metric gmsd is new, the metric ssim is gone"], "finished")


def test_what_was_judged_says_which_weights_it_judged(tiny):
    (record,), _ = tiny.run(methods=["unet"])
    folder = tiny.ledger.folders.of(record.training_id)
    training, judgement = folder.read_training(), folder.read_judgement(record.trial_id)
    assert judgement.weights == training.weights
    assert training.weights.keys() == {"last", "best"}
    for name, known in training.weights.items():
        assert hashlib.sha256((folder.results / f"{name}.safetensors").read_bytes()).hexdigest() == known


# -- the environment
def with_torch(monkeypatch, version):
    real = environment._environment.__wrapped__
    for module in (job, identify):
        monkeypatch.setattr(module, "environment", lambda device: {**real(device), "torch": version})


def test_an_upgrade_alone_trains_nothing_and_is_on_every_record(tiny, monkeypatch):
    (_, unet), _ = tiny.run()
    with_torch(monkeypatch, "9.9")
    assert tiny.run()[1].jobs == []
    _, (record,) = tiny.run()[0], tiny.run(methods=["unet"], seeds=[1])[0]
    assert (unet.environment["torch"], record.environment["torch"]) == (environment.environment("cpu")["torch"], "9.9")
    (judged,), seen = tiny.run(methods=["unet"], overrides=['metrics=("psnr","gmsd")'])
    assert seen.updates == []
    assert (judged.environment["torch"], judged.environment["judged_torch"]) == (unet.environment["torch"], "9.9")


def test_a_strict_environment_decides(tiny, monkeypatch):
    tiny.settings = dataclasses.replace(tiny.settings, strict_environment=True)
    tiny.run(methods=["unet"])
    assert tiny.run(methods=["unet"])[1].jobs == []
    with_torch(monkeypatch, "9.9")
    assert why(tiny.run(methods=["unet"])[1]) == ["trains again: env.torch changed"]


# -- code
def test_code_that_only_judges_does_not_decide_weights():
    everything = code_hash.code_hash(Deblur)
    trains = code_hash.code_hash(Deblur, without=identify._JUDGING_CODE)
    seen: dict = {}
    code_hash._visit(ROOT / "bench/tasks/deblur.py", seen, tuple(ROOT / folder for folder in identify._JUDGING_CODE))
    assert everything != trains
    assert {path.relative_to(ROOT).parts[1] for path in seen if path.relative_to(ROOT).parts[0] == "bench"}.isdisjoint(
        {"judging", "metrics", "features", "detectors", "segmenters"}
    )
    assert ROOT / "bench/evaluation.py" in seen  # validation chooses the best weights


def test_a_changed_judge_judges_again(continued, monkeypatch):
    real = identify.file_hash
    monkeypatch.setattr(identify, "file_hash", lambda part: "changed" if part is identify.judge else real(part))
    _, seen = continued.run()
    assert (why(seen), seen.updates) == (["judges again: code.judge changed"] * 2, [])


@pytest.mark.parametrize("suite", [name for name in read.suite_names()])
def test_options_that_only_judge_are_options_and_leave_a_task_that_trains(suite):
    from bench import registry

    for trial in {str(trial.task): trial for trial in expand.expand(read.load_suite(suite), "smoke")}.values():
        if suite == "released" and trial.task.options.get("test"):
            continue  # on data that are not everywhere
        task = registry.find("task", trial.task.name)
        assert task.judging_options <= registry.settings(task).keys()
        made = registry.make("task", identify.training_task(trial))
        assert made.ranked_by().hash == registry.make("task", trial.task).ranked_by().hash


def test_changes_are_told_in_words():
    before = {"hp.lr": "1", "card.psnr": "a", "task.metrics": "x", "code.metric.psnr": "1", "training": "t"}
    after = before | {"card.lpips": "b", "task.metrics": "y", "code.metric.lpips": "2", "training": "u"}
    assert describe_changes(before, after) == "the metric lpips is new"
    assert describe_changes(after, before) == "the metric lpips is gone"
    assert describe_changes(before, before | {"hp.lr": "2", "data.set5/test": "f"}) == "hp.lr changed, data.set5/test is new"
    assert describe_changes(before, before | {"training": "other"}) == ""
    changed = {k: v for k, v in after.items() if k != "card.lpips"} | {"code.metric.lpips": "3"}
    assert describe_changes(after, changed) == "code.metric.lpips changed, the metric lpips is gone"


# -- results of an earlier version
def test_results_of_an_earlier_version_are_named_and_left_alone(tiny, capsys):
    old = tiny.out / "tiny" / "trials" / ("a" * 16) / "record"
    old.mkdir(parents=True)
    (old / "record.json").write_text(json.dumps({"suite": "tiny", "label": "unet", "trial_id": "a" * 16, "attempt": "x", "ended": 1.0}))
    before = (old / "record.json").read_bytes()
    words = ["--suite", str(tiny.file), "--tier", "smoke", "--methods", "identity", "--out", str(tiny.out)]
    assert runner.main(words) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "1 results of an earlier version lie in" in said.out
    assert (old / "record.json").read_bytes() == before
    assert runner.main(["report", "--suite", str(tiny.file), "--out", str(tiny.out)]) == 0
    assert runner.main(["sync", "--out", str(tiny.out)]) == 0
    assert capsys.readouterr().err == ""


def test_one_training_is_one_job_whatever_it_is_judged_on(tiny):
    trials = tiny.trials(overrides=[SETS], seeds=[0, 1])
    known = planner.Known({}, {}, {})
    plan = planner.Planner(tiny.settings, tiny.ledger, known, fresh=False)
    jobs = plan.jobs(trials, [plan.identify(trial) for trial in trials])
    assert [(j.trial.label, j.trial.seed, len(j.trials)) for j in jobs] == [
        ("identity", 0, 2),
        ("identity", 1, 2),
        ("unet", 0, 2),
        ("unet", 1, 2),
    ]
