"""Trials on several processes of one machine: the same bits as one after another, each once, whatever dies on the way."""

import contextlib
import os
import random
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from _runners import MOMENTS, newest, until
from _shared import START, UNDAUNTED, finish, results, same, start

from bench.store.mlflow_store import Store


def test_two_workers_give_the_bits_of_one_process(words, alone, tmp_path):
    code, _, complaints = finish(start(*words, "--methods", "identity", "unet", "--seeds", 1, "--out", tmp_path / "many", "--workers", 2))
    assert (code, complaints) == (0, "")
    assert results(tmp_path / "many") == alone("--seeds", 1)


@pytest.mark.fault(
    "process: a worker of two dies",
    cause="a method kills its own process once",
    expected="it goes on in another process; the others have the bits of a serial run",
)
@pytest.mark.slow
def test_a_trial_whose_process_dies_once_goes_on(words, alone, tmp_path):
    grave = tmp_path / "grave"
    methods = ["--methods", "identity", "unet", f'mortal[grave="{grave}"]']
    code, _, complaints = finish(start(*words, *methods, "--seeds", 1, "--out", tmp_path / "many", "--workers", 2))
    assert (code, complaints) == (0, "")
    assert grave.exists()
    (shared, runs), (single, _) = results(tmp_path / "many"), alone("--seeds", 1)
    assert {k: shared[k] for k in single} == single
    assert runs == 3


@pytest.mark.fault(
    "process: a worker dies every time",
    cause="a method kills its own process whenever it trains",
    expected="it has failed after four times; the others have the bits of a serial run",
)
@pytest.mark.slow
def test_a_trial_that_always_kills_its_process_has_failed(words, alone, tmp_path):
    methods = ["--methods", "identity", "unet", "mortal"]
    code, said, complaints = finish(start(*words, *methods, "--seeds", 1, "--out", tmp_path / "many", "--workers", 2))
    assert (code, complaints) == (1, "")
    assert "1 of 3 trials failed, the first of them mortal, seed 0: its process died 4 times, the last time with: " in said
    shared, single = results(tmp_path / "many")[0], alone("--seeds", 1)[0]
    assert {k: shared[k] for k in single} == single


INHERITED = {
    "RAY_ADDRESS": "127.0.0.1:9", "RAY_REDIS_ADDRESS": "127.0.0.1:9", "RAY_NAMESPACE": "theirs", "RAY_TMPDIR": "/none", "RAY_USE_TLS": "1",
    "RAY_RUNTIME_ENV": '{"working_dir": "/none"}', "RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"working_dir": "/none"}}',
    "RAY_RUNTIME_ENV_HOOK": "none.none", "RAY_OVERRIDE_RESOURCES": '{"CPU": 0}', "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "theirs",
    "http_proxy": "http://127.0.0.1:9", "PYTHONIOENCODING": "ascii",
}  # fmt: skip


@pytest.mark.slow
def test_workers_mean_a_ray_of_our_own_whatever_is_inherited(words, tmp_path, monkeypatch):
    for name, value in INHERITED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(long := tmp_path / ("x" * 90)))
    long.mkdir()
    code, said, complaints = finish(start(*words, "--methods", "identity", "--seeds", 1, "--out", tmp_path / "out", "--workers", 1))
    assert (code, complaints) == (0, "")
    assert "identity, seed 0" in said
    assert [record[1] for record in results(tmp_path / "out")[0].values()] == ["finished"]


def computing(process):
    """The processes of Ray that are at a trial."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):  # the runner has ended
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "".join(one.cmdline()[:1]).startswith("ray::work"):
                    found.append(one)
    return found


@pytest.mark.slow
def test_workers_judge_what_is_trained(words, tmp_path):
    """Each judgement is a task of its own, and no training is made."""
    out, command = tmp_path / "out", [*words, "--methods", "identity", "unet", "--workers", 2]
    assert finish(start(*command, "--out", out))[0] == 0
    store = Store("shared", out)
    before = {record.training_id: record.attempt for record in store.read(store.trials())}
    code, said, complaints = finish(start(*command, "--out", out, "--set", 'metrics=("psnr","gmsd")'))
    assert (code, complaints) == (0, ""), said
    assert said.count("judges again: ") == len(before)
    after = [record for record in store.read(store.trials()) if "gmsd" in record.final]
    assert {record.training_id: record.attempt for record in after} == before


@pytest.mark.fault(
    "process: workers are killed at random moments",
    cause="kill -9 of one of two, or of both, while it starts, trains, judges or writes a record; the number of times it goes on is raised",
    expected="another process goes on; each trial on record once, none failed, weights, curves, scores bit for bit those of a serial run",
)
@pytest.mark.slow
@pytest.mark.parametrize(("kills", "seeds"), [(5, 2), (50, 40)])
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


@pytest.mark.fault(
    "process: Ctrl-C with several workers",
    cause="SIGINT to the whole process group, as a terminal sends it",
    expected="what runs is saved, exit 130; the same command goes on",
)
@pytest.mark.slow
def test_ctrl_c_saves_what_runs(words, tmp_path):
    many = ["--out", tmp_path / "stopped", "--workers", 2, "--set", "steps=400"]
    process = start(*words, *many)
    assert until(lambda: newest(tmp_path / "stopped", MOMENTS["training"]))
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
    assert until(lambda: newest(tmp_path / "stopped", MOMENTS["training"]))
    runner_ = psutil.Process(process.pid)
    for one in [runner_, *runner_.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGTERM)
    code, said, complaints = finish(process)
    assert (code, [line for line in complaints.splitlines() if not re.match(r"\[\d{4}-.* task_manager\.cc", line)]) == (
        130,
        [],
    )  # Ray's farewell
    assert "stopped; everything is saved: give the same command again to go on" in said
    assert list(tmp_path.glob("stopped/shared/trials/*/checkpoint.safetensors"))
    assert "failed" not in {outcome for _, outcome, *_ in results(tmp_path / "stopped")[0].values()}
    assert finish(start(*words, *many))[0] == 0
    assert results(tmp_path / "stopped") == alone("--set", "steps=400")
