"""What decides the weights of a trial and the scores of given weights, by name. Versions and machine do not: see `environment`."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench import evaluation, registry
from bench.external import weights
from bench.judging import judge
from bench.running import train
from bench.running.environment import environment
from bench.running.settings import Settings
from bench.spec import Spec, parse
from bench.store import identity
from bench.store.code_hash import code_hash, file_hash
from bench.store.remarks import MOVES_BITS
from bench.suites.components import components_of, nested_components
from bench.suites.trial import Trial
from bench.training import build, loop

JUDGES = ("metric", "feature", "detector", "segmenter")  # kinds of components that decide scores alone
OUTPUTS_SAVED = {"outputs": "saved"}
_JUDGING_CODE = ("bench/judging", *(f"bench/{kind}s" for kind in JUDGES))  # which what trains may import, and does not depend on


@dataclasses.dataclass(frozen=True)
class Identity:
    """What decides the result of a trial, computed once and passed along with it.

    Attributes:
        training: what decides the weights.
        judging: what decides the scores of given weights, the id of their training among it.
    """

    training: dict[str, str]
    judging: dict[str, str]

    @functools.cached_property
    def training_id(self) -> str:
        """The id of the training: trials that differ in test set or metrics share one."""
        return identity.id_of(self.training)

    @functools.cached_property
    def trial_id(self) -> str:
        """The id of the judgement."""
        return identity.id_of(self.judging)

    @property
    def facts(self) -> dict[str, str]:
        """What decides weights and scores."""
        return {**self.training, **self.judging}


def identify(trial: Trial, settings: Settings) -> Identity:
    """What decides the result of a trial."""
    training = training_facts(trial, settings)
    return Identity(training, judging_facts(trial, settings, training))


def training_task(trial: Trial) -> Spec:
    """The task without what only decides how its methods are judged."""
    return Spec(trial.task.name, registry.find("task", trial.task.name).training_options(trial.task.options))


def training_facts(trial: Trial, settings: Settings) -> dict[str, str]:
    """Method, hyper-parameters, components, code, data of training and validation, seed, budget, settings that move weights."""
    task = build.open_task(str(training_task(trial)), settings.data_root, settings.device_here)
    method = registry.find("method", trial.spec.name)
    hp = method.HP(**trial.spec.options)
    facts: dict[str, Any] = {"method": trial.spec.name, "task": trial.task.name, "seed": trial.seed, "tier": trial.tier}
    facts["evaluations"] = trial.evaluations
    if trial.role != "row":  # another purpose, other measurements
        facts["role"] = trial.role
    facts |= {f"hp.{f.name}": getattr(hp, f.name) for f in dataclasses.fields(hp)}
    facts |= {f"task.{k}": v for k, v in task.options().items() if k not in task.judging_options}
    facts |= {f"data.{k}": v for k, v in task.fingerprint().items() if k.rpartition("/")[2] != "test"}
    components = task.components()
    facts |= _code_hashes([*components_of(hp), *(part for part in components if part[0] not in JUDGES)])
    facts |= {f"selects.{k.removeprefix('code.')}": v for k, v in _code_hashes(_ranking_components(components)).items()}
    facts["selects.card"] = task.ranked_by().hash
    facts |= {"code.method": code_hash(method), "code.task": code_hash(type(task), without=_JUDGING_CODE), "code.training": code_hash(loop)}
    facts |= {"code.build": file_hash(build), "code.train": file_hash(train), **settings.result_affecting()}
    for name, path in _files_of(hp):  # a path of the same name may hold other things tomorrow
        facts[f"file.{name}"] = weights.digest(path) if path.is_file() else weights.folder_digest(path)
    if digest := weights.digest_of(getattr(hp, "weights", "")):  # a file, or the name of a published one
        facts["file.weights"] = digest
    return _as_texts(facts | _environment_facts(settings))


def judging_facts(trial: Trial, settings: Settings, training: dict[str, str]) -> dict[str, str]:
    """Training, test data, metrics with their cards and code, the code that judges; of a trial that is only validated, the training."""
    facts: dict[str, Any] = {"training": identity.id_of(training)}
    if trial.role != "row":
        return _as_texts(facts)
    task = build.open_task(str(trial.task), settings.data_root, settings.device_here)
    facts |= {f"task.{k}": v for k, v in task.options().items() if k in task.judging_options}
    facts |= {f"data.{k}": v for k, v in task.fingerprint().items() if k.rpartition("/")[2] == "test"}
    facts |= {f"card.{column}": card.hash for column, card in task.cards().items()}
    facts |= {k: v for k, v in _code_hashes(task.components()).items() if k not in training}
    if settings.save_outputs:  # what was judged without keeping them is judged again
        facts |= OUTPUTS_SAVED
    facts |= {"code.judging": code_hash(type(task)), "code.judge": file_hash(judge), "code.evaluation": file_hash(evaluation)}
    return _as_texts(facts | _environment_facts(settings))


def _files_of(hp: Any) -> Iterator[tuple[str, Path]]:
    """Hyper-parameters that are paths, with the file or folder that they name, where it is there."""
    for field in dataclasses.fields(hp):
        given = getattr(hp, field.name) if field.metadata.get("file") else ""
        if given and (path := Path(given).expanduser()).exists():
            yield field.name, path


def _ranking_components(components: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The metric that chooses the best step, the first among a task's components, with what it looks through."""
    judges = [part for part in components if part[0] in JUDGES]
    rest = itertools.takewhile(lambda part: part[0] != "metric", judges[1:])
    return [*judges[:1], *rest]


def _code_hashes(components: Iterable[tuple[str, str]]) -> dict[str, str]:
    names = [(kind, parse(spec).name) for kind, spec in nested_components(components)]
    return {f"code.{kind}.{name}": code_hash(registry.find(kind, name)) for kind, name in names}


def _environment_facts(settings: Settings) -> dict[str, str]:
    """Under `--strict-environment` versions and machine decide, too."""
    if not settings.strict_environment:
        return {}
    here = environment(str(settings.device_here))
    return {f"env.{name}": here[name] for name in MOVES_BITS if name in here}


def _as_texts(facts: dict[str, Any]) -> dict[str, str]:
    return {k: str(v) for k, v in facts.items()}
