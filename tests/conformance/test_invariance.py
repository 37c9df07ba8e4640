"""A number is the same however the work is cut up: whatever the batches, the threads, the order in which a disk lists files."""

import functools
import itertools
import math
import os
from pathlib import Path

import pytest
import torch

from bench import evaluation, feature, registry
from bench.conformance import checks
from bench.dataset import SPLITS
from bench.errors import Unavailable, UsageError
from bench.evaluation import EvaluationSet, evaluation_mode
from bench.metrics import _kernel, _samples
from bench.spec import Spec
from bench.suites import expand, read
from bench.tasks import _classification, _generation
from bench.tasks._elsewhere import JudgedElsewhere
from datasets.reading.files import FileSource
from datasets.reading.samples import ImageFiles

CPU = torch.device("cpu")
TASKS = [name for name in registry.names("task") if not issubclass(registry.find("task", name), JudgedElsewhere)]  # those asked in batches
SIZES = [  # of everything that is judged piece by piece: in use, and here
    (evaluation, "_PIXELS", 1),
    (_generation, "_AT_ONCE", 7),
    (_classification, "_AT_ONCE", 7),
    (feature, "_BATCH", 7),
    (_kernel, "_ROWS", 7),
    (_samples, "_BLOCK", 1000),
]


class Pool:
    """A method that gives the samples of a pool in order: random numbers that are drawn in other portions would be others."""

    device = torch.device("cpu")

    def __init__(self, task):
        self.x, self.given = torch.rand(task.samples, *task.shape, generator=torch.Generator().manual_seed(7)), 0

    def sample(self, n):
        """The next n."""
        self.given += n
        return self.x[self.given - n : self.given]

    def modules(self):
        """None."""
        return {}


@functools.cache
def rows():
    """Task -> the first row of a shipped suite, at its smallest, that trains a network on data that are everywhere."""
    found = {}
    for name in read.suite_names():
        for trial in expand.expand(read.load_suite(name), "smoke"):
            trains = "optimizer" in registry.settings(registry.find("method", trial.spec.name)) and not trial.spec.options.get("weights")
            if trains and not trial.task.options.get("test"):
                found.setdefault(trial.task.name, trial)
    return found


def score(name):
    """All numbers of a task, opened anew, about a method that was not trained."""
    row = rows().get(name)
    task = registry.make("task", row.task if row else name)
    task.open(None, CPU)
    torch.manual_seed(3)
    spec = row.spec if row else Spec("descent")
    method = Pool(task) if task.verb == "sample" else registry.find("method", spec.name)(task, **spec.options)
    with evaluation_mode(method):
        scores = task.score(method, lambda done, total: None)
    columns = {column: dict(zip(names, values, strict=True)) for column, (names, values) in scores.per_image.items()}
    return scores.values | {f"{column}/{name}": value for column, values in columns.items() for name, value in values.items()}


@functools.cache
def undisturbed(name):
    """The numbers as they are."""
    found = score(name)
    assert any(math.isfinite(value) for value in found.values())
    return found


ROUNDING = 16 * torch.finfo(torch.float32).eps
"""Of a score: networks sum in float32, in another order where the work is cut up otherwise. It is an absolute error too: a score near 0,
such as a correlation, is a difference of terms of order 1."""


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for column, value in wanted.items():
        assert found[column] == pytest.approx(value, rel=ROUNDING, abs=ROUNDING, nan_ok=True), column


@pytest.mark.parametrize("name", TASKS)
def test_the_size_of_batches_changes_no_number(name, monkeypatch):
    wanted = undisturbed(name)
    for module, constant, size in SIZES:
        assert size != getattr(module, constant)
        monkeypatch.setattr(module, constant, size)
    same(score(name), wanted)


@pytest.mark.parametrize("name", TASKS)
def test_threads_change_no_number(name):
    wanted = undisturbed(name)
    before = torch.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    try:
        same(score(name), wanted)
    finally:
        torch.set_num_threads(before)


RESTORING = [name for name in registry.names("method") if hasattr(registry.find("method", name), "restore")]


