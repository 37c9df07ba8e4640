"""Do intervals cover, and verdicts err, as often as they say? Simulated: python -m benchmarks.uncertainty > docs/uncertainty.md."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from bench import registry
from bench.statistics import across_workloads, intervals, paired

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

REPS = 2000  # of every cell: its standard error is half a per cent at 95 %, and at 5 %
NORMAL: Draw = lambda rng, shape: rng.normal(0, 1, shape)  # noqa: E731
SKEWED: Draw = lambda rng, shape: rng.lognormal(0, 1, shape) - np.exp(0.5)  # noqa: E731
HEAVY: Draw = lambda rng, shape: rng.standard_t(3, shape)  # noqa: E731

HEAD = f"""# Uncertainty: what is printed, and what a simulation says of it

`make uncertainty` writes this page from `benchmarks/uncertainty.py`: data are drawn of which the truth is known, and intervals and
verdicts of the very functions that make the tables are counted. {REPS:,} draws a cell, so figures are good to about half a per cent.
"Skewed" is the lognormal distribution with sigma = 1, shifted to mean zero; "heavy" is Student's t with 3 degrees of freedom.

An interval is right where it covers the truth in 95 % of the draws or more; a test, where rows that are equal are told apart in 5 % or
less.
"""


def main() -> None:
    """Print the page."""
    print(HEAD)
    for title, text, head, rows in (section() for section in SECTIONS):
        print(f"## {title}\n\n{text}\n\n{_line(head)}\n{_line(['---', *['--:'] * (len(head) - 1)])}")
        for row in rows:
            print(_line(row), flush=True)
        print()


Section = tuple[str, str, Sequence[str], Iterable[Sequence[str]]]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(found: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(found)):.1f} %"


def _holds(interval: intervals.Interval, truth: float = 0.0) -> bool:
    return interval.low <= truth <= interval.high


def coverage() -> Section:
    """Of the mean over few images."""
    text = (
        "`intervals.interval` over the images of one row: the wider of Student's t and of Hall's correction for skewness, at the "
        "quantiles of 96 %. Beside it the percentile bootstrap that is often printed."
    )

    def rows() -> Iterable[Sequence[str]]:
        for n in (2, 3, 5, 10, 20, 50):
            cells = []
            for draw in (NORMAL, SKEWED):
                scores = draw(np.random.default_rng(n), (REPS, n))
                cells += [_share([_holds(intervals.interval([s.mean()], s)) for s in scores]), _share([_percentile(s) for s in scores])]
            yield [str(n), *cells]

    return "Coverage over few images", text, ["images", "normal", "its bootstrap", "skewed", "its bootstrap"], rows()


def _percentile(scores: np.ndarray) -> bool:
    rng = np.random.default_rng(0)
    means = scores[rng.integers(0, len(scores), (1000, len(scores)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return bool(low <= 0 <= high)


def groups() -> Section:
    """Of the mean over tiles of photographs."""
    text = (
        "Tiles of one photograph share its difficulty (standard deviation 1) and have their own (0.5). The interval counts photographs; "
        "counted by tiles, as if they were independent, it would cover as the last column says."
    )

    def rows() -> Iterable[Sequence[str]]:
        for sizes in ([10] * 5, [12, 9, 36], [2, 3, 5, 8, 13, 21], [4] * 11, [1] * 5 + [20]):
            rng, index = np.random.default_rng(len(sizes)), np.repeat(np.arange(len(sizes)), sizes)
            drawn = [rng.normal(0, 1, len(sizes))[index] + rng.normal(0, 0.5, len(index)) for _ in range(REPS)]
            by_photo = [_holds(intervals.interval([s.mean()], s, index.tolist())) for s in drawn]
            yield [", ".join(map(str, sizes)), _share(by_photo), _share([_holds(intervals.interval([s.mean()], s)) for s in drawn])]

    return "Coverage over tiles of photographs", text, ["tiles of each photograph", "photographs counted", "tiles counted"], rows()


def trainings() -> Section:
    """Of the mean over images and trainings."""
    text = (
        "A method trained with several seeds and tested on 11 photographs, whose difficulty has standard deviation 1. From one seed the "
        "interval is about those weights: it misses the method's mean as often as seeds spread."
    )

    def rows() -> Iterable[Sequence[str]]:
        for n in (1, 2, 3, 5):
            cells = []
            for spread in (0.1, 0.5, 1.0):
                rng = np.random.default_rng(n)
                drawn = (rng.normal(0, 1, 11) + rng.normal(0, spread, (n, 1)) + rng.normal(0, 0.2, (n, 11)) for _ in range(REPS))
                cells.append(_share([_holds(intervals.interval(scores.mean(1), scores)) for scores in drawn]))
            yield [str(n), *cells]

    return "Coverage over images and seeds", text, ["seeds", "seeds spread by 0.1", "0.5", "1.0"], rows()


NUMBERS = ("fd", "kd", "sliced_wasserstein", "precision", "recall", "density", "coverage")


def samples() -> Section:
    """Of a score of samples from one seed."""
    text = (
        "`SampleMetric.sampling_errors`, a jackknife over tenths of the samples, and the interval that it gives a score from one seed "
        "(500 draws). Real points are standard normal in 8 dimensions, always the same; as many fakes are drawn anew each time, shifted "
        "by 0.3 along every axis "
        "and shrunk by 0.8, or from the same law. The truth is the mean score of that many fakes: the interval says how far the luck of "
        "the draw moves a score, not how far a score of few samples is biased. The intervals of recall and coverage are wider than they "
        "need be; the others "
        "are right to two or three per cent."
    )

    def rows() -> Iterable[Sequence[str]]:
        for n, law, shift, scale in ((100, "another", 0.3, 0.8), (500, "another", 0.3, 0.8), (500, "the same", 0.0, 1.0)):
            found = _jackknifed(n, shift, scale)
            truth = {name: np.mean([values[name] for values, _ in found]) for name in NUMBERS}
            cells = []
            for name in NUMBERS:  # a number that no tenth moves has no interval
                made = [intervals.interval([values[name]], error=errors[name]) for values, errors in found if name in errors]
                cells.append(_share([_holds(interval, float(truth[name])) for interval in made]))
            yield [str(n), law, *cells]

    return "Coverage over samples", text, ["samples", "law of the fakes", *(name.replace("_", " ") for name in NUMBERS)], rows()


def _jackknifed(n: int, shift: float, scale: float) -> list[tuple[dict[str, float], dict[str, float]]]:
    """The numbers of n fakes and their standard errors, for 500 draws."""
    specs = ("fd[net=pixels]", "kd[net=pixels]", "sliced_wasserstein[directions=64]", "prdc[net=pixels]")
    metrics = [registry.make("metric", spec) for spec in specs]
    rng = torch.Generator().manual_seed(n)
    real = torch.randn(n, 8, generator=rng)
    found = []
    for _ in range(REPS // 4):
        fake = shift + scale * torch.randn(n, 8, generator=rng)
        values, errors = dict[str, float](), dict[str, float]()
        for metric in metrics:
            values |= metric(fake, real)
            errors |= metric.sampling_errors(fake, real)
        found.append((values, errors))
    return found


def workloads() -> Section:
    """Of the interquartile mean."""
    text = (
        "`across_workloads.iqm` of a row over several workloads, whose scores spread by 0.2 over seeds and differ by up to 2 between "
        "workloads (500 draws)."
    )

    def rows() -> Iterable[Sequence[str]]:
        for count, n in ((3, 2), (3, 3), (6, 3), (12, 3), (12, 5), (5, 10)):
            rng, level = np.random.default_rng(count * n), np.linspace(-1, 1, count)[:, None]
            yield [str(count), str(n), _share([_holds(across_workloads.iqm(rng.normal(level, 0.2, (count, n)))) for _ in range(REPS // 4)])]

    return "Coverage across workloads", text, ["workloads", "seeds", "normal"], rows()


def images() -> Section:
    """Rows compared image by image."""
    text = (
        "`paired.compare` of rows that are equal, over images (or groups of them): the share of draws in which any two of the rows are "
        "told apart. The last column is a bad case: half of the rows have skewed errors on the images and the others have nearly none."
    )

    def uneven(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        errors = 0.2 * NORMAL(rng, shape)
        errors[: len(errors) // 2] = SKEWED(rng, errors[: len(errors) // 2].shape)
        return errors

    def rows() -> Iterable[Sequence[str]]:
        for k, n in ((2, 6), (2, 10), (10, 6), (10, 11), (10, 30), (24, 11)):
            rng = np.random.default_rng(k * n)
            yield [str(k), str(n), *(_share([paired.compare(list(d(rng, (k, n)))).better.any() for _ in range(REPS)])
                                     for d in (NORMAL, HEAVY, SKEWED, uneven))]  # fmt: skip

    return "Errors of verdicts over images", text, ["rows", "images", "normal", "heavy", "skewed", "skewed and quiet rows"], rows()


def seeds_and_images() -> Section:
    """Rows of trained methods compared image by image."""
    text = (
        "Two equal methods on 100 images whose errors have standard deviation 1; training seeds move a method's whole level. From one "
        "seed a verdict is about these weights, which do differ: where a table has such rows, a note says so. From two seeds on it is "
        "about the methods."
    )

    def rows() -> Iterable[Sequence[str]]:
        for n in (1, 2, 3, 5):
            cells = []
            for spread in (0.1, 0.5, 1.0):
                rng = np.random.default_rng(n)
                pairs = ([rng.normal(0, 1, (n, 100)) + rng.normal(0, spread, (n, 1)) for _ in "ab"] for _ in range(REPS))
                cells.append(_share([paired.compare(pair).better.any() for pair in pairs]))
            yield [str(n), *cells]

    return "Errors of verdicts over images and seeds", text, ["seeds", "seeds spread by 0.1", "0.5", "1.0"], rows()


SPREADS = {"alike": lambda k: np.ones(k), "half of them a twentieth": lambda k: np.where(np.arange(k) % 2, 1, 0.05),
           "one ten times": lambda k: np.where(np.arange(k), 0.1, 1.0)}  # fmt: skip


def seeds() -> Section:
    """Rows compared by one score a seed."""
    text = (
        "Scores without images (distances, pooled scores): equal rows, told apart by Welch's t-test. "
        "Columns: how the rows' spreads over seeds differ."
    )

    def rows() -> Iterable[Sequence[str]]:
        for k, n in ((2, 3), (4, 3), (10, 3), (24, 3), (4, 5), (24, 5)):
            cells = []
            for spread in SPREADS.values():
                drawn = np.random.default_rng(k * n).normal(0, 1, (REPS, k, n)) * spread(k)[:, None]
                cells.append(_share([paired.compare(list(scores), over="seeds").better.any() for scores in drawn]))
            skewed = np.random.default_rng(k).lognormal(0, 0.5, (REPS, k, n))
            yield [str(k), str(n), *cells, _share([paired.compare(list(scores), over="seeds").better.any() for scores in skewed])]

    return "Errors of verdicts over seeds alone", text, ["rows", "seeds", *SPREADS, "skewed (0.5)"], rows()


def power() -> Section:
    """Pairs of rows that are found to differ."""
    text = (
        "Rows a step apart from the next, over seeds alone: the share of all pairs that is told apart, for steps in standard deviations "
        "of a seed (200 draws)."
    )

    def rows() -> Iterable[Sequence[str]]:
        for k, n in ((2, 3), (4, 3), (10, 3), (24, 3), (24, 5)):
            cells = []
            for step in (2, 5, 10):
                drawn = np.random.default_rng(k * n).normal(0, 1, (REPS // 10, k, n)) + step * np.arange(k)[:, None]
                cells.append(_share([paired.compare(list(scores), over="seeds").better.sum() / (k * (k - 1) / 2) for scores in drawn]))
            yield [str(k), str(n), *cells]

    return "Power over seeds alone", text, ["rows", "seeds", "2", "5", "10"], rows()


SECTIONS = (coverage, groups, trainings, samples, workloads, images, seeds_and_images, seeds, power)

if __name__ == "__main__":
    main()
