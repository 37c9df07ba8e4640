"""What must be set before torch, ultralytics or mlflow are imported: files cannot run code, nothing phones home. Standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path

_FORCED = {
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",  # torch.load, torch.hub, torchvision, lpips, torch-fidelity: no pickle runs code
    "ULTRALYTICS_SAFE_LOAD": "1",
    "YOLO_OFFLINE": "1",  # no DNS probe, no analytics
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
}
_DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads sleep: several trials share one machine
    "MPLBACKEND": "Agg",
    "YOLO_VERBOSE": "false",  # no banners
}


def harden() -> None:
    """Set the environment. Whatever guards the user's machine is forced; convenience yields to what is set already."""
    os.environ.update(_FORCED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if os.environ["OMP_WAIT_POLICY"] == "PASSIVE":
        # not at once, though: 2,000 spins make small networks 1.7 times as fast, and 1.2 times slower beside a busy process
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def ultralytics_settings(folder: Path) -> None:
    """Write ultralytics' settings below `folder` and point the library at it: to be called before its first import.

    Its analytics and its hooks into other trackers are off; its weights, runs and data stay below `folder`.
    """
    off = dict.fromkeys(("sync", "mlflow", "clearml", "comet", "raytune", "dvc", "wandb", "tensorboard", "vscode_msg"), False)
    places = {f"{kind}_dir": str(folder / kind) for kind in ("weights", "runs", "datasets")}
    for home in (folder, folder / "Ultralytics"):  # where releases up to 8.3 and later ones look
        home.mkdir(parents=True, exist_ok=True)
        (home / "settings.json").write_text(json.dumps({**off, **places}, indent=2), encoding="utf-8")
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
