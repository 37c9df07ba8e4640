"""The store of record: everything of a trial is in MLflow, once, in few calls, and comes back as it was."""

import dataclasses
import re
import shutil
from collections import Counter

import pandas as pd
import pytest
from _commands import in_another_process
from _jobs import Stop, make

import runner
from bench.errors import UsageError
from bench.scheduling import scheduler
from bench.store import lookup
from bench.store.mlflow_runs import judgements_of
from bench.store.mlflow_store import Store
from bench.store.record_files import read_judgement, write
from bench.training.loop import Interrupted
from reports import export, latex, render


def history(bench, record, key):
    return [(m.step, m.value) for m in bench.store.client.get_metric_history(bench.mlflow_run(record).info.run_id, key)]


def files(bench, record, folder="record"):
    return {a.path for a in bench.store.client.list_artifacts(bench.mlflow_run(record).info.run_id, folder)}


# -- what is in MLflow
def test_params_tags_metrics_artifacts(ran):
    bench, (_, record), _ = ran
    run = bench.mlflow_run(record)
    assert run.data.params == record.params
    wanted = {
        "suite": "tiny",
        "label": "unet",
        "seed": "0",
        "tier": "smoke",
        "outcome": "finished",
        "run_id": record.training_id,
        "spec": record.spec,
    }
    assert {k: run.data.tags.get(k) for k in wanted} == wanted
    assert (run.info.status, run.info.run_name) == ("FINISHED", "unet seed 0")
    assert run.data.metrics["final/psnr"] == record.final["psnr"]
    assert run.data.metrics["best/ssim"] == record.best["ssim"]
    assert run.data.metrics["cost/parameters"] == record.costs["parameters"]
    assert run.data.metrics["summary/auc"] == record.summary["auc"]
    names = ("record.json", "curves.parquet", "last.safetensors", "best.safetensors", "gallery")
    assert files(bench, record) == {f"record/{name}" for name in names}
    judged = f"judgements/{record.trial_id}"
    assert files(bench, record, judged) == {f"{judged}/{name}" for name in ("record.json", "per_image.parquet", "gallery")}
    assert list(judgements_of(run)) == [record.trial_id]
    assert bench.store.client.get_experiment(bench.store.queries.experiment).name == "ganbench/tiny"


def test_curves_are_the_records_curves(ran):
    bench, (_, record), _ = ran
    for key, rows in record.curves.groupby("key"):
        assert history(bench, record, key) == list(zip(rows.step, rows.value))
    clock = record.curves.drop_duplicates("step", keep="last")
    assert history(bench, record, "images") == list(zip(clock.step, clock.images))
    assert [step for step, _ in history(bench, record, "seconds")] == list(clock.step)


def test_a_record_comes_back_as_it_was(ran, tmp_path):
    bench, records, _ = ran
    again = bench.store.read([r.trial_id for r in records], tmp_path)
    for a, b in zip(again, records, strict=True):
        assert a.to_json() == b.to_json() | {"gallery": str(a.gallery)}
        pd.testing.assert_frame_equal(a.curves, b.curves)
        pd.testing.assert_frame_equal(a.per_image, b.per_image)
        assert len(list(a.gallery.glob("*.json"))) == 2


def test_a_board_from_the_store_alone_makes_the_same_tables(ran, tmp_path):
    bench, records, _ = ran
    store = Store("tiny", bench.out)
    tables = [render.tables_of(r, sort="psnr") for r in (records, store.leaderboard_records(None, tmp_path))]
    for form in (export.to_csv, latex.to_tex):
        assert form(tables[0]) == form(tables[1])
    assert len(export.to_csv(tables[0]).splitlines()) == 4  # the last says that there is no verdict


# -- few calls, nothing twice
def counted(store, monkeypatch):
    calls = Counter()
    log_batch = store.client.log_batch

    def count(*args, **kwargs):
        calls["log_batch"] += 1
        return log_batch(*args, **kwargs)

    monkeypatch.setattr(store.client, "log_batch", count)
    for name in ("log_metric", "log_param", "set_tag"):
        monkeypatch.setattr(store.client, name, lambda *a, name=name, **k: calls.update([name]))
    return calls


def test_calls_grow_with_validations_not_with_updates(tiny, monkeypatch):
    calls = counted(tiny.store, monkeypatch)
    (record,), _ = tiny.run(methods=["unet[steps=40]"])
    validations = (record.curves.key == "validation/psnr").sum()
    assert validations == 3
    assert calls == {"log_batch": 1}  # a training that took no time: all at once
    calls.clear()
    monkeypatch.setattr(scheduler, "_LOGGED_EVERY", 0.0)
    tiny.run(methods=["unet[steps=40]"], fresh=True)
    assert calls == {"log_batch": validations + 2}


