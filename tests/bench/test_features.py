"""Feature networks: what they see, what they remember, what the bundled one can do."""

import gc
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from sklearn.decomposition import PCA as ScikitPCA

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.external import weights
from bench.features import digits_cnn
from bench.metrics._histogram import evenness
from bench.remember import _made


def feature(spec):
    return registry.make("feature", spec)


def pictures(n, channels=3, side=20, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def data(spec, split="test"):
    made = registry.make("dataset", spec).open(None, split)
    return made.x / 255, made.labels


# -- pixels and principal components


def test_pixels_are_stored_pictures_and_plain_points():
    x = torch.tensor([-0.5, 0.1, 0.5019, 1.7]).view(1, 1, 2, 2)
    torch.testing.assert_close(feature("pixels")(x), torch.tensor([[0, 26, 128, 255]]) / 255)
    points = torch.tensor([[-3.2, 4.7]])
    assert torch.equal(feature("pixels")(points), points)


@pytest.mark.parametrize(("n", "k"), [(50, 7), (5, 9)])
def test_pca_agrees_with_scikit_learn(n, k):
    x = torch.randn(n, 12, generator=torch.Generator().manual_seed(0))
    y = torch.randn(6, 12, generator=torch.Generator().manual_seed(1))
    theirs = torch.from_numpy(ScikitPCA(min(n - 1, k), svd_solver="full").fit(x.double().numpy()).transform(y.double().numpy()))
    ours = feature(f"pca[k={k}]").fit(x)(y).double()
    torch.testing.assert_close(ours.abs(), theirs.abs(), rtol=1e-5, atol=1e-5)  # the signs of directions are free


def test_pca_before_fitting():
    with pytest.raises(UsageError, match=r"pca\.fit\(real\)"):
        feature("pca")(pictures(2))


# -- the bundled digit classifier


def test_digits_cnn_is_what_its_recipe_says():
    recipe = json.loads(digits_cnn.WEIGHTS.with_suffix(".json").read_text())
    content = digits_cnn.WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() == recipe["sha256"] == feature("digits_cnn").fingerprint()
    assert len(content) < 1 << 20
    assert recipe["data"]["test"]["fingerprint"] == registry.make("dataset", "digits[size=8]").open(None, "test").fingerprint


@pytest.mark.parametrize("size", [16, 32])
def test_digits_cnn_knows_held_out_digits(size):
    x, y = data(f"digits[size={size}]")
    p = feature("digits_cnn").probabilities(x)
    torch.testing.assert_close(p.sum(1), torch.ones(len(x), dtype=torch.float64))
    accuracy = float((p.argmax(1) == y).double().mean())
    assert accuracy >= 0.98
    assert accuracy == pytest.approx(
        json.loads(digits_cnn.WEIGHTS.with_suffix(".json").read_text())["test"][f"digits[size={size}]"], abs=0.004
    )


def test_digits_cnn_takes_gray_as_rgb():
    x, _ = data("digits")
    network = feature("digits_cnn")
    torch.testing.assert_close(network(x[:9].expand(-1, 3, -1, -1).contiguous()), network(x[:9].clone()), rtol=1e-4, atol=1e-4)


def test_stacked_digits_are_three_digits():
    single, stacked = feature("digits_cnn"), feature("digits_cnn[stacked=true]")
    x, y = data("stacked_digits[test=300]")
    assert stacked.logits(x).shape == (300, 1000)
    assert float((stacked.logits(x).argmax(1) == y).double().mean()) > 0.94
    a, b, c = (single.probabilities(channel[:, None]) for channel in x[:5].unbind(1))
    torch.testing.assert_close(
        stacked.probabilities(x[:5].clone()), torch.einsum("na,nb,nc->nabc", a, b, c).flatten(1), rtol=1e-3, atol=1e-6
    )
    torch.testing.assert_close(
        stacked(x)[:5], torch.cat([single(channel[:, None]) for channel in x[:5].unbind(1)], 1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.oracle("metric", "class_modes")
def test_every_class_of_stacked_digits_is_reached():
    """Real samples as fakes find (nearly) the modes that their labels say."""
    x, y = data("stacked_digits[test=1500]")
    values = registry.make("metric", "class_modes[net=digits_cnn[stacked=true]]")(x, x[:2].clone())
    true = y.bincount(minlength=1000)
    assert values["class_modes"] == pytest.approx(int((true > 0).sum()), abs=15)
    assert values["class_kl"] == pytest.approx(float(evenness(true)["kl_reverse"]), rel=0.1)
    assert values["class_modes/real"] == 2


# -- networks in general


def test_wrong_samples():
    with pytest.raises(UsageError, match="net=pixels"):
        feature("digits_cnn")(torch.zeros(4, 2))
    with pytest.raises(UsageError, match="name a classifier"):
        feature("pixels").probabilities(pictures(2))


def test_batches_and_order_change_nothing(monkeypatch):
    x, network = pictures(40), feature("digits_cnn")
    whole = network(x)
    monkeypatch.setattr("bench.feature._BATCH", 7)
    torch.testing.assert_close(network(x.clone()), whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(x.flip(0)).flip(0), whole, rtol=1e-4, atol=1e-4)


def test_samples_pass_the_network_once(monkeypatch):
    passes = []
    monkeypatch.setattr(
        digits_cnn.DigitsCNN, "prepare", lambda self, x, prepare=digits_cnn.DigitsCNN.prepare: passes.append(len(x)) or prepare(self, x)
    )
    x, network = pictures(5), feature("digits_cnn")
    first = network(x).clone()
    feature("digits_cnn").logits(x)
    assert passes == [5]
    feature("digits_cnn[stacked=true]")(x)
    assert passes == [5, 5]
    x.mul_(0.5)  # the same tensor, other pictures
    assert not torch.equal(network(x), first)
    assert passes == [5, 5, 5]


def test_features_are_forgotten_with_their_samples():
    gc.collect()
    x, before = pictures(3), len(_made)
    feature("digits_cnn")(x)
    assert len(_made) == before + 1
    del x
    gc.collect()
    assert len(_made) == before


def test_samples_made_without_grad_mode():
    with torch.inference_mode():
        x = pictures(3)
        inside = feature("digits_cnn")(x)
    torch.testing.assert_close(inside.clone(), feature("digits_cnn")(pictures(3)))


# -- networks whose weights are the user's to bring


@pytest.mark.skipif(
    not Path(os.environ.get("GANBENCH_DATA", "") or "/none", "weights").is_dir(), reason="needs GANBENCH_DATA with weights/"
)
def test_squeezenet_recognises_a_cat():
    from skimage.data import chelsea

    x = torch.from_numpy(chelsea()).permute(2, 0, 1)[None, :, :, 75:375] / 255
    network = feature("squeezenet1_0")
    assert network(x).shape == (1, 512)
    p = network.probabilities(x)
    assert p.shape == (1, 1000)
    assert p.argmax().item() in range(281, 286)  # ImageNet's domestic cats
    assert network.protocol()["sha256"] == weights.manifest()["squeezenet1_0"].sha256


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["squeezenet1_0", "inception"])
def test_unavailable_names_the_file(nowhere, name):
    for call in (feature(name).require, feature(name).fingerprint, lambda: feature(name)(pictures(2))):
        with pytest.raises(Unavailable, match=rf"{weights.manifest()[name].filename} not found.*{nowhere}"):
            call()


def test_inception_is_torch_fidelitys(nowhere, monkeypatch):
    """The whole way from pictures to `fid`, with random weights in the published file's place."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            return None

    torch.manual_seed(0)
    file = nowhere / weights.manifest()["inception"].filename
    torch.save({}, file)
    theirs = Untrained("inception-v3-compat", ["2048", "logits_unbiased"], str(file))
    torch.save(theirs.state_dict(), file)
    entry = weights.Weight(**{**vars(weights.manifest()["inception"]), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    monkeypatch.setattr(weights, "manifest", lambda: {entry.id: entry})

    x = pictures(3, channels=1, side=24)
    expected = theirs((x * 255).round().to(torch.uint8).expand(-1, 3, -1, -1))
    network = feature("inception")
    torch.testing.assert_close(network(x), expected[0])
    torch.testing.assert_close(network.logits(x), expected[1])
    metric = registry.make("metric", "fid")
    assert metric.cards(fake=3, real=3)["fid"].protocol["net"]["sha256"] == entry.sha256
    assert metric(x, x.clone())["fid"] == pytest.approx(0, abs=1e-6)
    assert metric(x, 1 - x)["fid"] > 0
