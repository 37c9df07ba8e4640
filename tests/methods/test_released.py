"""`weights=FILE`: checkpoints in the layouts of others give the outputs of their networks; what does not fit is said in one line."""

import contextlib
import dataclasses
import tomllib
from pathlib import Path
from types import SimpleNamespace

import _released
import pytest
import torch

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.external import weights
from bench.external.checkpoints import sources
from bench.method import Batch
from bench.spec import Spec, parse
from bench.store import checkpoint
from methods.averages import follow
from methods.restoration._dncnn import DnCNNHP
from methods.two_player import GANHP

FINGERPRINTS = tomllib.loads(Path(__file__).with_name("released.toml").read_text())["fingerprint"]
OURS = "a training of dncnn of this bench"


def build(spec, file, **task):
    """A method with a checkpoint on a task that has what is given, ready to be judged."""
    asked = parse(spec)
    offered = {"channels": 3, "crop": 256, "scale": 4, "z_dim": 20, "classes": 0, "size": (32, 32), "device": torch.device("cpu"), **task}
    torch.manual_seed(0)
    m = registry.make("method", str(Spec(asked.name, {**asked.options, "weights": str(file)})))(SimpleNamespace(**offered))
    for network in m.modules().values():
        network.eval()
    return m


def use(m, how, shape):
    x = _released.picture(*shape) if len(shape) == 4 else _released.latent(*shape)
    with torch.no_grad():
        return {"restore": lambda: m.restore(Batch(x)), "decode": lambda: m.decode(x), "G": lambda: m.G(x), "E": lambda: m.E(x)}[how]()


def written(folder, source, **sizes):
    """A file of a source, and its state."""
    source = _released.source_of(source)
    if source.name.startswith("RaphaelMeudec"):
        pytest.importorskip("h5py")
    state = _released.state_of(source, sizes)
    return _released.write(folder, source, state), state


CYCLEGAN = "junyanz/pytorch-CycleGAN-and-pix2pix, resnet with instance norm"
SMALL = {"w": 4, "c": 3, "n": 1}


# -- the networks are those of the sources
@pytest.mark.parametrize("case", FINGERPRINTS, ids=lambda case: f"{case['method']}-{case['source']}-{case['sizes']}")
def test_a_checkpoint_of_others_gives_what_their_network_gives(case, tmp_path):
    file, state = written(tmp_path, case["source"], **case["sizes"])
    assert (len(state), sum(t.numel() for t in state.values())) == (case["tensors"], case["numbers"])
    m = build(case["method"], file, **case["task"])
    assert m.hp.steps == 0
    assert list(m.train(iter([]))) == []
    assert _released.probe(use(m, case["use"], case["input"])) == pytest.approx(case["output"], abs=2e-5)


def test_every_source_has_a_fingerprint():
    assert {case["source"] for case in FINGERPRINTS} == {source.name for source in sources()} - {OURS}
    assert {(case["source"], parse(case["method"]).name) for case in FINGERPRINTS} == {
        (source.name, method) for source in sources() for method in source.methods if source.name != OURS
    }


def test_every_source_is_told_from_every_other():
    """A file fits one source, whoever asks; where the keys of two are the same, what wraps them tells."""
    for case in FINGERPRINTS:
        state = _released.state_of(_released.source_of(case["source"]), case["sizes"])
        fitting = {s.name for s in sources() if not s.differences(state)}
        others = {s.name for s in sources() if s.name in fitting and s.wrapper != _released.source_of(case["source"]).wrapper}
        assert fitting - others == {case["source"]}


@pytest.mark.parametrize(("name", "base"), [("dncnn", DnCNNHP), ("dcgan", GANHP), ("wgan_gp", GANHP)])
def test_the_option_leaves_the_defaults_of_a_family_alone(name, base):
    cls = registry.find("method", name).HP
    own = {field for field in vars(cls)["__annotations__"]}
    shared = [field.name for field in dataclasses.fields(base) if field.name not in own]
    assert shared
    assert all(getattr(cls(), field) == getattr(base(), field) for field in shared)


def test_nothing_trains_and_no_feature_network_is_wanted(tmp_path, monkeypatch):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    file, _ = written(tmp_path, "KupynOrest/DeblurGAN with two convolutions a block", **SMALL)
    m = build("deblurgan[steps=7,init=normal02]", file)
    assert (m.hp.steps, m.hp.init, list(m.networks())) == (0, "default", ["G"])
    assert list(m.train(iter([]))) == []