def test_a_thousand_metrics_a_call(tiny, ran, monkeypatch):
    run_id = tiny.store.begin(dataclasses.replace(ran[0].ledger.folders.of(ran[1][1].training_id).read(), id="f" * 16))
    calls = counted(tiny.store, monkeypatch)
    points = [("train/loss", step, step, float(step), 1.0) for step in range(1, 801)]
    tiny.store.curves(run_id, points)
    assert calls["log_batch"] == 3  # 800 losses, images and seconds
    tiny.store.curves(run_id, points)
    assert calls["log_batch"] == 3  # nothing is new
    assert len(tiny.store.client.get_metric_history(run_id, "seconds")) == 800


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_resumed_trial_is_one_run_whose_curves_are_there_once(tiny, ran, after):
    trial, stop = tiny.trials()[1], Stop(after)
    with pytest.raises(Interrupted):
        make(trial, tiny.settings, stop, stop)
    assert tiny.store.trials() == {}
    (record,), seen = tiny.run(methods=["unet"])
    assert [step for step, _ in seen.updates] == list(range(after + 1, 5))
    for key in ("train/loss", "validation/psnr", "images"):
        assert history(tiny, record, key) == history(ran[0], ran[1][1], key)
    assert len(tiny.store.queries.search("")) == 1
    assert record.final == ran[1][1].final


def test_fresh_drops_what_an_interrupted_trial_left(tiny):
    with pytest.raises(Interrupted):
        make(tiny.trials()[1], tiny.settings, stop := Stop(2), stop)
    _, seen = tiny.run(methods=["unet"], fresh=True)
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]


