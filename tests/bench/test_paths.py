"""Folders may be called anything: what means something in a URL, to Rich or to a spreadsheet is a name like others there."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from conftest import Bench
from mlflow import MlflowClient

import runner
from bench.errors import UsageError
from bench.store import checkpoint_mirror
from bench.store.checkpoint_mirror import RemoteMirror
from bench.store.mlflow_connection import store_uri
from bench.store.mlflow_store import Store
from bench.store.sqlite import file_of, url_of
from bench.text import path_of

NAMES = [
    "plain", "q?1", "q?2", "q", "a#b", "50%20x", "50%", "%3F", "a b", "a@b:c", "é日 ü", "a&b=c", "[bold]x", "it's \"x\"", "back\\slash",
    "a;b", "a?mode=memory&cache=shared", ":memory:", "x::y", "~", "*", "$HOME", "-", "a\u00a0b", "file:", "100%25?#é[b] c",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_database_is_where_its_name_says(tmp_path, database, name):
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    store = Store("tiny", folder)
    assert file_of(store.uri) == folder / "mlflow.db"
    assert store.queries.experiment
    with sqlite3.connect(folder / "mlflow.db") as opened:  # by its path: what it holds, no URL decided
        assert opened.execute("SELECT artifact_location FROM experiments WHERE name = 'ganbench/tiny'").fetchone() == (
            (folder / "artifacts" / "tiny").as_uri(),
        )
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "mlflow.db.lock"}
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing beside it


@pytest.mark.parametrize("name", ["q?1", "100%25?#é[b] c"])
def test_a_suite_in_such_a_folder(tmp_path, database, name, capsys):
    """It runs, is found again by every command, and MLflow shows its files."""
    bench = Bench(tmp_path / name, database=database)
    words = ["--out", str(bench.out), "--tier", "smoke"]
    assert runner.main(["--suite", str(bench.file), *words]) == 0
    said = capsys.readouterr().out
    assert f"report   {bench.out / 'tiny' / 'report' / 'index.html'}\n" in said
    assert re.search(r"--backend-store-uri '.*\?uri=true'\n", said)
    first, record = bench.store.read(bench.store.trials())
    run = bench.mlflow_run(record).info.run_id
    own = MlflowClient(store_uri(bench.out, None))  # as `mlflow ui` does
    assert "record/record.json" in {file.path for file in own.list_artifacts(run, "record")}
    assert runner.main(["report", "--suite", str(bench.file), *words, "--latex", str(tmp_path / f"{name} tex")]) == 0
    assert runner.main(["compare", run, first.trial_id, "--out", str(bench.out)]) == 0
    assert runner.main(["report", "--suite", str(bench.file), *words, "--tracking-uri", str(bench.out / "mlflow.db")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name} tex"}


def test_two_folders_never_share_a_database(tmp_path, database):
    found = {}
    for name, method in (("q?1", "identity"), ("q?2", "unet")):
        bench = Bench(tmp_path / name, database=database)
        bench.run(methods=[method])
        found[name] = [r.label for r in bench.store.read(bench.store.trials())]
    assert found == {"q?1": ["identity"], "q?2": ["unet"]}


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1b[2Jb", b"caf\xe9".decode("utf-8", "surrogateescape")])
@pytest.mark.parametrize("words", [["--suite", "toy2d", "--out"], ["report", "--suite", "toy2d", "--out"], ["doctor", "--data-root"]])
def test_names_that_cannot_be_told_are_refused_in_one_line(tmp_path, capsys, name, words):
    assert runner.main([*words, str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: the path .* holds a control character or bytes that are no text: give another one\n", said)
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="control character"):
        url_of(tmp_path / name / "mlflow.db")


def test_the_home_folder_also_where_no_shell_has_put_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert path_of(Path("~/runs")) == tmp_path / "home" / "runs"
    assert path_of(Path("runs/~")) == Path("runs/~")
    assert runner.main(["report", "--suite", "toy2d", "--out=~/runs"]) == 2
    assert f"nothing on record below {tmp_path / 'home' / 'runs'}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_database_by_its_path(tmp_path, database, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "all?.db"
    shutil.copy(database, file)
    assert store_uri(tmp_path, str(file)) == store_uri(tmp_path, "~/all?.db") == url_of(file)
    store = Store("tiny", tmp_path / "out", str(file))  # its artifacts lie beside it, whoever writes them
    assert store.client.get_experiment(store.queries.experiment).artifact_location == (tmp_path / "artifacts" / "tiny").as_uri()
    assert store_uri(tmp_path, "http://127.0.0.1:1") == "http://127.0.0.1:1"
    assert store_uri(tmp_path, f"sqlite:///{tmp_path}/other.db") == f"sqlite:///{tmp_path}/other.db"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////a/b.db", Path("/a/b.db")), ("sqlite:////a/b.db?timeout=5", Path("/a/b.db")), 
        ("sqlite+pysqlite:////a/b.db", Path("/a/b.db")), ("sqlite:///b.db", Path.cwd() / "b.db"),
        ("sqlite:///file:/a/b.db?uri=true", Path("/a/b.db")), ("sqlite://", None),
        ("sqlite:///:memory:", None), ("http://a/b.db", None), ("postgresql://u:p@h/b.db", None), ("mlruns", None), ("", None),
    ],
)  # fmt: skip
def test_which_file_a_url_names(url, file):
    assert file_of(url) == file


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_checkpoints_lie_where_the_name_says(tmp_path, monkeypatch, name):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "checkpoint.safetensors").write_text("x")
    for given in (str(tmp_path / "copies" / name), f"./{name}"):
        kept = RemoteMirror(tmp_path / "trial", f"{checkpoint_mirror.normalise_url(given)}/tiny/0")
        kept.keep(tmp_path / "trial" / "checkpoint.safetensors")
        assert kept.notes() == {}
        assert (Path(given) / "tiny" / "0" / "checkpoint.safetensors").read_text() == "x"
        there = RemoteMirror(tmp_path / "there", kept.url)
        there.fetch()
        assert (tmp_path / "there" / "checkpoint.safetensors").read_text() == "x"
        shutil.rmtree(tmp_path / "there")
        kept.drop()
        assert not (Path(given) / "tiny" / "0").exists()
    assert {path.name for path in (tmp_path / "copies").iterdir()} == {name}
    assert {path.name for path in (tmp_path / "work").iterdir()} == {name}
