"""`runner.py doctor`, `data` and `weights`: what is here, what is missing, how to get it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bench.errors import Unavailable, UsageError
from bench.text import open_console

EXTRAS = {
    "ct": "pydicom",
    "keras": "h5py",
    "export": "onnxscript",
    "fid": "torch-fidelity",
    "ray": "ray",
    "tune": "optuna",
}  # of pyproject.toml -> the package that it brings


def print_report(root: Path | None, out: Path, tracking_uri: str | None) -> int:
    """Check everything a suite needs. Returns 1 where something that every run needs is missing."""
    console = open_console()
    failed = 0
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} on {platform.platform()}",
        "packages": _packages,
        "extras": _extras,
        "torch": _torch,
        "GPU": _gpu,
        "memory": _memory,
        "disk": lambda: _disk(out),
        "threads": _threads,
        "detector": _detector,
        "data": lambda: _data(root),
        "weights": _weights,
        "store": lambda: _store(out, tracking_uri),
    }
    for title, check in checks.items():
        try:
            console.print(f"{title:9} {check()}")
        except (UsageError, Unavailable, ImportError, PackageNotFoundError) as error:
            failed = 1
            console.print(f"{title:9} PROBLEM: {error}")
    return failed


def print_data(root: Path | None) -> None:
    """Every data set: found where, how many items a split, or how to get it."""
    from bench.commands import fetch
    from datasets.reading.inventory import inventory

    console = open_console()
    for row in inventory(root):
        how = f"\n{'':13} or run `runner.py data fetch {row.name}`" if not row.found and row.name in fetch.remotes() else ""
        counts = ", ".join(f"{split} {'any number' if n is None else n}" for split, n in row.counts.items()) if row.counts else "not found"
        console.print(f"{row.name:13} {counts}\n{'':13} {row.where}{how}\n{'':13} licence: {row.licence}")


def print_weights() -> None:
    """Every pretrained weight: found where, or how to get it and where to put it."""
    from bench.external import weights

    console = open_console()
    wide = max(map(len, weights.manifest()))
    for row in weights.inventory():
        how = f", or run `runner.py weights fetch {row.weight.id}`" if row.weight.direct else ""
        where = str(row.path) if row.path else f"not found: get {row.weight.filename} from {row.weight.url}{how}"
        use = f"for {', '.join(row.weight.used_by)}; licence: {row.weight.licence}"
        console.print(f"{row.weight.id:{wide}} {where}\n{'':{wide}} {use}")
    console.print(f"looked for in {', '.join(map(str, weights.folders()))}")


def _packages() -> str:
    names = ("numpy", "torchvision", "scikit-image", "scikit-learn", "mlflow", "ultralytics", "pycocotools", "lpips")
    return ", ".join(f"{name} {version(name)}" for name in names)


def _extras() -> str:
    missing = [
        f"{package} (pip install 'ganbench[{extra}]')" for extra, package in EXTRAS.items() if not find_spec(package.replace("-", "_"))
    ]
    found = [package for package in EXTRAS.values() if find_spec(package.replace("-", "_"))]
    return f"found {', '.join(found) or 'none'}" + (f"; missing {', '.join(missing)}" if missing else "")


def _torch() -> str:
    import torch

    return f"{torch.__version__}, CUDA build {torch.version.cuda or 'none'}"


def _gpu() -> str:
    import torch

    count = torch.cuda.device_count()
    names = [f"{torch.cuda.get_device_name(i)} ({torch.cuda.get_device_properties(i).total_memory / 2**30:.0f} GiB)" for i in range(count)]
    return ", ".join(names) or ("Apple MPS" if torch.backends.mps.is_available() else "none: suites run on the CPU at tier quick")


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _disk(out: Path) -> str:
    place = next(p for p in (out.resolve(), *out.resolve().parents) if p.exists())
    return f"{shutil.disk_usage(place).free / 2**30:.0f} GiB free at {place}"


def _threads() -> str:
    import torch

    return f"{torch.get_num_threads()} of {os.cpu_count()} cores, OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY')}"


def _detector() -> str:
    from bench import registry

    detector = registry.make("detector", "digit_yolo")
    detector.require()
    return f"digit_yolo {detector.fingerprint()}"


def _data(root: Path | None) -> str:
    from datasets.reading.inventory import inventory

    if root is not None and not root.is_dir():
        raise UsageError(f"the data root {root} is no folder")
    return _list_found({row.name: row.found for row in inventory(root)}, "runner.py data")


def _weights() -> str:
    from bench.external import weights

    return _list_found({row.weight.id: row.path is not None for row in weights.inventory()}, "runner.py weights")


def _list_found(rows: dict[str, bool], where: str) -> str:
    found, missing = ([name for name, here in rows.items() if here is wanted] for wanted in (True, False))
    return f"found {', '.join(found) or 'none'}" + (f"; missing {', '.join(missing)} (see {where})" if missing else "")


def _store(out: Path, tracking_uri: str | None) -> str:
    import tempfile

    from bench.store.mlflow_store import Store

    if tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or (out / "mlflow.db").is_file():
        return f"{Store('doctor', out, tracking_uri).uri} answers"
    with tempfile.TemporaryDirectory() as folder:
        Store("doctor", Path(folder))
    return f"will be made at {out / 'mlflow.db'}"
