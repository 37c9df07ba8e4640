"""Large sets: every picture is decoded once, and batches wait before they are asked for; they are the same batches."""

import contextlib
import itertools
import threading

import numpy as np
import pytest
import torch
from _shadow import Device
from PIL import Image

from bench import registry
from bench.dataset import Picture, PictureSet
from bench.running import train
from bench.task import Stream
from bench.tasks import _decoded, _pictures, saliency
from bench.tasks._decoded import Decoded
from bench.tasks._pictures import Crops
from bench.training.read_ahead import ReadAhead, stream_of

CPU = torch.device("cpu")
U = [[(i + 0.5) / 6, 0.3 + i / 20, 0.9 - i / 20, (i % 2) * 0.9] for i in range(6)]


class Counted:
    """Pictures of several sizes, of 8 bits or of more, alone or in pairs; how often each was read."""

    def __init__(self, levels=255, paired=True):
        rng = np.random.default_rng(0)
        self.reads = [0] * 6
        self.images = [torch.from_numpy(rng.integers(0, levels + 1, (2, 3, 20 + i, 40)).astype(np.float32)) / levels for i in range(6)]
        self.paired = paired

    def load(self, i):
        self.reads[i] += 1
        return Picture(name=f"p{i}", target=self.images[i][0], observed=self.images[i][1] if self.paired else None)

    def set(self):
        return PictureSet([f"p{i}" for i in range(6)], self.load, "f")


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(_pictures, "PRELOAD", 1)


@pytest.mark.parametrize(("levels", "paired"), [(255, True), (255, False), (65535, True)])
def test_crops_of_a_large_set_are_those_of_a_small_one_and_each_picture_is_read_once(monkeypatch, levels, paired):
    small = Crops(Counted(levels, paired).set(), 16, CPU)
    monkeypatch.setattr(_pictures, "PRELOAD", 1)
    counted = Counted(levels, paired)
    crops = Crops(counted.set(), 16, CPU)
    for _ in range(3):
        for u in U:
            (target, observed), (true_target, true_observed) = crops.draw(u), small.draw(u)
            torch.testing.assert_close(target, true_target, rtol=0, atol=0)
            assert (observed is not None) == paired
            assert not paired or torch.equal(observed, true_observed)
    assert counted.reads == [1] * 6


def test_bytes_on_the_disk_are_bounded():
    counted = Counted(paired=False)
    decoded = Decoded(counted.set(), most=3 * 20 * 40 + 3 * 21 * 40)
    for i in (0, 1, 2, 3, 0, 1, 2, 3):
        decoded[i]
    assert counted.reads == [1, 1, 2, 2, 0, 0]


def test_a_full_disk_costs_time_alone(monkeypatch):
    counted = Counted()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_decoded.os, "pwrite", full)
    decoded = Decoded(counted.set())
    for _ in range(2):
        assert torch.equal(decoded[3].cut(0, 0, 20)[0], counted.images[3][0][:, :20, :20])
    assert counted.reads[3] == 2


# -- ahead of need
class Numbers:
    """A task whose batches are the numbers that were drawn, and that knows which threads asked."""

    device = CPU
    reads_files = True
    broken = None

    def __init__(self):
        self.asked, self.makers = [], set()

    def batch(self, n, rng):
        number = int(torch.randint(2**40, (), generator=rng))
        self.makers.add(threading.current_thread().name)
        self.asked.append(number)
        if self.broken is not None and len(self.asked) > self.broken:
            raise ValueError("the picture p7 is damaged")
        return number


@pytest.fixture
def ahead():
    stream = ReadAhead(Numbers(), 3, 4, threads=3)
    yield stream
    stream.close()


def test_the_same_batches_in_the_same_order(ahead):
    plain = Stream(Numbers(), 3, 4)
    assert [next(ahead) for _ in range(40)] == [next(plain) for _ in range(40)]
    assert ahead.drawn == 40
    assert len(ahead.task.makers) > 1


