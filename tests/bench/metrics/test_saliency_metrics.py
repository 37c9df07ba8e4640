"""Saliency metrics against other libraries, loops written as MATLAB's are, closed forms, and what each may not notice."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from sklearn.metrics import fbeta_score, roc_auc_score

from bench import registry
from bench.errors import UsageError
from bench.metric import SaliencyMetric
from datasets.sod import SOD

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
ALL = ["cc", "sim", "kl", "nss", "information_gain", "auc_judd", "auc_borji", "shuffled_auc", "emd[shrink=8]", "f_beta", "mae"]


def metric(spec):
    return registry.make("metric", spec)


def scene(n=3, height=32, width=48, seed=0):
    """Smooth maps, a density, 20 fixations drawn from it, as many of others, a mask and a baseline; all n x 1 x height x width, float64."""
    rng = torch.Generator().manual_seed(seed)

    def smooth():
        return torch.nn.functional.interpolate(torch.rand(n, 1, 5, 6, generator=rng).double(), size=(height, width), mode="bicubic").clamp(
            0, 1
        )

    def fixations(density):
        marks = torch.zeros(n, height * width, dtype=torch.float64)
        return marks.scatter_(1, torch.multinomial(density.flatten(1) ** 3, 20, generator=rng), 1).view(n, 1, height, width)

    saliency, density, baseline = smooth(), smooth(), smooth()
    return saliency, {
        "target": density, "mask": (density > 0.6).double(), "fixations": fixations(density), "others": fixations(baseline),
        "baseline": baseline,
    }  # fmt: skip


def score(spec, saliency, truth):
    part = metric(spec)
    return part(saliency, *(truth[kind] for kind in part.reads))


# what all of them hold


@pytest.mark.parametrize("spec", ALL)
def test_contract(spec):
    saliency, truth = scene()
    scores = score(spec, saliency, truth)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    one_by_one = [score(spec, saliency[i : i + 1], {kind: m[i : i + 1] for kind, m in truth.items()}) for i in range(3)]
    torch.testing.assert_close(scores, torch.cat(one_by_one), rtol=0, atol=1e-12)
    assert torch.equal(scores, score(spec, saliency, truth))
    best = truth["mask"] if spec == "f_beta" else truth["target"]
    better = score(spec, (saliency + 9 * best) / 10, truth)
    assert ((better > scores) == metric(spec).higher_is_better).all()
    assert score(spec, saliency.float(), truth).isfinite().all()
    assert metric(spec).definition


@pytest.mark.parametrize("spec", ALL)
def test_wrong_calls(spec):
    saliency, truth = scene(n=1)
    with pytest.raises(UsageError, match="N x 1 x H x W"):
        score(spec, saliency[..., 1:], truth)
    with pytest.raises(UsageError, match="N x 1 x H x W"):
        score(spec, saliency.expand(-1, 3, -1, -1), {kind: m.expand(-1, 3, -1, -1) for kind, m in truth.items()})
    with pytest.raises(UsageError, match="wants a map and"):
        metric(spec)(saliency)


@pytest.mark.parametrize("spec", [s for s in ALL if "fixations" in metric(s).reads])
def test_a_picture_without_fixations_is_refused(spec):
    saliency, truth = scene(n=2)
    truth["fixations"][1] = 0
    with pytest.raises(UsageError, match="has no fixations"):
        score(spec, saliency, truth)


@pytest.mark.parametrize("spec", ALL)
def test_constant_maps_have_a_score(spec):
    saliency, truth = scene()
    expected = {"cc": 0.0, "nss": 0.0, "auc_borji": 0.5, "shuffled_auc": 0.5}
    for level in (0.0, 0.5, 0.1):  # the mean of many tenths is another number
        scores = score(spec, torch.full_like(saliency, level), truth)
        assert scores.isfinite().all()
        if spec in expected:
            torch.testing.assert_close(scores, torch.full((3,), expected[spec], dtype=torch.float64))


# a map beside itself


@pytest.mark.parametrize(("spec", "value"), [("cc", 1), ("sim", 1), ("kl", 0), ("emd[shrink=8]", 0), ("mae", 0)])
def test_the_truth_itself_is_perfect(spec, value):
    _, truth = scene()
    torch.testing.assert_close(score(spec, truth["target"], truth), torch.full((3,), value, dtype=torch.float64), rtol=0, atol=1e-9)


def test_the_baseline_gains_nothing():
    _, truth = scene()
    assert score("information_gain", truth["baseline"], truth).abs().max() == 0


# closed forms and other libraries


@pytest.mark.oracle("metric", "cc")
def test_cc_is_pearsons():
    saliency, truth = scene()
    expected = [scipy.stats.pearsonr(s.ravel().numpy(), g.ravel().numpy()).statistic for s, g in zip(saliency, truth["target"])]
    assert score("cc", saliency, truth).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.oracle("metric", "kl")
def test_kl_is_scipys_up_to_the_regulariser():
    saliency, truth = scene()
    saliency = saliency + 0.1  # zeros are where the regulariser rules
    expected = [scipy.stats.entropy(g.ravel().numpy(), s.ravel().numpy()) for s, g in zip(saliency, truth["target"])]
    assert score("kl", saliency, truth).tolist() == pytest.approx(expected, abs=1e-9)


def test_kl_on_disjoint_maps_meets_the_regulariser():
    s, g = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    s[..., 0], g[..., 1] = 1, 1
    assert score("kl", s, {"target": g}).item() == pytest.approx(math.log(0.5 * 2**52), rel=1e-12)


@pytest.mark.oracle("metric", "sim", "information_gain")
def test_sim_and_information_gain_by_hand():
    s, g = torch.tensor([[[[0.0, 1.0, 3.0, 4.0]]]]), torch.tensor([[[[2.0, 2.0, 6.0, 4.0]]]])  # stretched: 0 1/8 3/8 1/2 and 0 0 2/3 1/3
    assert score("sim", s, {"target": g}).item() == pytest.approx(3 / 8 + 1 / 3, abs=1e-12)
    fixations = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
    gain = (math.log2(3 / 8 / (2 / 3)) + math.log2(1 / 2 / (1 / 3))) / 2
    assert score("information_gain", s, {"fixations": fixations, "baseline": g}).item() == pytest.approx(gain, abs=1e-12)


@pytest.mark.oracle("metric", "nss")
def test_nss_by_hand():
    s, fixations = torch.tensor([[[[1.0, 2.0, 3.0, 6.0]]]]), torch.tensor([[[[0.0, 1.0, 0.0, 1.0]]]])
    assert score("nss", s, {"fixations": fixations}).item() == pytest.approx((-1 + 3) / 2 / np.std([1, 2, 3, 6], ddof=1), abs=1e-12)


def judd(s, fixated):
    """The sum as MATLAB's loop writes it, for a map without ties."""
    values = np.sort(s[fixated])[::-1]
    tp, fp = [0.0], [0.0]
    for i, threshold in enumerate(values, 1):
        tp.append(i / len(values))
        fp.append(((s >= threshold).sum() - i) / (len(s) - len(values)))
    return np.trapezoid([*tp, 1.0], [*fp, 1.0])


