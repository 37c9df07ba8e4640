"""What the record says about where a trial ran."""

from __future__ import annotations

import functools
from collections.abc import Mapping


def environment(device: str) -> dict[str, str]:
    """Versions, machine, device, threads, commit."""
    return dict(_environment(device))


@functools.cache
def _environment(device: str) -> Mapping[str, str]:
    import platform
    import subprocess
    from importlib.metadata import version

    import torch

    from bench.registry import ROOT

    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "scikit-learn", "mlflow", "ultralytics", "pycocotools")
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or platform.machine()
    about = {"python": platform.python_version(), "platform": platform.platform(), "device": device, "device_name": name}
    return about | {"threads": str(torch.get_num_threads()), "git": git.stdout.strip() or "unknown"} | {p: version(p) for p in packages}