@pytest.mark.parametrize("name", RESTORING)
def test_a_picture_is_restored_alone_as_in_company(name, tmp_path):
    """Those that draw random numbers on the way included: a picture has its own."""
    method = checks.make(name)
    checks.train(method, tmp_path)
    batch = method.task.batch(3, torch.Generator().manual_seed(5))
    groups = dict.fromkeys("abc", "")
    sets = [EvaluationSet(batches, groups) for batches in ([batch], [batch.pick(i) for i in range(3)])]
    with evaluation_mode(method):
        together, alone = (torch.cat([y for _, y in one.restore(method)]) for one in sets)
    # a fortieth of a grey level: iterations that divide (Richardson-Lucy) carry the last place of a float32 on a hundredfold
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)


# -- the order of a listing
class _Turned(list):
    """What `os.scandir` returns, the last first."""

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        pass


@pytest.fixture
def listing(monkeypatch):
    """listing() turns round the order in which folders are listed."""

    def turn():
        scandir, listdir = os.scandir, os.listdir
        monkeypatch.setattr(os, "scandir", lambda *place: _Turned(reversed(list(scandir(*place)))))
        monkeypatch.setattr(os, "listdir", lambda *place: listdir(*place)[::-1])

    return turn


def files_of(source, root):
    """What a source lists, for every split."""
    folder = source.find(root)
    return [source.entries(folder, s) if isinstance(source, FileSource) else source.listed(folder, s) for s in SPLITS]


LISTED = [
    name
    for name in registry.names("dataset")
    if isinstance(part := registry.find("dataset", name), type) and issubclass(part, (FileSource, ImageFiles))
]


@pytest.mark.parametrize("name", LISTED)
def test_the_order_of_a_listing_changes_no_set_at_hand(name, listing):
    root = Path(os.environ.get("GANBENCH_DATA", "/nowhere"))
    try:
        wanted = files_of(registry.make("dataset", name), root)
    except (Unavailable, UsageError):
        pytest.skip(f"the data set {name} is not below GANBENCH_DATA")
    listing()
    assert files_of(registry.make("dataset", name), root) == wanted


def test_two_copies_of_a_frame_are_refused_alike(tmp_path, listing):
    for name in ("kohler/BlurryImages/Blurry1_1.png", *(f"kohler/{copy}/GroundTruth1_1_{n}.png" for copy in "AB" for n in (1, 2))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    said = []
    for turn in (lambda: None, listing):
        turn()
        with pytest.raises(
            UsageError, match=r"/A/GroundTruth1_1_1\.png and .*/B/GroundTruth1_1_1\.png stand for the same picture"
        ) as caught:
            files_of(registry.make("dataset", "kohler"), tmp_path)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Pictures in every layout that users bring."""
    from PIL import Image

    root = tmp_path_factory.mktemp("pictures")
    rng = torch.Generator().manual_seed(0)
    for i, (side, part) in enumerate(itertools.product(["A", "B", "trainA", "trainB", "testA", "testB", ""], ["train", "test", ""])):
        folder = root / side / part
        folder.mkdir(parents=True, exist_ok=True)
        for j, stem in enumerate(["b", "a", "C", "10", "9"]):
            noise = torch.rand(5, 5, 3, generator=rng).mul(255).byte().numpy()
            Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC).save(
                folder / f"{stem}_{i}_{j}.png" if not side else folder / f"{stem}.png"
            )
    return root


USERS = {
    "folder": "denoise[data={},tile=0,crop=16,metrics=('psnr','ssim')]",
    "folder_pair": "translate[data={},tile=32,crop=16,metrics=('l1','psnr'),set_metrics=('sliced_wasserstein',)]",
    "folder_unpaired": "translate[data={},tile=32,crop=16,set_metrics=('sliced_wasserstein',)]",
    "images": "generate[data={},samples=4,metrics=('sliced_wasserstein',),backbone=mlp]",
}


@pytest.mark.parametrize("name", USERS)
def test_the_order_of_a_listing_changes_no_number(name, folders, listing):
    """Each kind of folder through the task that reads it: names, order, fingerprints and scores."""

    def judge():
        task = registry.make("task", USERS[name].format(f'"{name}[path={folders}]"'))
        task.open(None, CPU)
        method = Pool(task) if task.verb == "sample" else registry.find("method", "identity")(task)
        return task.fingerprint(), task.score(method, lambda done, total: None)

    (prints, wanted) = judge()
    listing()
    again, found = judge()
    assert again == prints
    assert found == wanted
