"""The life of a trial: an attempt, its record, each once. A pure function of (trial, data), but for the clock."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Callable

from bench import registry
from bench.judging import costs
from bench.method import Method
from bench.running.attempt import Attempt, Watcher
from bench.running.environment import environment
from bench.running.identify import identify as parts_of_trial
from bench.running.settings import Settings
from bench.spec import Spec
from bench.store import identity
from bench.store.checkpoint_mirror import Depot, Remote
from bench.store.code_hash import file_hash
from bench.store.record import TrialRecord
from bench.store.run_dir import RunDir, RunDirs
from bench.stream import Stream
from bench.suites.trial import Trial
from bench.training import data_parallel
from bench.training.build import build, open_task

_PATIENCE = 10.0  # seconds for another runner that puts a record into the store


def identify(trial: Trial, settings: Settings) -> dict[str, str]:
    """What decides the result of a trial (see `bench.store.identity`)."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    code = {"code.build": file_hash(build), "code.attempt": file_hash(Attempt)}
    return parts_of_trial(trial, task, settings.means() | code)


def folder_of(trial: Trial, trial_id: str, settings: Settings) -> RunDir:
    """Where a trial runs."""
    return RunDirs(trial.suite, settings.out).of(trial_id)


def depot_of(trial: Trial, trial_id: str, settings: Settings) -> Depot:
    """Where the copies of its checkpoints lie."""
    if settings.checkpoints is None:
        return Depot()
    return Remote(folder_of(trial, trial_id, settings).path, f"{settings.checkpoints}/{trial.suite}/{trial_id}")


def run(trial: Trial, settings: Settings, watcher: Watcher, stopped: Callable[[], bool], stale: str | None = None) -> TrialRecord:
    """Train and score one trial, resuming it where an earlier attempt was interrupted, and write its record into its run directory.

    Args:
        trial: the trial.
        settings: where and how.
        watcher: who looks on.
        stopped: whether the user asked to stop.
        stale: the attempt on record that is to be replaced. Any other was made meanwhile, here or elsewhere: it is returned and nothing runs.

    Raises:
        Held: another process runs it.
        UsageError: bad input that would spoil every trial (a corrupt picture, a full disk).
        Interrupted: the user asked to stop; the state is saved.
    """
    task = open_task(str(trial.task), settings.data_root, settings.device)
    record = blank(trial, settings)
    folder, depot = folder_of(trial, record.trial_id, settings), depot_of(trial, record.trial_id, settings)
    with folder.held():
        if (attempt := folder.attempt()) is not None:
            if attempt != stale:
                return folder.read()
            folder.clear()
        watcher.started()
        depot.fetch()
        Attempt(trial, task, settings, record, folder, depot.keep, watcher, stopped).live()
        record.tags |= task.notes() | depot.remarks()  # by now it is known which pictures were too flat or too small
        record.ended = time.time()
        folder.close(record)
    return record


def follow(trial: Trial, settings: Settings) -> None:
    """Train beside the process that runs the trial, on a share of its batches."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    method = build(trial, task)
    data_parallel.follow(method, Stream(task, trial.seed, getattr(method.hp, "batch_size", 1)))


def give_up(trial: Trial, settings: Settings, reason: str, stale: str | None) -> TrialRecord:
    """Write the record of a trial that killed every process that ran it, unless another one has been written meanwhile.

    Raises:
        Held: another process runs it.
    """
    record = blank(trial, settings)
    folder = folder_of(trial, record.trial_id, settings)
    with folder.held(_PATIENCE):
        if folder.attempt() not in (None, stale):
            return folder.read()
        folder.clear()
        folder.results.mkdir()
        record.outcome, record.reason, record.ended = "failed", reason, time.time()
        folder.close(record)
    return record


def take_in(trial: Trial, packed: bytes, settings: Settings, stale: str | None) -> TrialRecord:
    """Unpack the record of a trial that ran on another machine's disk, unless another one has been written meanwhile.

    Raises:
        Held: another process runs it.
    """
    folder = folder_of(trial, identity.id_of(identify(trial, settings)), settings)
    with folder.held(_PATIENCE):
        if folder.attempt() in (None, stale):
            folder.unpack(packed)
        return folder.read()


def blank(trial: Trial, settings: Settings) -> TrialRecord:
    """The record before anything happened."""
    task = open_task(str(trial.task), settings.data_root, settings.device)
    method: type[Method] = registry.find("method", trial.spec.name)
    hp = dataclasses.asdict(method.HP(**trial.spec.options))
    parts = identify(trial, settings)
    tags = task.notes() | ({"oracle": "PSF"} if "psf" in method.needs else {})
    if settings.at_once > 1:
        tags["at_once"] = f"its times were taken while up to {settings.at_once} trials ran at once"
    return TrialRecord(
        suite=trial.suite,
        task=str(trial.task),
        label=trial.label,
        spec=str(Spec(trial.spec.name, hp)),
        seed=trial.seed,
        tier=trial.tier,
        trial_id=identity.id_of(parts),
        workload=trial.workload,
        role=trial.role,
        tried=dict(trial.tried),
        plan=trial.plan,
        costs=dict(trial.costs),
        outcome="finished",
        params={k: str(v) for k, v in hp.items()},
        parts=parts,
        tags=tags,
        summary={"load_average": os.getloadavg()[0]} if hasattr(os, "getloadavg") else {},  # how far the times can be trusted
        cards={column: card.to_json() for column, card in {**task.cards(), **costs.cards(task)}.items()},
        environment=environment(str(settings.device)),
        attempt=uuid.uuid4().hex,
    )
