"""Checkpoints of others: which source a file comes from (`checkpoints.toml`), and its tensors under the names of a method's networks.

Strict: a file fits a source to the last key and shape, or one line says what was expected and what was found.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.errors import UsageError
from bench.external import weights
from bench.external._layouts import Entry, Sizes, entries, evaluate, measure, repeat, write_out
from bench.external._recipes import RECIPES, turn

_OWN = "method."  # what stands before the keys of weights that a training of this bench keeps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Whose layout of a checkpoint it is; see the head of `checkpoints.toml`."""

    name: str
    code: str
    methods: tuple[str, ...]
    layers: Sequence[Sequence[str]]
    made: Sequence[Sequence[str]] = ()
    into: str = ""
    wrapper: str = ""
    sizes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    least: Mapping[str, int] = dataclasses.field(default_factory=dict)
    hp: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    task: Mapping[str, str | int] = dataclasses.field(default_factory=dict)
    ignores: Sequence[str] = ()

    def layout(self, sizes: Sizes) -> list[Entry]:
        """Every tensor of a file of these sizes."""
        return entries(self.layers, sizes)

    def measured(self, state: Mapping[str, Tensor]) -> dict[str, int] | None:
        """The sizes of a file; None where it has none that this source could have."""
        shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
        try:
            sizes = {letter: measure(rule, shapes) for letter, rule in self.sizes.items()}
        except (LookupError, ValueError):
            return None
        return sizes if all(size >= self.least.get(letter, 1) for letter, size in sizes.items()) else None

    def relevant(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors without those that this source does not use."""
        return {k: v for k, v in state.items() if not any(fnmatch.fnmatchcase(k, pattern) for pattern in self.ignores)}

    def differences(self, state: Mapping[str, Tensor]) -> list[str]:
        """What keeps a file from being of this source, a text each; empty where nothing does."""
        if (sizes := self.measured(state)) is None:
            return ["its sizes are others"]
        wanted, found = {e.theirs: e.shape for e in self.layout(sizes)}, self.relevant(state)
        lacking = [f"{key} is missing" for key in wanted if key not in found]
        surplus = [f"{key} is not of it" for key in found if key not in wanted]
        other = [
            f"{key} is {_times(found[key].shape)}, not {_times(shape)}"
            for key, shape in wanted.items() if key in found and tuple(found[key].shape) != shape
        ]  # fmt: skip
        return [*other, *lacking, *surplus]

    def converted(self, state: Mapping[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
        """The tensors under our names."""
        whole = {key: tensor.float() for key, tensor in state.items()}
        ours = {self.into + e.ours: turn(e.turn, e.theirs, whole[e.theirs]) for e in self.layout(sizes) if e.ours}
        for head, place, *theirs in self.made:
            for recipe, here in repeat(head, sizes):
                made = RECIPES[recipe](whole, *(write_out(key, here) for key in theirs))
                ours |= {f"{self.into}{write_out(place, here)}.{name}": tensor for name, tensor in made.items()}
        return ours


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A layout that no method here can take, told by its keys: every glob finds one."""

    name: str
    has: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Released:
    """A checkpoint, ready for the networks of a method.

    Attributes:
        path: the file.
        tensors: by "NETWORK.KEY".
        options: hyper-parameters that the file decides.
        task: what the task must be.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    options: Mapping[str, Any]
    task: Mapping[str, int]


@functools.cache
def sources() -> list[Source]:
    """Every known source."""
    return [Source(**{**entry, "methods": tuple(entry["methods"])}) for entry in _table()["source"]]


@functools.cache
def foreign() -> list[Foreign]:
    """Every known layout that no method can take."""
    return [Foreign(**entry) for entry in _table()["foreign"]]


def read(method: str, file: str) -> Released:
    """The checkpoint for a method: a file, or the name of an entry of the manifest of weights.

    Raises:
        UsageError: no such file, no plain tensors, or tensors of another network; one line that says which.
        Unavailable: a known entry that is not here (the message has the command that fetches it), or no reader for the format.
    """
    path = weights.locate(file)
    state, wrapper = weights.read_wrapped(path)
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    if any(key.startswith(_OWN) for key in state):
        state = _of_training(state)
    own = [source for source in sources() if method in source.methods]
    fitting = [source for source in own if source.wrapper in ("", wrapper) and not source.differences(state)]
    source = max(fitting, key=lambda s: bool(s.wrapper), default=None)
    if source is None:
        if any(key.startswith("G.") for key in state):
            return Released(path, state, {}, {})
        raise UsageError(f"{path} holds no weights for {method}: {_explain(own, state)}")
    sizes = source.measured(state)
    assert sizes is not None
    options = {name: evaluate(size, sizes) for name, size in source.hp.items()}
    task = {name: evaluate(str(size), sizes) for name, size in source.task.items()}
    tensors = source.converted(source.relevant(state), sizes)
    return Released(path, tensors, {**options, **source.options, **weights.options_of(file)}, task)


def _of_training(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a training of this bench kept, by "NETWORK.KEY"; the average of a generator in its place where there is one."""
    tensors = {key.removeprefix(_OWN): tensor for key, tensor in state.items()}
    average = {f"G.{key.removeprefix('average.')}": tensor for key, tensor in tensors.items() if key.startswith("average.")}
    return {key: tensor for key, tensor in (tensors | average).items() if not key.startswith("average.")}


def _explain(own: Sequence[Source], state: Mapping[str, Tensor]) -> str:
    """What was expected, what was found, and what it looks like."""
    expected = " or ".join(source.name for source in own) or "weights of its own trainings"
    some = ", ".join(f"{key} ({_times(tensor.shape)})" for key, tensor in list(state.items())[:2])
    return f"expected {expected}, found {len(state)} tensors{f' such as {some}' if some else ''}{_resemblance(own, state)}"


def _resemblance(own: Sequence[Source], state: Mapping[str, Tensor]) -> str:
    if other := next((s for s in sources() if not s.differences(state) and s not in own), None):
        return f"; it looks like {other.name}, for {' or '.join(other.methods)}"
    if strange := next((f for f in foreign() if all(fnmatch.filter(state, glob) for glob in f.has)), None):
        return f"; it looks like {strange.name}"
    faults = {source.name: source.differences(state) for source in own if source.measured(state)}
    if not faults:
        return ""
    name, found = min(faults.items(), key=lambda item: len(item[1]))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"; nearest to {name}, but {found[0]}{more}"


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "checkpoints.toml").read_text(encoding="utf-8"))
