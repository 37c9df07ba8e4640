"""The task translate: pairs and two domains, both directions, squeezed and cut, judged as pictures, as sets and by their labels."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.segmenters.palette import FACADES
from bench.spec import parse
from bench.suites.trial import Trial
from bench.task import Scores, Stream
from bench.tasks.translate import Translate
from bench.training.build import build

SETS = ("sliced_wasserstein[directions=16]",)


class Told:
    """A method that is told the answers."""

    def __init__(self, task):
        self.answers = iter([batch.target for batch in task._test.batches])

    def restore(self, batch):
        return next(self.answers)


class Same:
    """A method that changes nothing."""

    def restore(self, batch):
        return batch.observed


def opened(root=None, **options):
    task = Translate(**{"crop": 16, "tile": 32, "pictures": 6, "metrics": ("l1", "psnr"), "set_metrics": SETS, **options})
    task.open(root, torch.device("cpu"))
    return task


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def luma(x):
    return torch.einsum("c,nchw->nhw", torch.tensor([0.299, 0.587, 0.114]), x)


def paint(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


@pytest.fixture
def labels(tmp_path):
    """Pairs whose B is a picture of labels (two classes of facades, left and right) and whose A is its negative; 24 x 20."""
    for split, n in (("train", 3), ("val", 1), ("test", 2)):
        for i in range(n):
            b = np.empty((20, 24, 3), np.uint8)
            b[:, :12], b[:, 12:] = FACADES[i], FACADES[9]
            paint(tmp_path / f"own/A/{split}/{i}.png", 255 - b)
            paint(tmp_path / f"own/B/{split}/{i}.png", b)
    return tmp_path


@pytest.fixture
def domains(tmp_path):
    for domain, level, n in (("A", 60, 4), ("B", 180, 6)):
        for split in ("train", "test"):
            for i in range(n):
                paint(tmp_path / f"two/{split}{domain}/{i}.png", np.full((30, 40, 3), level + 5 * i))
    return tmp_path


# -- pairs


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_training_crops_are_pairs(direction):
    batch = opened(data="photo_grey", direction=direction).batch(8, rng())
    gray, colour = (batch.observed, batch.target) if direction == "AtoB" else (batch.target, batch.observed)
    assert gray.shape == colour.shape == (8, 3, 16, 16)
    torch.testing.assert_close(luma(colour), gray[:, 0])
    assert colour.flatten(1).std(1).min() > 0


def test_a_batch_is_a_function_of_its_generator():
    task = opened()
    first, again, other = task.batch(3, rng(1)), task.batch(3, rng(1)), task.batch(3, rng(2))
    assert torch.equal(first.observed, again.observed)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.target, other.target)


def test_test_tiles_are_pairs_and_not_flat():
    task = opened(data="photo_grey", pictures=0, least_contrast=0.1)
    for batch in task._test.batches:
        torch.testing.assert_close(luma(batch.target), batch.observed[:, 0])
        assert batch.target.shape[2:] == (32, 32)
        assert batch.target.flatten(2).std(2).mean(1).min() >= 0.1
    assert len(opened(data="photo_grey", pictures=0, least_contrast=0.0)._test) > len(task._test)


def test_whole_pictures_are_squeezed(labels):
    task = opened(labels, data="folder_pair[path=own]", load=18)
    assert {p.target.shape for p in task._crops.pictures} == {(3, 18, 18)}
    assert task.batch(4, rng()).observed.shape == (4, 3, 16, 16)
    (batch,) = task._test.batches
    assert batch.target.shape == (2, 3, 32, 32)
    torch.testing.assert_close(batch.observed, 1 - batch.target)  # both sides alike
    left = torch.tensor([FACADES[0], FACADES[1]]) / 255
    torch.testing.assert_close(batch.target[:, :, 3, 3], left)


def test_told_the_answers_nothing_is_missing():
    task = opened()
    scores = task.score(Told(task), lambda done, total: None)
    assert scores.values == {"l1": 0.0, "psnr": float("inf"), SETS[0]: 0.0}
    assert scores.values.keys() == task.cards().keys()
    assert scores.summary == {"infinite/psnr": 6.0}
    assert scores.per_image["l1"][0] == task._test.names
    assert task.ranked_by().metric == "l1"


def test_scores_of_the_input_itself():
    task = opened(data="photo_grey")
    scores = task.score(Same(), lambda done, total: None)
    by_hand = torch.cat(
        [((b.observed * 255).round() - (b.target * 255).round()).abs().div(255).mean((1, 2, 3)) for b in task._test.batches]
    )
    assert scores.values["l1"] == pytest.approx(by_hand.mean().item(), rel=1e-5)
    assert scores.per_image["l1"][1] == pytest.approx(by_hand.tolist(), rel=1e-5)
    assert scores.values[SETS[0]] > 0
    assert set(task.validate(Same())) == {"l1"}


def test_labels_are_read_on_the_side_that_holds_them(labels):
    options = {"data": "folder_pair[path=own]", "load": 18}
    right = opened(labels, segmentation="fcn_score", direction="AtoB", **options)
    values = right.score(Told(right), lambda done, total: None).values
    assert (values["pixel_accuracy"], values["class_accuracy"], values["iou"]) == (1, 1, 1)
    assert right.score(Same(), lambda done, total: None).values["pixel_accuracy"] < 1  # negatives
    back = opened(labels, segmentation="fcn_score[read=observed]", direction="BtoA", **options)
    assert back.score(Same(), lambda done, total: None).values["pixel_accuracy"] == 1
    assert back.cards().keys() == {"l1", "psnr", SETS[0], "pixel_accuracy", "class_accuracy", "iou"}
    assert len({card.hash for card in back.cards().values()}) == 6
    assert ("segmenter", "palette") in back.components()


# -- two domains


def test_two_domains_are_never_paired(domains):
    task = opened(domains, data="folder_unpaired[path=two]", load=20)
    assert task.offers == {"unpaired"}
    batch = task.batch(32, rng())
    a, b = ((x[:, 0, 0, 0] * 255).round() for x in (batch.observed, batch.target))
    assert set(a.tolist()) <= {60.0, 65, 70}  # one of four is held out
    assert set(b.tolist()) <= {180.0, 185, 190, 195, 200}
    assert len(set(zip(a.tolist(), b.tolist()))) > 6
    back = opened(domains, data="folder_unpaired[path=two]", load=20, direction="BtoA").batch(4, rng())
    assert back.observed.min() > back.target.max()


def test_two_domains_are_compared_as_sets(domains):
    task = opened(domains, data="folder_unpaired[path=two,held_out=0.5]", load=20, pictures=0)
    assert task.cards().keys() == set(SETS)
    assert len(task._test) == 4  # as many as the smaller domain has
    scores = task.score(Same(), lambda done, total: None)
    assert set(scores.values) == set(SETS)
    assert not scores.per_image
    assert scores.values[SETS[0]] > 0
    assert task.validate(Same()).keys() == set(SETS)
    assert isinstance(scores, Scores)
    assert len(task.fingerprint()) == 3


def test_methods_that_need_pairs_are_skipped_on_two_domains(domains):
    task = opened(domains, data="folder_unpaired[path=two]", load=20)
    assert not registry.find("method", "pix2pix").needs <= task.offers
    for name in ("cyclegan", "mean_image", "colour_transfer", "identity"):
        assert registry.find("method", name).needs <= task.offers


# -- deblurring


@pytest.mark.parametrize("spec", ["pix2pix[ngf=4,ndf=4,depth=3,patch=16,steps=2]", "cyclegan[ngf=4,ndf=4,blocks=1,steps=2]"])
def test_translators_deblur(spec):
    task = registry.make(
        "task", 'deblur[crop=32,tile=64,pictures=2,kernels=4,scenes=0,scene_share=0,blur="motion_blur[max_len=8]",metrics=("psnr",)]'
    )
    task.open(None, torch.device("cpu"))
    trial = Trial("s", parse("deblur"), spec, parse(spec), 0, "smoke", 1)
    method = build(trial, task)
    list(method.train(iter([task.batch(1, rng(i)) for i in range(4)])))
    assert task.score(method, lambda done, total: None).values["psnr"] > 0


# -- real facades


@pytest.mark.slow
@pytest.mark.skipif("GANBENCH_DATA" not in os.environ, reason="needs the real data sets: set GANBENCH_DATA")
def test_pix2pix_beats_the_mean_image_on_facades():
    """800 updates of four crops of 64 x 64, networks a quarter as wide as the paper's: half a minute each on one core."""
    root, small = Path(os.environ["GANBENCH_DATA"]), "ngf=16,ndf=16,depth=6,patch=34,batch_size=4,steps=800"
    task = opened(root, data="facades", direction="BtoA", load=72, crop=64, tile=64, pictures=0, metrics=("l1", "ssim"))

    def scores(spec):
        torch.manual_seed(0)
        method = registry.make("method", spec)(task)
        data = Stream(task, 0, method.hp.batch_size)
        method.prepare(data)
        for _ in method.train(data):
            pass
        with evaluation_mode(method):
            return task.score(method, lambda done, total: None).values

    mean, game = scores("mean_image[steps=100]"), scores(f"pix2pix[{small}]")
    alone = scores(f"pix2pix[{small},adversarial_weight=0.0,mc_dropout=False]")
    assert alone["l1"] < mean["l1"]  # .148 against .153
    assert game["ssim"] > mean["ssim"] + 0.05  # .23 against .13
    assert game[SETS[0]] < 0.8 * mean[SETS[0]]  # .09 against .15
    assert game[SETS[0]] < alone[SETS[0]]  # what the game is for


