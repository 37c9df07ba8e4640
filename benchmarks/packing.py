"""What training N trials as one program (vmap over stacked parameters) gives over one after another, for a regression and a game.

Three ways alternate in one process, each with a stream of batches per trial: the harness as users run it, a bare loop per trial, and
one program for all. The bare loop tells what packing gives apart from what the harness's logs, checks and checkpoints cost; the packed
program has none of them, all its trials share one learning rate, and one optimizer steps on the stacked parameters.

Usage: OMP_NUM_THREADS=2 python benchmarks/packing.py [updates] [rounds]
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy, softplus

import bench  # noqa: F401  (sets the environment before torch is imported)
from bench import registry
from bench.task import Stream, Task
from bench.training.loop import Plan, Training
from bench.training.progress import Progress

BATCH = 64
SIZES = (1, 8, 32)

Networks = Mapping[str, nn.Module]
Weights = dict[str, dict[str, Tensor]]
"""Network -> parameter -> values, of one trial or stacked."""


@dataclasses.dataclass(frozen=True)
class Program:
    """Trials of one shape.

    Attributes:
        task, method: as the harness names them.
        build: task -> networks by name.
        losses: network that learns -> (networks as functions, batch) -> what it descends; in the order of an update.
        batches: (task, seed) -> what an update sees, tensors alone.
    """

    task: str
    method: str
    build: Callable[[Any], Networks]
    losses: Mapping[str, Callable[..., Tensor]]
    batches: Callable[[Task, int], Iterator[tuple[Tensor, ...]]]


def labelled(task: Task, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Inputs and classes."""
    for batch in Stream(task, seed, BATCH):
        yield batch.x, batch.labels


def points_and_latents(task: Any, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Real points, and a latent each for the critic's step and the generator's."""
    rng = torch.Generator().manual_seed(seed)
    for batch in Stream(task, seed, BATCH):
        yield batch.x, *torch.randn(2, BATCH, task.z_dim, generator=rng)


PROGRAMS = (
    Program(
        "learn[network=mlp]", "descent",
        lambda task: {"model": task.model()},
        {"model": lambda nets, x, labels: cross_entropy(nets["model"](x), labels)},
        labelled,
    ),
    Program(
        "toy2d", "gan",
        lambda task: {"G": task.generator(), "D": task.critic()},
        {
            "D": lambda nets, x, z, _: softplus(-nets["D"](x)).mean() + softplus(nets["D"](nets["G"](z))).mean(),
            "G": lambda nets, x, _, z: softplus(-nets["D"](nets["G"](z))).mean(),
        },
        points_and_latents,
    ),
)  # fmt: skip


def built(program: Program, task: Any, n: int) -> list[Networks]:
    """The networks of n seeds."""
    found = []
    for seed in range(n):
        torch.manual_seed(seed)
        found.append(program.build(task))
    return found


def by_harness(program: Program, task: Any, rule: str, n: int, updates: int) -> None:
    """Train n trials one after another by the harness's own loop."""
    for seed in range(n):
        torch.manual_seed(seed)
        method = registry.find("method", program.method)(task, steps=updates, batch_size=BATCH, optimizer=rule)
        with tempfile.TemporaryDirectory() as folder:
            plan = Plan(Path(folder), evaluations=1, higher_is_better=False)
            Training(method, Stream(task, seed, BATCH), lambda: {"none": 0.0}, plan, Progress()).run(lambda: False)


def one_by_one(program: Program, task: Any, rule: str, n: int, updates: int) -> list[list[Tensor]]:
    """Train n trials one after another in a bare loop: the weights of each."""
    trained = []
    for seed, nets in enumerate(built(program, task, n)):
        batches = program.batches(task, seed)
        opts = {name: registry.make("optimizer", rule)(list(nets[name].parameters())) for name in program.losses}
        for _ in range(updates):
            batch = next(batches)
            for name, loss in program.losses.items():
                opts[name].zero_grad()
                loss(nets, *batch).backward(inputs=list(nets[name].parameters()))
                opts[name].step()
        trained.append([p.detach() for net in nets.values() for p in net.parameters()])
    return trained


def packed(program: Program, task: Any, rule: str, n: int, updates: int) -> list[list[Tensor]]:
    """Train n trials as one program: the weights of each."""
    trials = built(program, task, n)
    weights: Weights = {name: stack_module_state([nets[name] for nets in trials])[0] for name in trials[0]}
    gradients = {name: vmap(grad(as_function(trials[0], name, loss))) for name, loss in program.losses.items()}
    streams = [program.batches(task, seed) for seed in range(n)]
    opts = {name: registry.make("optimizer", rule)(list(weights[name].values())) for name in program.losses}
    for _ in range(updates):
        batch = tuple(map(torch.stack, zip(*map(next, streams), strict=True)))
        for name, gradient in gradients.items():
            others = {other: w for other, w in weights.items() if other != name}
            for key, value in gradient(weights[name], others, *batch).items():
                weights[name][key].grad = value
            opts[name].step()
    return [[p.detach()[i] for net in weights.values() for p in net.values()] for i in range(n)]


def as_function(nets: Networks, learner: str, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss as a function of the learner's weights, the others' weights and a batch."""

    def value(own: dict[str, Tensor], others: Weights, *batch: Tensor) -> Tensor:
        weights = {**others, learner: own}
        return loss({name: lambda x, net=net, w=weights[name]: functional_call(net, w, (x,)) for name, net in nets.items()}, *batch)

    return value


def microseconds(train: Callable[..., Any], *args: Any) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    train(*args)
    return (time.perf_counter() - start) * 1e6


def distance(a: list[list[Tensor]], b: list[list[Tensor]]) -> float:
    """The largest difference of two weights."""
    return max(float((p - q).abs().max()) for one, other in zip(a, b, strict=True) for p, q in zip(one, other, strict=True))


def main(updates: int = 60, rounds: int = 3) -> None:
    """Print the median ratios for each rule and size of a pack, and how far the weights lie apart."""
    for program in PROGRAMS:
        task = registry.make("task", program.task)
        task.open(None, torch.device("cpu"))
        print(f"{program.task}, {torch.get_num_threads()} threads, medians of {rounds} rounds of {updates} updates", flush=True)
        for rule in ("sgd", "adam"):
            for n in SIZES:
                apart = distance(one_by_one(program, task, rule, n, 10), packed(program, task, rule, n, 10))  # also warms up
                ways = (by_harness, one_by_one, packed)
                times = [[microseconds(way, program, task, rule, n, updates) for way in ways] for _ in range(rounds)]
                harness, bare = (statistics.median(row[i] / row[2] for row in times) for i in (0, 1))
                cost = statistics.median(row[2] for row in times) / n / updates
                print(
                    f"{rule:8} {n:3} at once: {cost:5.0f} us a trial and update; harness {harness:.2f}x, bare loop {bare:.2f}x as long; "
                    f"weights within {apart:.1e} after 10 updates",
                    flush=True,
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
