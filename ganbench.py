"""ganbench in notebooks and scripts: `run` a suite, `score` what exists, `load` what was trained, `results` as DataFrames, a `metric`.

    import ganbench

    board = ganbench.run("deblur", tier="smoke")             # trains what is not on record; shows itself as a table
    board.per_image                                          # pandas: a line a score of a picture
    ganbench.score("restored/", "sharp/").means              # {"psnr": 24.96, "ssim": 0.58}
    ganbench.metric("ssim[border=4,channel=y601]")(x, y)     # one value a picture
    ganbench.load("3f2a").restore(picture)                   # a recorded trial, or "dncnn[weights=net.pth]"

Pictures are numpy arrays H x W, H x W x C or N x H x W x C, or torch tensors C x H x W or N x C x H x W; 8 bits (uint8), or floats in
[0, 1]. Nothing is printed unless `verbose`. Bad input raises `UsageError`, what is not on this machine `Unavailable`, each with one line
that says what to do.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import bench  # noqa: F401  (first: it sets the environment that libraries read when they are imported)
from bench.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from bench.inference.arrays import Pictures
    from bench.inference.direct import Metric, Scored
    from bench.inference.model import Model
    from reports.frames import Results

__all__ = ["Unavailable", "UsageError", "load", "metric", "results", "run", "score"]


def run(
    suite: str, *, tier: str = "quick", methods: str | Sequence[str] = (), seeds: str | None = None,
    set: str | Sequence[str] | Mapping[str, object] = (), out: str | Path = "runs", data_root: str | Path | None = None,
    device: str = "auto", precision: str | None = None, channels_last: bool | None = None, compile: bool | None = None,
    cuda_graphs: bool | None = None, tracking_uri: str | None = None, verbose: bool = False,
) -> Results:  # fmt: skip
    """Train and judge what is not on record yet, as `runner.py --suite` does; the report is written, too.

    Args:
        suite: its name or TOML file.
        tier: smoke, quick, standard or paper.
        methods: specs instead of the suite's own.
        seeds: how many ("3"), or which ("0,4,7").
        set: "key=value" for the task or for methods that have it, "method.key=value" for one; or a mapping.
        out: where results go.
        data_root: folder of data sets (default: GANBENCH_DATA).
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: of networks in training: fp32, tf32 or bf16; None: as the tier or the device has it. Judging is float32.
        channels_last: whether training lays pictures out as N x H x W x C in memory; None: as the tier has it.
        compile: whether networks are compiled for training; None: as the tier has it.
        cuda_graphs: whether updates are launched as CUDA graphs where they can be; None: as the tier has it.
        tracking_uri: the MLflow store (default: MLFLOW_TRACKING_URI, else OUT/mlflow.db).
        verbose: whether to print what the command prints.

    Returns:
        The rows on record, those asked for among them. A trial that failed is there with its outcome and reason.

    Raises:
        UsageError: bad input; nothing was run.
        Unavailable: the data of the suite are not here.
        KeyboardInterrupt: it was stopped; everything is saved, the same call goes on.
    """
    from rich.console import Console

    from bench.commands.arguments import RunOptions
    from bench.commands.run import run_suite
    from bench.text import open_console

    options = RunOptions(
        suite=suite, tier=tier, methods=_listed(methods), seeds=seeds, overrides=_listed(set), out=Path(out),
        data_root=_data_root(data_root), device=device, tracking_uri=tracking_uri, precision=precision, channels_last=channels_last,
        compile=compile, cuda_graphs=cuda_graphs,
    )  # fmt: skip
    with _process_left_as_it_was():
        code = run_suite(options, open_console() if verbose else Console(quiet=True))
    if code == 130:  # what a shell makes of Ctrl-C
        raise KeyboardInterrupt
    return results(suite, tier=tier, out=out, tracking_uri=tracking_uri)


def results(suite: str, *, tier: str | None = None, out: str | Path = "runs", tracking_uri: str | None = None) -> Results:
    """What is on record of a suite, at a tier or that of the newest trial.

    Raises:
        UsageError: nothing is on record, or the store cannot be read.
    """
    from bench.store.mlflow_store import Store
    from bench.suites.read import load_suite
    from reports.frames import Results

    known = load_suite(suite)
    with _process_left_as_it_was(), tempfile.TemporaryDirectory() as scratch:
        records = Store(known.name, Path(out), tracking_uri).leaderboard_records(tier, Path(scratch))
    return Results(known.title, records, {table.name: table.sort for table in known.tables})


def score(
    restored: str | Path | Pictures, truth: str | Path | Pictures, *, metrics: str | Sequence[str] = ("psnr", "ssim"),
    profile: str = "default", match: str = "{}",
) -> Scored:  # fmt: skip
    """Compare restored pictures with the true ones; nothing is written and no store is asked.

    Args:
        restored: a folder, matched with `truth` by names, or a file; or pictures.
        truth: the same.
        metrics: "psnr" and "ssim" as the profile means them; or specs such as "gmsd".
        profile: whose convention; "all": each of them.
        match: how restored files are called, such as "{}_restored".

    Raises:
        UsageError: files or shapes that do not belong together.
        Unavailable: none of the metrics can be computed here.
    """
    from bench.inference import direct

    if isinstance(restored, (str, Path)) and isinstance(truth, (str, Path)):
        return direct.score_files(Path(restored).expanduser(), Path(truth).expanduser(), tuple(_listed(metrics)), profile, match)
    if isinstance(restored, (str, Path)) or isinstance(truth, (str, Path)):
        raise UsageError("give files on both sides, or pictures on both sides")
    return direct.score_pictures(restored, truth, tuple(_listed(metrics)), profile)


def metric(spec: str) -> Metric:
    """A metric by its spec, such as "psnr" or "ssim[border=4,channel=y601]" (see `runner.py list`).

    Raises:
        UsageError: no such metric or option, or it does not compare pictures.
        Unavailable: it needs weights that are not here.
    """
    from bench.inference.direct import make_metric

    return make_metric(spec)


def load(
    name: str, *, out: str | Path = "runs", tracking_uri: str | None = None, data_root: str | Path | None = None, device: str = "cpu",
    task: str = "",
) -> Model:  # fmt: skip
    """A recorded trial at its last weights, or a method with published weights.

    Args:
        name: a trial's id or its beginning, an MLflow run's id; or a spec such as "median" or "dncnn[weights=net.pth]".
        out: output folder of the trial.
        tracking_uri: the store (default: MLFLOW_TRACKING_URI, else OUT/mlflow.db).
        data_root: folder of data sets (default: GANBENCH_DATA).
        device: where the networks live.
        task: of a spec, what it is built for; empty: the first of the usual tasks that it fits.

    Raises:
        UsageError: no such trial or method, or it was never trained.
        Unavailable: it needs something that is not on this machine.
    """
    from bench.inference.load import load_with_origin
    from bench.inference.model import Model

    return Model(load_with_origin(name, Path(out), tracking_uri, _data_root(data_root), device, task))


def _listed(given: str | Sequence[str] | Mapping[str, object]) -> list[str]:
    """One string, several, or a mapping as "key=value" strings."""
    if isinstance(given, Mapping):
        return [f"{key}={value if isinstance(value, str) else repr(value)}" for key, value in given.items()]
    return [given] if isinstance(given, str) else list(given)


def _data_root(given: str | Path | None) -> Path | None:
    """The folder of data sets, as given or as GANBENCH_DATA names it. Raises UsageError where it is no folder."""
    from bench.commands.options import data_root_of

    found = given or os.environ.get("GANBENCH_DATA")
    return data_root_of(Path(found)) if found else None


@contextlib.contextmanager
def _process_left_as_it_was() -> Iterator[None]:
    """What a run sets for its process, put back: two calls do not disturb each other."""
    import torch

    environment, threads, strict = dict(os.environ), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(environment)
