"""SSIM here against scikit-image's, pair by pair in one run: python -m benchmarks.metrics [--threads N]."""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from skimage.metrics import structural_similarity

from bench import registry


def main() -> None:
    """Print milliseconds an image and the ratio (median of paired runs, and its range)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours = registry.make("metric", "ssim[quantize=none]")
    print(f"{'images':>16} {'ours ms':>9} {'skimage ms':>11} {'ratio':>7} {'range':>14} {'difference':>11}")
    for n, height, width in ((16, 64, 64), (4, 256, 256), (1, 720, 1280)):
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(n, 3, height, width, generator=generator)
        y = (x + 0.1 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
        pairs = [(_milliseconds(lambda: ours(y, x)) / n, _milliseconds(lambda: _theirs(y, x)) / n) for _ in range(args.pairs + 1)][1:]  # noqa: B023
        ratios = sorted(b / a for a, b in pairs)
        difference = (ours(y, x) - _theirs(y, x)).abs().max().item()
        mine, other = (statistics.median(side) for side in zip(*pairs))
        spread = f"{ratios[0]:.1f}..{ratios[-1]:.1f}"
        print(f"{f'{n}x3x{height}x{width}':>16} {mine:9.2f} {other:11.2f} {statistics.median(ratios):7.2f} {spread:>14} {difference:11.1e}")


def _theirs(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    options = {"channel_axis": 0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return torch.tensor(
        [structural_similarity(b.double().numpy(), a.double().numpy(), **options) for a, b in zip(y, x)], dtype=torch.float64
    )


def _milliseconds(f: Callable[[], object]) -> float:
    start = time.process_time()
    f()
    return 1e3 * (time.process_time() - start)


if __name__ == "__main__":
    main()
