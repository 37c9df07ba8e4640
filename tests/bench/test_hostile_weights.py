"""Weights from strangers: loading them runs nothing that a file brings along; damage and another network are told in one line."""

import argparse
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from _hostile import Hostile, in_hub
from safetensors.torch import save_file

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.external import weights
from bench.store import checkpoint


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """bomb(name) writes a hostile checkpoint under a name in torch hub's folder, where libraries look for their downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GANBENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    owned = tmp_path / "owned"

    yield lambda name: in_hub(tmp_path / "torch", name, owned)
    assert not owned.exists(), "the file ran its code"


def torch_default(bomb):
    torch.load(bomb("x.pth"))


def torch_that_asks_for_it(bomb):
    torch.load(bomb("x.pth"), weights_only=False)


def hub_url(bomb):
    bomb("x.pth")
    torch.hub.load_state_dict_from_url("https://example.invalid/x.pth")


def torchvision_cache(bomb):
    import torchvision

    bomb("alexnet-owt-7be5be79.pth")
    torchvision.models.alexnet(weights="IMAGENET1K_V1")


def lpips_backbone(bomb):
    import lpips

    bomb("squeezenet1_1-b8a52dc0.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's deprecated keyword
        lpips.LPIPS(net="squeeze", verbose=False)


def lpips_heads(bomb):
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lpips.LPIPS(net="squeeze", pnet_rand=True, model_path=str(bomb("x.pth")), verbose=False)


def fidelity_path(bomb):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    FeatureExtractorInceptionV3("x", ["2048"], str(bomb("x.pth")))


def fidelity_cache(bomb):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    bomb("weights-inception-2015-12-05-6726825d.pth")
    FeatureExtractorInceptionV3("x", ["2048"])


def ultralytics_safe(bomb):
    from bench.detectors import _ultralytics

    _ultralytics.tasks().torch_safe_load(str(bomb("x.pt")), safe_only=True)


def ultralytics_plain(bomb):
    from bench.detectors import _ultralytics

    _ultralytics.tasks().torch_safe_load(str(bomb("x.pt")))


ROUTES = [
    torch_default, torch_that_asks_for_it, hub_url, torchvision_cache, lpips_backbone, lpips_heads, fidelity_path, fidelity_cache,
    ultralytics_safe, ultralytics_plain,
]  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
def test_no_library_runs_what_a_file_brings_along(route, bomb):
    """The loading routes of torch, torchvision, lpips, torch-fidelity and ultralytics, most of which would run it by default."""
    with pytest.raises((pickle.UnpicklingError, TypeError, ModuleNotFoundError)):
        route(bomb)


@pytest.mark.parametrize("part", ["yolo[weights={}]", "torchvision[weights={}]"])
def test_no_detector_runs_what_a_file_brings_along(part, bomb):
    detector = registry.make("detector", part.format(bomb("x.pt")))
    with pytest.raises((UsageError, pickle.UnpicklingError)) as caught:
        detector(torch.rand(1, 3, 64, 64))
    assert isinstance(caught.value, UsageError)
    assert str(caught.value).count("\n") == 0
    assert "x.pt" in str(caught.value)


def test_a_users_own_file_does_not_run(bomb):
    with pytest.raises(
        UsageError, match=r"cannot read the weights .*x\.pth: no file of plain tensors \(UnpicklingError\); nothing in it was run"
    ):
        weights.read(bomb("x.pth"))


def test_a_bag_of_options_beside_the_weights_is_read_and_nothing_else_is(bomb, tmp_path):
    torch.save({"model_state_dict": {"w": torch.ones(2)}, "args": argparse.Namespace(lr=1)}, tmp_path / "x.pth")
    assert weights.read_wrapped(tmp_path / "x.pth")[1] == "model_state_dict"
    torch.save({"model_state_dict": {"w": torch.ones(2)}, "args": argparse.Namespace(f=Hostile(tmp_path / "owned"))}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="nothing in it was run"):
        weights.read(tmp_path / "x.pth")


@pytest.mark.parametrize("name", ["x.npz", "x.pth"])
def test_a_bomb_of_zeros_is_refused(name, tmp_path):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("arr_0.npy", bytes(200 << 20))
    with pytest.raises(UsageError, match="cannot read the weights"):
        weights.read(tmp_path / name)


def test_an_npz_with_objects_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", arr_0=np.array([Hostile(tmp_path / "owned")], dtype=object))
    with pytest.raises(UsageError, match="nothing in it was run"):
        weights.read(tmp_path / "x.npz")
    assert not (tmp_path / "owned").exists()


def test_a_tensor_that_claims_more_numbers_than_it_has(tmp_path):
    torch.save({"w": torch.ones(1).expand(10**9)}, tmp_path / "x.pth")
    with pytest.raises(UsageError, match="w claims more numbers than are there"):
        weights.read(tmp_path / "x.pth")


def test_torchscript_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as file:
        file.writestr("x/code/__torch__.py", "import os")
        file.writestr("x/constants.pkl", pickle.dumps(()))
        file.writestr("x/version", "3\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UsageError, match="cannot read the weights"):
            weights.read(tmp_path / "x.pth")


# -- half a file, another network's file
@pytest.fixture
def published(tmp_path, monkeypatch):
    """published(id, tensors) puts a file under the name of a known weight and lets it pass for the published one."""
    monkeypatch.setenv("GANBENCH_WEIGHTS", str(tmp_path))
    entries = dict(weights.manifest())
    monkeypatch.setattr(weights, "manifest", lambda: entries)

    def put(weight_id, tensors, keep=1.0):
        entry = entries[weight_id]
        file = tmp_path / entry.filename
        (save_file if file.suffix == ".safetensors" else torch.save)(tensors, file)
        file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
        entries[weight_id] = weights.Weight(**{**vars(entry), "sha256": weights.digest(file)})
        return file

    return put


USERS = {
    "vgg19": lambda: registry.make("content", "perceptual[net=vgg19]")(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)),
    "squeezenet1_0": lambda: registry.make("feature", "squeezenet1_0")(torch.rand(1, 3, 64, 64)),
    "alexnet": lambda: registry.make("metric", "lpips[net=alex]")(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)),
    "inception": lambda: registry.make("feature", "inception")(torch.rand(1, 3, 64, 64)),
}


@pytest.mark.parametrize("weight", USERS)
def test_the_weights_of_another_network(weight, published):
    file = published(weight, {"features.0.weight": torch.zeros(3)})
    with pytest.raises((UsageError, Unavailable), match=str(file)) as caught:
        USERS[weight]()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight", USERS)
def test_half_a_file_of_weights(weight, published):
    file = published(weight, {"features.0.weight": torch.zeros(30_000)}, keep=0.5)
    with pytest.raises((UsageError, Unavailable), match=str(file)) as caught:
        USERS[weight]()
    assert "\n" not in str(caught.value)


def test_a_wrong_hash_is_refused_by_every_user(tmp_path, monkeypatch):
    monkeypatch.setenv("GANBENCH_WEIGHTS", str(tmp_path))
    for weight, use in USERS.items():
        torch.save({}, tmp_path / weights.manifest()[weight].filename)
        with pytest.raises(UsageError, match="is not the published file: its sha256 is"):
            use()


BROKEN = {
    "empty": b"",
    "text": b"not weights at all",
    "huge header": struct.pack("<Q", 1 << 60) + b"{}",
    "header beyond the file": struct.pack("<Q", 500) + b"{}",
    "no JSON": struct.pack("<Q", 4) + b"nope",
    "offsets beyond the file": struct.pack("<Q", 58) + b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}   ' + bytes(4),
    "negative shape": struct.pack("<Q", 58) + b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}   ' + bytes(4),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_damaged_file_of_the_users_own(tmp_path, name, ending):
    file = tmp_path / f"x{ending}"
    file.write_bytes(BROKEN[name])
    with pytest.raises(UsageError, match=rf"cannot read the weights .*x\{ending}") as caught:
        weights.read(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_checkpoint_is_named(tmp_path, name):
    (tmp_path / "checkpoint.safetensors").write_bytes(BROKEN[name])
    with pytest.raises(checkpoint.CorruptCheckpoint, match=r"checkpoint\.safetensors") as caught:
        checkpoint.load(tmp_path / "checkpoint.safetensors")
    assert "\n" not in str(caught.value)


def test_other_things_than_tensors(tmp_path):
    for content in ([1, 2], {"x": 1}, {1: torch.ones(1)}, torch.ones(1)):
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(UsageError, match="holds other things than named tensors"):
            weights.read(tmp_path / "x.pth")
