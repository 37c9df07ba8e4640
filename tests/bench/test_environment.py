"""What a record says of the commit: the one of this project, or none."""

import shutil
import subprocess

import pytest

from bench.running import environment

git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit in the place of the project's; and how to give it a command."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    root = (tmp_path / "own").resolve()
    (root / "inside").mkdir(parents=True)
    monkeypatch.setattr(environment, "ROOT", root)

    def run(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    run("init")
    (root / "tracked").write_text("1")
    run("add", ".")
    run("commit", "-m", "first")
    return root, run


@git
def test_the_commit_and_whether_files_differ_from_it(repository):
    root, run = repository
    head = run("rev-parse", "HEAD")
    assert environment._commit() == head
    (root / "untracked").touch()
    assert environment._commit() == head
    (root / "tracked").write_text("2")
    assert environment._commit() == f"{head}-dirty"


@git
def test_a_repository_around_the_project_is_not_its_own(repository, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", repository[0] / "inside")
    assert environment._commit() == "unknown"


@git
def test_without_a_repository_or_a_commit(tmp_path, repository, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.resolve()))
    monkeypatch.setattr(environment, "ROOT", tmp_path.resolve())
    assert environment._commit() == "unknown"
    subprocess.run(["git", "init"], cwd=tmp_path, check=True, capture_output=True)
    assert environment._commit() == "unknown"


def test_without_git_a_trial_runs_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment._environment.__wrapped__("cpu")["git"] == "unknown"
