"""Checkpoints: whole trees come back as they were, a crash leaves the earlier file, nothing is pickled."""

import errno
import json
import os
import struct
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from bench.errors import UsageError
from bench.registry import ROOT
from bench.store import checkpoint

TREE = {
    "state": {
        0: {"m": torch.randn(2, 3), "step": torch.tensor(7.0)},
        1: {"m": torch.randn(0, 3), "step": torch.tensor(3, dtype=torch.int64)},
    },
    "half": torch.randn(5).to(torch.bfloat16),
    "view": torch.arange(12).reshape(3, 4).T[1:],
    "flags": torch.tensor([True, False]),
    "pairs": [("loss", 1, 2.5), ("loss", 2, float("inf"))],
    "betas": (0.5, 0.999),
    "nothing": {"none": None, "yes": True, "text": 'a "quoted" β\n', "list": [], "tuple": (), "dict": {}},
    (1, "key"): "tuples are keys too",
    None: 1,
    2.5: -0.0,
}


def equal(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and [*map(type, a)] == [*map(type, b)] and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def test_round_trip(tmp_path):
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, TREE)
    assert equal(checkpoint.load(file), TREE)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_an_optimizer_and_tied_tensors(tmp_path):
    net = torch.nn.Linear(2, 2)
    opt = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    opt.step()
    tree = {"opt": opt.state_dict(), "a": net.weight, "b": net.weight}
    checkpoint.save(tmp_path / "x", tree)
    back = checkpoint.load(tmp_path / "x")
    assert equal(back["opt"], opt.state_dict())
    assert torch.equal(back["a"], net.weight)
    assert torch.equal(back["b"], net.weight)
    assert not back["a"].requires_grad


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", lambda: 0, torch.Generator()])
def test_what_cannot_be_saved_says_so(tmp_path, value):
    with pytest.raises(TypeError, match=f"a {type(value).__name__} cannot be saved in a checkpoint"):
        checkpoint.save(tmp_path / "x", {"a": [value]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["replace", "save_file", "save_file's own"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch, where):
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, {"a": torch.ones(3)})

    def full(tensors, path, *args, **kwargs):
        if where != "replace":
            path.write_bytes(b"half a file")
        raise (
            safetensors.SafetensorError("I/O error: No space left") if "own" in where else OSError(errno.ENOSPC, "No space left on device")
        )

    monkeypatch.setattr(*((os, "replace") if where == "replace" else (safetensors.torch, "save_file")), full)
    with pytest.raises(UsageError, match=rf"cannot write {file}.*No space left.*earlier checkpoint is intact"):
        checkpoint.save(file, {"a": torch.zeros(3)})
    monkeypatch.undo()
    assert torch.equal(checkpoint.load(file)["a"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_no_such_folder_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*absent/x") as caught:
        checkpoint.save(tmp_path / "absent" / "x", {"a": torch.ones(1)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 4, 30, -1])
def test_a_truncated_file_is_one_clear_error(tmp_path, keep):
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, TREE)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(checkpoint.CorruptCheckpoint, match=f"cannot read the checkpoint {file}: "):
        checkpoint.load(file)


@pytest.mark.fault(
    "checkpoint: one bit flipped anywhere",
    cause="in the header, the tree and a tensor of the file",
    expected="the checksum tells: it is refused",
)
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9, 0.99])
def test_a_flipped_bit_is_seen(tmp_path, place):
    """In the header, in the tree, in a tensor: safetensors itself looks at the header alone."""
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, TREE | {"weights": torch.randn(2000)})
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1
    file.write_bytes(data)
    with pytest.raises(checkpoint.CorruptCheckpoint):
        checkpoint.load(file)


@pytest.mark.parametrize("other", ["tensors only", "pickle", "absent"])
def test_other_files_are_refused(tmp_path, other):
    file = tmp_path / "x.safetensors"
    if other == "tensors only":
        safetensors.torch.save_file({"a": torch.ones(1)}, file)
    elif other == "pickle":
        torch.save({"a": torch.ones(1)}, file)
    with pytest.raises(checkpoint.CorruptCheckpoint, match="cannot read the checkpoint"):
        checkpoint.load(file)


def test_the_file_holds_a_json_header_and_tensors_only(tmp_path):
    file = tmp_path / "x.safetensors"
    checkpoint.save(file, TREE)
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    size = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    assert len(data) == 8 + length + size
    assert list(header["__metadata__"]) == ["checkpoint"]
    json.loads(json.loads(header["__metadata__"]["checkpoint"])["tree"])


def test_neither_reading_nor_writing_needs_pickle(tmp_path):
    code = """
import pickle, sys, torch
def refuse(*args, **kwargs): raise SystemExit("pickled")
for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
    setattr(pickle, name, refuse)
torch.save = torch.load = refuse
from bench.store import checkpoint
from pathlib import Path
file = Path(sys.argv[1])
checkpoint.save(file, {"a": torch.ones(2), "b": (1, None)})
assert checkpoint.load(file)["b"] == (1, None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")], cwd=checkpoint.__file__.rsplit("/", 3)[0], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_tree_gives_the_same_bytes(tmp_path):
    """In another process too: a kept file is known by its hash."""
    code = """
import sys, torch
from pathlib import Path
from bench.store import checkpoint
checkpoint.save(Path(sys.argv[1]), {"a": torch.arange(6.0), "b": {"c": torch.ones(2, dtype=torch.int64), "d": [1, None]}})
"""
    for i in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / str(i))], cwd=ROOT, check=True)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
