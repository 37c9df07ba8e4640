"""Metrics here against the libraries that people would use instead: python -m benchmarks.metrics [--threads N] [--rounds N] [--only NAME].

Both sides see the same numbers in the same precision, in turn, in one process; times are processor time. `again` is our second call with
the same real samples, as when validation comes back to them or an error bar leaves out a tenth of the fakes ten times. Ratios above 1:
ours is faster. `difference` is relative, to the library's value. Of sets only the arithmetic is timed: features are random numbers of
decaying variance, as networks yield them.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import piq
import torch
import torchmetrics.functional.image
import torchmetrics.image.fid
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from bench import registry


@dataclasses.dataclass(frozen=True)
class Case:
    """One number computed twice.

    Attributes:
        again: ours where the real samples were seen before; None: there are none.
    """

    name: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    again: Callable[[], Any] | None = None


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| metric | library | ours ms | theirs / ours | again | range | difference |\n|---|---|---:|---:|---:|---:|---:|")
    for case in (*pictures(), *maps(), *sets()):
        if args.only in case.name:
            print(row(case, args.rounds), flush=True)


def row(case: Case, rounds: int) -> str:
    """A line of the table: medians of paired rounds after one to warm up."""
    value, theirs = (float(np.mean(np.asarray(way()))) for way in (case.ours, case.theirs))
    difference = abs(value - theirs) / abs(theirs)
    times = [[seconds(way) if way else np.nan for way in (case.ours, case.theirs, case.again)] for _ in range(rounds)]
    ratios = sorted(theirs / ours for ours, theirs, _ in times)
    again = statistics.median(theirs / again for _, theirs, again in times)
    return (
        f"| {case.name} | {case.peer} | {1e3 * statistics.median(t[0] for t in times):.1f} | {statistics.median(ratios):.2f} | "
        f"{'' if case.again is None else f'{again:.2f}'} | {ratios[0]:.2f} to {ratios[-1]:.2f} | {difference:.0e} |"
    )


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def pictures() -> Iterator[Case]:
    """8 colour pictures of 256 x 256 in float32, not rounded to 8 bits, which none of the others does."""
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(8, 3, 256, 256, generator=rng)
    y = (x + 0.1 * torch.randn(x.shape, generator=rng)).clamp(0, 1)
    a, b = (z.permute(0, 2, 3, 1).numpy() for z in (x, y))
    psnr, ssim = (registry.make("metric", f"{name}[quantize=none]") for name in ("psnr", "ssim"))
    functional, whole = torchmetrics.functional.image, {"dim": (1, 2, 3), "reduction": "elementwise_mean"}
    yield Case("psnr", "piq", lambda: psnr(y, x), lambda: piq.psnr(y, x))
    yield Case("psnr", "torchmetrics", lambda: psnr(y, x), lambda: functional.peak_signal_noise_ratio(y, x, data_range=1.0, **whole))
    yield Case("psnr", "scikit-image", lambda: psnr(y, x), lambda: [peak_signal_noise_ratio(*pair, data_range=1.0) for pair in zip(a, b)])
    options = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    yield Case("ssim", "piq", lambda: ssim(y, x), lambda: piq.ssim(y, x, downsample=False))
    theirs = functional.structural_similarity_index_measure
    yield Case("ssim", "torchmetrics", lambda: ssim(y, x), lambda: theirs(y, x, data_range=1.0))
    yield Case("ssim", "scikit-image", lambda: ssim(y, x), lambda: [structural_similarity(*pair, **options) for pair in zip(a, b)])


def maps() -> Iterator[Case]:
    """8 saliency maps of 480 x 640 in float64 beside NumPy's shortest form of the formulas, one map at a time."""
    rng = torch.Generator().manual_seed(0)
    s, g = torch.rand(2, 8, 1, 480, 640, generator=rng, dtype=torch.float64)
    fixations = (torch.rand(s.shape, generator=rng) < 2e-4).double()
    marked = fixations.bool()
    made = {name: registry.make("metric", name) for name in ("nss", "cc", "sim", "kl")}

    def unit(x: Any) -> Any:
        return x / x.sum()

    def stretch(x: Any) -> Any:
        return unit((x - x.min()) / (x.max() - x.min()))

    forms: dict[str, Callable[[Any, Any, Any], Any]] = {
        "nss": lambda a, b, f: ((a - a.mean()) / a.std(ddof=1))[f].mean(),
        "cc": lambda a, b, f: np.corrcoef(a.ravel(), b.ravel())[0, 1],
        "sim": lambda a, b, f: np.minimum(stretch(a), stretch(b)).sum(),
        "kl": lambda a, b, f: (unit(b) * np.log(2.0**-52 + unit(b) / (unit(a) + 2.0**-52))).sum(),
    }
    for name, form in forms.items():
        truth = fixations if name == "nss" else g
        yield Case(
            name, "NumPy",
            lambda metric=made[name], truth=truth: metric(s, truth),
            lambda form=form: [form(*(m.numpy() for m in of_one)) for of_one in zip(s[:, 0], g[:, 0], marked[:, 0])],
        )  # fmt: skip


