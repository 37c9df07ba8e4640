"""What every method must hold, as checks that run in seconds: the conformance tests and `runner.py check` both call these."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import math
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.conformance._tools import place
from bench.conformance.toys import TOYS
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.method import Method
from bench.spec import Spec, parse
from bench.store import checkpoint
from bench.suites.components import check_method
from bench.task import Stream, Task, mix
from bench.training.loop import Plan, Training
from bench.training.progress import Progress

_STEPS = 4


def toy_of(method: type[Method]) -> Task:
    """The toy task that asks for what the method offers, and offers what it needs.

    Raises:
        UsageError: there is none.
    """
    toys = [toy() for toy in TOYS]
    if not (asked := [toy for toy in toys if hasattr(method, toy.verb)]):
        raise UsageError(f"{method.__name__} must define one of {', '.join(dict.fromkeys(toy.verb for toy in toys))}")
    if not (fitting := [toy for toy in asked if method.needs <= toy.offers]):
        raise UsageError(f"{method.__name__} needs {', '.join(sorted(method.needs))}: no toy task offers all of it")
    return fitting[0]


def make(name: str, seed: int = 0, **options: Any) -> Method:
    """A method, by its name or spec, at toy size on its toy task, where checks are made."""
    asked = parse(name)
    cls = registry.find("method", asked.name)
    small = {**cls.toy, **({"steps": _STEPS, "batch_size": 2} if _is_trained(cls) else {}), **asked.options, **options}
    spec = check_method(Spec(asked.name, small))
    task = toy_of(cls)
    task.open(None, place())
    torch.manual_seed(mix(seed))
    with place():
        return cls(task, **spec.options)  # type: ignore[no-any-return]


def train(method: Method, folder: Path, *, seed: int = 0, evaluations: int = 1, stop_at: int | None = None) -> Training:
    """Train under the harness's own loop, from the checkpoint in `folder` where there is one; `stop_at` interrupts at that update."""
    stream = Stream(method.task, seed, getattr(method.hp, "batch_size", 1))
    plan = Plan(folder, evaluations, higher_is_better=False)
    training = Training(method, stream, lambda: method.task.validate(method), plan, Progress())
    with contextlib.suppress(_Stopped):
        training.run(lambda: _stop_if(method.t == stop_at, training))
    return training


def check_header(name: str) -> None:
    """The file's docstring tells title, venue and departures."""
    doc = inspect.getmodule(registry.find("method", parse(name).name)).__doc__ or ""
    assert doc, f"{name}: the file has no docstring"
    assert "Departures:" in doc, f"{name}: the docstring has no 'Departures:' line (write 'none' where there are none)"


def check_hyper_parameters(name: str) -> None:
    """Every hyper-parameter is read by the method's file or by those of its base classes, and says where the paper states it."""
    cls = registry.find("method", parse(name).name)
    own = [base for base in cls.__mro__ if issubclass(base, Method)]
    source = "".join(inspect.getsource(inspect.getmodule(base)) for base in own)  # type: ignore[arg-type]
    for field in dataclasses.fields(cls.HP):
        assert field.metadata.get("doc"), f"{name}: say with param(..., doc) where the paper states {field.name}"
        read = (
            {"steps", "batch_size", "name"}
            | set(re.findall(r"\b(?:hp|h)\.(\w+)", source))
            | set(re.findall(r'getattr\(self\.hp, "(\w+)"', source))
        )
        assert field.name in read, f"{name}: nothing reads the hyper-parameter {field.name}"


def check_runs(name: str) -> None:
    """It builds at toy size, logs finite numbers to its last update, and does what its task asks for (see `_USES`)."""
    method = make(name)
    with tempfile.TemporaryDirectory() as folder:
        training = train(method, Path(folder))
    assert method.t == training.steps, f"{name}: stopped at update {method.t} of {training.steps}: the loop must be `while self.t < ...`"
    assert all(math.isfinite(value) for *_, value in training.points)
    with evaluation_mode(method):
        _USES[method.task.verb](name, method)


def _check_restore(name: str, method: Any) -> None:
    """Pictures of the right shape in [0, 1]."""
    batch = method.task.batch(3, torch.Generator().manual_seed(5))
    _check_pictures(f"{name}: restore", method.restore(batch.without_target()), batch.target.shape)


def _check_sample(name: str, method: Any) -> None:
    """As many pictures as asked for, of the right shape in [0, 1]."""
    for n in (1, 3):
        _check_pictures(f"{name}: sample({n})", method.sample(n), (n, *method.task.shape))