@pytest.mark.oracle("metric", "auc_judd")
@pytest.mark.parametrize("ties", ["random", "together"])
def test_auc_judd_is_the_loop(ties):
    saliency, truth = scene()
    saliency = saliency + 1e-6 * torch.rand(saliency.shape, generator=torch.Generator().manual_seed(3))  # bicubic clamps make ties
    expected = [judd(s.ravel().numpy(), f.ravel().numpy() > 0) for s, f in zip(saliency, truth["fixations"])]
    assert score(f"auc_judd[ties={ties}]", saliency, truth).tolist() == pytest.approx(expected, abs=1e-12)
    expected = [roc_auc_score(f.ravel(), s.ravel()) for s, f in zip(saliency, truth["fixations"])]
    assert score(f"auc_judd[ties={ties}]", saliency, truth).tolist() == pytest.approx(
        expected, abs=0.05
    )  # thresholds only at fixations: not the same


def test_auc_judd_of_a_constant_map_depends_on_the_ties():
    _, truth = scene(height=96, width=128)
    constant = torch.ones_like(truth["fixations"])
    s = torch.zeros(96 * 128)
    assert score("auc_judd[ties=together]", constant, truth)[0].item() == pytest.approx(
        judd(s.numpy(), truth["fixations"][0].flatten().numpy() > 0)
    )
    chance = [score(f"auc_judd[seed={seed}]", constant, truth).mean().item() for seed in range(10)]
    assert np.mean(chance) == pytest.approx(0.5, abs=0.05)


