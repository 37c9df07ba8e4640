"""How long an update waits for its batch: 1,000 photographs of 1280 x 720 in a folder, batches of 8 crops of 256 x 256.

Usage: python -m benchmarks.pipeline [batches]

Decoding every picture whenever it is drawn is what a plain loader does; decoded once is what the tasks do from the second draw of a picture
on. Both are told as shares of an update of `unet` on this machine. Last, a device that takes 20 ms an update while threads read ahead: the
share of updates whose batch was not there yet. The folder (about 1.4 GB as raw pixels, 100 MB as files) is temporary.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import bench  # noqa: F401  (sets the environment before torch is used)
from bench import registry
from bench.task import Stream, Task
from bench.training.read_ahead import ReadAhead

BATCH, CROP, PICTURES, FILES = 8, 256, 1000, 25
DEVICE = 0.020  # seconds an update


def main(batches: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        _paint(Path(folder))
        task = _task(folder)
        update = statistics.median(_seconds(_updates(task), 6)[2:])
        print("| batch of 8 crops | ms | share of an update of unet |\n|---|---:|---:|")
        print(f"| an update of unet, without its batch | {1e3 * update:.0f} | |")
        plain = _task(folder)
        plain._crops.decoded._room = 0  # nothing is kept
        _tell("every picture decoded when it is drawn", _seconds(Stream(plain, 0, BATCH), batches), update)
        for index in range(len(task._crops.pictures)):
            task._crops.decoded.read(index)
        _tell("decoded once", _seconds(Stream(task, 0, BATCH), batches), update)
        print(f"\nA device of {1e3 * DEVICE:.0f} ms an update, {max(1, (os.cpu_count() or 1) - 1)} thread(s):")
        for name, one in (("decoded once", task), ("every picture decoded when it is drawn", plain)):
            print(f"- {name}: waits {_stalled(one, batches):.0%} of the time")


def _paint(folder: Path) -> None:
    """A few photographs, each under many names: a file is decoded again whatever it is called."""
    rng = np.random.default_rng(0)
    for i in range(FILES):
        coarse = Image.fromarray(rng.integers(0, 256, (45, 80, 3), np.uint8)).resize((1280, 720), Image.Resampling.BICUBIC)
        grain = np.asarray(coarse, np.int16) + rng.integers(-4, 5, (720, 1280, 3))
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        for j in range(1, PICTURES // FILES):
            os.link(folder / f"{i}.png", folder / f"{i}_{j}.png")


def _task(folder: str) -> Task:
    task: Task = registry.make("task", f'denoise[data="folder[path={folder}]",crop={CROP},channels=3]')
    task.open(None, torch.device("cpu"))
    return task


def _updates(task: Task) -> object:
    """One an update, all from one batch."""
    method = registry.make("method", "unet[steps=99,batch_size=8]")(task)
    batch = next(Stream(task, 0, BATCH))
    return method.train(iter(lambda: batch, None))


def _seconds(iterator: object, count: int) -> list[float]:
    found = []
    for _ in range(count):
        start = time.perf_counter()
        next(iterator)  # type: ignore[call-overload]
        found.append(time.perf_counter() - start)
    return found


def _tell(name: str, seconds: list[float], update: float) -> None:
    wait = statistics.median(seconds[1:])
    print(f"| {name} | {1e3 * wait:.1f} | {wait / update:.1%} |", flush=True)


def _stalled(task: Task, batches: int) -> float:
    """The share of time that a device waits, after the first batches."""
    stream = ReadAhead(task, 1, BATCH, threads=max(1, (os.cpu_count() or 1) - 1))
    waited = 0.0
    for i in range(batches + 4):
        waited += _seconds(stream, 1)[0] if i >= 4 else 0 * _seconds(stream, 1)[0]
        time.sleep(DEVICE)
    stream.close()
    return waited / (waited + batches * DEVICE)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
