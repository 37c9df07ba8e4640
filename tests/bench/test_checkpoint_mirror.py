"""Copies of checkpoints: a trial goes on where no disk of its first machine is, and nothing stops where copies fail."""

import dataclasses
import itertools
import os

import fsspec
import pytest
from _jobs import job_of, make
from conftest import Watcher

import runner
from bench.errors import UsageError
from bench.running import job as running
from bench.running.train import Attempt
from bench.scheduling import ray_engine, ray_worker
from bench.store import checkpoint_mirror
from bench.store.checkpoint_mirror import RemoteMirror
from bench.training.loop import Interrupted


def weights(folder):
    """The hash of what was trained."""
    return folder.read_training().weights


@pytest.fixture
def unet(tiny):
    (unet,) = tiny.trials(methods=["unet"])
    return unet


@pytest.fixture
def settings(tiny, tmp_path):
    """A checkpoint at every update, and copies of it."""
    return dataclasses.replace(
        tiny.settings, checkpoint_seconds=-1.0, checkpoints=checkpoint_mirror.normalise_url(str(tmp_path / "copies"))
    )


def elsewhere(settings, tmp_path):
    """Another machine: it sees the copies alone."""
    return dataclasses.replace(settings, out=tmp_path / "elsewhere")


# -- one file
@pytest.mark.parametrize("where", ["memory://copies/a", "file://{}/copies/a"])
def test_what_was_kept_is_fetched_elsewhere(tmp_path, where):
    here, there = tmp_path / "here", tmp_path / "there"
    for name in ("best.safetensors", "checkpoint.safetensors", "batch_2/checkpoint.safetensors"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
        RemoteMirror(here, where.format(tmp_path)).keep(here / name)
    there.mkdir()
    second = RemoteMirror(there, where.format(tmp_path))
    second.fetch()
    found = {str(p.relative_to(there)): p.read_text() for p in there.rglob("*.*")}
    assert found == {name: name for name in ("best.safetensors", "checkpoint.safetensors", "batch_2/checkpoint.safetensors")}
    second.drop()
    second.drop()  # of nothing
    files, root = fsspec.core.url_to_fs(where.format(tmp_path))
    assert not files.exists(root)
    assert second.notes() == {}


def test_a_checkpoint_that_is_here_stays(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_text("of here")
    there = RemoteMirror(tmp_path, "memory://copies/b")
    there.keep(tmp_path / "checkpoint.safetensors")
    (tmp_path / "checkpoint.safetensors").write_text("newer")
    there.fetch()
    assert (tmp_path / "checkpoint.safetensors").read_text() == "newer"


def test_half_a_copy_is_none(tmp_path):
    with fsspec.open("memory://copies/c/checkpoint.safetensors.part", "wb") as file:
        file.write(b"half")
    RemoteMirror(tmp_path, "memory://copies/c").fetch()
    assert list(tmp_path.iterdir()) == []


# -- a trial
def test_a_trial_goes_on_elsewhere_to_the_same_bits(unet, settings, tmp_path, ran):
    updates = itertools.count()
    with pytest.raises(Interrupted):
        make(unet, settings, stopped=lambda: next(updates) == 1)
    seen, there = Watcher(), elsewhere(settings, tmp_path)
    record = make(unet, there, seen)
    assert [step for step, _ in seen.updates] == [3, 4]
    assert weights(running.folder_of(job_of(unet, there), there)) == weights(running.folder_of(job_of(unet, settings), ran[0].settings))
    assert record.final == ran[1][1].final
    assert record.trial_id == ran[1][1].trial_id  # copies change no result
    assert "checkpoints" not in record.tags


def test_copies_are_dropped_when_the_result_is_on_record(tiny, settings, tmp_path, monkeypatch):
    kept, put = [], tiny.ledger.put
    monkeypatch.setattr(tiny.ledger, "put", lambda folder: kept.append(list((tmp_path / "copies").rglob("*.safetensors"))) or put(folder))
    tiny.settings = settings
    tiny.run(methods=["unet"])
    assert sorted(p.name for p in kept[0]) == ["best.safetensors", "checkpoint.safetensors"]
    assert not [p for p in (tmp_path / "copies").rglob("*") if p.is_file()]


def test_fresh_forgets_the_copies(tiny, unet, settings, tmp_path):
    updates = itertools.count()
    with pytest.raises(Interrupted):
        make(unet, settings, stopped=lambda: next(updates) == 1)
    tiny.settings = elsewhere(settings, tmp_path)
    _, seen = tiny.run(fresh=True)
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]


def test_copies_that_a_killed_runner_left_beside_a_record_are_not_gone_on_from(tiny, settings, monkeypatch):
    tiny.settings = settings
    monkeypatch.setattr(RemoteMirror, "drop", lambda self: None)
    tiny.run(methods=["unet"])
    monkeypatch.undo()
    tiny.settings = settings
    _, seen = tiny.run(methods=["unet"], fresh=True)
    assert [step for step, _ in seen.updates] == [1, 2, 3, 4]


@pytest.mark.fault(
    "disk: the storage of checkpoint copies fails",
    cause="every copy to --checkpoints URL raises",
    expected="the trial ends with the same bits, its record says that copies failed, and how",
)
def test_failing_copies_stop_nothing(unet, settings, ran, tmp_path):
    (tmp_path / "copies").write_text("a file where a folder is to be made")
    record = make(unet, settings)
    assert record.final == ran[1][1].final
    assert record.tags["checkpoints"].startswith(
        f"its checkpoints could not all be copied to {settings.checkpoints}/tiny/{record.training_id}: "
    )


# -- a worker whose disk nobody sees
def test_a_record_travels_as_bytes(unet, settings, ran, monkeypatch, tmp_path):
    monkeypatch.setattr(ray_worker.RemoteProgress, "tell", lambda self: None)
    job = job_of(unet, settings)
    packed = ray_worker.work(job, settings, None)
    assert isinstance(packed, bytes)
    assert not list(settings.out.glob("tiny/trials/*"))  # it worked elsewhere, and left nothing
    (record,) = running.import_records(job, packed, settings)
    assert record.final == ran[1][1].final
    assert any(record.gallery.glob("*.png"))
    (again,) = running.import_records(job, ray_worker.work(job, settings, None), settings)
    assert again.attempt == record.attempt  # the first counts
    replacing = dataclasses.replace(job, replaces=frozenset([record.attempt, record.judged]))
    (other,) = running.import_records(replacing, ray_worker.work(job, settings, None), settings)
    assert other.attempt != record.attempt  # unless it is to be replaced


def test_weights_travel_to_whoever_judges_them(unet, settings, monkeypatch):
    """To a node that sees no disk of ours; it trains nothing, and only the judgement is new."""
    monkeypatch.setattr(ray_worker.RemoteProgress, "tell", lambda self: None)
    record = make(unet, settings)
    other = dataclasses.replace(unet, task=dataclasses.replace(unet.task, options={**unet.task.options, "metrics": ("psnr", "gmsd")}))
    job = ray_engine._pack(job_of(other, settings), settings)
    assert job.packed is not None
    monkeypatch.setattr(Attempt, "run", lambda self: pytest.fail("it is trained"))
    (judged,) = running.import_records(job, ray_worker.work(job, settings, None), settings)
    assert (judged.attempt, list(judged.final)) == (record.attempt, ["psnr", "gmsd"])
    assert judged.final["psnr"] == record.final["psnr"]
    assert running.folder_of(job, settings).attempts().keys() == {record.training_id, record.trial_id, judged.trial_id}


# -- what cannot be
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nowhere://x", "cannot use --checkpoints nowhere://x: Protocol not known: nowhere"),
        ("s3://bucket/x", "cannot use --checkpoints s3://bucket/x: Install s3fs to access S3"),
    ],
)
def test_storage_that_is_not_there(url, says, tmp_path, capsys):
    assert runner.main(["--suite", "toy2d", "--tier", "smoke", "--out", str(tmp_path / "out"), "--checkpoints", url]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_is_found_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert checkpoint_mirror.normalise_url("copies/") == f"file://{tmp_path}/copies"
    assert checkpoint_mirror.normalise_url("memory://copies/") == "memory://copies"


def test_ranks_share_a_disk():
    from bench.commands.options import RunOptions, settings_of

    with pytest.raises(UsageError, match="--ranks and --checkpoints exclude each other"):
        settings_of(RunOptions(suite="toy2d", ranks=2, workers=2, checkpoints=os.curdir))
