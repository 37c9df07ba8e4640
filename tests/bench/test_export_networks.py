"""What is exported does what the method does, at any size, without this project's code; what cannot be is said in one line."""

import builtins
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from _used import loaded
from safetensors.torch import load as load_tensors

from bench import registry
from bench.commands import export as command
from bench.errors import Unavailable, UsageError
from bench.external.weights import digest
from bench.inference import export as exporting
from bench.inference.export import export
from bench.inference.load import load
from bench.method import Batch
from runner import main

QUICK = {"dncnn", "srresnet", "espcn"}
TRAINED = [
    name
    for name in registry.names("method")
    if hasattr(cls := registry.find("method", name), "restore") and "steps" in registry.settings(cls) and cls.needs.isdisjoint({"psf"})
]


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED])
def test_every_trained_restoration_exports_or_says_why_not(name):
    item = loaded(name)
    if not item.method.networks():
        with pytest.raises(UsageError, match=f"{name} has no network: there is nothing to export"):
            export(item, "onnx")
        return
    if item.method.stochastic_inference:
        with pytest.raises(UsageError, match="draws random numbers when it restores"):
            export(item, "onnx")
        item = loaded(f"{name}[mc_dropout=false]")
    made = export(item, "onnx")
    assert made.difference < 1e-4
    assert 16 <= made.smallest <= 32


def test_sizes_are_free_in_onnx():
    onnxruntime = pytest.importorskip("onnxruntime")
    item = loaded("srresnet")
    made = export(item, "onnx")
    assert (made.inputs, made.outputs) == ("N x 3 x H x W", "N x 3 x 2 H x 2 W")
    session = onnxruntime.InferenceSession(made.data)
    for shape in ((4, 3, 20, 33), (1, 3, 50, 40)):
        x = torch.rand(shape)
        (y,) = session.run(None, {"observed": x.numpy()})
        item.method.G.eval()
        assert np.abs(item.method.restore(Batch(x)).clamp(0, 1).numpy() - y).max() < 1e-4


ALONE = """
import sys, torch
model = torch.export.load(sys.argv[1]).module()
assert not any(name in sys.modules for name in ("bench", "methods"))
torch.manual_seed(0)
print(model(torch.rand(2, 3, 41, 64)).double().sum().item())
"""


@pytest.mark.slow
def test_a_program_of_torch_needs_no_code_of_ours(tmp_path):
    item = loaded("unet")
    (tmp_path / "model.pt2").write_bytes(export(item, "torch").data)
    done = subprocess.run([sys.executable, "-c", ALONE, tmp_path / "model.pt2"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    torch.manual_seed(0)
    expected = item.method.restore(Batch(torch.rand(2, 3, 41, 64))).double().sum().item()
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)


def test_weights_are_those_of_the_networks_that_are_run():
    item = loaded("srgan")
    tensors = load_tensors(export(item, "safetensors").data)
    assert set(tensors) == {f"G.{key}" for key in item.method.G.state_dict()}


def test_exported_weights_are_read_again(tmp_path):
    item = loaded("dncnn")
    (tmp_path / "model.safetensors").write_bytes(export(item, "safetensors").data)
    again = load(f"dncnn[weights={tmp_path / 'model.safetensors'}]")
    x = torch.rand(1, 3, 20, 20)
    item.method.G.eval()
    assert (again.restore(Batch(x)) - item.method.restore(Batch(x))).abs().max() < 1e-5


def test_a_generator_decodes_by_its_average():
    item = loaded("dcgan", ema=0.5)
    item.method.average = {k: v + 0.1 for k, v in item.method.G.state_dict().items() if v.is_floating_point()}
    item.method.G.eval()
    z = item.method.z(2)
    before = item.method.decode(z)
    made = export(item, "onnx")
    assert (made.inputs, made.outputs) == ("N x 8", "N x 1 x 16 x 16")
    session = pytest.importorskip("onnxruntime").InferenceSession(made.data)
    (y,) = session.run(None, {"z": z.numpy()})
    assert np.abs(y - before.numpy()).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("linear_vae", "linear_vae cannot be expressed as onnx (opset 20), input 2 x 4, batch and sides free: ValueError"),
        ("descent", "descent neither restores pictures nor decodes latents"),
        ("wiener", "wiener has no network"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(name, says, capfd):
    with pytest.raises(UsageError) as error:
        export(loaded(name), "onnx")
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_without_the_package_the_way_to_get_it_is_told(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnxscript":
            raise ImportError(name)
        return real(name, *rest)

    item = loaded("dncnn")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable, match="pip install 'ganbench\\[export\\]'"):
        export(item, "onnx")


# -- the command
def test_a_trial_becomes_a_file_with_its_page(ran, tmp_path, capsys):
    bench, records, _ = ran
    record = next(r for r in records if r.label == "unet")
    to = tmp_path / "out" / "net"
    words = ["export", record.trial_id[:8], "--to", str(to), "--out", str(bench.out)]
    assert main(words) == 0
    assert "unet, N x 3 x H x W to N x 3 x H x W" in capsys.readouterr().out
    assert sorted(p.name for p in to.iterdir()) == ["README.md", "model.onnx"]
    page = (to / "README.md").read_text()
    for text in (
        record.trial_id,
        record.training_id,
        digest(to / "model.onnx"),
        "A plain U-Net",
        "Ronneberger",
        "## Licence",
        "## Scores on record",
        f"| psnr | {record.final['psnr']:.6g} |",
        'InferenceSession("model.onnx")',
    ):
        assert text in page
    kept = json.loads((bench.out / "tiny" / "trials" / record.training_id / "record" / "record.json").read_text())["weights"]["last"]
    assert kept in page
    assert main(words) == 2
    assert "are there already" in capsys.readouterr().err
    assert main([*words, "--format", "safetensors", "--overwrite"]) == 0
    assert main([*words, "--format", "keras"]) == 2
    assert "unknown --format 'keras'; known: onnx, safetensors, torch" in capsys.readouterr().err


def test_what_does_not_agree_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "load_with_origin", lambda *_: loaded("dncnn"))
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(UsageError, match="what was exported differs from the method by"):
        command.export("dncnn", "onnx", tmp_path / "x", "", False, None, tmp_path, None, [])
    assert not (tmp_path / "x").exists()