# -- what may stand in the names
def test_metrics_with_options_and_metrics_that_are_missing(tiny, monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    (record,), _ = tiny.run(methods=["unet"], overrides=["metrics=('psnr[border=4,quantize=none]','lpips[net=alex]','ssim')"])
    assert record.outcome == "finished"
    assert list(record.final) == ["psnr[border=4,quantize=none]", "ssim"]
    assert "lpips[net=alex]" not in record.cards
    assert "alexnet" in record.tags["unavailable.lpips[net=alex]"]
    run = tiny.mlflow_run(record)
    assert run.data.metrics["final/psnr_border_4_quantize_none_"] == record.final["psnr[border=4,quantize=none]"]
    assert len(history(tiny, record, "validation/psnr_border_4_quantize_none_")) == 3
    (again,) = tiny.store.read([record.trial_id])
    assert again.final == record.final


def test_long_values_are_kept_whole_in_the_record(tiny, ran):
    long, first = "x" * 20_000, ran[0].ledger.folders.of(ran[1][0].training_id)
    folder = tiny.ledger.folders.of("e" * 16)
    folder.adopt(first.path)
    folder.close(dataclasses.replace(first.read(), id="e" * 16, outcome="failed", reason=long, params={"p": long}, tags={"note": long}))
    assert tiny.store.put(folder, *folder.read_all())
    (again,) = tiny.store.read([ran[1][0].trial_id])
    assert (again.reason, again.params["p"], again.tags["note"]) == (long, long, long)


# -- boards
def test_the_board_shows_what_was_asked_for(continued, ran, tmp_path):
    """Another data option, and back: the table is that of the data asked for, though the others are newer."""
    first, _ = continued.run()
    other, _ = continued.run(overrides=["pictures=1"])

    def board(*asked):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return {r.trial_id for r in continued.store.leaderboard_records("smoke", folder, *asked)}

    assert board() == {r.trial_id for r in other}
    again, seen = continued.run()
    assert seen.jobs == []
    assert board(again) == {r.trial_id for r in first}


def test_a_label_stands_once_with_the_rows_asked_for(continued, tmp_path):
    first, _ = continued.run()
    continued.file.write_text(continued.file.read_text().replace("steps = 4", "steps = 3"))
    second, _ = continued.run()
    (tmp_path / "a").mkdir()
    assert [r.trial_id for r in continued.store.leaderboard_records(None, tmp_path / "a")] == [r.trial_id for r in second]
    (tmp_path / "b").mkdir()
    assert [r.trial_id for r in continued.store.leaderboard_records(None, tmp_path / "b", first)] == [r.trial_id for r in first]


def test_seeds_of_one_row_stand_together(continued, tmp_path):
    continued.run(methods=["identity"], seeds=[1])
    assert sorted((r.label, r.seed) for r in continued.store.leaderboard_records("smoke", tmp_path / "..")) == [
        ("identity", 0),
        ("identity", 1),
        ("unet", 0),
    ]


def test_nothing_on_record(tiny, ran):
    with pytest.raises(UsageError, match=r"nothing on record in sqlite:///.*mlflow\.db: run the suite first"):
        tiny.store.leaderboard_records(None, tiny.out)
    with pytest.raises(UsageError, match=r"nothing on record in .* at tier paper"):
        ran[0].store.leaderboard_records("paper", tiny.out)


# -- what can be wrong with a store
def test_runs_of_others_are_left_alone(continued):
    client, experiment = continued.store.client, continued.store.queries.experiment
    for tags in ({}, {"run_id": "a" * 16}):
        client.set_terminated(client.create_run(experiment, tags=tags).info.run_id)
    assert continued.run()[1].jobs == []


def test_lost_artifacts_are_told_with_the_label_and_the_way_back(tiny, capsys):
    tiny.run(methods=["identity"])
    report = ["report", "--suite", str(tiny.file), "--out", str(tiny.out)]
    shutil.rmtree(tiny.out / "artifacts")
    assert runner.main(report) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: the artifacts of run \w+ \(identity\) cannot be read: .*\n", said)
    assert f"its run directory is whole: `runner.py rebuild --out {tiny.out}` makes the database there anew" in said
    assert in_another_process(["rebuild", "--out", tiny.out], report) == ([0, 0], "")


def test_what_is_lost_here_and_there_is_run_again(tiny, capsys):
    tiny.run(methods=["identity"])
    for folder in (tiny.out / "artifacts", tiny.out / "tiny" / "trials"):
        shutil.rmtree(folder)
    assert runner.main(["report", "--suite", str(tiny.file), "--out", str(tiny.out)]) == 2
    assert "its run directory does not hold it either: run it again with --fresh\n" in capsys.readouterr().err
    assert runner.main(["--suite", str(tiny.file), "--tier", "smoke", "--methods", "identity", "--out", str(tiny.out), "--fresh"]) == 0


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database, much longer than a header of a hundred bytes" * 9)
    with pytest.raises(UsageError, match=r"cannot open the tracking store sqlite:///.*mlflow\.db: ") as caught:
        Store("tiny", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_database_with_a_damaged_page_is_refused(tmp_path, database):
    """SQLite itself notices only when it comes by."""
    content = bytearray(database.read_bytes())
    content[-4096:] = bytes(4096)
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot open the tracking store .*; if it is damaged, `runner\.py rebuild`") as caught:
        Store("tiny", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["nonsense://x", "sqlite:////proc/none/mlflow.db"])
def test_a_store_that_cannot_be(tmp_path, uri):
    with pytest.raises(UsageError, match=f"cannot open the tracking store {uri}: ") as caught:
        Store("tiny", tmp_path, uri)
    assert "\n" not in str(caught.value)


def test_the_environment_names_the_store(tmp_path, database, monkeypatch):
    shutil.copy(database, tmp_path / "elsewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    store = Store("tiny", tmp_path / "out")
    assert store.uri.endswith("elsewhere.db")
    assert not (tmp_path / "out" / "mlflow.db").exists()
    assert Store("tiny", tmp_path / "out", f"sqlite:///{tmp_path}/elsewhere.db").queries.experiment == store.queries.experiment


def test_a_named_run_is_read_and_not_the_newest_of_its_training(tiny, tmp_path):
    first = tiny.mlflow_run(tiny.run(methods=["unet"])[0][0]).info.run_id
    (record,), _ = tiny.run(methods=["unet"], fresh=True)
    (newest, named) = tiny.store.queries.search(f"tags.run_id = '{record.training_id}'")
    assert named.info.run_id == first
    for run, value in ((named, 1.0), (newest, 2.0)):
        folder = tiny.store.files.folder(run)
        judged = folder / "judgements" / record.trial_id
        write(dataclasses.replace(read_judgement(judged), final={"psnr": value}), judged)
        (folder / "record" / "last.safetensors").write_text(str(value))
    for name, value in ((first, 1.0), (newest.info.run_id, 2.0), (record.trial_id, 2.0), (record.training_id[:8], 2.0)):
        assert lookup.find(name, tiny.out, None, tmp_path).final == {"psnr": value}
        assert lookup.weights(name, tiny.out, None, tmp_path / name[:5]).read_text() == str(value)
