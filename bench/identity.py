"""What decides a result, by name. Trials with the same parts are the same trial; what differs names the reason to run again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench import registry, training, weights
from bench.codehash import code_hash
from bench.spec import parse
from bench.suite import Trial, parts_of, unfolded
from bench.task import Task

_JUDGED = (
    "tier",
    "task",
    "data.",
    "card.",
    "code.task",
    "code.dataset.",
    "code.degradation.",
    "code.metric.",
    "code.feature.",
    "code.detector.",
    "code.segmenter.",
)


def identify(trial: Trial, task: Task, means: Mapping[str, Any]) -> dict[str, str]:
    """Everything that could change the result: hyper-parameters, task options, data, cards, code, seed, tier, torch, and by what means it is run."""
    method = registry.find("method", trial.spec.name)
    hp = method.HP(**trial.spec.options)
    parts = {"method": trial.spec.name, "task": trial.task.name, "seed": trial.seed, "tier": trial.tier, "evaluations": trial.evaluations}
    if trial.role != "row":  # another purpose, another judgement
        parts["role"] = trial.role
    parts |= {f"hp.{f.name}": getattr(hp, f.name) for f in dataclasses.fields(hp)}
    parts |= {f"task.{k}": v for k, v in task.options().items()}
    parts |= {f"data.{k}": v for k, v in task.fingerprint().items()}
    parts |= {f"card.{column}": card.hash for column, card in task.cards().items()}
    for kind, spec in unfolded([*parts_of(hp), *task.parts()]):
        name = parse(spec).name
        parts[f"code.{kind}.{name}"] = code_hash(registry.find(kind, name))
    parts |= {"code.method": code_hash(method), "code.task": code_hash(type(task)), "code.training": code_hash(training)}
    parts |= {"torch": torch.__version__, **means}
    if (file := Path(getattr(hp, "weights", "")).expanduser()).is_file():  # a path of the same name may hold other weights tomorrow
        parts["file.weights"] = weights.digest(file)
    return {k: str(v) for k, v in parts.items()}


def id_of(parts: Mapping[str, str]) -> str:
    """Sixteen hex digits over the parts: the trial's id."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def row_of(parts: Mapping[str, str]) -> str:
    """The same for all trials that differ in the seed alone: they make one row of a table."""
    return id_of({k: v for k, v in parts.items() if k not in ("seed", "on_oom", "code.accumulation")})  # a trial in parts is marked


def protocol_of(parts: Mapping[str, str]) -> str:
    """The same for all trials that can stand in one table: the same question on the same data, judged alike."""
    return id_of({k: v for k, v in parts.items() if k.startswith(_JUDGED)})
