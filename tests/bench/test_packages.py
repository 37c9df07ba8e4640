"""Our `datasets` and `reports` live beside the packages of others that might look for theirs; what is installed is asked for, pinned and enough."""

import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(line) for line in itertools.chain(project["dependencies"], *project["optional-dependencies"].values())]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in (ROOT / "constraints.txt").read_text().split())}
    assert {canonicalize_name(r.name) for r in asked} <= pins.keys()
    assert [str(r) for r in asked if not r.specifier.contains(pins[canonicalize_name(r.name)])] == []


def test_the_packages_that_tests_skip_without_are_asked_for():
    sought = {name for file in ROOT.glob("tests/**/*.py") for name in re.findall(r"importorskip\(\"(\w+)", file.read_text())}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {Requirement(line).name for line in project["optional-dependencies"]["test"]}
    assert sought - asked == {"pywt"}  # pywavelets
    assert "pywavelets" in asked
