"""Ultralytics behind its door, in a process of its own: no network, no name look-up, no writes outside, nothing patched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = """
import json, logging, os, sys, tempfile, warnings
import cv2, numpy, torch, PIL.Image
tempfile.tempdir = sys.argv[1]
events = []

def audit(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        events.append(f"{event} {arguments}")
    if event in ("subprocess.Popen", "os.system"):
        events.append(f"{event} {arguments[0]}")
    opened = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    written = opened or event in ("os.mkdir", "os.rename", "os.remove")
    if written and not str(arguments[0]).startswith((sys.argv[1], "/dev/null")):
        events.append(f"{event} {arguments[0]}")

def state():
    return {
        "environment": dict(os.environ),
        "functions": [repr(f) for f in (torch.save, torch.load, PIL.Image.open, cv2.imread, cv2.imwrite, cv2.imshow)],
        "threads": [torch.get_num_threads(), cv2.getNumThreads()],
        "filters": [repr(f) for f in warnings.filters],
        "printing": [repr(torch._tensor_str.PRINT_OPTS), repr(numpy.get_printoptions())],
    }

from bench.detectors import _ultralytics, digit_yolo
import torchvision
before = state()
sys.addaudithook(audit)
assert "ultralytics" not in sys.modules
digit_yolo.DigitYolo()(torch.zeros(1, 3, 128, 128))
assert "ultralytics" in sys.modules
from ultralytics.utils import SETTINGS
print(json.dumps({"events": events, "before": before, "after": state(), "settings": dict(SETTINGS)}))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    private, home = tmp_path_factory.mktemp("private"), tmp_path_factory.mktemp("home")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("YOLO_", "PYTEST", "OMP_"))}
    environment |= {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(private)], cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout) | {"left": [str(p) for folder in (private, home) for p in folder.rglob("*")]}


def test_no_network_and_no_writes_outside_the_private_folder(report):
    assert report["events"] == []


@pytest.mark.parametrize("what", ["environment", "functions", "threads", "filters", "printing"])
def test_nothing_stays_patched(report, what):
    assert report["after"][what] == report["before"][what]


def test_every_integration_is_off(report):
    on = {k for k, v in report["settings"].items() if v is True}
    assert on <= {"openvino_msg"}  # a hint about exports


def test_the_private_folder_is_gone_at_the_end(report):
    assert [p for p in report["left"] if "ganbench" in p] == []


def test_detects_where_opencv_cannot_be_loaded(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    code = "import torch; from bench import registry; print(len(registry.make('detector', 'digit_yolo')(torch.rand(1, 3, 64, 64))))"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1", done.stderr