# -- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load": 8}, "load must be 0 or at least crop, 16"),
        ({"tile": 0}, "give tile > 0, or set_metrics"),
        ({"crop": 4}, "crop must be >= 8"),
        ({"data": "nothing"}, "unknown dataset"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        opened(**options)


def test_metrics_of_the_wrong_kind_are_refused(domains):
    with pytest.raises(UsageError, match="does not judge sets of samples"):
        opened(set_metrics=("psnr",)).cards()
    with pytest.raises(UsageError, match="does not judge labels"):
        opened(segmentation="psnr").cards()


def test_pairs_of_no_size_or_none_are_refused(labels, domains):
    with pytest.raises(UsageError, match="give load and tile"):
        opened(data="photos", tile=0, set_metrics=()).sample()
    (labels / "own/A/val/0.png").unlink()
    with pytest.raises(UsageError, match=r"the validation split of folder_pair.* is empty .*expected"):
        opened(labels, data="folder_pair[path=own,held_out=0]", load=18).fingerprint()


def test_missing_weights_are_remarked(monkeypatch):
    from bench.errors import Unavailable
    from bench.features.squeezenet1_0 import SqueezeNet

    def missing(self):
        raise Unavailable("no file")

    monkeypatch.setattr(SqueezeNet, "require", missing)
    task = opened(set_metrics=("fd[net=squeezenet1_0]", *SETS))
    assert task.notes() == {"unavailable.fd[net=squeezenet1_0]": "no file"}
    assert task.cards().keys() == {"l1", "psnr", *SETS}


def test_every_option_is_typed_and_known():
    assert {f.name for f in dataclasses.fields(Translate) if f.init} == set(registry.settings(Translate))
