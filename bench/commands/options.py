"""The meaning of the options of a run: each is checked before anything runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import torch

from bench.commands.arguments import RunOptions
from bench.errors import UsageError
from bench.judging.judge import KeepWeights
from bench.running.settings import Settings
from bench.store import checkpoint_mirror
from bench.suites.schema import TIERS, Tier, TierName
from bench.training.compute import Compute, Precision
from bench.training.out_of_memory import OnOOM


def settings_of(options: RunOptions) -> Settings:
    """Where and how trials run.

    Raises:
        UsageError: an option that means nothing here, or excludes another.
    """
    if options.workers and options.ray:
        raise UsageError("--workers starts Ray on this machine, --ray uses a cluster that runs: give one of them")
    if options.ranks > 1 and not (options.workers or options.ray):
        raise UsageError("--ranks shares every trial out among processes of Ray: give --workers or --ray too")
    if options.ranks > 1 and options.on_oom != "fail":
        raise UsageError("--ranks and --on-oom exclude each other: more ranks make the share of each smaller")
    if options.ranks > 1 and options.checkpoints:
        raise UsageError("--ranks and --checkpoints exclude each other: ranks share an --out on storage that all nodes see")
    return Settings(
        out=options.out, device=resolve_device(options.device, elsewhere=options.ray is not None),
        data_root=data_root_of(options.data_root), deterministic=options.deterministic,
        max_seconds=_require_positive("--max-seconds", options.max_seconds), threads=options.threads,
        plugins=tuple(p.resolve() for p in options.plugins),
        on_oom=_require_choice("--on-oom", options.on_oom, OnOOM), ranks=options.ranks, strict_environment=options.strict_environment,
        save_outputs=options.save_outputs,
        keep_weights=_require_choice("--keep-weights", options.keep_weights, KeepWeights),
        checkpoints=None if options.checkpoints is None else checkpoint_mirror.normalise_url(options.checkpoints),
    )  # fmt: skip


def compute_of(options: RunOptions, tier: Tier, device: torch.device) -> Compute:
    """How networks compute in training: as the command line says, else as the tier does.

    Raises:
        UsageError: the device, or so many ranks, cannot do it.
    """
    if options.precision is not None:
        _require_choice("--precision", options.precision, Precision)
    names = [field.name for field in dataclasses.fields(Compute)]
    compute = Compute(**{name: getattr(tier, name) if (given := getattr(options, name)) is None else given for name in names})
    compute.check(device, options.ranks)
    return compute


def resolve_device(name: str, elsewhere: bool = False) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps` -> a device that is here.

    Args:
        name: of the device.
        elsewhere: whether trials run on other machines, which have what this one may lack.

    Raises:
        UsageError: no such device; the message says what there is.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"  # mps only when asked for: it lacks float64
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}; give auto, cpu, cuda, cuda:N or mps") from None
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count and not elsewhere:
        raise UsageError(
            f"no device {name}: {f'there are cuda:0 to cuda:{count - 1}' if count else 'torch finds no CUDA GPU; use --device cpu'}"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("no device mps: torch finds no Apple GPU; use --device cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"device {name!r} is not supported; give auto, cpu, cuda, cuda:N or mps")
    return device


def tier_of(name: str | None, device: torch.device) -> TierName:
    """The tier as given; standard on a GPU, quick elsewhere.

    Raises:
        UsageError: no such tier.
    """
    if name is None:
        return "standard" if device.type == "cuda" else "quick"
    for tier in TIERS:
        if name == tier:
            return tier
    raise UsageError(f"unknown tier {name!r}; known: {', '.join(TIERS)}")


def seeds_of(text: str | None) -> list[int] | None:
    """`3` -> [0, 1, 2], `0,4,7` -> [0, 4, 7]; None: the tier's own.

    Raises:
        UsageError: neither, a negative one, or one twice.
    """
    if text is None:
        return None
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--seeds {text!r}: give how many (3) or which (0,4,7)") from None
    if len(numbers) == 1 and numbers[0] > 1000:
        raise UsageError(f"--seeds {text!r}: that many? give how many (3) or which (0,4,7)")
    seeds = numbers if "," in text else list(range(numbers[0]))
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds {text!r}: give at least one seed, none negative, none twice")
    return seeds


def data_root_of(path: Path | None) -> Path | None:
    """The folder of data sets, which weights are looked for in too.

    Raises:
        UsageError: it is no folder.
    """
    if path is None:
        return None
    if not path.is_dir():
        raise UsageError(f"the data root {path} is no folder: mend --data-root or GANBENCH_DATA, or leave it out to use the bundled data")
    return path.resolve()


def _require_choice(name: str, value: str, choices: Any) -> Any:
    known = get_args(choices)
    if value not in known:
        raise UsageError(f"{name} {value!r}: give {', '.join(known[:-1])} or {known[-1]}")
    return value


def _require_positive(name: str, value: float | None) -> float:
    if value is not None and not value > 0:
        raise UsageError(f"{name} must be positive, not {value}")
    return float("inf") if value is None else value
