"""Metrics of sample sets against independent implementations, closed forms, and what must not change them."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial.distance
import scipy.stats
import torch

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.feature import subset
from bench.features.digits_cnn import DigitsCNN
from bench.metric import SampleMetric
from bench.metrics._class_score import class_score
from bench.metrics._frechet import frechet
from bench.metrics._histogram import evenness
from bench.metrics._kernel import cubic, cubic_diagonal, mean_between, mean_within, weighted_sums

NAMES = [name for name in registry.names("metric") if issubclass(registry.find("metric", name), SampleMetric)]
OURS = [
    "fd",
    "kd",
    "class_score",
    "mode_score",
    "class_modes[net=digits_cnn[stacked=true]]",
    "prdc",
    "c2st_1nn",
    "mmd",
    "sliced_wasserstein",
    "nearest_neighbour",
    "parzen_ll",
    "pair_similarity",
    "modes[centres=((0.0,0.0),(1.0,1.0)),std=0.3]",
]
LITERATURE = ("fid", "kid", "inception_score")


def metric(spec):
    return registry.make("metric", spec)


def normal(n, d, seed=0, *, shift=0.0, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double() * scale + shift


def sets(spec, n=60, m=50):
    """Fakes and reals that a metric takes."""
    rng = torch.Generator().manual_seed(3)
    if spec.startswith("modes"):
        return torch.rand(n, 2, generator=rng), torch.rand(m, 2, generator=rng)
    coarse = torch.rand(n + m, 3, 4, 4, generator=rng)
    pictures = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear")
    return pictures[:n].square(), pictures[n:].contiguous()


def independent_fd(a, b):
    """With a matrix square root."""
    a, b = a.numpy(), b.numpy()
    s, t = (np.cov(x, rowvar=False) for x in (a, b))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real))


# -- Frechet distance (2.4, 2.15)


def test_frechet_of_known_gaussians():
    """Samples with exact moments: the closed form of two Gaussians with commuting covariances."""
    x = normal(50, 6)
    q = torch.linalg.qr(x - x.mean(0)).Q * 49**0.5  # mean 0, covariance I
    s, t = torch.linspace(0.5, 3, 6).double(), torch.linspace(2, 0.1, 6).double()
    mu = torch.arange(6).double()
    expected = mu.square().sum() + (s - t).square().sum()
    torch.testing.assert_close(frechet(q * s, q * t + mu), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 20), (64, 300, 40)])
def test_frechet_agrees_with_sqrtm(n, m, d):
    a, b = normal(n, d), normal(m, d, 1, shift=0.3, scale=1.5)
    assert float(frechet(a, b)) == pytest.approx(independent_fd(a, b), rel=1e-9)


def test_frechet_agrees_with_torch_fidelity():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = normal(500, 32), normal(400, 32, 1, shift=0.3, scale=1.5)
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(x.float()) for x in (a, b)), verbose=False)
    assert float(frechet(a, b)) == pytest.approx(next(iter(theirs.values())), abs=1e-6, rel=1e-6)


def test_frechet_agrees_with_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    a, b = normal(500, 32), normal(400, 32, 1, shift=0.3, scale=1.5)
    assert float(frechet(a, b)) == pytest.approx(float(_compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())), rel=1e-6)


@pytest.mark.parametrize("n", [8, 40, 200])
def test_frechet_of_a_set_to_itself_is_zero(n):
    assert float(frechet(normal(n, 40), normal(n, 40))) <= 1e-11


def test_frechet_of_few_samples():
    """Fewer samples than dimensions: padding with a constant coordinate or doubling the space by a rotation changes nothing."""
    a, b = normal(10, 30), normal(12, 30, 1, shift=0.2)
    rotation = torch.linalg.qr(normal(80, 30, 2)).Q
    torch.testing.assert_close(frechet(a @ rotation.T, b @ rotation.T), frechet(a, b), rtol=1e-12, atol=0)
    assert float(frechet(a, b)) == pytest.approx(independent_fd(a, b), rel=1e-5)  # theirs loses half the digits


# -- kernel distances


def test_kernel_distance_agrees_with_torch_fidelity():
    from torch_fidelity.metric_kid import kernel_mmd

    a, b = normal(120, 24), normal(120, 24, 1, shift=0.4)
    theirs = kernel_mmd(
        a.numpy(), b.numpy(), kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1
    )
    among = sum(mean_within(cubic, x, cubic_diagonal(x)) for x in (a, b))
    assert float(among - 2 * mean_between(cubic, a, b)) == pytest.approx(theirs, rel=1e-10)
    kd = registry.make("metric", "kd[net=pixels]")
    assert [kd(a.float(), b.float())["kd"] for _ in range(2)] == [pytest.approx(theirs, rel=1e-6)] * 2


@pytest.mark.parametrize("n", [5, 300, 600])  # within a block, across two, across three
def test_sums_of_a_kernel_in_blocks(n):
    a, b = normal(n, 3), normal(40, 3, 1)
    of_a, of_b = normal(n, 2, 2), normal(40, 2, 3)
    torch.testing.assert_close(weighted_sums(cubic, a, b, of_a, of_b), torch.einsum("ik,ij,jk->k", of_a, cubic(a, b), of_b))
    torch.testing.assert_close(weighted_sums(cubic, a, a, of_a, of_a), torch.einsum("ik,ij,jk->k", of_a, cubic(a, a), of_a))


@pytest.mark.parametrize("subsets", [2, 30])  # each by itself, all from one table
def test_kid_over_few_subsets_and_over_many(subsets, monkeypatch):
    a, b = normal(60, 24).float(), normal(50, 24, 1, shift=0.4).float()
    metric = registry.make("metric", f"kid[subsets={subsets},size=20]")
    monkeypatch.setattr(type(metric), "features", lambda self, fake, real: (fake.double(), real.double()))
    rng, values = np.random.RandomState(2020), []
    for _ in range(subsets):
        x, y = (of[rng.choice(len(of), 20, replace=False)].double() for of in (a, b))
        within = [(cubic(z, z).sum() - cubic(z, z).trace()) / (20 * 19) for z in (x, y)]
        values.append(float(sum(within) - 2 * cubic(x, y).mean()))
    for _ in range(2):  # what is remembered of the real samples gives the same
        assert metric.compare(a, b)["kid"] == pytest.approx(np.mean(values), rel=1e-10)
        assert metric.compare(a, b)["kid/std"] == pytest.approx(np.std(values), rel=1e-8)
    fewer = metric.compare(a[:40], b)["kid"]  # whose subsets of the real samples are others
    assert metric.compare(a[:40], b.clone())["kid"] == pytest.approx(float(fewer), rel=1e-12)


@pytest.mark.oracle("metric", "mmd")
def test_mmd_by_hand():
    """Two sets of unequal size, every pair written out."""
    a, b = normal(7, 3).float(), normal(9, 3, 1, shift=1).float()
    values = metric("mmd")(a, b)
    x, y = a.double().numpy(), b.double().numpy()
    s = np.median(scipy.spatial.distance.pdist(y))
    k = lambda p, q: np.exp(-scipy.spatial.distance.cdist(p, q, "sqeuclidean") / (2 * s * s))  # noqa: E731
    expected = (k(x, x).sum() - 7) / 42 + (k(y, y).sum() - 9) / 72 - 2 * k(x, y).mean()
    assert values["mmd"] == pytest.approx(expected, rel=1e-9)
    assert values["mmd/bandwidth"] == pytest.approx(s, rel=1e-6)


# -- precision, recall, density, coverage


@pytest.mark.oracle("metric", "prdc")
def test_prdc_agrees_with_brute_force_and_torch_fidelity():
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    fake, real = normal(150, 5, scale=0.8).float(), normal(200, 5, 1, shift=0.3).float()
    ours = metric("prdc[net=pixels,k=4,k_density=6]")(fake, real)
    ff, rr, rf = (scipy.spatial.distance.cdist(a, b) for a, b in ((fake, fake), (real, real), (real, fake)))
    radius = lambda d, k: np.sort(d, 1)[:, k]  # noqa: E731  (column 0 is the sample itself)
    inside = rf < radius(rr, 6)[:, None]
    brute = {
        "precision": (rf <= radius(rr, 4)[:, None]).any(0).mean(),
        "recall": (rf <= radius(ff, 4)).any(1).mean(),
        "density": inside.sum() / (6 * 150),
        "coverage": inside.any(1).mean(),
    }
    assert ours == pytest.approx(brute, rel=1e-12)
    assert (ours["precision"], ours["recall"]) == pytest.approx(calculate_precision_recall_full(fake, real, 4), rel=1e-6)


def test_prdc_of_the_same_and_of_far_sets():
    x = normal(40, 4).float()
    assert metric("prdc[net=pixels]")(x, x.clone()) == {"precision": 1, "recall": 1, "density": pytest.approx(1, abs=0.05), "coverage": 1}
    assert metric("prdc[net=pixels]")(x + 100, x) == dict.fromkeys(("precision", "recall", "density", "coverage"), 0)


# -- classifiers


@pytest.mark.oracle("metric", "class_score")
def test_class_score_follows_torch_fidelity():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = normal(200, 12, scale=3)
    theirs = isc_features_to_metric(logits, splits=1, shuffle=False)["inception_score_mean"]
    assert float(class_score(logits.log_softmax(1))) == pytest.approx(theirs, rel=1e-12)


class _Logits:
    """A classifier whose logits are the samples themselves."""

    def logits(self, x):
        return x.flatten(1)

    def fit(self, real):
        return self

    def __call__(self, x):
        return x.flatten(1)

    def require(self):
        pass


def with_logits(spec):
    made = metric(spec)
    vars(made)["network"] = _Logits()
    return made


@pytest.mark.oracle("metric", "inception_score")
def test_inception_score_follows_torch_fidelity():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = normal(203, 12, scale=3).float()
    theirs = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    ours = with_logits("inception_score")(logits, logits)
    assert list(ours.values()) == pytest.approx(list(theirs.values()), rel=1e-6)


@pytest.mark.oracle("metric", "kid")
def test_kid_follows_torch_fidelity():
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = normal(70, 16).float(), normal(80, 16, 1, shift=0.5).float()
    kernel = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
    theirs = kid_features_to_metric(a, b, kid_subsets=5, kid_subset_size=30, rng_seed=2020, verbose=False, **kernel)
    assert list(with_logits("kid[subsets=5,size=30]")(a, b).values()) == pytest.approx(list(theirs.values()), rel=1e-4)


@pytest.mark.oracle("metric", "mode_score")
def test_mode_score_c13_3():
    sure = torch.eye(5).repeat(4, 1) * 200
    score = with_logits("mode_score")
    assert score(sure, sure)["mode_score"] == pytest.approx(5)  # one-hot and uniform: K
    assert score(torch.zeros(8, 5), torch.zeros(9, 5))["mode_score"] == pytest.approx(1)  # p(y|x) = p(y) = p*
    fake, real = normal(50, 5, scale=2).float(), normal(60, 5, 1, shift=torch.tensor([1.0, 0, 0, -1, 0])).float()
    p, q = fake.double().softmax(1), real.double().softmax(1).mean(0)
    m = p.mean(0)
    expected = math.exp((p * (p / m).log()).sum(1).mean() - (m * (m / q).log()).sum())
    assert score(fake, real)["mode_score"] == pytest.approx(expected, rel=1e-6)
    both_star = math.exp((p * (p / q).log()).sum(1).mean() - (m * (m / q).log()).sum())  # the survey's form is the Inception score
    assert both_star == pytest.approx(float(class_score(p.log())), rel=1e-12)
    assert score(fake, real)["mode_score"] < 0.99 * both_star


# -- modes (2.7, 22.2)


def mixture(k, n, std, seed=0):
    angle = torch.arange(k) * 2 * math.pi / k
    centres = 2 * torch.stack((angle.cos(), angle.sin()), 1)
    rng = torch.Generator().manual_seed(seed)
    return centres, centres[torch.randint(k, (n,), generator=rng)] + std * torch.randn(n, 2, generator=rng)


def test_modes_of_fair_draws_reach_the_floors():
    """Section 22.2: high quality 1 - exp(-4.5), reverse KL about (K - 1) / 2n, every mode, the right spread."""
    centres, x = mixture(8, 200_000, 0.02)
    values = metric("modes").with_centres(centres, 0.02)(x, x)
    assert values["modes"] == values["modes/strict"] == values["modes/nearest"] == 8
    assert values["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=1e-3)
    assert values["modes/spread"] == pytest.approx(1, abs=5e-3)
    assert values["js"] < 1e-4
    floors = [metric("modes").with_centres(centres, 0.02)(x := mixture(8, 2500, 0.02, seed)[1], x)["kl_reverse"] for seed in range(40)]
    assert np.mean(floors) == pytest.approx(7 / 5000, rel=0.35)


@pytest.mark.oracle("metric", "modes")
def test_modes_of_one_mode():
    centres, x = mixture(8, 500, 0.02)
    values = metric("modes").with_centres(centres, 0.02)(centres[:1].expand(500, 2), x)
    assert values["modes"] == values["high_quality"] == 1
    assert values["kl_reverse"] == pytest.approx(math.log(8))
    assert values["kl_forward"] == pytest.approx(-math.log(8) - 7 / 8 * math.log(1e-12))
    p, u = np.eye(8)[0], np.full(8, 1 / 8)
    assert values["js"] == pytest.approx(scipy.spatial.distance.jensenshannon(p, u) ** 2)


def test_modes_without_good_samples_and_without_centres():
    centres, x = mixture(8, 30, 0.02)
    values = metric("modes").with_centres(centres, 0.02)(x + 1, x)
    assert values["modes"] == values["high_quality"] == 0
    assert math.isnan(values["kl_reverse"])
    with pytest.raises(UsageError, match="with_centres"):
        metric("modes")(x, x)


@pytest.mark.parametrize(("k", "modes", "expected"), [(8, 1, 2.0794), (25, 1, 3.2189), (1000, 1, 6.9078), (1000, 99, 2.3126)])
def test_ceilings_of_kl(k, modes, expected):
    counts = torch.zeros(k)
    counts[:modes] = 7
    assert float(evenness(counts)["kl_reverse"]) == pytest.approx(expected, abs=5e-5)


def test_stacked_floor_of_kl():
    draws = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    assert float(evenness(draws.bincount(minlength=1000))["kl_reverse"]) == pytest.approx(999 / 52_000, rel=0.1)


# -- Parzen windows


@pytest.mark.oracle("metric", "parzen_ll")
def test_parzen_agrees_with_scipy():
    fake, real = normal(80, 3).float(), normal(50, 3, 1).float()
    ours = metric("parzen_ll[low=0.2,high=1.5,grid=7]")(fake, real)
    real = real[real.double().mean(1).argsort()].double()
    validation, test = real[::5], real[torch.arange(50) % 5 != 0]

    def scores(x, s):
        kde = [scipy.stats.multivariate_normal(w, s * s * np.eye(3)) for w in fake.double().numpy()]
        return np.log(np.mean([k.pdf(x.numpy()) for k in kde], 0))

    widths = np.geomspace(0.2, 1.5, 7)
    best = widths[np.argmax([scores(validation, s).mean() for s in widths])]
    assert ours["parzen_ll/bandwidth"] == pytest.approx(best)
    assert ours["parzen_ll"] == pytest.approx(scores(test, best).mean(), rel=1e-9)
    assert ours["parzen_ll/standard_error"] == pytest.approx(scipy.stats.sem(scores(test, best)), rel=1e-9)


# -- nearest neighbours


@pytest.mark.oracle("metric", "c2st_1nn")
def test_c2st_agrees_with_scikit_learn():
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    fake, real = normal(40, 3).float(), normal(40, 3, 1, shift=0.5).float()
    hits = cross_val_score(KNeighborsClassifier(1), torch.cat((fake, real)), [1] * 40 + [0] * 40, cv=LeaveOneOut())
    values = metric("c2st_1nn")(fake, real)
    assert (values["c2st_1nn/accuracy"], values["c2st_1nn/fake"], values["c2st_1nn/real"]) == pytest.approx(
        (hits.mean(), hits[:40].mean(), hits[40:].mean())
    )


def test_c2st_tells_copies_from_data():
    x = normal(60, 4).float()
    assert metric("c2st_1nn")(x + 1e-3, x)["c2st_1nn/accuracy"] == 0
    assert metric("c2st_1nn")(x + 1e-3, x)["c2st_1nn"] == metric("c2st_1nn")(x + 50, x)["c2st_1nn"] == 1


@pytest.mark.oracle("metric", "nearest_neighbour")
@pytest.mark.parametrize(
    ("d", "expected"), [(1, 1 / 3), (2, 1 - 0.621505)]
)  # the chance that nearest neighbours are mutual: 2/3, 6 pi / (8 pi + 3 sqrt 27)
def test_fresh_draws_are_authentic(d, expected):
    train = torch.rand(4000, d, generator=torch.Generator().manual_seed(0))
    fake = torch.rand(4000, d, generator=torch.Generator().manual_seed(1))
    assert metric("nearest_neighbour")(fake, train)["nearest_neighbour"] == pytest.approx(expected, abs=0.025)


def test_copies_are_not_authentic():
    train = normal(30, 20).float()
    values = metric("nearest_neighbour")(train.flip(0) + 1e-4, train)
    assert values["nearest_neighbour"] == 0
    assert values["nearest_neighbour/fake"] == pytest.approx(1e-4 * 20**0.5, rel=0.01)
    assert metric("nearest_neighbour").nearest(train.flip(0) + 1e-4, train)[1].tolist() == list(range(30))[::-1]
    gaps = np.sort(scipy.spatial.distance.cdist(train, train), 1)[:, 1]
    assert values["nearest_neighbour/real"] == pytest.approx(np.sort(gaps)[14])


# -- sliced Wasserstein


@pytest.mark.oracle("metric", "sliced_wasserstein")
@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 25), (12, 30)])
def test_wasserstein_on_a_line_agrees_with_scipy(n, m):
    a, b = normal(n, 1).float(), normal(m, 1, 1, shift=0.7).float()
    expected = scipy.stats.wasserstein_distance(a[:, 0].double(), b[:, 0].double())
    assert metric("sliced_wasserstein[directions=3]")(a, b)["sliced_wasserstein"] == pytest.approx(expected, rel=1e-9)


def test_wasserstein_of_second_order():
    a, b = normal(30, 1).float(), normal(20, 1, 1, shift=0.7).float()
    every = a.double().sort(0).values.repeat_interleave(2, 0) - b.double().sort(0).values.repeat_interleave(3, 0)
    assert metric("sliced_wasserstein[order=2]")(a, b)["sliced_wasserstein"] == pytest.approx(float(every.square().mean().sqrt()), rel=1e-6)


def test_sliced_wasserstein_of_a_shift():
    """Along an axis at angle t to the shift the distance is |cos t|: the mean is 2 / pi in a plane."""
    x = normal(50, 2).float()
    value = metric("sliced_wasserstein[directions=20000]")(x + torch.tensor([3.0, 4.0]), x)["sliced_wasserstein"]
    assert value == pytest.approx(5 * 2 / math.pi, rel=0.01)


# -- diversity


@pytest.mark.oracle("metric", "pair_similarity")
def test_pair_similarity_agrees_with_scikit_image():
    from skimage.metrics import structural_similarity

    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)).mul(255).round() / 255
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    expected = structural_similarity(*x[:, 0].double().numpy(), **options)  # of two pictures there is one pair
    assert metric("pair_similarity[pairs=7]")(x, x[:1].repeat(5, 1, 1, 1)) == {
        "pair_similarity": pytest.approx(expected, abs=1e-8),  # whose pictures are float32
        "pair_similarity/real": pytest.approx(1),
    }


# -- what all of them hold


@pytest.mark.parametrize("spec", OURS)
def test_order_and_blocks_change_nothing(spec, monkeypatch):
    fake, real = sets(spec)
    whole = metric(spec)(fake, real)
    shuffle = [torch.randperm(len(x), generator=torch.Generator().manual_seed(9)) for x in (fake, real)]
    if spec not in ("c2st_1nn", "pair_similarity"):  # the one takes the first of the larger set, the other draws pairs
        assert metric(spec)(fake[shuffle[0]], real[shuffle[1]]) == pytest.approx(whole, rel=1e-4, abs=1e-6)
    monkeypatch.setattr("bench.metrics._samples._BLOCK", 97)
    monkeypatch.setattr("bench.metrics._kernel._ROWS", 7)
    monkeypatch.setattr("bench.feature._BATCH", 7)
    assert metric(spec)(fake.clone(), real.clone()) == pytest.approx(whole, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("spec", OURS)
def test_values_belong_to_the_cards(spec):
    made = metric(spec)
    fake, real = sets(spec)
    cards = made.cards(fake=60, real=50)
    values = made(fake, real)
    assert all(name in values for name in cards)
    assert all("/" in name for name in values.keys() - cards.keys())
    for name, card in cards.items():
        assert card.metric == name
        assert (card.protocol["fake"], card.protocol["real"]) == (60, 50)
        assert card.hash != made.cards(fake=61, real=50)[name].hash
    if hasattr(made, "net"):
        assert made.components() == [("feature", made.net)]
        assert registry.make("feature", made.net).protocol() == next(iter(cards.values())).protocol["net"]


@pytest.mark.parametrize("spec", OURS)
def test_bad_samples(spec):
    made = metric(spec)
    fake, real = sets(spec)
    broken = fake.clone()
    broken[3, 0] = float("nan")
    assert all(math.isnan(v) for v in made(broken, real).values())
    for wrong, match in (
        ((fake, broken), "not finite"),
        ((fake[:, :1], real), "of one kind"),
        ((fake[:1], real), "samples of either kind"),
    ):
        with pytest.raises(UsageError, match=match):
            made(*wrong)


def test_all_names_are_covered():
    rest = set(NAMES) - {spec.partition("[")[0] for spec in OURS} - set(LITERATURE)
    assert rest <= {"geometry_score"}


@pytest.mark.parametrize("name", LITERATURE)
def test_literature_names_want_the_real_inception(name, monkeypatch, tmp_path):
    for variable in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    made = metric(name)
    for call in (made.require, lambda: made.cards(fake=10, real=10)):
        with pytest.raises(Unavailable, match=r"weights-inception-2015-12-05-6726825d\.pth not found"):
            call()
    with pytest.raises(UsageError, match="unknown option 'net'"):
        metric(f"{name}[net=pixels]")
    assert dataclasses.asdict(made)["net"] == "inception"


# -- exact ties
def ink(rows, threshold=None):
    """Rows of scikit-learn's digits as whole numbers of at most 255."""
    from sklearn.datasets import load_digits

    levels = (load_digits().images * (255 / 16)).round()[rows]
    return levels if threshold is None else 255 * (levels > threshold)