def _check_minimise(name: str, method: Any) -> None:
    """A model of the task's kind with finite parameters."""
    model = method.minimise()
    shapes = [p.shape for p in method.task.model().parameters()]
    assert isinstance(model, torch.nn.Module), f"{name}: minimise returned {type(model).__name__}, not a module"
    assert [p.shape for p in model.parameters()] == shapes, f"{name}: minimise returned another model than the task's"
    assert all(p.isfinite().all() for p in model.parameters()), f"{name}: minimise returned parameters that are not finite"


_USES: dict[str, Callable[[str, Any], None]] = {"restore": _check_restore, "sample": _check_sample, "minimise": _check_minimise}
"""Verb -> the check of what a method makes of it."""


def _check_pictures(who: str, y: Tensor, shape: tuple[int, ...]) -> None:
    assert y.shape == shape, f"{who} returned {tuple(y.shape)}, not {tuple(shape)}"
    assert y.dtype == torch.float32, f"{who} returned {y.dtype}"
    assert y.isfinite().all(), f"{who} returned numbers that are not finite"
    assert 0 <= y.min(), f"{who} went below 0"
    assert y.max() <= 1, f"{who} went above 1"


def check_deterministic(name: str) -> None:
    """The same seed gives the same bits, another seed others."""
    first = _undisturbed(name)
    assert first == _trained(name), f"{name}: two runs under one seed differ"
    assert not first or first != _trained(name, seed=1), f"{name}: the seed changes nothing"


def check_resume(name: str, cut: int) -> None:
    """Stopping at an update and resuming from the checkpoint gives the bits of an undisturbed run."""
    whole = _undisturbed(name)
    if not whole:
        return
    with tempfile.TemporaryDirectory() as folder:
        train(make(name), Path(folder), stop_at=cut)
        resumed = make(name, seed=99)  # nothing may depend on how it was built
        train(resumed, Path(folder))
    assert fingerprint(resumed) == whole, f"{name}: resumed at update {cut} it ends elsewhere: is there state that is not on self?"


def check_evaluation_neutral(name: str) -> None:
    """Evaluating at every update does not change training."""
    assert _trained(name, evaluations=_STEPS) == _undisturbed(name), (
        f"{name}: evaluation changes training: it must not move state or random numbers"
    )


def check_weights(name: str) -> None:
    """Built anew and given what is kept of a training, it does what the trained one does: judging needs no more than that."""
    method, again = make(name), make(name)
    with tempfile.TemporaryDirectory() as folder:
        train(method, Path(folder))
        checkpoint.save(Path(folder) / "weights", method.weights())
        again.load_state(checkpoint.load(Path(folder) / "weights"))
    assert list(_leaves(_use(method))) == list(_leaves(_use(again))), f"{name}: judged from its weights it does something else"


def _use(method: Any) -> Any:
    """What the verb of its task makes, under random numbers that are always the same."""
    with evaluation_mode(method):
        if method.task.verb == "restore":
            return method.restore(method.task.batch(2, torch.Generator().manual_seed(5)).without_target())
        return method.sample(3) if method.task.verb == "sample" else dict(method.minimise().named_parameters())


CHECKS: dict[str, Callable[[str], None]] = {
    "header": check_header,
    "hyper-parameters": check_hyper_parameters,
    "runs": check_runs,
    "deterministic": check_deterministic,
    "resume at 1": lambda name: check_resume(name, 1),
    "resume at 3": lambda name: check_resume(name, 3),
    "evaluation-neutral": check_evaluation_neutral,
    "weights": check_weights,
}


def checks_of(name: str) -> dict[str, Callable[[str], None]]:
    """Title -> check."""
    return CHECKS


def fingerprint(method: Method) -> list[Any]:
    """Every number in a method's state, in a comparable form."""
    return list(_leaves(method.state()))


def _trained(name: str, seed: int = 0, evaluations: int = 1) -> list[Any]:
    """Every number in a method's state after its training; of a method that is not trained none."""
    if not _is_trained(registry.find("method", parse(name).name)):
        return []
    with tempfile.TemporaryDirectory() as folder:
        method = make(name, seed)
        train(method, Path(folder), seed=seed, evaluations=evaluations)
        return fingerprint(method)


def _undisturbed(name: str) -> list[Any]:
    """What several checks compare with: trained once a method."""
    return _once(name, registry.find("method", parse(name).name), place())


@functools.lru_cache(maxsize=2)
def _once(name: str, cls: type[Method], device: torch.device) -> list[Any]:
    return _trained(name)


def _is_trained(cls: type[Method]) -> bool:
    return "steps" in registry.settings(cls)


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Tensor):
        yield tree.dtype, tree.shape, tree.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(tree, dict):
        for key in sorted(tree, key=str):
            yield from _leaves(tree[key])
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _leaves(value)
    else:
        yield tree


class _Stopped(Exception):
    pass


def _stop_if(condition: bool, training: Training) -> bool:
    if condition:
        training.save()
        raise _Stopped
    return False