def sweep(positives, negatives, step):
    """The area as MATLAB's loop writes it, one split."""
    tp, fp = [0.0], [0.0]
    for threshold in np.arange(0, max(positives.max(), negatives.max()) + 1e-12, step)[::-1]:
        tp.append((positives >= threshold).mean())
        fp.append((negatives >= threshold).mean())
    return np.trapezoid([*tp, 1.0], [*fp, 1.0])


@pytest.mark.oracle("metric", "auc_borji", "shuffled_auc")
@pytest.mark.parametrize("step", [0.1, 0.05])
def test_auc_borji_and_shuffled_are_the_loop(step):
    saliency, truth = scene(n=1)
    s, f, o = (m[0, 0].numpy().ravel() for m in (saliency, truth["fixations"], truth["others"]))
    s = (s - s.min()) / (s.max() - s.min())
    places = torch.randint(s.size, (7, 20), generator=torch.Generator().manual_seed(5)).numpy()
    expected = np.mean([sweep(s[f > 0], s[p], step) for p in places])
    assert score(f"auc_borji[splits=7,seed=5,step={step}]", saliency, truth).item() == pytest.approx(expected, abs=1e-12)
    expected = sweep(s[f > 0], s[o > 0], step)  # as many others as fixations: every split takes all of them
    assert score(f"shuffled_auc[splits=3,step={step}]", saliency, truth).item() == pytest.approx(expected, abs=1e-12)


def test_a_coarse_step_spoils_narrow_peaks():
    _, truth = scene(n=1)
    peaky = truth["target"] ** 30
    assert score("auc_borji", peaky, truth) < score("auc_borji[step=0.001]", peaky, truth) - 0.1


def test_the_centre_scores_chance_among_fixations_in_the_centre():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 64), indexing="ij")
    centre = torch.exp(-4 * (y**2 + x**2))[None, None]
    rng = torch.Generator().manual_seed(0)
    looks = [
        torch.zeros(48 * 64).index_fill(0, torch.multinomial(centre.flatten(), n, generator=rng), 1).view_as(centre) for n in (60, 600)
    ]
    truth = {"fixations": looks[0], "others": looks[1]}
    assert score("auc_borji", centre, truth).item() > 0.7
    assert score("shuffled_auc", centre, truth).item() == pytest.approx(0.5, abs=0.06)


def test_emd_of_a_moved_cell_is_its_distance():
    s, g = torch.zeros(1, 1, 24, 32), torch.zeros(1, 1, 24, 32)
    s[..., 3, 4], g[..., 6, 8] = 1, 1
    assert score("emd[shrink=1]", s, {"target": g}).item() == pytest.approx(5, abs=1e-9)


@pytest.mark.oracle("metric", "emd")
def test_emd_on_a_line_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 40))
    s, g = (torch.from_numpy(m).view(1, 1, 1, 40) for m in (a, b))
    expected = scipy.stats.wasserstein_distance(np.arange(40), np.arange(40), a, b)
    assert score("emd[shrink=1]", s, {"target": g}).item() == pytest.approx(expected, abs=1e-9)