@pytest.mark.parametrize("kind", ["binary", "levels", "copies"])
def test_equal_distances_come_out_equal(kind):
    """Against whole numbers, in which nothing is rounded; many distances are equal, and a ball is closed or open."""
    rng = np.random.default_rng(3)
    order = rng.permutation(1797)
    fake, real = (ink(order[part], 127 if kind == "binary" else None) for part in (slice(0, 300), slice(300, 600)))
    if kind == "copies":
        fake[:150] = real[rng.integers(0, 300, 150)]
    a, b = (x.reshape(300, 64).astype(np.int64) for x in (fake, real))

    def apart(x, y):
        return ((x[:, None] - y[None]) ** 2).sum(-1)

    def radii(x, k):
        return np.sort(apart(x, x) + np.diag(np.full(len(x), 2**40)), 1)[:, k - 1]

    d = apart(a, b)
    expected = {
        "precision": (d <= radii(b, 3)).any(1).mean(), "recall": (d <= radii(a, 3)[:, None]).any(0).mean(),
        "density": (d < radii(b, 5)).sum() / (5 * 300), "coverage": (d < radii(b, 5)).any(0).mean(),
    }  # fmt: skip
    fakes, reals = (torch.from_numpy(x).float()[:, None] / 255 for x in (fake, real))
    found = registry.make("metric", "prdc[net=pixels]")(fakes, reals)
    assert found == pytest.approx(expected, abs=1e-12)
    own, nearest = radii(b, 1), d.argmin(1)
    authentic = registry.make("metric", "nearest_neighbour")(fakes, reals)["nearest_neighbour"]
    assert authentic == pytest.approx((d.min(1) > own[nearest]).mean(), abs=1e-12)