# -- how the file is wrapped
@pytest.mark.parametrize("wrapper", ["params", "params_ema", "state_dict", "model_state_dict", "model", "generator_test", "generator"])
def test_wrappers_are_taken_off(wrapper, tmp_path):
    file, state = written(tmp_path, CYCLEGAN, **SMALL)
    y = use(build("cyclegan", file), "restore", [1, 3, 16, 16])
    torch.save({wrapper: {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, file)
    assert torch.equal(use(build("cyclegan", file), "restore", [1, 3, 16, 16]), y)


def test_an_average_goes_before_the_weights_themselves(tmp_path):
    file, state = written(tmp_path, CYCLEGAN, **SMALL)
    torch.save({"params": {k: torch.zeros_like(v) for k, v in state.items()}, "params_ema": state}, file)
    assert torch.equal(build("cyclegan", file).G.net[0].weight, state["model.1.weight"])


def test_buffers_of_norms_that_have_none_are_dropped(tmp_path):
    file, state = written(tmp_path, CYCLEGAN, **SMALL)
    buffers = {"model.2.running_mean": torch.ones(4), "model.2.running_var": torch.ones(4), "model.2.num_batches_tracked": torch.ones(())}
    torch.save(state | buffers, file)
    assert torch.equal(build("cyclegan", file).G.net[0].weight, state["model.1.weight"])


def test_half_precision_and_safetensors(tmp_path):
    from safetensors.torch import save_file

    _, state = written(tmp_path, CYCLEGAN, **SMALL)
    save_file({k: v.half() for k, v in state.items()}, tmp_path / "x.safetensors")
    assert build("cyclegan", tmp_path / "x.safetensors").G.net[0].weight.dtype == torch.float32


def test_sizes_are_the_files_whatever_the_suite_says(tmp_path):
    file, _ = written(tmp_path, "twhui/SRGAN-PyTorch", w=8, n=3)
    m = build("srresnet[width=32,blocks=4,norm=identity]", file)
    assert (m.hp.width, m.hp.blocks, m.hp.norm) == (8, 3, "batch")


def test_a_keras_file_saved_with_its_model(tmp_path):
    h5py = pytest.importorskip("h5py")
    file, state = written(tmp_path, "RaphaelMeudec/deblur-gan", w=4, c=3, m=8, n=1)
    with h5py.File(tmp_path / "whole.h5", "w") as whole, h5py.File(file) as old:
        old.copy(old, whole, "model_weights")
    m = build("keras_deblurgan", tmp_path / "whole.h5")
    assert torch.equal(m.G.net[0].weight, state["conv.0.kernel"].permute(3, 2, 0, 1))


def test_a_keras_file_without_its_reader(tmp_path, monkeypatch):
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(Unavailable, match=r"x\.h5 is an HDF5 file of Keras: pip install 'ganbench\[keras\]'"):
        build("keras_deblurgan", tmp_path / "x.h5")


# -- weights of this bench's own trainings
def kept(folder, m):
    """What a training keeps of a method."""
    checkpoint.save(folder / "last.safetensors", {"method": m.weights()})
    return folder / "last.safetensors"


@pytest.mark.parametrize(
    ("spec", "how", "shape", "task"),
    [
        ("deblurgan[ngf=4,ndf=4,blocks=1,content=l1]", "restore", [1, 3, 16, 16], {}),
        ("dncnn[layers=4,width=5]", "restore", [1, 1, 9, 9], {"channels": 1}),
        ("dncnn[layers=4,width=5,norm=false]", "restore", [1, 1, 9, 9], {"channels": 1}),
        ("srcnn[n1=4,n2=4]", "restore", [1, 3, 9, 9], {}),
        ("dcgan[ngf=4,ndf=4,z_dim=8]", "decode", [2, 8], {"shape": (3, 32, 32)}),
        ("vae[hidden=9,latent=4]", "decode", [2, 4], {"shape": (1, 8, 8)}),
    ],
)
def test_what_a_training_of_this_bench_kept(spec, how, shape, task, tmp_path):
    offered = {"channels": 3, "crop": 32, "scale": 2, "device": torch.device("cpu"), "classes": 0, "z_dim": 8, **task}
    torch.manual_seed(3)
    m = registry.make("method", spec)(SimpleNamespace(**offered))
    for network in m.modules().values():
        network.eval()
    again = build(spec, kept(tmp_path, m), **offered)
    assert torch.allclose(use(again, how, shape), use(m, how, shape), atol=1e-6)
    assert not hasattr(again, "D")


def test_the_average_of_a_generator_is_what_samples_come_from(tmp_path):
    offered = {"shape": (3, 32, 32), "device": torch.device("cpu"), "classes": 0, "z_dim": 8}
    m = registry.make("method", "dcgan[ngf=4,ndf=4,z_dim=8,ema=0.9]")(SimpleNamespace(**offered))
    follow(m.average, m.G, 0.9)
    m.average = {k: v + 0.1 for k, v in m.average.items()}
    again = build("dcgan[ngf=4,ndf=4,z_dim=8]", kept(tmp_path, m), **offered)
    assert torch.allclose(again.G.net[0].weight, m.G.net[0].weight + 0.1)


def test_kept_weights_of_other_options_name_the_first_that_does_not_fit(tmp_path):
    m = registry.make("method", "srcnn[n1=4,n2=4]")(SimpleNamespace(crop=32, scale=2, device=torch.device("cpu")))
    with pytest.raises(UsageError, match=r"is of another network: G\.0\.0\.\w+ is .*, not .*; give the options that it was trained with"):
        build("srcnn[n1=8,n2=4]", kept(tmp_path, m), scale=2)


# -- names of the manifest
@pytest.fixture
def known(tmp_path, monkeypatch):
    """A known weight `thing`, a deblurgan with one convolution a block, found in the folder of weights."""
    monkeypatch.setenv("GANBENCH_WEIGHTS", str(tmp_path))
    file, _ = written(tmp_path, "KupynOrest/DeblurGAN with one convolution a block", **SMALL)
    facts = {"filename": file.name, "url": "https://example.org/thing", "licence": "BSD", "used_by": ("deblurgan",)}
    entry = weights.Weight(id="thing", sha256=weights.digest(file), options={"residual": False}, **facts)
    entries = {**weights.manifest(), "thing": entry}
    monkeypatch.setattr(weights, "manifest", lambda: entries)
    return file


def test_a_name_of_the_manifest_is_its_file_with_its_options(known):
    m = build("deblurgan", "thing")
    assert (m.hp.single_conv, m.hp.residual, m.hp.blocks) == (True, False, 1)
    assert weights.digest_of("thing") == weights.digest_of(str(known)) == weights.digest(known)


def test_a_file_of_the_users_own_keeps_the_users_options(known):
    assert build("deblurgan", known).hp.residual is True


def test_a_known_weight_that_is_not_here_is_unavailable(tmp_path, monkeypatch):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(Unavailable, match=r"weights dncnn_25\.pth not found: run `runner\.py weights fetch kair_dncnn_25`"):
        build("dncnn", "kair_dncnn_25", channels=1)
    assert weights.digest_of("kair_dncnn_25") == ""


def test_a_name_with_a_slip_is_told_with_the_near_ones():
    with pytest.raises(UsageError, match=r"no weights at kair_dncn_25; known weights of a similar name: kair_dncnn_25"):
        build("dncnn", "kair_dncn_25", channels=1)


def test_the_file_is_on_record_by_its_hash(known):
    from bench.running.identify import training_facts
    from bench.running.settings import Settings
    from bench.suites.expand import expand
    from bench.suites.read import load_suite

    (trial,) = expand(load_suite("deblur"), "smoke", methods=["deblurgan[weights=thing]"])
    assert training_facts(trial, Settings(out=None, device=torch.device("cpu")))["file.weights"] == weights.digest(known)


# -- what does not fit
def refusal(spec, file, **task):
    with pytest.raises(UsageError) as caught:
        build(spec, file, **task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_file_of_another_method_is_named(tmp_path):
    file, _ = written(tmp_path, CYCLEGAN, **SMALL)
    said = refusal("deblurgan", file)
    assert said.startswith(f"{file} holds no weights for deblurgan: expected KupynOrest/DeblurGAN with two convolutions a block or ")
    assert "found 16 tensors such as model.1.weight (4 x 3 x 7 x 7)" in said
    assert said.endswith(f"it looks like {CYCLEGAN}, for cyclegan")


def test_one_level_of_ircnn_is_no_dncnn(tmp_path):
    """Its keys and shapes are those of seven layers; its dilations are not in the file."""
    shapes = [(64, 1), *[(64, 64)] * 5, (1, 64)]
    layers = {f"model.{2 * i}": shape for i, shape in enumerate(shapes)}
    state = {f"{k}.weight": torch.zeros(*s, 3, 3) for k, s in layers.items()} | {f"{k}.bias": torch.zeros(s[0]) for k, s in layers.items()}
    torch.save(state, tmp_path / "ircnn.pth")
    assert "it looks like one noise level of cszn/KAIR's IRCNN" in refusal("dncnn", tmp_path / "ircnn.pth", channels=1)


def test_the_nearest_source_and_the_first_difference_are_named(tmp_path):
    file, state = written(tmp_path, CYCLEGAN, **SMALL)
    torch.save(state | {"model.4.weight": torch.zeros(9, 4, 3, 3)}, file)
    assert refusal("cyclegan", file).endswith(f"nearest to {CYCLEGAN}, but model.4.weight is 9 x 4 x 3 x 3, not 8 x 4 x 3 x 3")
    torch.save({k: v for k, v in state.items() if k != "model.4.bias"} | {"x": torch.zeros(1)}, file)
    assert refusal("cyclegan", file).endswith("but model.4.bias is missing and 1 more")


TASKS = {
    "cyclegan": (CYCLEGAN, SMALL, {"channels": 1}, "is for channels 3, the task has channels 1"),
    "espcn": ("yjn870/ESPCN-pytorch", {"a": 4, "b": 4, "s": 3}, {"scale": 2}, "is for scale 3, the task has scale 2"),
    "dcgan": (
        "pytorch/examples, dcgan, generator", {"z": 8, "w": 4, "c": 3}, {"shape": (3, 32, 32)}, "is for side 64, the task has side 32",
    ),
    "wgan_gp": (
        "kwotsin/mimicry, ResNet of 32 x 32", {"z": 8, "w": 4, "c": 3}, {"shape": (3, 32, 32)}, "is for z dim 8, the task has z dim 20",
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", TASKS)
def test_a_task_that_the_file_is_not_for(method, tmp_path):
    source, sizes, task, says = TASKS[method]
    file, _ = written(tmp_path, source, **sizes)
    assert says in refusal(method, file, **task)


def test_numbers_that_are_not_finite(tmp_path):
    file, state = written(tmp_path, CYCLEGAN, **SMALL)
    state["model.4.weight"][0, 0] = float("nan")
    torch.save(state, file)
    assert refusal("cyclegan", file).endswith("holds numbers that are not finite, in G.net.3.weight")


def test_every_known_foreign_layout_is_a_sentence():
    from bench.external.checkpoints import foreign

    assert len({f.name for f in foreign()}) == len(foreign())
    assert all(f.has for f in foreign())


def test_the_halves_of_an_up_convolution_are_swapped(tmp_path):
    """Theirs puts the skip first: without its weights for the decoder's half, ours must not see the decoder."""
    file, state = written(tmp_path, "junyanz/pytorch-CycleGAN-and-pix2pix, U-Net with batch norm", w=4, c=3, d=5)
    m = build("pix2pix", file)
    up, theirs = m.G.up[-1][1].weight, state["model.model.3.weight"]
    assert torch.equal(up[:4], theirs[4:])
    assert torch.equal(up[4:], theirs[:4])


with contextlib.suppress(ImportError):
    import h5py

    def links(path):
        with h5py.File(path, "w") as file:
            file["conv2d_1"] = h5py.ExternalLink("/etc/passwd", "/x")

    def huge(path):
        with h5py.File(path, "w") as file:
            file.create_dataset("conv2d_1/conv2d_1/kernel:0", (100_000, 100_000), "f4", chunks=(100, 100), compression="gzip")

    def elsewhere(path):
        with h5py.File(path, "w") as file:
            file.create_dataset("conv2d_1/kernel:0", (4,), "f4", external=[("/etc/hostname", 0, 16)])

    @pytest.mark.parametrize("hostile", [links, huge, elsewhere])
    def test_hostile_keras_files(hostile, tmp_path):
        hostile(tmp_path / "x.h5")
        assert "cannot read the weights" in refusal("keras_deblurgan", tmp_path / "x.h5")
