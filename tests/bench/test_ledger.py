"""Results come on record once, whatever happens to the store, to other runners and to the clock."""

import dataclasses
import re
import shutil
import subprocess
import sys
import threading
import time
import types

import pytest
from _commands import in_another_process
from _jobs import job_of, make
from _mlflow import Server
from conftest import Watcher

import runner
from bench.commands import upkeep
from bench.errors import UsageError
from bench.running import job as running
from bench.scheduling import scheduler
from bench.store import ledger, run_dir
from bench.store.ledger import Ledger
from bench.store.mlflow_connection import StoreUnavailable
from bench.store.mlflow_store import Store
from bench.store.run_dir import Locked, RunDir
from bench.training.loop import Training
from bench.training.progress import Progress


class Onlooker(Progress):
    """Counts the jobs that had something to do."""

    ran = 0

    def started(self):
        self.ran += 1


def closed(store):
    """Attempts of the closed runs, oldest first."""
    return [run.data.tags["attempt"] for run in reversed(store.queries.search("attributes.status != 'RUNNING'"))]


def table(out):
    """What the report says, but for the folders of the galleries, which bear the names of MLflow's runs."""
    files = [out / "tiny" / "report" / f"leaderboard.{kind}" for kind in ("csv", "json", "tex")]
    return [re.sub(r'"gallery": "[^"]*"', "", file.read_text()) for file in files]


# -- a trial is run once
@pytest.mark.fault(
    "store: the runner died before it heard of a result",
    cause="a record lies in its run directory, the store has no run",
    expected="it enters the store, nothing is trained again",
)
def test_a_result_that_never_reached_the_store_enters_it_and_nothing_runs(tiny):
    """As after a kill between the last byte of the record and the store."""
    record = make(tiny.trials()[1], tiny.settings)
    assert closed(tiny.store) == []
    (checkpoint := tiny.ledger.folders.of(record.training_id).path / "checkpoint.safetensors").touch()
    (again,), seen = tiny.run(methods=["unet"])
    assert not checkpoint.exists()
    assert (seen.jobs, closed(tiny.store)) == ([], [record.attempt])
    assert again.to_json() == record.to_json() | {"gallery": None}


def test_a_result_enters_once(tiny):
    (record,), _ = tiny.run(methods=["identity"])
    for _ in range(2):
        tiny.ledger.put(tiny.ledger.folders.of(record.training_id))
        assert Ledger("tiny", tiny.out).sync() == 0
    assert closed(tiny.store) == [record.attempt]


@pytest.mark.fault(
    "store: a run was left open",
    cause="the runner ends with the run of a trial open in the store",
    expected="that run is closed, there is no second one",
)
def test_a_run_that_was_open_when_the_runner_died_is_closed_not_doubled(tiny):
    record = make(tiny.trials()[1], tiny.settings)
    Store("tiny", tiny.out).begin(tiny.ledger.folders.of(record.training_id).read())
    tiny.run(methods=["unet"])
    assert len(tiny.store.queries.search("")) == 1
    assert closed(tiny.store) == [record.attempt]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_what_another_runner_ends_while_this_one_starts_stands(tiny, monkeypatch, fresh, told):
    """Between the look at what is on record and the look at the folder; with its record in the store by then, or not."""
    trials, ended = Ledger.trials, []

    def and_then(ledger):
        known = trials(ledger)
        if not ended:
            record = make(tiny.trials()[1], tiny.settings)
            ended.append(record.attempt)
            if told:
                Ledger("tiny", tiny.out).put(tiny.ledger.folders.of(record.training_id))
        return known

    monkeypatch.setattr(Ledger, "trials", and_then)
    (record,), seen = tiny.run(methods=["unet"], fresh=fresh)
    assert ([record.attempt], seen.jobs, closed(tiny.store)) == (ended, [], ended)


def test_a_name_waits_for_nobody_who_works_on_the_trial(tiny, monkeypatch):
    (record,), _ = tiny.run(methods=["identity"])
    monkeypatch.setattr(run_dir, "_RENAME_PATIENCE", 0.0)
    about = {"label": "another", "workload": "", "plan": "", "tuning": ""}

    def label():
        return tiny.ledger.folders.trials()[record.trial_id]["label"]

    with tiny.ledger.folders.of(record.training_id).lock():
        tiny.ledger.folders.rename(record.trial_id, about)
    assert label() == "identity"
    tiny.ledger.folders.rename(record.trial_id, about)
    assert label() == "another"


