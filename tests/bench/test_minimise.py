"""Descents of known losses end where the literature, closed forms and other implementations say."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Bench
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

from bench import registry
from bench.conformance import checks
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.judging.contours import Contours, Trail
from bench.method import Samples
from bench.task import Stream, mix
from bench.tasks.landscape import _PLANES
from bench.training.loop import Diverged

F64 = torch.float64
DATA = os.environ.get("GANBENCH_DATA", "")
SMALL = [
    "landscape[noise=1.0,spread=0.1]",
    "online[problem=reddi_stochastic]",
    "interpolate[examples=20,p=0.8]",
    "learn",
    "sparse_logistic[count=50]",
]


def opened(spec):
    task = registry.make("task", spec)
    task.open(Path(DATA) if DATA else None, torch.device("cpu"))
    return task


def descent(task, optimizer, steps, batch_size=1, schedule="constant", seed=0):
    torch.manual_seed(mix(seed))
    return registry.find("method", "descent")(task, steps=steps, batch_size=batch_size, optimizer=optimizer, schedule=schedule)


def ran(spec, optimizer, steps, folder, *, batch_size=1, schedule="constant", seed=0):
    """A descent that the harness trained."""
    method = descent(opened(spec), optimizer, steps, batch_size, schedule, seed)
    folder.mkdir(exist_ok=True)
    checks.train(method, folder, seed=seed)
    return method


def scores(method):
    with evaluation_mode(method):
        return method.task.score(method, lambda done, total: None)


# -- landscapes
@pytest.mark.parametrize(
    ("optimizer", "value"),
    [("sgdm_ema[lr=0.03]", 2.7e-25), ("adam[lr=0.1]", 6.7e-17), ("adagrad[lr=1.0]", 5.9e-3)],
)
def test_1_5_c_rosenbrock_after_2000_updates(optimizer, value, tmp_path):
    found = scores(ran("landscape", optimizer, 2000, tmp_path)).values
    assert found["suboptimality"] == pytest.approx(value, rel=0.05, abs=0)
    assert found["log10_suboptimality"] == pytest.approx(max(math.log10(value), -12), abs=0.03)


@pytest.mark.parametrize("optimizer", ["sgdm_ema[lr=0.1]", "amsgrad[lr=0.1]"])
def test_1_5_c_beale_after_2000_updates(optimizer, tmp_path):
    found = scores(ran("landscape[function=beale]", optimizer, 2000, tmp_path)).values
    assert found["suboptimality"] < 1e-13
    assert found["distance"] < 1e-6


@pytest.mark.parametrize(
    ("function", "start", "least"),
    [
        ("rosenbrock", 24.2, 0),
        ("beale", 14.203125, 0),
        ("branin", None, 0.397887357729738),
        ("quadratic", 1.001, 0),
        ("saddle", None, -0.5),
    ],
)
def test_functions_at_their_starts_and_minima(function, start, least):
    task, plane = opened(f"landscape[function={function}]"), _PLANES[function]
    if start is not None:
        assert task.start_loss == pytest.approx(start, rel=1e-12)
    w = plane.minima.clone().requires_grad_()
    values = plane.f(w)
    (gradient,) = torch.autograd.grad(values.sum(), w)
    assert values.tolist() == pytest.approx([least] * len(w), abs=1e-12)
    assert gradient.abs().max() < 1e-12
    around = w.detach()[:, None] + 0.1 * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=F64)
    assert (plane.f(around) > least).all()


def test_the_quadratic_has_the_condition_number_that_it_says():
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(_PLANES["quadratic"].f, torch.zeros(2, dtype=F64)))
    assert eigenvalues.tolist() == pytest.approx([1e-3, 1], rel=1e-12)


def test_the_saddle_is_strict():
    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(_PLANES["saddle"].f, torch.zeros(2, dtype=F64)))
    assert eigenvalues.tolist() == pytest.approx([-2, 2])


def test_momentum_needs_fewer_updates_in_the_ill_conditioned_valley(tmp_path):
    """Rates of Polyak: 1 - 2 / (kappa + 1) a step for descent at its best rate, 1 - 2 / (sqrt(kappa) + 1) with the best momentum."""
    root = math.sqrt(1000)
    lr, momentum = 4 / (1 + 1 / root) ** 2, ((root - 1) / (root + 1)) ** 2
    plain = scores(ran("landscape[function=quadratic]", "sgd[lr=1.998]", 300, tmp_path / "a")).values
    heavy = scores(ran("landscape[function=quadratic]", f"sgdm[lr={lr},momentum={momentum}]", 300, tmp_path / "b")).values
    assert plain["distance"] == pytest.approx(2 * (1 - 2 / 1001) ** 300, rel=1e-2)
    assert heavy["distance"] < 1e-5


def test_noise_is_a_random_constant_on_the_gradient():
    task = opened("landscape[noise=2.0]")
    model, noise = task.model(), task.batch(4000, torch.Generator().manual_seed(0))
    assert noise.std(0).tolist() == pytest.approx([2, 2], rel=0.05)
    calm, noisy = (torch.autograd.grad(task.loss(model, n), model.w)[0] for n in (torch.zeros(1, 2, dtype=F64), noise))
    torch.testing.assert_close(noisy - calm, noise.mean(0))
    assert not task.batch(3, torch.Generator()).equal(opened("landscape").batch(3, torch.Generator()))
    assert not opened("landscape").batch(3, torch.Generator()).any()


def test_seeds_spread_the_start():
    starts = []
    for spread, seed in ((0.0, 0), (0.0, 1), (0.5, 0), (0.5, 1)):
        torch.manual_seed(seed)
        starts.append(opened(f"landscape[spread={spread}]").model().w.tolist())
    assert starts[0] == starts[1] == [-1.2, 1.0]
    assert starts[2] != starts[3]
    assert opened("landscape[start=(-0.5,1.5)]").model().w.tolist() == [-0.5, 1.5]


def test_the_gallery_shows_the_path(tmp_path):
    method = ran("landscape", "adam[lr=0.1]", 300, tmp_path / "run")
    (tmp_path / "gallery").mkdir()
    method.task.portray_training(method, tmp_path / "gallery")
    (file,) = (tmp_path / "gallery").glob("*.png")
    pixels = np.asarray(Image.open(file)).astype(int)
    path = np.abs(pixels - np.array([214, 94, 0])).sum(2) < 60
    assert pixels.shape == (360, 360, 3)
    x, y = method.minimise().w.tolist()
    column, row = (
        round(180 + 180 * offset / 1.65) for offset in (x + 0.1, 1 - y)
    )  # the window: 0.75 of the 2.2 from start to minimum, either way
    assert path[row - 2 : row + 2, column - 2 : column + 2].all()  # the dot at the end
    assert 200 < path.sum() < 4000
    assert (pixels[180, 60] > 240).all()  # the white of the ring at the start


def test_the_end_of_a_path_may_lie_anywhere():
    drawn = Contours(_PLANES["saddle"].f, torch.tensor([1.0, 0.0]), _PLANES["saddle"].minima).draw(
        torch.tensor([[1.0, 0], [1e30, 0], [math.nan, 0]], dtype=F64)
    )
    assert drawn.isfinite().all()


def test_a_trail_keeps_start_and_spacing():
    trail = Trail()
    for i in range(10_000):
        trail.add(torch.tensor([i]))
    kept = [int(w) for w in trail.points]
    assert len(kept) <= 1024
    assert set(np.diff(kept)) == {16}
    assert kept[0] == 0


# -- divergence
def test_a_loss_beyond_10_to_the_4_times_the_start_is_a_divergence(tmp_path):
    task = opened("landscape")
    losses = [float(logs["loss"]) for logs in descent(task, "sgd[lr=0.01]", 50).train(Stream(task, 0, 1))]
    w, plain = torch.tensor([-1.2, 1.0], dtype=F64), [0.0]
    while math.isfinite(plain[-1]):
        value = _PLANES["rosenbrock"].f(w.requires_grad_())
        plain.append(value.item())
        w = w.detach() - 0.01 * torch.autograd.grad(value, w)[0]
    plain.pop(0)
    first = next(i for i, value in enumerate(plain) if value > 1e4 * 24.2)
    assert plain[first] < math.inf
    assert losses[:first] == pytest.approx(plain[:first])
    assert losses[first] == math.inf
    with pytest.raises(Diverged, match=f"update {first + 1}$"):
        ran("landscape", "sgd[lr=0.01]", 50, tmp_path)


# -- online
ROOT_OF_3000 = 1 / math.sqrt(3000)


@pytest.mark.parametrize(("name", "x"), [("adam", 0.99948), ("amsgrad", -0.99936)])
def test_1_5_a1_adam_walks_the_wrong_way(name, x, tmp_path):
    method = ran("online", f"{name}[lr=0.1,betas=(0.0,0.1),eps=0.0]", 2999, tmp_path, schedule=f"inverse_sqrt[end={ROOT_OF_3000}]")
    assert scores(method).summary["x"] == pytest.approx(x, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("C", "adam", "amsgrad"), [(3.0, 0.6676, 0.1568), (4.0, 1.334, 0.147), (10.0, 5.334, 0.248)])
def test_1_5_a1_average_regret(C, adam, amsgrad, tmp_path):
    for name, regret in (("adam", adam), ("amsgrad_torch", amsgrad)):
        rule = f"{name}[lr=0.1,betas=(0.0,{1 / (1 + C * C)}),eps=0.0]"
        method = ran(f"online[C={C},start=1.0]", rule, 9999, tmp_path / name, schedule="inverse_sqrt[end=0.01]")
        assert scores(method).values["regret"] == pytest.approx(regret, rel=2e-3)


@pytest.mark.slow
def test_1_5_a2_adam_walks_the_wrong_way_with_common_betas(tmp_path):
    for name, x in (("adam", 1.0), ("amsgrad", -0.97845)):
        rule = f"{name}[lr=0.5,betas=(0.9,0.99),eps=0.0]".replace("adam", "adam_notes")
        method = ran("online[problem=reddi_rare]", rule, 101_000, tmp_path / name, schedule=f"inverse_sqrt[end={1 / math.sqrt(101_001)}]")
        assert scores(method).summary["x"] == pytest.approx(x, abs=1e-4)


def test_regret_by_hand(tmp_path):
    method = ran("online[C=4.0,start=0.5]", "sgd[lr=0.3]", 20, tmp_path)
    x, lost = 0.5, 0.0
    for t in range(1, 21):
        slope = 4.0 if t % 3 == 1 else -1.0
        lost += slope * (x + 1)
        x = min(max(x - 0.3 * slope, -1.0), 1.0)
    found = scores(method)
    assert found.values == pytest.approx({"regret": lost / 20, "distance": x + 1})
    assert found.summary == pytest.approx({"x": x})
    with evaluation_mode(method):
        method.model(torch.zeros(3))
    assert method.model.t == 20  # judging is no round
    assert scores(method) == found


def test_the_rare_and_the_stochastic_problem():
    rare, random = (opened(f"online[problem={p}]") for p in ("reddi_rare", "reddi_stochastic"))
    model = rare.model()
    assert [rare.loss(model, torch.rand(1)).item() for _ in range(2)] == [0, 0]  # at x = 0
    model.x.data.fill_(1)
    assert [rare.loss(model, torch.rand(1)).item() for _ in range(101)] == [-10.0] * 99 + [1010.0, -10.0]
    model = random.model()
    model.x.data.fill_(1)
    costs = model(random.batch(20_000, torch.Generator().manual_seed(0)))
    assert set(costs.tolist()) == {1010.0, -10.0}
    assert float((costs > 0).double().mean()) == pytest.approx(0.01, abs=2e-3)


def test_before_the_first_round_the_regret_is_that_of_the_start():
    task = opened("online[start=1.0]")
    assert task.measure(task.model(), "validation").values == pytest.approx({"regret": 2 / 3, "distance": 2})


# -- interpolation
@pytest.mark.parametrize(
    ("optimizer", "steps", "positive", "negative"),
    [
        ("sgd[lr=0.1]", 3000, 0.985342, -0.913737),
        ("nag[lr=0.05,momentum=0.9]", 2000, 0.985342, -0.913737),
        ("adam[lr=0.01]", 2000, 0.75, 0.25),
    ],
)
def test_1_5_b_margins(optimizer, steps, positive, negative, tmp_path):
    method = ran("interpolate", optimizer, steps, tmp_path)
    found = scores(method)
    assert found.summary["output_positive"] == pytest.approx(positive, abs=1e-4)
    assert found.summary["output_negative"] == pytest.approx(negative, abs=1e-4)
    assert found.summary["train_loss"] < 1e-7
    assert found.values == pytest.approx({"margin": min(positive, -negative), "error": 0.4 if negative > 0 else 0}, abs=1e-4)


def test_1_5_b_closed_forms():
    task = opened("interpolate")
    x, y = task.batch(1, torch.Generator())
    plus, minus = int((y > 0).sum()), int((y < 0).sum())
    assert (plus, minus) == (33, 27)
    D = 8 * plus * minus + 15 * plus + 3 * minus + 5
    a, b = (4 * minus + 5) / D, (4 * plus + 1) / D
    model = task.model()
    with torch.no_grad():
        model.weight[0] = torch.linalg.pinv(x) @ y
    found = task.measure(model, "test").summary
    assert found["output_positive"] == pytest.approx(3 * plus * a - minus * b, abs=1e-12)
    assert found["output_negative"] == pytest.approx(plus * a - 3 * minus * b, abs=1e-12)
    signs = (x.T @ y).sign()
    torch.testing.assert_close(x @ signs, 4 * y)  # the condition of the lemma, c = 4


# -- classification
def test_logistic_regression_ends_at_the_optimum_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    task = opened("learn[network=logistic,l2=0.01]")
    train = task.examples("train")
    method = descent(task, "nag[lr=0.3]", 1500)
    for _ in method.train(itertools.repeat(train)):
        pass
    reference = LogisticRegression(C=1 / (0.01 * len(train)), tol=1e-10, max_iter=5000).fit(
        train.x.flatten(1).double().numpy(), train.labels.numpy()
    )
    layer = method.minimise()[1]
    torch.testing.assert_close(layer.weight.detach(), torch.from_numpy(reference.coef_).float(), atol=2e-3, rtol=0)
    best = nn.Linear(64, 10, dtype=F64)
    best.load_state_dict({"weight": torch.from_numpy(reference.coef_), "bias": torch.from_numpy(reference.intercept_)})
    least = task.loss(nn.Sequential(nn.Flatten(), best), Samples(train.x.double(), train.labels))
    assert task.loss(method.minimise(), train).item() == pytest.approx(least.item(), rel=1e-5)


def test_sparse_logistic_regression_ends_at_the_optimum_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    task = opened("sparse_logistic[features=40,count=300,l2=0.02]")
    train = task.examples("train")
    method = descent(task, "nag[lr=0.1]", 1500)
    for _ in method.train(itertools.repeat(train)):
        pass
    # two rows of weights u and -u cost l2 |u|^2, one row w = 2 u costs l2 |w|^2 / 4
    reference = LogisticRegression(C=2 / (0.02 * len(train)), tol=1e-10, max_iter=5000).fit(train.x.numpy(), train.labels.numpy())
    weight = method.minimise().weight.detach()
    torch.testing.assert_close((weight[1] - weight[0])[None], torch.from_numpy(reference.coef_).float(), atol=1e-3, rtol=0)


def test_sparse_features_follow_a_power_law():
    task = opened("sparse_logistic[features=300,count=4000,power=1.0]")
    train = task.examples("train")
    assert set(train.x.unique().tolist()) == {0.0, 1.0}
    share = train.x.mean(0)
    expected = (5 / torch.arange(1, 301)).clamp(max=0.5)
    assert ((share - expected).abs() < 5 * (expected / 4000).sqrt()).all()
    assert not torch.equal(train.x, task.examples("test").x)
    assert opened("sparse_logistic[data_seed=1]").fingerprint() != opened("sparse_logistic").fingerprint()
    assert task.loss(task.model(), train).item() == pytest.approx(math.log(2), rel=1e-5)  # a float32 mean of 4000


def test_scores_are_the_means_of_every_example(tmp_path):
    method = ran("learn", "adam[lr=1e-2]", 40, tmp_path, batch_size=32)
    task = method.task
    shown = registry.make("dataset", "digits[size=8]").open(None, "test")
    with torch.no_grad():
        logits = method.minimise()(shown.x.float() / 255)
    found = scores(method)
    assert found.values["accuracy"] == pytest.approx(float((logits.argmax(1) == shown.labels).double().mean()))
    assert found.values["loss"] == pytest.approx(float(cross_entropy(logits, shown.labels)), rel=1e-5)
    for column, (names, values) in found.per_image.items():
        assert len(names) == len(set(names)) == len(values) == 497
        assert np.mean(values) == pytest.approx(found.values[column])
    with evaluation_mode(method):
        assert task.validate(method) != pytest.approx(found.values)  # another split
    assert found.values["accuracy"] > 0.5


def test_the_penalty_is_on_weights_alone_and_not_scored():
    plain, penalised = opened("learn[network=logistic]"), opened("learn[network=logistic,l2=0.5]")
    model = plain.model()
    batch = plain.batch(8, torch.Generator().manual_seed(0))
    more = penalised.loss(model, batch) - plain.loss(model, batch)
    assert more.item() == pytest.approx(0.25 * model[1].weight.square().sum().item(), rel=1e-4)
    with torch.no_grad():
        assert plain.measure(model, "test").values == penalised.measure(model, "test").values


@pytest.mark.parametrize(
    ("network", "parameters"),
    [("logistic", 650), ("mlp", 64 * 32 + 32 + 330), ("conv", 9 * 16 + 16 + 9 * 16 * 32 + 32 + 128 * 10 + 10)],
)
def test_sizes_of_networks(network, parameters):
    model = opened(f"learn[network={network}]").model()
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_3c3d_has_the_published_number_of_parameters():
    from methods.networks.classifiers import conv3_dense3

    model = conv3_dense3((3, 32, 32), 10)
    assert sum(p.numel() for p in model.parameters()) == 895_210
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert conv3_dense3((1, 28, 28), 7)(torch.rand(2, 1, 28, 28)).shape == (2, 7)
    sides = [x.shape[-1] for x in itertools.accumulate(model[:9], lambda x, layer: layer(x), initial=torch.rand(1, 3, 32, 32))]
    assert sides == [32, 28, 28, 14, 12, 12, 6, 6, 6, 3]
    assert not any(layer.bias.any() for layer in model if hasattr(layer, "bias"))


@pytest.mark.skipif(not (DATA and (Path(DATA) / "cifar10").is_dir()), reason="no CIFAR-10 below GANBENCH_DATA")
def test_cifar10_trains(tmp_path):
    method = ran("learn[data=cifar10,network=3c3d]", "sgdm", 2, tmp_path, batch_size=4)
    assert 0 <= scores(method).values["accuracy"] <= 1


# -- laws
@pytest.mark.parametrize("spec", SMALL)
def test_the_seed_decides_all_and_a_resumed_run_ends_alike(spec, tmp_path):
    def end(folder, seed=0, **stop):
        method = descent(opened(spec), "adam[lr=0.05]", 60, 4, "inverse_sqrt", seed)
        (tmp_path / folder).mkdir(exist_ok=True)
        checks.train(method, tmp_path / folder, seed=seed, **stop)
        return checks.fingerprint(method), scores(method).values

    whole = end("whole")
    assert end("again") == whole
    end("cut", stop_at=5)
    assert end("cut") == whole
    if spec != SMALL[2]:  # its data are of one seed, and every update sees all of them
        assert end("other", seed=1) != whole


@pytest.mark.parametrize("spec", SMALL)
def test_a_task_says_what_decides_its_numbers(spec):
    task = opened(spec)
    method = descent(task, "sgd", 1)
    with evaluation_mode(method):
        assert list(task.validate(method)) == list(task.cards()) == list(scores(method).values)
    assert {kind for kind, _ in task.components()} >= {"metric"}
    assert all(registry.make(*part) for part in task.components())
    assert (task.sample(), task.offers) == (None, frozenset())


@pytest.mark.parametrize(
    "spec",
    [
        "landscape[function=hill]", "landscape[noise=-1.0]", "landscape[start=(1.0,)]", "online[C=2.0]", "online[start=2.0]",
        "interpolate[p=0.5]",
        "interpolate[examples=2]", "learn[width=0]", "learn[l2=-1.0]", "learn[network=rnn]", "sparse_logistic[count=0]",
    ],
)  # fmt: skip
def test_bad_options_are_refused(spec):
    with pytest.raises(UsageError, match=spec.partition("[")[0]):
        opened(spec)


@pytest.mark.parametrize("data", ["photos", "ring"])
def test_data_without_labels_are_refused(data):
    with pytest.raises(UsageError, match=f"labelled set of small pictures.*not {data}"):
        opened(f"learn[data={data}]").model()


SUITE = """
title = "Descent"
task = "landscape"
sort = "log10_suboptimality"
methods = ["descent[optimizer='adam[lr=0.1]']", "descent[optimizer='sgd[lr=1.0]']"]
[tiers.smoke]
hp = { steps = 20, batch_size = 1 }
"""


def test_trials_on_record(tmp_path, database):
    (good, bad), _ = Bench(tmp_path, SUITE, database=database).run()
    assert good.outcome == "finished"
    assert good.final.keys() == {"log10_suboptimality", "suboptimality", "distance"}
    assert good.costs.keys() == {"train_seconds", "images_per_s"}  # what using the end costs is not asked
    assert len(list(tmp_path.glob(f"runs/*/trials/{good.training_id}/judgements/{good.trial_id}/gallery/*.png"))) == 1
    assert good.facts.keys() >= {"code.metric.suboptimality", "code.optimizer.adam", "task.function"}
    assert (bad.outcome, bad.summary["diverged_step"]) == ("diverged", 2)


# -- the harness
def test_seeds_made_in_blocks_are_those_of_each_batch():
    task = opened("online")
    for drawn in (0, 1, 63, 64, 65, 200):
        stream = Stream(task, 3, 2, drawn=drawn)
        for i in (drawn, drawn + 1):
            expected = task.batch(2, torch.Generator().manual_seed(mix(3, i)))
            assert torch.equal(next(stream), expected)
        assert stream.drawn == drawn + 2
