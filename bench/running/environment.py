"""What the record says about where a trial ran."""

from __future__ import annotations

import contextlib
import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.registry import ROOT


def environment(device: str) -> dict[str, str]:
    """Versions, machine, device, threads, commit."""
    return dict(_environment(device))


@functools.cache
def _environment(device: str) -> Mapping[str, str]:
    import platform
    from importlib.metadata import version

    import torch

    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "scikit-learn", "mlflow", "ultralytics", "pycocotools")
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or platform.machine()
    about = {"python": platform.python_version(), "platform": platform.platform(), "device": device, "device_name": name}
    on_gpu = {"cuda": str(torch.version.cuda)} if device.startswith("cuda") else {}
    about |= {"cpu_capability": torch.backends.cpu.get_cpu_capability(), **on_gpu}
    return about | {"threads": str(torch.get_num_threads()), "git": _commit()} | {p: version(p) for p in packages}


def _commit() -> str:
    """The commit, with `-dirty` where tracked files differ from it; `unknown` without git or outside a repository of the project's own."""
    with contextlib.suppress(OSError):  # no git here
        match _git("rev-parse", "--show-toplevel", "--verify", "HEAD").splitlines():
            case [top, head] if Path(top) == ROOT:  # it may be installed inside another project's repository
                return head + "-dirty" * bool(_git("status", "--porcelain", "--untracked-files=no"))
    return "unknown"


def _git(*words: str) -> str:
    command = ["git", "--no-optional-locks", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, errors="surrogateescape", check=False).stdout
