"""Weights are found in order, verified before they are read, and never downloaded."""

import hashlib
import pickle
import re

import pytest
import torch
from _hostile import Hostile
from safetensors.torch import save_file

from bench.errors import Unavailable, UsageError
from bench.external import weights


@pytest.fixture
def places(monkeypatch, tmp_path):
    for name, folder in {"GANBENCH_WEIGHTS": "own", "GANBENCH_DATA": "data", "TORCH_HOME": "torch"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    folders = [tmp_path / "own", tmp_path / "data/weights", tmp_path / "torch/hub/checkpoints"]
    assert weights.folders() == folders
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


@pytest.fixture
def known(monkeypatch):
    """Pretend that a file with these bytes is the published one."""

    def pretend(name, digest):
        entry = weights.Weight(id="thing", filename=name, url="https://example.org/thing", sha256=digest, licence="BSD", used_by=())
        monkeypatch.setattr(weights, "manifest", lambda: {"thing": entry})

    return pretend


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_manifest():
    for key, weight in weights.manifest().items():
        assert weight.id == key
        assert weight.url.startswith("https://")
        assert re.fullmatch(r"([0-9a-f]{8}|[0-9a-f]{64})?", weight.sha256)
        assert re.fullmatch(r"([0-9a-f]{40})?", weight.git_blob)
        assert len(weight.sha256) == 64 or weight.git_blob or weight.sha256 in weight.filename
        assert weight.fingerprint or (not weight.direct and weight.note)
        if weight.git_blob:
            assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/\S+", weight.url)
        assert weight.licence
        assert weight.used_by


@pytest.mark.parametrize("place", range(3))
def test_found_in_each_folder_first_one_wins(places, known, place):
    for folder in places[place:]:
        torch.save({"w": torch.ones(2)}, folder / "thing.pth")
    known("thing.pth", digest(places[0 if place == 0 else place] / "thing.pth")[:8])
    assert weights.resolve("thing") == places[place] / "thing.pth"
    assert torch.equal(weights.load_state_dict("thing")["w"], torch.ones(2))
    assert [row.path for row in weights.inventory()] == [places[place] / "thing.pth"]


def test_safetensors(places, known):
    save_file({"w": torch.arange(3)}, places[1] / "thing.safetensors")
    known("thing.safetensors", digest(places[1] / "thing.safetensors"))
    assert torch.equal(weights.load_state_dict("thing")["w"], torch.arange(3))
    assert weights.sha256("thing") == digest(places[1] / "thing.safetensors")


def test_absent(places):
    with pytest.raises(
        Unavailable, match=rf"alexnet-owt-7be5be79\.pth not found.*https://download\.pytorch\.org/models/alexnet.*{places[0]}"
    ):
        weights.resolve("alexnet")
    assert [row.path for row in weights.inventory()] == [None] * len(weights.manifest())


def test_unknown_id():
    with pytest.raises(UsageError, match=r"unknown weights 'resnet'; known: .*vgg19"):
        weights.resolve("resnet")


def test_wrong_hash_is_refused_before_reading(places):
    file = places[2] / "vgg19-dcbb9e9d.pth"
    file.write_bytes(b"not a network")
    with pytest.raises(UsageError, match=rf"{file}.*{digest(file)}.*dcbb9e9d"):
        weights.load_state_dict("vgg19")


def test_replaced_file_is_verified_again(places, known):
    file = places[0] / "thing.pth"
    torch.save({"w": torch.ones(2)}, file)
    known("thing.pth", digest(file))
    weights.resolve("thing")
    torch.save({"w": torch.ones(50)}, file)
    with pytest.raises(UsageError, match="not the published file"):
        weights.resolve("thing")


def test_a_pickle_never_runs(places, known, monkeypatch, tmp_path):
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD")  # the second guard, which would hide a hole in the first
    torch.save({"x": Hostile(tmp_path / "owned")}, places[0] / "thing.pth")
    known("thing.pth", digest(places[0] / "thing.pth"))
    with pytest.raises(pickle.UnpicklingError):
        weights.load_state_dict("thing")
    assert not (tmp_path / "owned").exists()