def sets() -> Iterator[Case]:
    """Features of 2,000 and 2,500 samples in float32, as networks give them."""
    for n, d in ((2000, 192), (2500, 768), (2500, 2048)):
        a, b = features(n, d)
        fd = of_points("fd")
        yield case(f"fd, {n} x {d}", "torchmetrics", fd, a, b, lambda a=a, b=b: torchmetrics_fd(a, b))
        if d < 2048:
            yield case(f"fd, {n} x {d}", "torch-fidelity", fd, a, b, lambda a=a, b=b: fidelity_fd(a, b))
    kernel = {
        "kid_kernel": "poly",
        "kid_kernel_poly_degree": 3,
        "kid_kernel_poly_gamma": None,
        "kid_kernel_poly_coef0": 1,
        "verbose": False,
    }
    for subsets in (4, 20):
        options = {"kid_subsets": subsets, "kid_subset_size": 1000, "rng_seed": 2020, **kernel}
        kid = of_points(f"kid[subsets={subsets}]")
        yield case(
            f"kid, {subsets} of 1000 of 2500 x 2048", "torch-fidelity", kid, a, b,
            lambda options=options: kid_features_to_metric(a, b, **options)["kernel_inception_distance_mean"],
        )  # fmt: skip
    prdc = of_points("prdc[k=3]")
    yield case(
        "prdc, 2500 x 2048; theirs: precision and recall alone", "torch-fidelity", prdc, a, b,
        lambda: prc_features_to_metric(b, a, prc_neighborhood=3, prc_batch_size=10000)["precision"],
    )  # fmt: skip
    logits = torch.randn(5000, 1008, generator=torch.Generator().manual_seed(0))
    score = of_points("inception_score", logits)
    yield Case(
        "inception_score, 5000 x 1008", "torch-fidelity",
        lambda: first(score(logits, logits)),
        lambda: isc_features_to_metric(logits)["inception_score_mean"],
    )  # fmt: skip


def case(
    name: str, peer: str, metric: Callable[[Tensor, Tensor], dict[str, float]], a: Tensor, b: Tensor, theirs: Callable[[], Any]
) -> Case:
    """A metric of sets; a copy of the real samples was not seen before."""
    return Case(name, peer, lambda: first(metric(a, b.clone())), theirs, lambda: first(metric(a, b)))


def first(values: dict[str, float]) -> float:
    """The number of a metric, not its remarks."""
    return next(iter(values.values()))


def features(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Two sets, n x d."""
    rng = torch.Generator().manual_seed(0)
    scale = torch.logspace(0, -2, d)
    return torch.randn(n, d, generator=rng) * scale, torch.randn(n, d, generator=rng) * scale * 1.1 + 0.05


def of_points(spec: str, logits: Tensor | None = None) -> Any:
    """A metric of samples that sees points as they are."""
    metric = registry.make("metric", spec)
    pixels = registry.make("feature", "pixels")
    if logits is not None:
        vars(pixels)["logits"] = lambda x: logits
    vars(metric)["network"] = pixels
    return metric


def torchmetrics_fd(a: Tensor, b: Tensor) -> float:
    """Moments as its class sums them, then its distance."""
    (mean_a, cov_a), (mean_b, cov_b) = ((x.double().mean(0), torch.cov(x.double().T)) for x in (a, b))
    return float(torchmetrics.image.fid._compute_fid(mean_a, cov_a, mean_b, cov_b))


def fidelity_fd(a: Tensor, b: Tensor) -> float:
    """The library's."""
    return float(first(fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), verbose=False)))


if __name__ == "__main__":
    main()
