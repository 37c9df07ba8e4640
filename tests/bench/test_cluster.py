"""Trials on many processes: the same bits as one after another, each once, whatever dies on the way."""

import contextlib
import dataclasses
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import safetensors.torch
from _runners import MOMENTS, newest, until

import runner
from bench import cluster, trial, worker
from bench.errors import UsageError
from bench.execute import Job
from bench.identity import id_of
from bench.registry import ROOT
from bench.rundir import Held
from bench.tracking import Store
from bench.training import Interrupted

SUITE = """
title = "Trials that share a machine"
task = 'deblur[crop=32,tile=64,pictures=1,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr",)]'
sort = "psnr"
methods = ["identity", "unet"]
[tiers.smoke]
evaluations = 3
seeds = [0, 1]
hp = { steps = 40, batch_size = 1 }
methods.unet = { width = 4, optimizer = "adam[lr=0.03]" }
"""

MORTAL = '''"""A U-Net whose process dies.

Departures: none
"""
import dataclasses
import os
import signal
from pathlib import Path

from bench.method import param
from methods.restoration.unet import UNet


class Mortal(UNet):
    """Dies at an update unless its grave is there already, which it digs then."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(UNet.HP):
        """When and how often."""

        at: int = param(20, "the update")
        grave: str = param("", "a file; none: it dies every time")
        log: str = param("", "a file for its updates; beside it one for what Ray gave it")
        width: int = param(4, "of the network")

    def train(self, data):
        """Regression, and an end."""
        if self.hp.log:
            import ray

            given = ray.get_runtime_context().get_assigned_resources()
            with open(f"{self.hp.log}.resources", "a") as file:
                print(*(f"{name} {given[name]}" for name in sorted(given) if name in ("CPU", "GPU")), file=file)
        for logs in super().train(data):
            if self.hp.log:
                with open(self.hp.log, "a") as file:
                    print(self.t, file=file)
            yield logs
            if self.t >= self.hp.at and not (self.hp.grave and Path(self.hp.grave).exists()):
                if self.hp.grave:
                    Path(self.hp.grave).touch()
                os.kill(os.getpid(), signal.SIGKILL)
'''

RAISES = '''"""A U-Net that raises in its third update.

Departures: none
"""
from methods.restoration.unet import UNet


class Raises(UNet):
    """On purpose."""

    def loss(self, batch):
        """None."""
        if self.t == 2:
            raise RuntimeError("on purpose")
        return super().loss(batch)
'''

START = """
import functools, sys
import runner
from bench import options
options.Settings = functools.partial(options.Settings, checkpoint_seconds=-1.0)  # at every update
sys.exit(runner.main(sys.argv[1:]))
"""

UNDAUNTED = """
from bench import worker
worker.RETRIES = 1000  # a trial may lose its process as often as that
"""


