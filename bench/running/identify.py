"""What decides the result of a trial, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench import registry
from bench.external import weights
from bench.spec import parse
from bench.store.code_hash import code_hash
from bench.suites.components import parts_of, unfolded
from bench.suites.trial import Trial
from bench.task import Task
from bench.training import loop


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
    for kind, spec in unfolded([*parts_of(hp), *task.components()]):
        name = parse(spec).name
        parts[f"code.{kind}.{name}"] = code_hash(registry.find(kind, name))
    parts |= {"code.method": code_hash(method), "code.task": code_hash(type(task)), "code.training": code_hash(loop)}
    parts |= {"torch": torch.__version__, **means}
    if (file := Path(getattr(hp, "weights", "")).expanduser()).is_file():  # a path of the same name may hold other weights tomorrow
        parts["file.weights"] = weights.digest(file)
    return {k: str(v) for k, v in parts.items()}
