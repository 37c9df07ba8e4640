"""A folder of results is moved, copied, archived and merged: every command works there as before, and MLflow finds its files."""

import shutil
import sqlite3

import pytest
from _commands import in_another_process
from _jobs import Stop, job_of, make
from conftest import Bench
from mlflow import MlflowClient

import runner
from bench.commands.upkeep import sync
from bench.running import job as running
from bench.store import lookup
from bench.store.ledger import Ledger
from bench.store.mlflow_connection import store_uri
from bench.store.mlflow_store import Store
from bench.training.loop import Interrupted


def table(bench, out):
    """The leaderboard below a folder, made anew."""
    assert runner.main(["report", "--suite", str(bench.file), "--out", str(out)]) == 0
    return (out / "tiny" / "report" / "leaderboard.csv").read_text()


def shown(out, training_id):
    """The files of a training, as MLflow's own pages find them."""
    client = MlflowClient(store_uri(out, None))
    (run,) = client.search_runs([client.get_experiment_by_name("ganbench/tiny").experiment_id], f"tags.run_id = '{training_id}'")
    return {file.path.removeprefix("record/") for file in client.list_artifacts(run.info.run_id, "record")}


@pytest.fixture
def made(tmp_path, ran, database):
    """A bench with a whole store of its own, and its records."""
    bench = Bench(tmp_path, database=database)
    bench.file.write_text(ran[0].file.read_text())
    return bench, bench.run()[0]


MOVES = {
    "moved": shutil.move,
    "copied": shutil.copytree,
    "copied, and the first is gone": lambda a, b: (shutil.copytree(a, b), shutil.rmtree(a)),
    "archived": lambda a, b: (shutil.unpack_archive(shutil.make_archive(str(b), "tar", a), b), shutil.rmtree(a)),
}


@pytest.mark.parametrize("how", ["moved", "archived", *(pytest.param(how, marks=pytest.mark.slow) for how in [*MOVES][1:3])])
def test_everything_works_elsewhere(made, tmp_path, capsys, how):
    bench, (_, unet) = made
    before, there = table(bench, bench.out), tmp_path / "else?where"
    MOVES[how](bench.out, there)
    words = ["--suite", str(bench.file), "--out", str(there)]
    assert table(bench, there) == before
    assert runner.main(["compare", "identity", "unet", *words]) == 0
    assert lookup.find(unet.trial_id, there, None, tmp_path).final == unet.final
    assert lookup.weights(unet.trial_id, there, None, tmp_path).is_relative_to(there)
    capsys.readouterr()
    assert runner.main([*words, "--tier", "smoke"]) == 0
    assert "all 2 trials are on record already" in capsys.readouterr().out
    assert sync(there, None) == 0
    assert "tiny: 0 results went into" in capsys.readouterr().out
    assert shown(there, unet.training_id) >= {"record.json", "last.safetensors"}
    assert runner.main([*words, "--tier", "smoke", "--fresh", "--methods", "identity"]) == 0
    assert len(list((there / "artifacts" / "tiny").iterdir())) == 3  # what comes later lies with the rest
    if bench.out.exists():
        assert len(list((bench.out / "artifacts" / "tiny").iterdir())) == 2
        assert table(bench, bench.out) == before


def test_a_copy_is_read_where_it_lies(made, tmp_path):
    """Though the first one is there still: what happens to it later is not the copy's business."""
    bench, (identity, _) = made
    shutil.copytree(bench.out, tmp_path / "copy")
    (run,) = (bench.out / "artifacts" / "tiny").glob(f"{bench.mlflow_run(identity).info.run_id}/artifacts")
    (run / "record" / "record.json").write_text("damaged")
    assert [r.label for r in Store("tiny", tmp_path / "copy").read([identity.trial_id])] == ["identity"]


def test_a_trial_under_way_is_moved_and_goes_on(tiny, ran, tmp_path):
    with pytest.raises(Interrupted):
        make(tiny.trials()[1], tiny.settings, stop := Stop(2), stop)
    job = job_of(tiny.trials()[1], tiny.settings)
    tiny.store.begin(running.new_training(job, tiny.settings))
    there = tmp_path / "there"
    shutil.move(tiny.out, there)
    assert runner.main(["--suite", str(tiny.file), "--out", str(there), "--tier", "smoke", "--methods", "unet"]) == 0
    store = Store("tiny", there)
    (record,) = store.read(store.trials())
    assert (record.final, len(store.queries.search(""))) == (ran[1][1].final, 1)
    assert not tiny.out.exists()
    assert shown(there, record.training_id) >= {"record.json"}


