"""Our `datasets` and `reports` live beside packages of the same names; what is installed is asked for, pinned and enough."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.commands import doctor
from bench.errors import Unavailable
from bench.features import inception

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import bench
import datasets
import mlflow, torchmetrics, torch_fidelity
import torchmetrics.image, torchmetrics.detection
from bench import registry
from bench.detectors import _ultralytics
registry.make("detector", "digit_yolo").require()
import torch
registry.make("detector", "digit_yolo")(torch.rand(1, 3, 64, 64))
assert "ultralytics" in __import__("sys").modules
import datasets.photos, methods, reports, mlflow.data
for module in (datasets, datasets.photos, methods, reports, bench):
    print(module.__file__ or list(module.__path__)[0])
print(len(datasets.photos.Photos().open(None, "test")))
"""


def test_everything_in_one_process():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *files, count = done.stdout.split()
    assert [Path(f).relative_to(ROOT).parts[0] for f in files] == ["datasets", "datasets", "methods", "reports", "bench"]
    assert count == "11"


def test_what_is_asked_for_is_pinned_too():
    project = _pyproject()["project"]
    asked = [Requirement(line) for line in itertools.chain(project["dependencies"], *project["optional-dependencies"].values())]
    pins = {
        canonicalize_name(name): version for name, version in (line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    }
    assert {canonicalize_name(r.name) for r in asked} <= pins.keys()
    assert [str(r) for r in asked if not r.specifier.contains(pins[canonicalize_name(r.name)])] == []


def test_the_packages_that_tests_skip_without_are_asked_for():
    sought = {name for file in ROOT.glob("tests/**/*.py") for name in re.findall(r"importorskip\(\"(\w+)", file.read_text())}
    project = _pyproject()["project"]
    asked = {Requirement(line).name for line in project["optional-dependencies"]["test"]}
    assert sought - asked == {"pywt"}  # pywavelets
    assert "pywavelets" in asked


# -- what is installed
def _pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_wheel_holds_our_packages_alone(tmp_path):
    from setuptools.discovery import PEP420PackageFinder

    for name in ("benchmarks", "bench_old", "datasets2", "methods-mine", "reports/runs", "bench/tasks/more"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    include = _pyproject()["tool"]["setuptools"]["packages"]["find"]["include"]
    assert set(PEP420PackageFinder.find(str(tmp_path), include=include)) == {
        "reports",
        "reports.runs",
        "bench",
        "bench.tasks",
        "bench.tasks.more",
    }
    found = PEP420PackageFinder.find(str(ROOT), include=include)
    assert {name.partition(".")[0] for name in found} == {"bench", "datasets", "methods", "reports"}
    assert {"bench.tasks", "bench.claims", "datasets.degrade", "methods.losses.adversarial"} <= set(found)


def test_every_table_travels_with_its_package():
    patterns = _pyproject()["tool"]["setuptools"]["package-data"]
    for package in ("bench", "datasets", "reports"):
        tables = set((ROOT / package).rglob("*.toml"))
        assert tables == {file for pattern in patterns[package] for file in (ROOT / package).glob(pattern)} & tables


def test_extras_bring_what_doctor_looks_for():
    extras = _pyproject()["project"]["optional-dependencies"]
    first = {extra: re.split("[>=<]", needs[0])[0] for extra, needs in extras.items() if extra != "test"}
    assert first == doctor.EXTRAS


def test_a_package_that_is_missing_is_told_with_its_extra(monkeypatch):
    monkeypatch.setattr(inception, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "torch_fidelity" else object())
    with pytest.raises(Unavailable, match=re.escape("torch-fidelity: pip install 'ganbench[fid]'")):
        inception.Inception().require()
    others = ", ".join(package for package in doctor.EXTRAS.values() if package != "torch-fidelity")
    assert doctor._extras() == f"found {others}; missing torch-fidelity (pip install 'ganbench[fid]')"


# -- others of the same name
def start(folder, *path):
    """What a runner in that folder says, with these folders on Python's path."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONSAFEPATH": "1",
    }  # as an installed script: not its own folder first
    done = subprocess.run(
        [sys.executable, str(folder / "runner.py"), "--help"], capture_output=True, text=True, env=environment, cwd=folder
    )
    assert done.stderr.count("\n") == (done.returncode == 2)
    return done.returncode, done.stderr


@pytest.fixture
def tree(tmp_path):
    """Ours, as far as `--help` needs it."""
    folder = tmp_path / "ours"
    for name in ("datasets", "methods", "reports"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").touch()
    (folder / "bench" / "external").mkdir(parents=True)
    for file in (
        "runner.py",
        "bench/__init__.py",
        "bench/external/safety.py",
        "bench/external/__init__.py",
        "bench/errors.py",
        "bench/text.py",
    ):
        shutil.copy(ROOT / file, folder / file)
    return folder


@pytest.mark.parametrize("name", ["datasets", "bench"])
def test_another_package_of_the_name_is_refused(tree, tmp_path, name):
    assert start(tree, tree)[0] == 0
    theirs = tmp_path / "theirs" / name
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("raise RuntimeError('never run')")
    code, said = start(tree, theirs.parent, tree)
    assert code == 2
    assert said.startswith(
        f"error: the package {name!r} that Python finds is at {theirs}, ours at {tree / name}: use an environment without the other"
    )
    assert start(tree, tree, theirs.parent)[0] == 0  # ours comes first: theirs is not asked


def test_another_package_in_the_same_folder_is_refused(tree):
    """What pip does without a word where both are installed into one environment."""
    about = tree / "datasets-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: datasets\nVersion: 9.9\n")
    code, said = start(tree, tree)
    assert code == 2
    assert said.startswith("error: the package 'datasets': ours and that of datasets 9.9 lie in one folder, ")
    assert "`pip uninstall ganbench datasets`, then install each into an environment of its own" in said
