"""Our `datasets` and `reports` live beside the packages of others that might look for theirs."""

import subprocess
import sys
from pathlib import Path

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