@pytest.mark.fault(
    "record: damaged after the store took it in",
    cause="its curves lose their second half in the run directory, or in the store's artifacts",
    expected="a new name is noted all the same; whoever needs the scores is told in one line, and what to do; that works",
)
def test_damaged_after_it_was_taken_in(tiny, capsys):
    (record,), _ = tiny.run(methods=["unet"])
    artifacts = next((tiny.out / "artifacts").rglob("curves.parquet"))
    for file in (tiny.ledger.folders.of(record.training_id).results / "curves.parquet", artifacts):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    tiny.ledger.rename(record.trial_id, {"label": "another", "workload": "", "plan": "", "tuning": ""})
    assert tiny.store.trials()[record.trial_id]["label"] == "another"
    with pytest.raises(
        UsageError, match=r"the record in \S+ is damaged \(.*\): it does not count; run it again, with --fresh where it is on record"
    ):
        tiny.ledger.folders.read([record.trial_id])
    words = ["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out), "--methods", "unet"]
    assert runner.main(words) == 2
    assert re.fullmatch(
        r"error: the artifacts of run \w+ \(\w+\) cannot be read: .* does not hold it either: run it again with --fresh\n",
        capsys.readouterr().err,
    )
    assert runner.main([*words, "--fresh"]) == 0
    assert runner.main(words) == 0


def test_a_store_that_once_answered_ends_no_run(tiny, monkeypatch):
    """Whatever kind of database it is, and however it says no."""
    tiny.run(methods=["identity"])
    told, clock = [], [0.0]
    monkeypatch.setattr(ledger, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    books = Ledger("tiny", tiny.out, None, told.append)
    monkeypatch.setattr(Store, "__init__", lambda *where: (_ for _ in ()).throw(UsageError("cannot open the tracking store")))
    books._mark_unavailable(StoreUnavailable("it does not answer"), 0.0)
    clock[0] = 1000.0
    assert books.records is books.folders
    assert len(told) == 1
    with pytest.raises(UsageError, match="cannot open the tracking store"):
        Ledger("tiny", tiny.out)


def test_the_folder_of_a_trial_is_held_by_one(tmp_path):
    folder = RunDir(tmp_path / "trial")
    with folder.lock(), pytest.raises(Locked), RunDir(tmp_path / "trial").lock():
        pass
    with folder.lock():
        (folder.path / "checkpoint.safetensors").touch()
        (folder.results / "gallery").mkdir(parents=True)
        folder.clear()
        assert [p.name for p in folder.path.iterdir()] == ["lock"]


def test_what_another_runner_did_meanwhile_is_taken_not_done_again(tiny):
    job = tiny.trials()[1]
    first = make(job, tiny.settings)
    again = Onlooker()
    assert make(job, tiny.settings, again, lambda: False).attempt == first.attempt
    assert make(job, tiny.settings, again, replaces=["another"]).attempt == first.attempt
    assert again.ran == 0
    fresh = make(job, tiny.settings, again, replaces=[first.attempt])
    assert (again.ran, fresh.final) == (1, first.final)
    assert fresh.attempt != first.attempt


def test_an_attempt_that_is_replaced_leaves_no_checkpoint_to_go_on_from(tiny):
    """Its process died after the last byte of its record."""
    job = tiny.trials()[1]
    first = make(job, tiny.settings)
    (tiny.ledger.folders.of(first.training_id).path / "checkpoint.safetensors").write_bytes(b"of the first attempt")
    assert "restarted" not in make(job, tiny.settings, replaces=[first.attempt]).tags


def test_a_trial_is_given_up_unless_it_came_to_a_record_meanwhile(tiny):
    job = tiny.trials()[1]
    first = make(job, tiny.settings)
    assert running.record_failure(job_of(job, tiny.settings), tiny.settings, "it died")[0].attempt == first.attempt
    (lost,) = running.record_failure(job_of(job, tiny.settings, [first.attempt]), tiny.settings, "it died")
    assert (lost.outcome, lost.reason, lost.trial_id) == ("failed", "it died", first.trial_id)
    folder = tiny.ledger.folders.of(first.training_id)
    assert folder.attempt() == lost.attempt != first.attempt
    assert not (folder.results / "last.safetensors").exists()  # those of the attempt that was replaced


def test_a_record_that_another_runner_replaces_just_now_waits(tiny):
    record = make(tiny.trials()[0], tiny.settings)
    folder, took = tiny.ledger.folders.of(record.training_id), []
    with folder.lock():
        other = threading.Thread(target=lambda: took.append(tiny.ledger.put(folder, 0.0)))
        other.start()
        other.join(20)
    assert (took, closed(tiny.store)) == ([False], [])
    assert tiny.ledger.put(folder)
    assert closed(tiny.store) == [record.attempt]
    folder.clear()
    assert not tiny.ledger.put(folder)  # it was begun afresh


@pytest.mark.fault(
    "runners: a trial is held by another",
    cause="a lock on its folder",
    expected="the others come first, then it is waited for",
)
def test_trials_that_another_runner_is_at_come_last(tiny, monkeypatch):
    monkeypatch.setattr(scheduler, "_LOCKED_AGAIN", 0.01)
    first = tiny.trials()[0]
    folder = running.folder_of(job_of(first, tiny.settings), tiny.settings)
    taken, free = threading.Event(), threading.Event()

    def other():
        with folder.lock():
            taken.set()
            free.wait(20)

    thread = threading.Thread(target=other)
    thread.start()
    assert taken.wait(20)
    timer = threading.Timer(0.5, free.set)
    timer.start()
    records, seen = tiny.run()
    thread.join()
    assert [label for label, _ in seen.jobs] == ["unet", "identity"]
    assert [r.label for r in records] == ["identity", "unet"]


# -- the store is away
@pytest.fixture
def server(tmp_path, database, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(ledger, "_PAUSE", 0.0)
    monkeypatch.setattr(ledger, "_PATIENCE", 0.0)
    shutil.copy(database, tmp_path / "server.db")
    served = Server(tmp_path, tmp_path / "server.db", monkeypatch)
    yield served
    served.stop()


@pytest.fixture
def told():
    return []


@pytest.fixture
def remote(tiny, server, told):
    tiny.ledger = Ledger("tiny", tiny.out, server.uri, told.append)
    return tiny


AWAY, BACK = "Work goes on; results wait in", "the tracking store answers again: {} results that had to wait have entered it"


@pytest.mark.fault(
    "tracking server: down at the start",
    cause="it is stopped before the run and started afterwards",
    expected="work goes on; the results enter in order when it answers, once",
)
def test_away_at_the_start(tiny, server, told):
    server.stop()
    tiny.ledger = Ledger("tiny", tiny.out, server.uri, told.append)
    records, seen = tiny.run()
    assert [o for _, o in seen.ends] == ["finished", "finished"]
    assert len(told) == 1
    assert AWAY in told[0]
    server.start()
    assert tiny.run()[1].jobs == []
    assert told[1:] == [BACK.format(2)]
    assert closed(tiny.store) == [r.attempt for r in records]


@pytest.mark.fault(
    "tracking server: down in the middle",
    cause="it is stopped while a trial runs and started during the next",
    expected="work goes on; the results enter in order when it answers, once",
)
def test_away_in_the_middle(remote, server, told, monkeypatch):
    made = scheduler.running.run

    def run(job, *args):
        records = made(job, *args)
        server.stop() if job.trial.label == "identity" else server.start()
        return records

    monkeypatch.setattr(scheduler.running, "run", run)
    records, _ = remote.run()
    assert [AWAY in told[0], told[1:]] == [True, [BACK.format(1)]]
    assert closed(remote.store) == [r.attempt for r in records]  # in the order in which they came
    assert [r.outcome for r in records] == ["finished", "finished"]


@pytest.mark.fault(
    "tracking server: down at the end",
    cause="it is stopped before the last trial; the report is asked for without it",
    expected="the report comes from the run directories; runner.py sync takes in what waited, once",
)
def test_away_at_the_end(remote, server, told, capsys):
    whole, _ = remote.run(methods=["identity"])
    server.stop()
    records, _ = remote.run()
    assert [r.label for r in records] == ["identity", "unet"]
    assert runner.main(["report", "--suite", str(remote.file), "--out", str(remote.out), "--tracking-uri", server.uri]) == 0
    assert (remote.out / "tiny" / "report" / "index.html").is_file()
    server.start()
    for count in (1, 0):
        capsys.readouterr()
        assert runner.main(["sync", "--out", str(remote.out), "--tracking-uri", server.uri]) == 0
        assert capsys.readouterr().out == f"tiny: {count} results went into {server.uri}\n"
    assert closed(Store("tiny", remote.out, server.uri)) == [whole[0].attempt, records[1].attempt]


def test_sync_without_results_or_without_a_store(tiny, server, tmp_path, capsys):
    assert runner.main(["sync", "--out", str(tmp_path / "empty")]) == 2
    assert capsys.readouterr().err == f"error: there are no results below {tmp_path / 'empty'}: give the --out of the runs\n"
    tiny.run(methods=["identity"])
    server.stop()
    assert runner.main(["sync", "--out", str(tiny.out), "--tracking-uri", server.uri]) == 2
    assert "check --tracking-uri" in capsys.readouterr().err


def test_a_store_that_is_away_is_asked_again_after_a_while(tiny, monkeypatch):
    asked, clock = [], [0.0]

    def away(*given):
        asked.append(clock[0])
        raise StoreUnavailable("gone")

    monkeypatch.setattr(ledger.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(ledger.Store, "__init__", away)
    lost = Ledger("tiny", tiny.out, "http://nowhere", lambda text: None)
    for clock[0] in (1.0, 29.0, 31.0, 32.0):
        assert lost.records is lost.folders
    assert asked == [0.0, 31.0]


def test_results_come_in_the_order_in_which_they_ended(tiny):
    """Whatever the names of their folders."""
    trials = tiny.trials(seeds=[0, 1, 2, 3], methods=["identity"])
    ended = [make(t, tiny.settings).attempt for t in trials]
    assert [made[run_id] for run_id, made in tiny.ledger.folders.attempts().items()] == ended
    assert Ledger("tiny", tiny.out).sync() == 4
    assert closed(tiny.store) == ended


# -- the store is damaged
@pytest.mark.fault(
    "store: the database is truncated",
    cause="two thirds of its bytes are cut off",
    expected="refused in one line, exit 2; runner.py rebuild makes it anew, and every table is the same to the byte",
)
@pytest.mark.slow
def test_a_truncated_database_is_refused_and_rebuilt(tiny):
    words, path = ["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out)], tiny.out / "mlflow.db"
    report = ["report", "--suite", str(tiny.file), "--out", str(tiny.out)]
    assert [runner.main(w) for w in (words, [*words, "--fresh", "--methods", "unet"], report)] == [0, 0, 0]
    before = table(tiny.out)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    codes, complaints = in_another_process(words, ["rebuild", "--out", tiny.out], report)
    assert codes == [2, 0, 0]
    assert "if it is damaged, `runner.py rebuild` makes it anew from the run directories" in complaints
    assert complaints.count("\n") == 1
    assert table(tiny.out) == before
    assert sorted(p.name for p in (tiny.out / "old-store-1").iterdir()) == ["artifacts", "mlflow.db"]


HALF_A_WRITE = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")  # pages go to the disk before the transaction ends
database.execute("BEGIN")
database.execute("UPDATE tags SET value = 'half'")
database.execute("UPDATE runs SET name = 'half'")
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.fault(
    "store: its writer dies in the middle of a write",
    cause="a process ends within a transaction of which a part is in the file already",
    expected="the next one that opens the store undoes that part; nothing is lost",
)
def test_half_a_write_is_undone(tiny):
    report = ["report", "--suite", str(tiny.file), "--out", str(tiny.out)]
    tiny.run()
    assert runner.main(report) == 0
    before, path = table(tiny.out), tiny.out / "mlflow.db"
    whole = path.read_bytes()
    subprocess.run([sys.executable, "-c", HALF_A_WRITE, str(path)], check=True)
    assert path.with_name("mlflow.db-journal").stat().st_size > 0
    assert path.read_bytes() != whole
    assert in_another_process(report) == ([0], "")
    assert table(tiny.out) == before


def test_the_database_here_is_rebuilt_whatever_store_the_environment_names(tiny, tmp_path, monkeypatch):
    tiny.run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    monkeypatch.setattr(upkeep.shutil, "move", lambda path, aside: None)  # this process still holds the old one open
    monkeypatch.setattr(upkeep, "sync", lambda out, uri: asked.append((out, uri)) or 0)
    asked = []
    assert upkeep.rebuild(tiny.out) == 0
    assert asked == [(tiny.out, f"sqlite:///{tiny.out.resolve() / 'mlflow.db'}")]


def test_a_deleted_experiment_is_named(tiny):
    tiny.run()
    store = tiny.store
    store.client.delete_experiment(store.queries.experiment)
    command = f"mlflow experiments restore -x {store.queries.experiment}"
    with pytest.raises(UsageError, match=f"the experiment ganbench/tiny of sqlite.* was deleted: `{command}`"):
        Ledger("tiny", tiny.out)


def test_a_rebuilt_store_knows_the_present_names(tiny):
    tiny.run()
    tiny.file.write_text(tiny.file.read_text().replace("A tiny suite", "Another").replace('"unet"]', '"unet[width=4]"]'))
    records, seen = tiny.run()
    assert (seen.jobs, [r.label for r in records]) == ([], ["identity", "unet[width=4]"])
    uri = f"sqlite:///{tiny.out}/another.db"  # under its own name: this process still holds the database of the old one open
    assert Ledger("tiny", tiny.out, uri).sync() == 2
    assert sorted(tags["label"] for tags in Store("tiny", tiny.out, uri).trials().values()) == ["identity", "unet[width=4]"]


def test_a_trial_whose_folder_is_gone_bears_its_present_name(tiny):
    tiny.run(methods=["unet"])
    shutil.rmtree(tiny.out / "tiny")
    tiny.file.write_text(tiny.file.read_text().replace('"unet"]', '"unet[width=4]"]'))
    (record,), seen = tiny.run(methods=["unet[width=4]"])
    assert (seen.jobs, record.label) == ([], "unet[width=4]")


@pytest.mark.fault(
    "record: half of it is lost",
    cause="its head is truncated and the store is new",
    expected="the trial runs again, to the same scores",
)
def test_a_record_that_a_disk_lost_is_made_again(tiny):
    (record,), _ = tiny.run(methods=["unet"])
    path = tiny.ledger.folders.of(record.training_id).results / "record.json"
    path.write_text(path.read_text()[:100])
    tiny.ledger = Ledger("tiny", tiny.out, f"sqlite:///{tiny.out}/another.db")
    (again,), seen = tiny.run(methods=["unet"])
    assert [label for label, _ in seen.jobs] == ["unet"]
    assert again.final == record.final


# -- the clock
@pytest.mark.fault(
    "clock: set back",
    cause="by a day, between two runs of one trial",
    expected="the newest run is still the one that counts",
)
@pytest.mark.parametrize("reopened", [False, True])
def test_a_clock_that_is_set_back_leaves_the_newest_newest(tiny, monkeypatch, reopened):
    (first,), _ = tiny.run(methods=["unet"])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    if reopened:
        tiny.ledger = Ledger("tiny", tiny.out)
    (again,), _ = tiny.run(methods=["unet"], fresh=True)
    made = tiny.ledger.folders.of(again.training_id).attempt()
    assert again.attempt == made != first.attempt
    assert tiny.store.newest(again.trial_id).attempt == made
    assert tiny.store.trials()[again.trial_id]["attempt"] == made


@pytest.mark.fault(
    "clock: jumps ahead",
    cause="by ten years in the middle of a trial, and back before the next run",
    expected="the same bits, durations that no clock on the wall decides, one checkpoint; the run after it is the newest",
)
def test_a_clock_that_jumps_ahead_in_mid_trial(tiny, ran, monkeypatch):
    now, jump, saved, save = time.time(), [0], [], Training.save
    monkeypatch.setattr(time, "time", lambda: now + jump[0])
    monkeypatch.setattr(Training, "save", lambda run: (saved.append(run.method.t), save(run)))
    update = Watcher.update
    monkeypatch.setattr(Watcher, "update", lambda self, *args: (jump.__setitem__(0, 315_360_000), update(self, *args)))
    (first,), seen = tiny.run(methods=["unet"])
    assert first.final == ran[1][1].final
    assert 0 < first.costs["train_seconds"] < 3600
    assert saved == [4]  # at the end
    assert seen.ends == [("unet", "finished")]
    jump[0] = 0
    monkeypatch.undo()
    (again,), _ = tiny.run(methods=["unet"], fresh=True)
    assert closed(tiny.store) == [first.attempt, again.attempt]
    assert tiny.store.trials()[again.trial_id]["attempt"] == again.attempt


def test_a_record_without_an_attempt_is_left_alone(tiny):
    record = make(tiny.trials()[0], tiny.settings)
    folder = tiny.ledger.folders.of(record.training_id)
    folder.close(dataclasses.replace(folder.read(), attempt=""))
    assert tiny.ledger.sync() == 0
    assert tiny.store.trials() == {}
