"""`import bench` makes the environment safe, quickly; files cannot run code."""

import json
import os
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
from _hostile import Hostile, in_hub

import bench  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXPECTED = {
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "ULTRALYTICS_SAFE_LOAD": "1", "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "true",
    "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000", "MPLBACKEND": "Agg", "YOLO_VERBOSE": "false",
}  # fmt: skip


def fresh(code, **env):
    """Run code in a new interpreter that has none of the variables."""
    clean = {k: v for k, v in os.environ.items() if k not in EXPECTED and k != "YOLO_CONFIG_DIR"}
    done = subprocess.run([sys.executable, "-c", code], env={**clean, **env}, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_environment_after_import():
    code = "import json, os, sys, bench; print(json.dumps([dict(os.environ), sorted({'torch', 'numpy', 'mlflow'} & set(sys.modules))]))"
    environment, heavy = fresh(code)
    assert {k: environment.get(k) for k in EXPECTED} == EXPECTED
    assert heavy == []  # instant


def test_guards_are_forced_and_convenience_yields():
    code = "import json, os, bench; print(json.dumps(dict(os.environ)))"
    environment = fresh(code, ULTRALYTICS_SAFE_LOAD="0", TORCH_FORCE_WEIGHTS_ONLY_LOAD="0", MPLBACKEND="pdf", OMP_WAIT_POLICY="ACTIVE")
    assert environment["ULTRALYTICS_SAFE_LOAD"] == environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert (environment["MPLBACKEND"], environment["OMP_WAIT_POLICY"]) == ("pdf", "ACTIVE")
    assert "GOMP_SPINCOUNT" not in environment  # it would undo ACTIVE


def test_ultralytics_settings(tmp_path):
    code = f"""
import json, os, pathlib
from bench.external.safety import ultralytics_settings
ultralytics_settings(pathlib.Path({str(tmp_path)!r}))
from ultralytics import SETTINGS
from ultralytics.utils.events import events
print(json.dumps([dict(SETTINGS), events.enabled]))
"""
    settings, events = fresh(code)
    assert not events
    assert not any(settings[k] for k in ("sync", "mlflow", "clearml", "comet", "raytune", "dvc"))
    assert all(settings[f"{k}_dir"].startswith(str(tmp_path)) for k in ("weights", "runs", "datasets"))


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A pickle that creates a folder when it is loaded, in the place where torch hub keeps AlexNet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    yield in_hub(tmp_path / "torch", "alexnet-owt-7be5be79.pth", tmp_path / "owned")
    assert not (tmp_path / "owned").exists()


def test_the_pickle_is_hostile(tmp_path):
    pickle.loads(pickle.dumps(Hostile(tmp_path / "owned")))
    assert (tmp_path / "owned").is_dir()


def test_torch_load(hostile):
    for options in ({}, {"weights_only": True}):
        with pytest.raises(pickle.UnpicklingError):
            torch.load(hostile, **options)


def test_torchvision_from_hub_cache(hostile):
    import torchvision

    with pytest.raises(pickle.UnpicklingError):
        torchvision.models.alexnet(weights="IMAGENET1K_V1")


def test_lpips_backbone_from_hub_cache(hostile):
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's deprecated keyword
        with pytest.raises(pickle.UnpicklingError):
            lpips.LPIPS(net="alex", verbose=False)
