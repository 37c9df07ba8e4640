"""Trials on several nodes: one that is lost, disks of their own, shares of a GPU, one trial on several devices."""

import secrets

import pytest
from _shared import START, SUITE, UNDAUNTED, finish, results, same, start

from bench.store.mlflow_store import Store

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

SLOW = '''"""A U-Net that takes its time while there is a file.

Departures: none
"""
import dataclasses
import time
from pathlib import Path

from bench.method import param
from methods.restoration.unet import UNet


class Slow(UNet):
    """Its bits do not depend on how long it takes."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(UNet.HP):
        """What slows it."""

        file: str = param("", "where there is one, an update takes a tenth of a second more")
        width: int = param(4, "of the network")

    def train(self, data):
        """Regression."""
        for logs in super().train(data):
            yield logs
            time.sleep(0.1 * Path(self.hp.file).exists())
'''

TWO_NODES = """
import pathlib, random, sys, time
from ray.cluster_utils import Cluster
times, slow, trials = int(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
cluster, rng = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}), random.Random(times)
node = cluster.add_node(num_cpus=1)
print("address", cluster.address, flush=True)
for _ in range(times):
    before = time.time()
    while sum(one.stat().st_mtime > before for one in trials.glob("*/checkpoint.safetensors")) < 2:  # one a node
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 1))
    cluster.remove_node(node, allow_graceful=False)
    print("lost", flush=True)
    node = cluster.add_node(num_cpus=1)
slow.unlink()
sys.stdin.read()  # until the runner has ended
cluster.shutdown()
"""


@pytest.mark.fault(
    "node: one of two is killed",
    cause="its processes are killed while both nodes train, and another node takes its place",
    expected="every trial is there once, with the bits of a serial run",
)
@pytest.mark.slow
@pytest.mark.parametrize(("losses", "seeds"), [(1, 2), (25, 30)])
def test_a_cluster_that_loses_nodes(words, alone, tmp_path, monkeypatch, record_property, losses, seeds):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    slow, out = tmp_path / "slow", tmp_path / "lost"
    slow.touch()
    (tmp_path / "slow.py").write_text(SLOW)
    chosen = ["--plugin", tmp_path / "slow.py", "--methods", f'slow[file="{slow}"]', "--seeds", seeds, "--set", "steps=300"]
    nodes = start(losses, slow, out / "shared" / "trials", code=TWO_NODES)
    address = next(line for line in nodes.stdout if line.startswith("address ")).split()[1]
    code, said, complaints = finish(start(*words, *chosen, "--out", out, "--ray", address, code=UNDAUNTED + START))
    lost, trouble = nodes.communicate(timeout=60)
    assert code == 0, said + complaints
    assert lost.count("lost") == losses, trouble
    record_property("count", losses)
    same(out, alone(*chosen))


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
    assert runs == 5  # identity, which trains nothing, under the first seed alone
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
from bench.scheduling import ray_engine, ray_worker
real, ray_worker.measure = ray_engine._Gpus, lambda job, settings: 0.25
ray_engine._Gpus = lambda given: real(None)  # as on GPUs
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alone", "code", "more", "resources"), [(False, ONE_GPU, [], "CPU 1.0 GPU 0.25"), (True, "", ["--workers", 2], "CPU 2.0")]
)
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
    assert {record.tags.get("at_once") for record in store.read(store.trials())} == {None if alone else times}


@pytest.mark.slow
def test_a_trial_of_two_ranks(words, tmp_path):
    """It ends where one process ends, but for rounding, even where a rank is killed; what needs no training needs no ranks."""
    grave = tmp_path / "grave"
    (tmp_path / "raises.py").write_text(RAISES)
    chosen = ["--set", "batch_size=4", "--methods", "identity", f'mortal[grave="{grave}"]', "--seeds", "1"]
    more = ["raises", "--plugin", tmp_path / "raises.py", "--workers", 1, "--ranks", 2]
    code, said, complaints = finish(start(*words, *chosen[:-2], *more, *chosen[-2:], "--out", tmp_path / "two"))
    assert code == 1, said + complaints
    assert "1 of 3 trials failed, the first of them raises[batch_size=4], seed 0: RuntimeError: on purpose" in said
    assert grave.exists()
    assert finish(start(*words, *chosen, "--out", tmp_path / "one"))[0] == 0
    assert [path.name for path in (tmp_path / "two" / "shared").iterdir() if path.name.startswith("ranks")] == []
    (two, _), (one, _) = results(tmp_path / "two"), results(tmp_path / "one")
    assert {label.partition("[")[0] for label, _ in two} == {"identity", "mortal", "raises"}
    for key, (trial_id, outcome, final, *_) in one.items():
        assert two[key][0] != trial_id
        assert (two[key][1], two[key][2]) == (outcome, pytest.approx(final, rel=1e-3))
