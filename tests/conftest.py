"""A suite that trains in a blink, and a database that need not be migrated for every test."""

import gc
import logging
import os
import shutil
import sys
import warnings

import pytest
import torch
from _faults import pytest_addoption, pytest_configure  # noqa: F401
from _shared import alone, words  # noqa: F401

from bench import registry
from bench.running.settings import Settings
from bench.scheduling import scheduler
from bench.store.ledger import Ledger
from bench.suites import expand, read
from bench.tasks._splits import open_split
from bench.training.progress import Progress

os.environ["OMP_NUM_THREADS"] = "1"  # of child processes: two workers share two cores
torch.set_num_threads(1)

SUITE = """
title = "A tiny suite"
task = 'deblur[crop=32,tile=64,pictures=2,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr","ssim")]'
sort = "psnr"
methods = ["identity", "unet"]
[tiers.smoke]
evaluations = 2
hp = { steps = 4, batch_size = 1 }
methods.unet = { width = 4, optimizer = "adam[lr=0.03]" }
"""


class Watcher(Progress):
    """Says nothing, remembers everything."""

    def __init__(self):
        self.jobs, self.ends, self.updates, self.judged = [], [], [], []

    def start(self, job, total):
        self.jobs.append((job.trial.label, job.why))
        return self

    def ended(self, records):
        self.ends += [(record.label, record.outcome) for record in records]

    def update(self, step, images_per_s, values):
        self.updates.append((step, values))

    def evaluating(self, done, total):
        self.judged.append((done, total))


class Bench:
    """A suite file, a folder of results, and the way from one to the other without the command line."""

    def __init__(self, folder, text=SUITE, *, database):
        self.out = folder / "runs"
        self.out.mkdir(parents=True)
        shutil.copy(database, self.out / "mlflow.db")
        self.file = folder / "tiny.toml"
        self.file.write_text(text)
        self.settings = Settings(out=self.out, device=torch.device("cpu"))
        self.ledger = Ledger("tiny", self.out)

    @property
    def store(self):
        return self.ledger.records

    def trials(self, **chosen):
        return expand.expand(read.load_suite(str(self.file)), "smoke", **chosen)

    def run(self, *, fresh=False, **chosen):
        """The records and what was seen on the way."""
        seen = Watcher()
        return scheduler.run_all(self.trials(**chosen), self.settings, self.ledger, seen, fresh=fresh), seen

    def mlflow_run(self, record):
        (run,) = self.store.queries.search(f"tags.run_id = '{record.training_id}'")
        return run


def pytest_collection_modifyitems(items):
    """Without a GPU nothing that needs one runs."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_collection_finish():
    """What the tests have imported by now stays: collections of cycles need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Numbers that a fixture draws without a seed of its own do not depend on which tests ran before."""
    torch.default_generator.manual_seed(0)  # torch.manual_seed keeps a traceback for every device that is not there: 3 ms a call


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Nor do those that the test draws, which are others."""
    torch.default_generator.manual_seed(1)


@pytest.fixture(autouse=True)
def _own_data():
    """What a folder of data held in one test, and where it is, is no business of the next."""
    open_split.cache_clear()
    root = os.environ.get("GANBENCH_DATA")
    yield
    os.environ.pop("GANBENCH_DATA", None)
    if root is not None:
        os.environ["GANBENCH_DATA"] = root


@pytest.fixture(scope="session", autouse=True)
def _local_store():
    """No test may reach a server that the environment names."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A migrated, empty MLflow database; made once, copied by whoever wants one."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("database") / "mlflow.db"
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings():  # mlflow's own import of sqlalchemy warns
        warnings.simplefilter("ignore")
        MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def out(tmp_path, database):
    """A folder of results, with a database in it."""
    (folder := tmp_path / "out").mkdir()
    shutil.copy(database, folder / "mlflow.db")
    return folder


@pytest.fixture
def tiny(tmp_path, database):
    return Bench(tmp_path, database=database)


@pytest.fixture(scope="session")
def ran(tmp_path_factory, database):
    """A bench on which the tiny suite ran once, its records, and what was seen: to be looked at, not changed."""
    bench = Bench(tmp_path_factory.mktemp("ran"), database=database)
    return bench, *bench.run()


@pytest.fixture
def continued(tmp_path, ran):
    """A bench that starts with the records of `ran`."""
    return Bench(tmp_path, database=ran[0].out / "mlflow.db")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a file and register it; the registry forgets it afterwards."""
    for kind in registry.FOLDERS:
        monkeypatch.setitem(registry._plugins, kind, dict(registry._plugins[kind]))
    before = set(sys.modules)

    def load(name, text):
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        return registry.load_plugin(file)

    yield load
    for name in [m for m in sys.modules if m.startswith("ganbench_plugins.") and m not in before]:
        del sys.modules[name]
