"""What a step of each update rule costs, as a ratio to torch's Adam in its loop over tensors; all alternate in one process.

Usage: python benchmarks/optimizers.py [tensors] [size] [rounds]
"""

import statistics
import sys
import time

import torch
from torch import nn

import bench  # noqa: F401  (sets the environment before torch is imported)
from bench import registry

STEPS = 10


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


def main(tensors: int = 200, size: int = 1000, rounds: int = 15) -> None:
    """Print the median milliseconds of each rule and its median ratio to Adam's loop."""
    loop = optimizer(lambda params: torch.optim.Adam(params, foreach=False, fused=False), tensors, size)
    specs = [*registry.names("optimizer"), "swats[atol=0.0]"]  # along a gradient that stays swats descends, but at tolerance 0
    rules = {spec: optimizer(registry.make("optimizer", spec), tensors, size) for spec in specs}
    times = [(seconds(loop), *map(seconds, rules.values())) for _ in range(rounds)]
    adam, *columns = zip(*times)
    print(f"{tensors} tensors of {size}: torch's Adam, loop {statistics.median(adam) * 1e3:.2f} ms a step; medians of {rounds} rounds of {STEPS}")
    for name, column in sorted(zip(rules, columns), key=lambda pair: statistics.median(pair[1])):
        ratio = statistics.median(t / a for t, a in zip(column, adam))
        print(f"{name:16} {statistics.median(column) * 1e3:6.2f} ms   {ratio:.2f} of the loop")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