def test_distances_of_whole_numbers_and_far_from_zero():
    from bench.metrics._samples import squared_distances

    rng = np.random.default_rng(0)
    for offset, exact in ((0, True), (10**6, True), (0.3, False)):
        a, b = (torch.from_numpy(rng.integers(0, 9, (50, 40)) + offset).double() for _ in range(2))
        ((_, d),) = squared_distances(a, b)
        direct = (a[:, None] - b[None]).square().sum(-1)
        assert torch.equal(d, direct) if exact else torch.allclose(d, direct, rtol=1e-12)
    levels = torch.from_numpy(rng.integers(0, 256, (2, 50, 40)))
    ((_, d),) = squared_distances(*(levels.float() / 255).double())  # as pictures hold them
    assert torch.equal(d, (levels[0][:, None] - levels[1][None]).square().sum(-1).double() / 255**2)
    far = 1e6 + 1e-3 * torch.from_numpy(rng.standard_normal((50, 40)))  # without a shift nothing would be left of these
    ((_, d),) = squared_distances(far, far)
    torch.testing.assert_close(d, (far[:, None] - far[None]).square().sum(-1), rtol=1e-6, atol=1e-18)


def test_the_discrepancy_of_samples_that_are_all_alike():
    one = torch.full((8, 2), 0.25)
    metric = registry.make("metric", "mmd")
    assert metric(one, one)["mmd"] == 0
    assert metric(one + 1, one)["mmd"] == pytest.approx(2)  # no bandwidth: nothing is alike


