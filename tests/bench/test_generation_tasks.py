"""The tasks toy2d and generate: their data, their judges, their pictures, their suites."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench import registry
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.judging import sheets as _sheets
from bench.method import Samples
from bench.spec import parse
from bench.suites import expand, read
from bench.task import Stream
from bench.training.loop import Plan, Training
from bench.training.progress import Progress

CPU = torch.device("cpu")
FAST = 'metrics=("fd[net=pixels]","prdc[net=pixels]"),samples=60,width=4'
SPECS = ["toy2d[samples=300,width=16]", f"generate[{FAST}]"]


def task_of(spec):
    task = registry.make("task", spec)
    task.open(None, CPU)
    return task


class Draws:
    """A method that samples the truth, or whatever it is given."""

    t = 0

    def __init__(self, draw):
        self.sample = draw

    def modules(self):
        return {}


def perfect(task):
    return Draws(lambda n: task.batch(n, torch.Generator().manual_seed(int(torch.randint(2**60, ())))).x)


def quietly(done, total):
    pass


# -- data
@pytest.mark.parametrize("spec", SPECS)
def test_a_batch_is_a_function_of_rng_alone(spec):
    task, rng = task_of(spec), lambda seed: torch.Generator().manual_seed(seed)
    first = task.batch(8, rng(0))
    torch.manual_seed(9)
    again, other = task_of(spec).batch(8, rng(0)), task.batch(8, rng(1))
    assert isinstance(first, Samples)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.x, other.x)
    assert first.x.shape == (8, *task.shape)
    assert first.x.dtype == torch.float32
    assert first.labels.max() < task.classes
    assert task.offers == {"labels", "files"}
    assert task.fingerprint() == task_of(spec).fingerprint()


def test_reference_points_differ_between_splits_and_calls_agree():
    task = task_of("toy2d")
    assert torch.equal(task.real("test", 50), task.real("test", 50))
    assert not torch.equal(task.real("test", 50), task.real("validation", 50))


def test_sets_without_labels_offer_none():
    task = task_of(f"generate[data=faces,{FAST}]")
    assert task.offers == {"files"}
    assert task.classes == 0
    assert task.batch(2, torch.Generator()).labels is None


# -- networks
def test_networks_fit_the_data():
    for spec in [*SPECS, "generate[backbone=mlp,layers=8,width=8]", "generate[data=faces]", "toy2d[data=gauss_mixture]"]:
        task = task_of(spec)
        y = task.generator()(torch.randn(3, task.z_dim))
        assert y.shape == (3, *task.shape)
        assert task.critic()(y).shape == (3,)
        assert task.critic(outputs=5)(y).shape == (3, 5)


def test_the_weak_critic_of_the_collapse_recipe():
    """Section 23, T8: z 64 -> 128 -> 128 -> 2, and x / 4 -> 128 -> 1."""
    task = task_of("toy2d[z_dim=64,critic_layers=1,critic_scale=4]")
    assert [tuple(p.shape) for p in task.generator().parameters()] == [(128, 64), (128,), (128, 128), (128,), (2, 128), (2,)]
    critic = task.critic()
    assert [tuple(p.shape) for p in critic.parameters()] == [(128, 2), (128,), (1, 128), (1,)]
    x = torch.randn(5, 2)
    by_hand = torch.relu(x / 4 @ critic.body[1].weight.T + critic.body[1].bias) @ critic.head.weight[0] + critic.head.bias
    assert torch.allclose(critic(x), by_hand, atol=1e-6)


def test_conv_nets_refuse_odd_sizes():
    with pytest.raises(UsageError, match="backbone=conv makes squares of 8, 16, 32, 64"):
        task_of("generate[data=digits[size=20]]").generator()
    assert task_of("generate[data=digits[size=20],backbone=mlp]").generator()(torch.randn(2, 64)).shape == (2, 1, 20, 20)


# -- judging
def test_a_perfect_generator_reaches_the_floors():
    """Section 22.2: all modes, high quality 1 - exp(-4.5), reverse KL about (K - 1) / 2n."""
    for spec, modes in (("toy2d", 8), ("toy2d[data=grid]", 25)):
        task = task_of(spec)
        torch.manual_seed(0)
        values = task.score(perfect(task), quietly).values
        assert values["modes"] == modes
        assert values["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)
        assert values["kl_reverse"] < 4 * (modes - 1) / 5000
        assert values["sliced_wasserstein"] < 0.15
        assert values["c2st_1nn"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_that_is_infinite_is_not_clipped_to_white(bad):
    task = task_of('generate[metrics=("prdc",),samples=20]')
    made = task.real("train", 20).clone()
    made[3, 0, 0, 0] = bad
    method = type("Made", (), {"sample": lambda self, n: made[:n]})()
    assert all(math.isnan(value) for value in task.validate(method).values())
    assert task.score(method, lambda done, total: None).values == {}


def test_a_collapsed_generator_is_seen():
    task = task_of("toy2d[samples=500]")
    one = Draws(lambda n: torch.tensor([2.0, 0.0]).expand(n, 2))
    values = task.score(one, quietly).values
    assert values["modes"] == 1
    assert values["kl_reverse"] == pytest.approx(math.log(8))
    nothing = task.score(Draws(lambda n: torch.zeros(n, 2)), quietly).values
    assert nothing["modes"] == 0
    assert "kl_reverse" not in nothing  # the evenness of no modes does not exist
    assert task.validate(Draws(lambda n: torch.zeros(n, 2))).keys() == {"c2st_1nn", "modes", "high_quality"}


def scores_of(task, points):
    """Of a method that draws these points, one after the other."""
    left = iter(points)
    return task.score(Draws(lambda n: torch.stack(list(itertools.islice(left, n)))), quietly).values


def samplers(source, n, rng):
    """How a method may fail on a mixture: name -> n points."""
    x, centres, std = source.draw(n, rng).x, source.centres(), float(source.deviations()[0])
    everywhere = torch.randn(n, 2, generator=rng) * centres.abs().max()
    noise = torch.randn(n, 2, generator=rng) * std

    def on(modes):
        return centres[torch.randint(modes, (n,), generator=rng)] + noise

    return {
        "the truth": x,
        "a tenth anywhere": torch.where(torch.rand(n, 1, generator=rng) < 0.1, everywhere, x),
        "modes twice as wide": x + 3**0.5 * noise,
        "half of the modes": on(len(centres) // 2),
        "modes eight times as wide": x + 63**0.5 * noise,
        "one mode": on(1),
        "one good point a mode": torch.cat((centres, everywhere[len(centres) :])),
        "centres alone": centres[torch.randint(len(centres), (n,), generator=rng)] + noise / 100,
    }


@pytest.mark.parametrize(
    ("data", "samples_"),
    [
        ("ring[std=0.1]", 1000),
        pytest.param("ring", 1000, marks=pytest.mark.slow),
        pytest.param("grid[std=0.1]", 1500, marks=pytest.mark.slow),
        pytest.param("grid", 1500, marks=pytest.mark.slow),
    ],
)
def test_points_are_ranked_by_what_sees_every_failure(data, samples_):
    """Each sampler scores far from the truth, though all but two have every mode; a share of faults costs about its share."""
    task = task_of(f"toy2d[data={data},samples={samples_},metrics=('c2st_1nn','modes')]")
    made = samplers(task._source, task.samples, torch.Generator().manual_seed(1))
    scores = {name: scores_of(task, x) for name, x in made.items()}
    ranked = {name: values[task.metrics[0]] for name, values in scores.items()}
    modes = {name for name, values in scores.items() if values["modes"] == len(task._source.centres())}
    assert modes == made.keys() - {"half of the modes", "one mode"}  # what the count tells apart
    assert min(ranked, key=ranked.get) == "the truth"
    assert ranked["the truth"] == pytest.approx(0.5, abs=0.03)
    assert ranked["a tenth anywhere"] == pytest.approx(1 - 0.9 / 1.9, abs=0.03)  # 1 - the integral of p q / (p + q), closed forms
    assert ranked["half of the modes"] == pytest.approx(2 / 3, abs=0.03)
    assert ranked["one mode"] == pytest.approx(1 - 1 / (len(task._source.centres()) + 1), abs=0.03)
    assert min(ranked[name] for name in ("modes eight times as wide", "one good point a mode", "centres alone")) > 0.85


def test_the_suites_of_points_rank_by_the_column_that_chooses_the_best_step():
    for name in ("toy2d", "toy2d_grid", "collapse_ring"):
        loaded = read.load_suite(name)
        task = task_of(str(expand.expand(loaded, "smoke")[0].task))
        assert loaded.sort == task.metrics[0] == "c2st_1nn"
        assert not task.cards()[loaded.sort].higher_is_better


def test_a_share_of_good_points_decides_between_methods_that_have_every_mode():
    """The case that a count of modes could not decide: shares of .067 and of .898 of good points, eight modes each."""
    task = task_of("toy2d[data=ring[std=0.1],samples=1000]")
    x, rng = task.real("train", 1000), torch.Generator().manual_seed(2)
    values = {}
    for name, wide in (("vae", 1.15), ("gan", 0.11)):
        blurred = x + wide * torch.randn(x.shape, generator=rng)
        values[name] = scores_of(task, blurred)
    assert values["vae"]["modes"] == values["gan"]["modes"] == 8
    assert values["vae"]["high_quality"] < 0.1 < 0.85 < values["gan"]["high_quality"]
    assert values["vae"]["c2st_1nn"] > values["gan"]["c2st_1nn"] + 0.2


def test_columns_have_cards_and_options_in_their_names():
    task = task_of(SPECS[1])
    seen = []
    torch.manual_seed(0)
    scores = task.score(perfect(task), lambda done, total: seen.append((done, total)))
    assert scores.values.keys() == task.cards().keys() == {f"{c}[net=pixels]" for c in ("fd", "precision", "recall", "density", "coverage")}
    assert seen == [(60, 62), (61, 62), (62, 62)]
    assert task.cards()["fd[net=pixels]"].protocol["fake"] == task.cards()["fd[net=pixels]"].protocol["real"] == 60
    assert ("dataset", "digits") in task.components()
    assert ("feature", "pixels") in task.components()
    assert next(iter(task.validate(perfect(task)))) == "fd[net=pixels]"


def test_digits_beat_noise():
    task = task_of(SPECS[1])
    torch.manual_seed(0)
    good, bad = task.score(perfect(task), quietly).values, task.score(Draws(lambda n: torch.rand(n, 1, 16, 16)), quietly).values
    assert good["fd[net=pixels]"] < 0.5 * bad["fd[net=pixels]"]
    assert good["precision[net=pixels]"] > 0.7 > 0.1 > bad["precision[net=pixels]"]


def test_metrics_that_cannot_be_computed_are_told(monkeypatch, tmp_path):
    for variable in ("GANBENCH_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    task = task_of('generate[samples=20,metrics=("fid","fd[net=pixels]")]')
    assert list(task.notes()) == ["unavailable.fid"]
    assert list(task.cards()) == ["fd[net=pixels]"]
    curve = task_of("toy2d[data=spiral]")
    assert "no modes" in curve.notes()["unavailable.modes"]
    assert list(curve.cards()) == ["c2st_1nn", "sliced_wasserstein"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("toy2d[data=digits]", "needs a distribution of points"),
        ("generate[data=ring]", "needs a set of small pictures"),
        ('generate[metrics=("psnr",)]', "does not judge sets of samples"),
        ("generate[samples=1]", "samples must be >= 2"),
        ("generate[watched=9]", "watched from 1"),
        ("toy2d[critic_scale=0]", "critic_scale positive"),
    ],
)
def test_wrong_options(spec, says):
    with pytest.raises(UsageError, match=says):
        task_of(spec).cards()


def test_samples_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"sample returned \(60, 3\) for samples of shape"):
        task_of(SPECS[1]).score(Draws(lambda n: torch.zeros(n, 3)), quietly)


# -- pictures
def trained(task, folder, name="gan", steps=3):
    torch.manual_seed(0)
    method = registry.find("method", name)(task, steps=steps, batch_size=8)
    plan = Plan(folder, 2, higher_is_better=False)
    Training(method, Stream(task, 0, 8), lambda: task.validate(method), plan, Progress()).run(lambda: False)
    return method


def size_of(file):
    with Image.open(file) as image:
        return image.size


def items(folder):
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]


@pytest.mark.parametrize("spec", SPECS)
def test_the_gallery_can_be_shown(spec, tmp_path):
    task, folder = task_of(spec), tmp_path / "gallery"
    folder.mkdir()
    method = trained(task, tmp_path)
    with evaluation_mode(method):
        task.portray_training(method, folder)
        task.gallery(method, folder)
    found = items(folder)
    assert len(found) == (1 if spec.startswith("toy2d") else 3)
    for item in found:
        assert item["kind"] == "samples"
        for role in {"restored", "target"} & item.keys():
            assert min(size_of(folder / item[role])) >= 64
    if spec.startswith("toy2d"):
        assert size_of(folder / "00_sheet.png") == (3 * 161 - 1, 160)  # before training and at two evaluations


def test_sheets_come_from_fixed_latents(tmp_path):
    task = task_of(SPECS[1])
    method = trained(task, tmp_path)
    sheets = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        task.gallery(method, folder)
        sheets.append([(folder / item["restored"]).read_bytes() for item in items(folder)])
    assert sheets[0] == sheets[1]


def test_interpolations_end_at_their_latents():
    class Echo:
        def z(self, n):
            return torch.randn(n, 6)

        def decode(self, z):
            return z

    torch.manual_seed(0)
    ends = Echo().z(4)
    torch.manual_seed(0)
    path = _sheets.interpolations(Echo(), 2, 5).reshape(2, 5, 6)
    assert torch.allclose(path[:, 0], ends[:2], atol=1e-5)
    assert torch.allclose(path[:, -1], ends[2:], atol=1e-5)
    assert _sheets.interpolations(Draws(lambda n: None), 2, 5) is None


def test_a_sheet_is_in_reading_order():
    x = torch.arange(5).float()[:, None, None, None].expand(5, 1, 32, 32) / 10
    made = _sheets.sheet(x, 3)
    assert made.shape == (3, 2 * 33 - 1, 3 * 33 - 1)
    assert made[0, 0, ::33].tolist() == pytest.approx([0, 0.1, 0.2])
    assert made[0, 33, ::33].tolist() == pytest.approx([0.3, 0.4, 1.0])
    assert _sheets.sheet(x[..., :16, :16], 3).shape == made.shape


def test_a_film_shows_points_where_they_are():
    film = _sheets.Film(torch.zeros(10, 10) + 1e-9, torch.zeros(2), 5.0)
    frame = film.frame(torch.tensor([[3.2, 2.2], [99.0, 0.0], [float("nan"), 0.0]]))
    red = (frame[0] - frame[2] > 0.5).nonzero().tolist()
    assert red == [[2, 8], [2, 9], [3, 8], [3, 9]]  # 3.2 to the right, 2.2 upwards
    centres = _sheets.pixel_centres(4, torch.tensor([1.0, 0.0]), 2.0)
    assert centres[0].tolist() == [-0.5, 1.5]
    assert centres[1].tolist() == [0.5, 1.5]
    assert centres[-1].tolist() == [2.5, -1.5]


# -- suites
@pytest.mark.parametrize("name", ["toy2d", "toy2d_grid", "collapse_ring", "generate", "init"])
def test_every_tier_of_every_suite_expands(name):
    loaded = read.load_suite(name)
    for tier in loaded.tiers:
        trials = expand.expand(loaded, tier)
        rows = len(loaded.methods) * math.prod(len(values) for values in loaded.axes.values())
        assert len(trials) == rows * len(loaded.tiers[tier].seeds)
    task = task_of(str(expand.expand(loaded, "smoke")[0].task))
    assert {loaded.sort, *loaded.headline} <= task.cards().keys()


def test_the_suites_hold_every_generative_method():
    here = {p.stem for family in ("gan", "vae", "flows") for p in Path(registry.ROOT, "methods", family).glob("[!_]*.py")}
    assert {parse(m).name for m in read.load_suite("generate").methods} == here
    only_pictures = {"dcgan", "dcgan_keras", "sngan", "virtual_batchnorm_gan", "linear_vae"}
    assert {parse(m).name for m in read.load_suite("toy2d").methods} == here - only_pictures