def test_two_runners_see_one_folder_under_two_names(made, tmp_path):
    """Each writes and reads what it sees, whichever name stands in the database by then."""
    bench, _ = made
    before = bench.store
    with sqlite3.connect(bench.out / "mlflow.db") as database:  # as a machine writes it that has mounted the folder elsewhere
        for table_, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(f"UPDATE {table_} SET {column} = replace({column}, ?, ?)", (bench.out.as_uri(), "file:///mnt/none/runs"))
    (record,), _ = bench.run(methods=["unet"], fresh=True)
    assert before.newest(record.trial_id).attempt == record.attempt
    assert len(list((bench.out / "artifacts" / "tiny").iterdir())) == 3
    (Store("tiny", bench.out)).read([record.trial_id])  # it is opened again: now MLflow finds it too
    assert {run.info.artifact_uri.startswith(bench.out.as_uri()) for run in bench.store.queries.search("")} == {True}


def test_two_folders_become_one(made, ran, tmp_path, database):
    """What is synchronised into another folder's database lies there, whole: the first can be deleted, the other moved and rebuilt."""
    bench, (identity, unet) = made
    other = Bench(tmp_path / "other", database=database)
    (second,), _ = other.run(methods=["identity"], overrides=["crop=16"])
    for uri in (str(bench.out / "mlflow.db"), store_uri(bench.out, None)):  # by its path or its URL; the second time nothing is new
        assert runner.main(["sync", "--out", str(other.out), "--tracking-uri", uri]) == 0
    shutil.rmtree(other.out)
    store = Store("tiny", bench.out)
    assert store.trials().keys() == {identity.trial_id, unet.trial_id, second.trial_id}
    assert len(list((bench.out / "artifacts" / "tiny").iterdir())) == 3
    assert shown(bench.out, second.training_id) >= {"record.json"}
    shutil.move(bench.out, there := tmp_path / "there")
    assert in_another_process(["rebuild", "--out", there]) == ([0], "")
    new = Store("tiny", there)
    assert {r.trial_id: r.final for r in new.read(new.trials())} == {r.trial_id: r.final for r in (identity, unet, second)}


def test_trials_are_copied_into_another_folder(made, tmp_path, database, capsys):
    """The other way to merge: run directories, then `sync`."""
    bench, records = made
    other = Bench(tmp_path / "other", database=database)
    shutil.copytree(bench.out / "tiny", other.out / "tiny")
    assert runner.main(["sync", "--out", str(other.out)]) == 0
    assert "tiny: 2 results went into" in capsys.readouterr().out
    assert table(bench, other.out) == table(bench, bench.out)
    assert [r.attempt for r in Ledger("tiny", other.out).read([r.trial_id for r in records])] == [r.attempt for r in records]


def test_artifacts_elsewhere_stay_where_they_are(made, tmp_path, database):
    """An older store may have them apart from its database; what comes later lies beside it."""
    bench, records = made
    apart = tmp_path / "apart"
    apart.mkdir()
    shutil.copy(bench.out / "mlflow.db", apart / "all.db")
    store = Store("tiny", apart, str(apart / "all.db"))
    assert [r.attempt for r in store.read([r.trial_id for r in records])] == [r.attempt for r in records]
    ledger = Ledger("tiny", bench.out, str(apart / "all.db"))
    assert ledger.sync() == 0
    bench.run(methods=["identity"], overrides=["crop=16"])
    assert ledger.sync() == 1
    assert len(list((apart / "artifacts" / "tiny").iterdir())) == 1
    assert len(Store("tiny", apart, str(apart / "all.db")).read(ledger.trials())) == 3


@pytest.mark.parametrize("command", ["report", "compare"])
def test_without_a_database_the_way_to_one_is_told(made, capsys, command):
    bench, (identity, unet) = made
    words = {"report": ["--suite", str(bench.file)], "compare": [identity.trial_id, unet.trial_id]}[command]
    (bench.out / "mlflow.db").unlink()
    assert runner.main([command, *words, "--out", str(bench.out)]) == 2
    assert (
        capsys.readouterr().err
        == f"error: {bench.out} holds results, but no database: `runner.py rebuild --out {bench.out}` makes it from them\n"
    )