def start(*words, code=START):
    """The runner in a process group of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], cwd=ROOT, start_new_session=True, **pipes)


def finish(process):
    """Its exit code, what it said, and its complaints."""
    said, complaints = process.communicate(timeout=600)
    return process.returncode, said, complaints


def results(out, name="shared"):
    """(Method, seed) -> what must be the same wherever it ran; and how many closed runs the store has of each."""
    found, store = {}, Store(name, out)
    for record in store.read(store.done()):
        weights = out / name / "trials" / record.trial_id / "record" / "weights.safetensors"
        found[record.label, record.seed] = (
            record.trial_id,
            record.outcome,
            record.final,
            record.per_image.to_dict("list"),
            record.curves.drop(columns="seconds").to_dict("list"),
            {k: v.numpy().tobytes() for k, v in safetensors.torch.load_file(weights).items()} if weights.exists() else None,
        )
    return found, len(store._search(""))


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The command, but for the folder of results."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "shared.toml").write_text(SUITE)
    (folder / "mortal.py").write_text(MORTAL)
    return ["--suite", folder / "shared.toml", "--tier", "smoke", "--device", "cpu", "--threads", 1, "--plugin", folder / "mortal.py"]


@pytest.fixture(scope="module")
def alone(words, tmp_path_factory):
    """What comes of the suite, with so many words more, where its trials run one after another; computed once for each."""
    known = {}

    def of(*more):
        if more not in known:
            out = tmp_path_factory.mktemp("alone")
            code, _, complaints = finish(start(*words, *more, "--out", out))
            assert (code, complaints) == (0, "")
            known[more] = results(out)
        return known[more]

    return of


@pytest.mark.fault(
    "process: a worker of two dies",
    cause="a method kills its own process once, and another one every time",
    expected="the first goes on in another process; the second has failed after four times; the others have the bits of a serial run",
)
def test_two_workers_give_the_bits_of_one_process(words, alone, tmp_path):
    """And a trial whose process dies once goes on in another; one that always kills its process has failed, and the others do not notice."""
    grave = tmp_path / "grave"
    methods = ["--methods", "identity", "unet", f'mortal[grave="{grave}"]', "mortal"]
    code, said, complaints = finish(start(*words, *methods, "--out", tmp_path / "many", "--workers", 2))
    assert (code, complaints) == (1, "")
    assert grave.exists()
    (shared, runs), (single, _) = results(tmp_path / "many"), alone()
    assert {k: shared[k] for k in single} == single
    assert runs == 8
    assert "2 of 8 trials failed, the first of them mortal, seed 0: its process died 4 times, the last time with: " in said


def computing(process):
    """The processes of Ray that are at a trial."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):  # the runner has ended
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "".join(one.cmdline()[:1]).startswith("ray::work"):
                    found.append(one)
    return found


@pytest.mark.fault(
    "process: workers are killed at random moments",
    cause="kill -9 of one of two, or of both, while it starts, trains, judges or writes a record; the number of times it goes on is raised",
    expected="another process goes on; every trial on record once, none failed, weights, curves and scores bit for bit those of a serial run",
)
@pytest.mark.parametrize(("kills", "seeds"), [(5, 2), pytest.param(50, 40, marks=pytest.mark.slow)])
def test_workers_killed_at_random_moments(words, alone, database, tmp_path, record_property, kills, seeds):
    rng, out, hit = random.Random(kills), tmp_path / "killed", []
    out.mkdir()
    shutil.copy(database, out / "mlflow.db")
    process = start(*words, "--seeds", seeds, "--out", out, "--workers", 2, code=UNDAUNTED + START)
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(finish, process)  # Ray says much of each death: somebody must read it
        while len(hit) < kills and not ended.done():
            if (moment := rng.choice(["start", "training", "training", "training", *MOMENTS])) == "start":
                time.sleep(rng.uniform(0, 3))
            else:
                before = newest(out, MOMENTS[moment])
                until(lambda: newest(out, MOMENTS[moment]) not in (None, before) or ended.done())  # noqa: B023 (it is called here)
                time.sleep(rng.uniform(0, 0.1))
            found = computing(process)
            for one in rng.sample(found, min(len(found), rng.randint(1, 2))):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
                    hit.append(moment)
    code, _, complaints = ended.result()
    assert (code, complaints) == (0, "")
    record_property("count", len(hit))
    assert len(hit) >= kills - 2  # a short suite may end before
    assert kills < 50 or set(hit) == {"start", *MOMENTS}
    same(out, alone("--seeds", seeds))


def same(out, single):
    """Every trial is there once, with the same bits, and none has failed; nothing is left over."""
    found, runs = results(out)
    assert {outcome for _, outcome, *_ in found.values()} == {"finished"}
    assert (found, runs) == single
    assert runs == len(found)
    assert not list(out.glob("shared/trials/*/*.safetensors*"))