def test_emd_of_equal_masses_is_an_assignment():
    rng = np.random.default_rng(1)
    places = rng.permutation(15 * 20)[:16]
    s, g = torch.zeros(15 * 20), torch.zeros(15 * 20)
    s[places[:8]], g[places[8:]] = 1, 1
    at = [np.stack(np.unravel_index(p, (15, 20)), 1) for p in (places[:8], places[8:])]
    cost = np.linalg.norm(at[0][:, None] - at[1][None], axis=-1)
    expected = cost[scipy.optimize.linear_sum_assignment(cost)].mean()
    assert score("emd[shrink=1]", s.view(1, 1, 15, 20), {"target": g.view(1, 1, 15, 20)}).item() == pytest.approx(expected, abs=1e-9)


def test_emd_refuses_what_would_not_end():
    saliency, truth = scene(n=1, height=64, width=64)
    with pytest.raises(UsageError, match="shrink above 1"):
        score("emd[shrink=1]", saliency, truth)


@pytest.mark.oracle("metric", "f_beta")
@pytest.mark.parametrize(("options", "threshold"), [("", None), ("[threshold=0.5]", 0.5), ("[beta2=1,threshold=0.2]", 0.2)])
def test_f_beta_is_sklearns(options, threshold):
    saliency, truth = scene()
    beta2 = metric(f"f_beta{options}").beta2
    expected = [
        fbeta_score(m.ravel() > 0, s.ravel() >= (min(1, 2 * s.mean()) if threshold is None else threshold), beta=beta2**0.5)
        for s, m in zip(saliency.numpy(), truth["mask"].numpy())
    ]
    assert score(f"f_beta{options}", saliency, truth).tolist() == pytest.approx(expected, abs=1e-12)


def test_f_beta_of_a_perfect_and_an_opposite_map():
    _, truth = scene()
    assert score("f_beta", truth["mask"], truth).tolist() == pytest.approx([1, 1, 1], abs=1e-12)
    assert score("f_beta[threshold=0.5]", 1 - truth["mask"], truth).tolist() == [0, 0, 0]


# what they may not notice

AFFINE = {"half": lambda s: s / 2, "brighter": lambda s: s / 2 + 0.3}
INCREASING = {"square": lambda s: s**2, "root": lambda s: s**0.5, "exponential": lambda s: (3 * s - 3).exp()}


@pytest.mark.parametrize("spec", ["cc", "nss", "sim", "information_gain", "auc_judd", "auc_borji", "shuffled_auc"])
@pytest.mark.parametrize("change", AFFINE)
def test_brightness_and_contrast_do_not_matter(spec, change):
    saliency, truth = scene()
    torch.testing.assert_close(
        score(spec, AFFINE[change](saliency), truth), score(spec, saliency, truth), rtol=0, atol=0.02 if "auc" in spec else 1e-8
    )


@pytest.mark.parametrize("change", INCREASING)
def test_auc_judd_sees_order_alone(change):
    saliency, truth = scene()
    assert torch.equal(score("auc_judd", INCREASING[change](saliency), truth), score("auc_judd", saliency, truth))
    assert not torch.allclose(score("nss", INCREASING[change](saliency), truth), score("nss", saliency, truth), atol=1e-3)


@pytest.mark.parametrize("name", registry.names("metric"))
def test_every_saliency_metric_is_tested_here(name):
    part = registry.find("metric", name)
    assert not (isinstance(part, type) and issubclass(part, SaliencyMetric)) or name in {spec.partition("[")[0] for spec in ALL}


# published


@real
def test_the_published_predictions_have_the_published_error():
    pictures = SOD(pictures="pred_DSS").open(Path(DATA), "test")
    assert len(pictures) == 300
    errors = [score("mae", p.observed[None, :1], {"target": p.mask[None]}).item() for p in pictures]
    assert np.mean(errors) == pytest.approx(0.1213, abs=5e-4)
