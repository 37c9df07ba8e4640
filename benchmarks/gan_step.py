"""What the harness costs a GAN: WGAN-GP on 32 x 32 pictures under `bench.training.loop` against a plain loop of the same networks.

Usage: python benchmarks/gan_step.py [updates] [rounds]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import bench  # noqa: F401  (sets the environment before torch is imported)
from bench import registry
from bench.conformance.toys import ToyGeneration
from bench.method import Samples
from bench.task import Stream
from bench.training.loop import Plan, Training
from bench.training.progress import Progress
from methods.networks.backbones import ConvGenerator, conv_critic

BATCH, N_CRITIC, Z = 32, 2, 32


class Task(ToyGeneration):
    """Pictures made beforehand, so that only training is timed; the default backbones at 32 x 32."""

    shape = (1, 32, 32)
    z_dim = Z

    def generator(self) -> nn.Module:
        """DCGAN's shape, 32 channels at the end."""
        return ConvGenerator(Z, self.shape, ngf=32)

    def critic(self, outputs: int = 1) -> nn.Module:
        """The same mirrored, no norm."""
        return conv_critic(self.shape, ndf=32, outputs=outputs)

    def batch(self, n: int, rng: torch.Generator) -> Samples:
        """The same pictures every time."""
        if not hasattr(self, "_fixed"):
            self._fixed = Samples(torch.rand(n, *self.shape, generator=rng), torch.zeros(n, dtype=torch.int64))
        return self._fixed


def harness(updates: int) -> float:
    """Seconds an update under the harness."""
    torch.manual_seed(0)
    method = registry.find("method", "wgan_gp")(Task(), steps=updates, batch_size=BATCH, n_critic=N_CRITIC)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Path(folder), evaluations=1, higher_is_better=False)
        training = Training(method, Stream(method.task, 0, BATCH), lambda: {"none": 0.0}, plan, Progress())
        start = time.perf_counter()
        training.run(lambda: False)
        return (time.perf_counter() - start) / updates


def plain(updates: int) -> float:
    """Seconds an update in a loop that knows nothing of the harness: networks, Adam, the two losses."""
    torch.manual_seed(0)
    task = Task()
    G, D = task.generator(), task.critic()
    opt_g, opt_d = (torch.optim.Adam(net.parameters(), 1e-4, (0.0, 0.9), fused=True) for net in (G, D))
    x = task.batch(BATCH, torch.Generator()).x
    start = time.perf_counter()
    for _ in range(updates):
        for _ in range(N_CRITIC):
            y = G(torch.randn(BATCH, Z)).detach()
            loss = D(y).mean() - D(x).mean() + 10 * penalty(D, x, y)
            opt_d.zero_grad()
            loss.backward()
            opt_d.step()
        loss = -D(G(torch.randn(BATCH, Z))).mean()
        opt_g.zero_grad()
        loss.backward(inputs=list(G.parameters()))
        opt_g.step()
    return (time.perf_counter() - start) / updates


def penalty(D: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """WGAN-GP's penalty, written out."""
    a = torch.rand(len(x), 1, 1, 1)
    mixed = (a * x + (1 - a) * y).requires_grad_()
    (gradient,) = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def main(updates: int = 40, rounds: int = 7) -> None:
    """Print medians and the ratio."""
    harness(3), plain(3)  # warm up
    pairs = [(harness(updates), plain(updates)) for _ in range(rounds)]
    ours, theirs = (statistics.median(column) * 1e3 for column in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"harness {ours:.1f} ms/update, plain loop {theirs:.1f} ms/update, median ratio {ratio:.3f} over {rounds} rounds of {updates}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