# -- how far the luck of the samples moves a number
def test_the_jackknife_of_a_mean_is_its_standard_error():
    """A share of samples is a mean: over tenths left out its error is that of ten means (Quenouille and Tukey)."""
    metric = registry.make("metric", "modes").with_centres(torch.tensor([[0.0, 0.0]]), 1.0)
    points = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    error = metric.sampling_errors(points, points)["high_quality"]
    good = (points.norm(dim=1) <= 3).double()
    of_tenths = torch.stack([good[i::10].mean() for i in range(10)])
    assert error == pytest.approx(float(of_tenths.std() / 10**0.5))
    assert error == pytest.approx(float(good.std() / 2000**0.5), rel=0.6)


def test_the_jackknife_of_a_distance_is_the_spread_of_other_draws():
    metric = registry.make("metric", "fd[net=pixels]")
    rng = torch.Generator().manual_seed(1)
    real = torch.rand(400, 1, 2, 2, generator=rng)
    draws = [torch.rand(300, 1, 2, 2, generator=rng) * 0.8 for _ in range(60)]
    spread = torch.tensor([metric(fake, real)["fd"] for fake in draws]).std()
    errors = torch.tensor([metric.sampling_errors(fake, real)["fd"] for fake in draws[:20]])
    assert float(errors.square().mean().sqrt() / spread) == pytest.approx(1, abs=0.3)


