"""A training with its judgements, each made once. Any process may run a job: its records depend on the job and the data alone."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Callable

from bench import registry
from bench.judging import costs
from bench.judging.judge import Judge, drop_weights, what_weights_lack
from bench.running.environment import environment
from bench.running.identify import Identity, training_task
from bench.running.settings import Settings
from bench.running.train import Attempt
from bench.spec import Spec
from bench.store.checkpoint_mirror import CheckpointMirror, RemoteMirror
from bench.store.record import TrialRecord
from bench.store.run_dir import RunDir, RunDirs
from bench.store.stored import Judgement, Outcome, Training
from bench.suites.trial import Trial
from bench.task import Stream, Task
from bench.training import data_parallel
from bench.training.build import build, open_task
from bench.training.progress import Progress

_PATIENCE = 10.0  # seconds for another runner that puts a record into the store


@dataclasses.dataclass(frozen=True)
class Job:
    """Work that is missing: a training unless there is one, and judgements of it.

    Attributes:
        index: the place of its first trial among all that were asked for.
        trials: those that share the training, each of another test set or with other metrics.
        identities: of each.
        replaces: attempts on record that are to be made again. Any other was made meanwhile, here or elsewhere, and is taken.
        why: what made it necessary, for the user; empty where nothing like it is on record.
        packed: the training's record and weights, for a machine that does not see this disk.
    """

    index: int
    trials: tuple[Trial, ...]
    identities: tuple[Identity, ...]
    replaces: frozenset[str] = frozenset()
    why: str = ""
    packed: bytes | None = None

    @property
    def trial(self) -> Trial:
        """The first of its trials."""
        return self.trials[0]

    @property
    def training_id(self) -> str:
        """The id of its training."""
        return self.identities[0].training_id


def folder_of(job: Job, settings: Settings) -> RunDir:
    """Where a job runs."""
    return RunDirs(job.trial.suite, settings.out).of(job.training_id)


def mirror_of(job: Job, settings: Settings) -> CheckpointMirror:
    """Where the copies of its checkpoints lie."""
    if settings.checkpoints is None:
        return CheckpointMirror()
    return RemoteMirror(folder_of(job, settings).path, f"{settings.checkpoints}/{job.trial.suite}/{job.training_id}")


def run(job: Job, settings: Settings, progress: Progress, stopped: Callable[[], bool]) -> list[TrialRecord]:
    """Train and judge what is not there yet, resuming an interrupted training; write the records into the run directory.

    Args:
        job: the job.
        settings: where and how.
        progress: told of every step.
        stopped: whether the user asked to stop.

    Returns:
        The record of each of its trials.

    Raises:
        Locked: another process runs it.
        UsageError: bad input that would spoil every trial (a corrupt picture, a full disk).
        Interrupted: the user asked to stop; the state is saved.
    """
    folder, mirror = folder_of(job, settings), mirror_of(job, settings)
    with folder.lock():
        if job.packed is not None:
            folder.unpack(job.packed)
        training, lacking = _find_training(job, folder)
        missing = [pair for pair in zip(job.trials, job.identities, strict=True) if not _is_judged(pair[1], training, job, folder)]
        if missing:
            progress.started()
        if training is None:
            training = _train_and_record(job, settings, folder, mirror, progress, stopped, lacking)
            missing = [pair for pair in zip(job.trials, job.identities, strict=True) if not _is_judged(pair[1], training, job, folder)]
        for trial, identity in missing:
            _judge_and_record(trial, identity, training, settings, folder, progress, stopped)
        drop_weights(folder, settings.keep_weights)
        return [folder.read_trial(identity.trial_id) for identity in job.identities]


def _find_training(job: Job, folder: RunDir) -> tuple[Training | None, str]:
    """The training where it is made and, where something of it is still to be judged, has its weights; else what these lack."""
    if (attempt := folder.attempt()) is None or attempt in job.replaces:
        return None, ""
    training = folder.read_training()
    judged = all(_is_judged(identity, training, job, folder) for identity in job.identities)
    if judged or training.outcome != "finished" or job.trial.role != "row":
        return training, ""
    lacking = what_weights_lack(folder, training)
    return (None, lacking) if lacking else (training, "")


def _is_judged(identity: Identity, training: Training | None, job: Job, folder: RunDir) -> bool:
    attempt = folder.attempts().get(identity.trial_id)
    if training is None or attempt is None or attempt in job.replaces:
        return False
    return folder.read_judgement(identity.trial_id).weights == training.weights


def _train_and_record(
    job: Job, settings: Settings, folder: RunDir, mirror: CheckpointMirror, progress: Progress, stopped: Callable[[], bool], lacking: str
) -> Training:
    if folder.attempt() is not None:
        folder.clear()
    mirror.fetch()
    task, record = _open_training_task(job, settings), new_training(job, settings)
    Attempt(job.trial, task, settings, record, folder, mirror.keep, progress, stopped).run()
    left_out = {k: v for k, v in task.notes().items() if k == "skipped_files"}  # by now it is known which pictures were too small
    restarted = {"restarted": f"{lacking}, so it was trained again"} if lacking else {}
    record.tags |= restarted | left_out | mirror.notes()
    record.ended = time.time()
    folder.close(record)
    return record


def _judge_and_record(
    trial: Trial,
    identity: Identity,
    training: Training,
    settings: Settings,
    folder: RunDir,
    progress: Progress,
    stopped: Callable[[], bool],
) -> None:
    task = open_task(str(trial.task), settings.data_root, settings.device)
    judgement = new_judgement(trial, identity, training, task, settings)
    Judge(trial, task, training, folder, judgement, progress, stopped, settings.save_outputs).run()
    judgement.tags |= task.notes()  # by now it is known which pictures were too flat or too small
    judgement.ended = time.time()
    folder.judge(judgement)


def run_follower_rank(job: Job, settings: Settings) -> None:
    """Train beside the process that runs the job, on a share of its batches."""
    task = _open_training_task(job, settings)
    method = settings.compute.apply(build(job.trial, task))
    with settings.compute.running(settings.device):
        data_parallel.follow(method, Stream(task, job.trial.seed, getattr(method.hp, "batch_size", 1)))


def record_failure(job: Job, settings: Settings, reason: str) -> list[TrialRecord]:
    """Write the records of a job that killed every process that ran it, unless others have been written meanwhile.

    Raises:
        Locked: another process runs it.
    """
    folder = folder_of(job, settings)
    with folder.lock(_PATIENCE):
        training = None if (attempt := folder.attempt()) is None or attempt in job.replaces else folder.read_training()
        if training is None:
            folder.clear()
            training = new_training(job, settings)
            training.outcome, training.reason, training.ended = "failed", reason, time.time()
            folder.close(training)
        for trial, identity in zip(job.trials, job.identities, strict=True):
            if not _is_judged(identity, training, job, folder):
                task = open_task(str(trial.task), settings.data_root, settings.device)
                judgement = new_judgement(trial, identity, training, task, settings)
                failed: Outcome = "failed" if training.outcome == "finished" else training.outcome
                judgement.outcome, judgement.reason, judgement.ended = failed, reason, time.time()
                folder.judge(judgement)
        return read(job, settings)


def import_records(job: Job, packed: bytes, settings: Settings) -> list[TrialRecord]:
    """Unpack the records of a job that ran on another machine's disk, unless others have been written meanwhile.

    Raises:
        Locked: another process runs it.
    """
    folder = folder_of(job, settings)
    with folder.lock(_PATIENCE):
        folder.unpack(packed, job.replaces)
        return read(job, settings)


def read(job: Job, settings: Settings) -> list[TrialRecord]:
    """The records of its trials, which are made. Raises UsageError where one is damaged."""
    folder = folder_of(job, settings)
    return [folder.read_trial(identity.trial_id) for identity in job.identities]


def new_training(job: Job, settings: Settings) -> Training:
    """The record of a training before anything happened."""
    trial, identity = job.trial, job.identities[0]
    method = registry.find("method", trial.spec.name)
    hp = dataclasses.asdict(method.HP(**trial.spec.options))
    tags = {"oracle": "PSF"} if "psf" in method.needs else {}
    if origin := method.origin or ("weights trained elsewhere" if hp.get("weights") else ""):
        tags["origin"] = origin
    tags |= settings.compute.notes(settings.device) if "steps" in hp else {}
    if settings.at_once > 1:
        tags["at_once"] = f"its times were taken while up to {settings.at_once} trials ran at once"
    return Training(
        id=identity.training_id, suite=trial.suite, task=str(training_task(trial)), spec=str(Spec(trial.spec.name, hp)), title=trial.title,
        seed=trial.seed, tier=trial.tier, role=trial.role, facts=identity.training, params={k: str(v) for k, v in hp.items()}, tags=tags,
        summary={"load_average": os.getloadavg()[0]} if hasattr(os, "getloadavg") else {},  # how far the times can be trusted
        environment=environment(str(settings.device_here)), attempt=uuid.uuid4().hex,
    )  # fmt: skip


def new_judgement(trial: Trial, identity: Identity, training: Training, task: Task, settings: Settings) -> Judgement:
    """The record of a judgement before anything happened."""
    return Judgement(
        id=identity.trial_id, suite=trial.suite, training=training.id, weights=dict(training.weights), task=str(trial.task),
        label=trial.label, workload=trial.workload, test=trial.test, role=trial.role, tried=dict(trial.tried), plan=trial.plan,
        costs=dict(trial.costs),
        facts=identity.judging, cards={column: card.to_json() for column, card in {**task.cards(), **costs.cards(task)}.items()},
        environment=environment(str(settings.device_here)), attempt=uuid.uuid4().hex,
    )  # fmt: skip


def _open_training_task(job: Job, settings: Settings) -> Task:
    return open_task(str(training_task(job.trial)), settings.data_root, settings.device)
