"""What training and judging ask of a GPU: operations, waits of the host and copies, counted on a device that is not there.

Usage: python -m benchmarks.launches > launches.md

Of methods: the last of four updates of the toy that the contract's checks train. Of metrics of pictures: two pictures of 192 x 192; of
sets: 64 samples a side. A convolution backward, an FFT or an eigenvalue problem counts once and launches more.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import bench  # noqa: F401  (sets the environment before torch is used)
from bench import registry
from bench.conformance import checks, metric
from bench.conformance._tools import checked_on
from bench.errors import Unavailable
from bench.metric import ImageMetric, SampleMetric
from bench.task import Stream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from _shadow import Device

Row = tuple[str, int, int, int, int]


def main() -> None:
    """Print both tables."""
    _table("method", "an update", _methods())
    print()
    _table("metric", "a batch", _metrics())


def _table(what: str, each: str, rows: Iterator[Row]) -> None:
    print(f"| {what} | operations {each} | waits | copies | kB copied |\n|---|---:|---:|---:|---:|")
    for name, *numbers in rows:
        print(f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} |", flush=True)


def _methods() -> Iterator[Row]:
    for name in registry.names("method"):
        if "steps" in registry.settings(registry.find("method", name)):
            with checked_on("cuda"), Device() as gpu:
                method = checks.make(name)
                stream = Stream(method.task, 0, method.hp.batch_size)
                method.prepare(stream)
                for _ in method.train(stream):
                    row = _row(name, gpu)
                    gpu.reset()
            yield row


def _metrics() -> Iterator[Row]:
    for name in registry.names("metric"):
        with checked_on("cuda"), Device() as gpu, contextlib.suppress(Unavailable, UserWarning):
            made = registry.make("metric", name)
            if isinstance(made, ImageMetric):
                _, given = metric._judged(name)
                pair = given.rows([0, 1])
            elif isinstance(made, SampleMetric):
                _, *pair = metric._sets(name)
            else:
                continue
            made(*pair)  # constants are put on the device once
            gpu.reset()
            made(*pair)
            yield _row(name, gpu)


def _row(name: str, gpu: Device) -> Row:
    copied = gpu.counts["bytes h2d"] + gpu.counts["bytes d2h"]
    copies = sum(n for kind, n in gpu.counts.items() if kind.startswith(("h2d", "d2h")))
    return name, gpu.counts["op"], gpu.waits, copies, round(copied / 1000)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