@pytest.mark.fault(
    "process: Ctrl-C with several workers",
    cause="SIGINT to the whole process group, as a terminal sends it",
    expected="what runs is saved, exit 130; the same command goes on",
)
@pytest.mark.slow
def test_ctrl_c_saves_what_runs(words, tmp_path):
    many = ["--out", tmp_path / "stopped", "--workers", 2, "--set", "steps=400"]
    process = start(*words, *many)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("stopped/shared/trials/*/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    code, said, complaints = finish(process)
    assert (code, complaints) == (130, "")
    assert "stopped; everything is saved: give the same command again to go on" in said
    left = list(tmp_path.glob("stopped/shared/trials/*/checkpoint.safetensors"))
    assert left
    code, said, _ = finish(start(*words, *many[:-3], "1", "--set", "steps=400"))
    assert code == 0


@pytest.mark.fault(
    "process: a scheduler stops several workers",
    cause="SIGTERM to every process, Ray's own too, as SLURM sends it",
    expected="exit 130, no trial counts as failed; the same command goes on, to the bits of a serial run",
)
@pytest.mark.slow
def test_sigterm_to_every_process(words, alone, tmp_path):
    many = ["--out", tmp_path / "stopped", "--set", "steps=400"]
    process = start(*words, *many, "--workers", 2)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("stopped/shared/trials/*/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    runner_ = psutil.Process(process.pid)
    for one in [runner_, *runner_.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGTERM)
    code, said, complaints = finish(process)
    assert (code, [line for line in complaints.splitlines() if not re.match(r"\[\d{4}-.* task_manager\.cc", line)]) == (130, [])  # Ray's farewell
    assert "stopped; everything is saved: give the same command again to go on" in said
    assert list(tmp_path.glob("stopped/shared/trials/*/checkpoint.safetensors"))
    assert "failed" not in {outcome for _, outcome, *_ in results(tmp_path / "stopped")[0].values()}
    assert finish(start(*words, *many))[0] == 0
    assert results(tmp_path / "stopped") == alone("--set", "steps=400")


TWO_NODES = """
import glob, os, secrets, sys, threading, time
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
lost, out = cluster.add_node(num_cpus=1), sys.argv[sys.argv.index("--out") + 1]

def lose():
    while len(glob.glob(f"{out}/shared/trials/*/checkpoint.safetensors")) < 2:  # one a node
        time.sleep(0.01)
    cluster.remove_node(lost, allow_graceful=False)
    print("lost a node", flush=True)

threading.Thread(target=lose, daemon=True).start()
sys.argv += ["--ray", cluster.address]
"""


@pytest.mark.fault(
    "node: one of two is killed",
    cause="its processes are killed while both nodes train",
    expected="every trial is there once, with the bits of a serial run",
)
@pytest.mark.slow
def test_a_cluster_that_loses_a_node(words, alone, tmp_path):
    """Two nodes, one of which is killed while it trains: every trial is there once, with the bits of one process."""
    steps = ["--set", "steps=300"]
    code, said, complaints = finish(start(*words, *steps, "--out", tmp_path / "lost", code=TWO_NODES + START))
    assert code == 0, complaints
    assert "lost a node" in said
    same(tmp_path / "lost", alone(*steps))


@pytest.mark.fault(
    "node: its disk is its own",
    cause="trials work in folders that neither the runner nor each other sees, with --checkpoints URL; a worker of two dies",
    expected="its trial goes on in another process from the copy, records come back, the bits are those of a serial run, no copy is left",
)
@pytest.mark.slow
def test_nodes_without_a_common_disk(words, alone, tmp_path):
    grave, log = tmp_path / "grave", tmp_path / "log"
    methods = ["--methods", "identity", "unet", f'mortal[grave="{grave}",log="{log}"]', "--checkpoints", tmp_path / "copies"]
    code, said, complaints = finish(start(*words, *methods, "--out", tmp_path / "many", "--workers", 2))
    assert (code, complaints) == (0, ""), said
    (shared, runs), (single, _) = results(tmp_path / "many"), alone()
    assert {k: shared[k] for k in single} == single
    assert runs == 6
    assert grave.exists()
    updates = log.read_text().split()
    assert updates.count("1") == 2  # one a seed: whoever went on did not begin again
    assert not [p for p in (tmp_path / "copies").rglob("*") if p.is_file()]


ONE_GPU = """
import os, secrets, sys
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1, "include_dashboard": False})
sys.argv += ["--ray", cluster.address]
from bench import cluster, worker
real, worker.measure = cluster._Gpus, lambda job, settings: 0.25
cluster._Gpus = lambda given: real(None)  # as on GPUs
"""


@pytest.mark.slow
@pytest.mark.parametrize(("alone", "code", "more", "resources"), [(False, ONE_GPU, [], "CPU 1.0 GPU 0.25"), (True, "", ["--workers", 2], "CPU 2.0")])
def test_what_a_trial_takes(words, tmp_path, alone, code, more, resources):
    """A quarter of a GPU where that was measured; all CPUs of a node where times are what the suite is about."""
    text = SUITE.replace("evaluations", f"alone = {str(alone).lower()}\nevaluations")
    (tmp_path / "shared.toml").write_text(text)
    chosen = ["--methods", f'mortal[at=100,log="{tmp_path / "log"}"]', "--out", tmp_path / "out", *more]
    exit_code, said, complaints = finish(start(*words[:1], tmp_path / "shared.toml", *words[2:], *chosen, code=code + START))
    assert exit_code == 0, said + complaints
    assert set((tmp_path / "log").with_suffix(".resources").read_text().splitlines()) == {resources}
    times = "its times were taken while up to 2 trials ran at once"
    store = Store("shared", tmp_path / "out")
    assert {record.tags.get("at_once") for record in store.read(store.done())} == {None if alone else times}


@pytest.mark.slow
def test_a_trial_of_two_ranks(words, tmp_path):
    """It ends where one process ends, but for rounding, a killed rank or not; what needs no training needs no ranks; what raises has failed."""
    grave = tmp_path / "grave"
    (tmp_path / "raises.py").write_text(RAISES)
    chosen = ["--set", "batch_size=4", "--methods", "identity", f'mortal[grave="{grave}"]', "--seeds", "1"]
    more = ["raises", "--plugin", tmp_path / "raises.py", "--workers", 1, "--ranks", 2]
    code, said, complaints = finish(start(*words, *chosen[:-2], *more, *chosen[-2:], "--out", tmp_path / "two"))
    assert code == 1, said + complaints
    assert "1 of 3 trials failed, the first of them raises[batch_size=4], seed 0: RuntimeError: on purpose" in said
    assert grave.exists()
    assert finish(start(*words, *chosen, "--out", tmp_path / "one"))[0] == 0
    (two, _), (one, _) = results(tmp_path / "two"), results(tmp_path / "one")
    assert {label.partition("[")[0] for label, _ in two} == {"identity", "mortal", "raises"}
    for key, (trial_id, outcome, final, *_) in one.items():
        assert two[key][0] != trial_id
        assert (two[key][1], two[key][2]) == (outcome, pytest.approx(final, rel=1e-3))


# -- what a node must have in common with the runner
@pytest.fixture
def job(tiny):
    (tiny_trial,) = tiny.trials(methods=["unet"])
    parts = trial.identify(tiny_trial, tiny.settings)
    folder = trial.folder_of(tiny_trial, id_of(parts), tiny.settings)
    folder.path.mkdir(parents=True)
    return Job(0, tiny_trial, parts, None)


@pytest.mark.fault(
    "node: other code or data",
    cause="a node whose parts of the identity differ",
    expected="refused in one line that names the difference",
)
def test_a_node_with_other_code_or_data_is_refused(tiny, job, monkeypatch):
    worker._same_place(job, tiny.settings)
    there = {**job.parts, "code.method": "0" * 16}
    monkeypatch.setattr(trial, "identify", lambda *args: there)
    said = rf"node \S+ would compute something else: code\.method is 0{{16}} there, {job.parts['code.method']} here: give it the same"
    with pytest.raises(UsageError, match=said):
        worker._same_place(job, tiny.settings)


def test_a_trial_starts_only_on_a_node_like_the_runners(tiny, job, monkeypatch):
    monkeypatch.setattr(worker.Messenger, "tell", lambda self: None)
    monkeypatch.setattr(trial, "identify", lambda *args: {**job.parts, "code.method": "0" * 16})
    refused = worker.work(job, tiny.settings, None)
    assert isinstance(refused, UsageError)
    assert "would compute something else" in str(refused)


def test_a_node_that_does_not_see_the_output_folder_is_refused(tiny, job, tmp_path):
    with pytest.raises(UsageError, match=r"node \S+ does not see .*: give an --out on storage that all nodes share"):
        worker._same_place(job, dataclasses.replace(tiny.settings, out=tmp_path / "elsewhere"))


@pytest.fixture
def ray(monkeypatch):
    """The part of Ray that is used, in this process: a task is done when somebody waits for it. `results` is what the tasks return in turn."""
    fake, results = types.ModuleType("ray"), []

    class Remote:
        def __init__(self, call):
            self.remote = call

        def options(self, **resources):
            return self

    class Actor:
        def __init__(self, kind):
            self.kind = kind

        def remote(self):
            board = self.kind()
            return types.SimpleNamespace(**{name: Remote(getattr(board, name)) for name in ("tell", "take", "ask_to_stop")})

    def remote(**options):
        return lambda what: Actor(what) if isinstance(what, type) else Remote(lambda *given: object())

    fake.remote, fake.get = remote, lambda ref: results.pop(0) if type(ref) is object else ref
    fake.wait = lambda refs, timeout: (refs[:1], refs[1:])
    fake.get_runtime_context = lambda: types.SimpleNamespace(get_node_id=lambda: "here")
    fake.exceptions = types.SimpleNamespace(RayTaskError=KeyError, RayError=KeyError, RaySystemError=KeyError)
    strategies = types.ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda *args, **kwargs: None
    for name, module in (("ray", fake), ("ray.util", types.ModuleType("ray.util")), ("ray.util.scheduling_strategies", strategies)):
        monkeypatch.setitem(sys.modules, name, module)
    return results


def test_a_trial_that_another_runner_is_at_is_looked_at_again(tiny, job, ray):
    record = trial.blank(job.trial, tiny.settings)
    ray[:] = [Held("taken"), Held("taken"), record]
    assert list(cluster._run(1, cluster._Gpus(0.0), [job], tiny.settings, lambda: False, lambda job: None)) == [(job, record)]
    ray[:] = [Held("taken"), Held("taken"), record]
    with pytest.raises(Interrupted):  # the user asked to stop: whoever is at it goes on with it
        list(cluster._run(1, cluster._Gpus(0.0), [job], tiny.settings, lambda: True, lambda job: None))
    assert ray[-1:] == [record]


def test_a_trial_whose_machine_was_told_to_stop_begins_again(tiny, job, ray):
    record = trial.blank(job.trial, tiny.settings)
    ray[:] = [Interrupted(), record]
    assert list(cluster._run(1, cluster._Gpus(0.0), [job], tiny.settings, lambda: False, lambda job: None)) == [(job, record)]


def test_news_is_told_once_a_second_and_only_the_newest(monkeypatch):
    told = []
    messenger = worker.Messenger(None, 7)
    monkeypatch.setattr(messenger, "tell", lambda: told.append(dict(messenger.news)) or setattr(messenger, "told", time.monotonic()))
    for step in range(100):
        messenger.update(step, 1.0, {"loss": 0.5})
        messenger.stopped()
    assert told == [{"update": (0, 1.0, {"loss": 0.5})}]
    assert messenger.news == {"update": (99, 1.0, {"loss": 0.5})}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--workers", "2", "--ray", "auto"], "--workers starts Ray on this machine, --ray uses a cluster that runs: give one of them"),
        (["--workers", "0"], "Invalid value for '--workers'"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--ranks", "2"], "--ranks shares every trial out among processes of Ray: give --workers or --ray too"),
        (["--ranks", "2", "--workers", "1", "--on-oom", "halve"], "--ranks and --on-oom exclude each other"),
    ],
)
def test_what_cannot_be(words, says, tmp_path, capsys):
    assert runner.main(["--suite", "toy2d", "--tier", "smoke", "--out", str(tmp_path / "out"), *words]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
