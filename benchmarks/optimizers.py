"""What a step of each update rule costs, as a ratio to torch's Adam in its loop over tensors; and what the harness adds to an update.

All that is compared alternates in one process.

Usage: python benchmarks/optimizers.py [tensors] [size] [rounds]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import bench  # noqa: F401  (sets the environment before torch is imported)
from bench import registry
from bench.task import Stream
from bench.training.loop import Plan, Training
from bench.training.progress import Progress

STEPS = 10
UPDATES, BATCH = 1000, 64  # of the network


def optimizer(make, tensors: int, size: int) -> torch.optim.Optimizer:
    """An optimiser of as many tensors of that many numbers, with gradients that stay, two steps in."""
    rng = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(size, generator=rng)) for _ in range(tensors)]
    for p in params:
        p.grad = torch.randn(size, generator=rng)
    opt = make(params)
    opt.step()
    opt.step()
    return opt


def seconds(opt: torch.optim.Optimizer) -> float:
    """A step's, without those of other work on the machine."""
    start = time.process_time()
    for _ in range(STEPS):
        opt.step()
    return (time.process_time() - start) / STEPS


def digits():
    """The task of the smallest network: a hidden layer of 32 units on digits of 8 x 8 pixels."""
    task = registry.make("task", "learn")
    task.open(None, torch.device("cpu"))
    return task


def harness(task, optimizer: str) -> float:
    """Seconds an update as a user runs it: batches, schedule, curves, divergence checks, a checkpoint at the end; validation apart."""
    torch.manual_seed(0)
    method = registry.find("method", "descent")(task, steps=UPDATES, batch_size=BATCH, optimizer=optimizer)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Path(folder), evaluations=1, higher_is_better=False)
        training = Training(method, Stream(task, 0, BATCH), lambda: {"none": 0.0}, plan, Progress())
        start = time.process_time()
        training.run(lambda: False)
        return (time.process_time() - start) / UPDATES


def bare(task, make) -> float:
    """Seconds an update in a loop that knows nothing of the harness: random batches, the same network, `make(parameters)`."""
    torch.manual_seed(0)
    model, pictures = task.model(), task.examples("train")
    opt = make(model.parameters())
    start = time.process_time()
    for _ in range(UPDATES):
        index = torch.randint(len(pictures), (BATCH,))
        loss = cross_entropy(model(pictures.x[index]), pictures.labels[index])
        opt.zero_grad()
        loss.backward()
        opt.step()
    return (time.process_time() - start) / UPDATES


def print_harness(rounds: int) -> None:
    """The harness with rules of torch and of ours, against a bare loop."""
    task = digits()
    size = sum(p.numel() for p in task.model().parameters())
    print(f"\ndigits, {size} parameters, batches of {BATCH}: medians of {rounds} rounds of {UPDATES} updates")
    for name in ("sgd", "adam", "amsgrad", "swats"):
        rule = registry.make("optimizer", name)
        harness(task, name)  # warm up
        pairs = [(harness(task, name), bare(task, lambda params, rule=rule: rule(list(params)))) for _ in range(rounds)]
        ours, plain = (statistics.median(column) * 1e6 for column in zip(*pairs))
        print(
            f"{name:16} {ours:6.0f} us an update   "
            f"{statistics.median(a / b for a, b in pairs):.2f} of a bare loop with that rule ({plain:.0f} us)"
        )


def main(tensors: int = 200, size: int = 1000, rounds: int = 15) -> None:
    """Print the median milliseconds of each rule and its median ratio to Adam's loop; then the harness's share."""
    loop = optimizer(lambda params: torch.optim.Adam(params, foreach=False, fused=False), tensors, size)
    specs = [*registry.names("optimizer"), "swats[atol=0.0]"]  # along a gradient that stays swats descends, but at tolerance 0
    rules = {spec: optimizer(registry.make("optimizer", spec), tensors, size) for spec in specs}
    times = [(seconds(loop), *map(seconds, rules.values())) for _ in range(rounds)]
    adam, *columns = zip(*times)
    print(
        f"{tensors} tensors of {size}: torch's Adam, loop {statistics.median(adam) * 1e3:.2f} ms a step; "
        f"medians of {rounds} rounds of {STEPS}"
    )
    for name, column in sorted(zip(rules, columns), key=lambda pair: statistics.median(pair[1])):
        ratio = statistics.median(t / a for t, a in zip(column, adam))
        print(f"{name:16} {statistics.median(column) * 1e3:6.2f} ms   {ratio:.2f} of the loop")
    print_harness(max(rounds // 3, 1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