def test_networks_see_no_sample_twice_for_it(monkeypatch):
    seen = []
    prepare = DigitsCNN.prepare
    monkeypatch.setattr(DigitsCNN, "prepare", lambda self, x: seen.append(len(x)) or prepare(self, x))
    metric = registry.make("metric", "fd[net=digits_cnn]")
    fake, real = torch.rand(2, 40, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    value = metric(fake, real)
    assert 0 < metric.sampling_errors(fake, real)["fd"] < value["fd"]
    assert sum(seen) == 80
    whole = fake[torch.arange(40) % 10 != 0].clone()
    assert metric(subset(fake, torch.arange(40) % 10 != 0), real)["fd"] == pytest.approx(metric(whole, real)["fd"], rel=1e-6)


def test_a_share_that_is_whole_has_no_error():
    """Sixty-four of sixty-four do not make it certain."""
    metric = registry.make("metric", "modes").with_centres(torch.tensor([[0.0, 0.0]]), 1.0)
    assert "high_quality" not in metric.sampling_errors(torch.zeros(64, 2), torch.zeros(64, 2))


def test_too_few_samples_have_no_error():
    metric = registry.make("metric", "fd[net=pixels]")
    few = torch.rand(19, 1, 2, 2)
    assert metric.sampling_errors(few, few) == {}
    assert registry.make("metric", "geometry_score[repeats=3]").sampling_errors(torch.rand(100, 2), torch.rand(100, 2)) == {}


def test_a_class_that_is_ruled_out_counts_nothing():
    log_p = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]], dtype=torch.float64).log()
    assert float(class_score(log_p)) == pytest.approx(float(class_score(log_p[:, :2])), rel=1e-12)