def test_no_more_is_made_than_two_a_thread(ahead):
    for _ in range(10):
        next(ahead)
    ahead.close()
    assert len(ahead.task.asked) <= 10 + 2 * 3


def test_it_goes_on_from_wherever_it_is_told(ahead):
    plain = Stream(Numbers(), 3, 4)
    for place in (0, 17, 5, 6, 60):
        ahead.drawn = plain.drawn = place
        assert [next(ahead) for _ in range(3)] == [next(plain) for _ in range(3)]


def test_what_a_thread_raises_is_raised_where_its_batch_is_asked_for(ahead):
    ahead.task.broken = 4
    with pytest.raises(ValueError, match="the picture p7 is damaged"):
        list(itertools.islice(ahead, 20))
    assert ahead.drawn <= 5


def test_no_thread_is_left(ahead):
    next(ahead), next(ahead)
    assert any(thread.name.startswith("read-ahead") for thread in threading.enumerate())
    ahead.close()
    assert not any(thread.name.startswith("read-ahead") for thread in threading.enumerate())
    ahead.close()


@pytest.mark.parametrize("fails", [False, True])
def test_a_training_closes_its_stream_however_it_ends(tiny, monkeypatch, fails):
    from methods.restoration.unet import UNet

    closed = []

    class Watched(Stream):
        def close(self):
            closed.append(self.drawn)

    monkeypatch.setattr(train, "stream_of", lambda task, seed, size, threads: Watched(task, seed, size))
    if fails:
        monkeypatch.setattr(UNet, "train", lambda self, data: (next(data) for _ in "a" if 1 / 0))
    ((record,), _) = tiny.run(methods=["unet"])
    assert record.outcome == ("failed" if fails else "finished")
    assert closed == [0 if fails else 4]


# -- on a GPU
@pytest.fixture
def folder(tmp_path):
    for i in range(20):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8)).save(tmp_path / f"{i}.png")
    return tmp_path


def task_of(folder, device):
    task = registry.make("task", f'denoise[data="folder[path={folder}]",crop=32,noise="gaussian[sigma=25]"]')
    task.open(None, torch.device(device))
    return task


def test_files_are_read_ahead_on_a_gpu_alone_and_a_batch_is_one_copy(folder, large):
    assert type(stream_of(task_of(folder, "cpu"), 0, 4)) is Stream
    with Device() as gpu:
        stream = stream_of(task_of(folder, "cuda"), 0, 4, threads=3)
        assert isinstance(stream, ReadAhead)
        plain = Stream(stream.task, 0, 4)
        next(plain)
        gpu.reset()
        next(plain)
        assert gpu.waits == 0
        assert gpu.counts["h2d"] == 1
        assert gpu.counts["bytes h2d"] == 4 * 3 * 32 * 32 * 4
        stream.close()


def test_what_is_in_memory_is_not_read_ahead(folder):
    with Device():
        assert type(stream_of(task_of(folder, "cuda"), 0, 4)) is Stream


def test_pictures_with_maps_are_read_ahead_too(monkeypatch):
    monkeypatch.setattr(saliency, "PRELOAD", 1)
    spec = 'saliency[data="popout[train=4,validation=1,test=2]",height=48,width=64]'
    with Device():
        task = registry.make("task", spec)
        task.open(None, torch.device("cuda"))
        assert isinstance(stream_of(task, 0, 2), ReadAhead)
    made, plain = (registry.make("task", spec) for _ in range(2))
    made.open(None, CPU)
    plain.open(None, CPU)
    with contextlib.closing(ReadAhead(made, 0, 2, threads=3)) as stream:
        for ours, theirs in itertools.islice(zip(stream, Stream(plain, 0, 2), strict=False), 4):
            assert torch.equal(ours.observed, theirs.observed)
            assert torch.equal(ours.target, theirs.target)
