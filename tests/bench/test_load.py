"""From a name to a method: the weights on record, the task that a spec fits, what is wrong in one line, and not a word printed."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from bench.errors import UsageError
from bench.external.weights import digest
from bench.inference.load import load, load_with_origin, rebuild
from bench.method import Batch
from bench.spec import Spec, parse
from bench.store import checkpoint, lookup
from methods.restoration._dncnn import DnCNNNetwork


def record_of(records, label):
    return next(record for record in records if record.label == label)


def test_a_trial_comes_with_its_weights_and_their_hash(ran, tmp_path, capfd):
    bench, records, _ = ran
    record = record_of(records, "unet")
    found = load_with_origin(record.trial_id, bench.out, None, None, "cpu")
    file = lookup.weights(record.trial_id, bench.out, None, tmp_path)
    assert found.origin.weights == digest(file)
    kept = checkpoint.load(file)["method"]["G"]
    assert all(torch.equal(value, kept[key]) for key, value in found.method.G.state_dict().items())
    assert found.method.t == 4
    assert (found.origin.trial, found.origin.training, found.origin.scores) == (record.trial_id, record.training_id, record.final)
    assert capfd.readouterr() == ("", "")


def test_a_trial_that_had_nothing_to_train_needs_no_weights(ran):
    bench, records, _ = ran
    method = load(record_of(records, "identity").trial_id, bench.out)
    x = torch.rand(1, 3, 4, 5)
    assert torch.equal(method.restore(Batch(x)), x)


def test_lost_weights_are_told(ran):
    _, records, _ = ran
    with pytest.raises(UsageError, match="the run of unet, seed 0, left no weights: it is recorded as finished"):
        rebuild(record_of(records, "unet"), None, None, torch.device("cpu"))
    lost = dataclasses.replace(record_of(records, "identity"), outcome="failed", reason="no memory")
    with pytest.raises(UsageError, match=r"it is recorded as failed \(no memory\)"):
        rebuild(lost, None, None, torch.device("cpu"))


@pytest.mark.parametrize("tree", [{"method": {"G": {}}}, {}, None])
def test_weights_that_do_not_fit_are_told(ran, tmp_path, tree):
    _, records, _ = ran
    file = tmp_path / "last.safetensors"
    file.write_bytes(b"half") if tree is None else checkpoint.save(file, tree)
    with pytest.raises(UsageError, match="the weights on record do not fit UNet, whose code has changed since"):
        rebuild(record_of(records, "unet"), file, None, torch.device("cpu"))


@pytest.mark.parametrize(("channels", "task"), [(3, "denoise[channels=3,crop=256]"), (1, "denoise[channels=1,crop=256]")])
def test_weights_find_the_number_of_channels(tmp_path, channels, task):
    network = DnCNNNetwork(channels, 3, 4, norm=False)
    save_file({f"G.{k}": v for k, v in network.state_dict().items()}, tmp_path / "net.safetensors")
    spec = f"dncnn[weights={tmp_path / 'net.safetensors'},layers=3,width=4,norm=False]"
    found = load_with_origin(spec, tmp_path, None, None, "cpu")
    assert found.origin.task == task
    assert found.origin.weights == digest(tmp_path / "net.safetensors")
    assert found.method.restore(Batch(torch.rand(1, channels, 8, 8))).shape == (1, channels, 8, 8)


@pytest.mark.parametrize(
    ("spec", "task"), [("median", "denoise[channels=3,crop=256]"), ("lanczos", "sr[scale=4]"), ("spectral_residual", "saliency")]
)
def test_a_spec_finds_a_task(spec, task, tmp_path):
    assert load_with_origin(spec, tmp_path, None, None, "cpu").origin.task == task


def test_a_task_can_be_named(tmp_path):
    assert load("bicubic", tmp_path, task="sr[scale=3]").restore(Batch(torch.rand(1, 3, 4, 5))).shape == (1, 3, 12, 15)


def test_a_loss_whose_weights_are_missing_is_no_obstacle(ran, monkeypatch, tmp_path):
    bench, records, _ = ran
    record = record_of(records, "unet")
    spec = parse(record.spec)
    with_vgg = Spec(spec.name, {**spec.options, "content": "perceptual[net=vgg19]"})
    monkeypatch.setattr(lookup, "find", lambda *_: dataclasses.replace(record, spec=str(with_vgg)))
    for name in ("GANBENCH_DATA", "GANBENCH_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    found = load_with_origin(record.trial_id, bench.out, None, None, "cpu")
    assert found.method.hp.content == "l1"
    assert found.origin.spec == with_vgg
    assert found.method.t == 4
