"""How training computes: bfloat16, memory layout, compilation; judged in float32, as ever."""

import copy
import dataclasses

import pytest
import torch
from conftest import SUITE
from torch import nn

import runner
from bench import registry
from bench.commands.arguments import RunOptions
from bench.commands.options import compute_of
from bench.conformance import checks
from bench.errors import Unavailable, UsageError
from bench.evaluation import evaluation_mode
from bench.precision import full_precision, tf32
from bench.running.identify import identify
from bench.store import identity
from bench.suites import read
from bench.suites.schema import Tier
from bench.task import Stream
from bench.training.compute import Compute, why_eager
from methods.penalties import gradient_penalty

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
BF16 = Compute("bf16")


def losses(name, compute, steps, **options):
    """The logs of so many updates, a dictionary each, and the method."""
    method = checks.make(name, steps=steps, **options)
    compute.apply(method)
    stream = Stream(method.task, 0, method.hp.batch_size)
    method.prepare(stream)
    return [{k: torch.as_tensor(v) for k, v in logs.items()} for logs in method.train(stream)], method


@pytest.mark.parametrize("name", [n for n in registry.names("method") if "steps" in registry.settings(registry.find("method", n))])
def test_every_method_trains_in_bfloat16(name):
    try:
        logs, method = losses(name, BF16, 2)
    except Unavailable as error:
        pytest.skip(str(error))
    assert len(logs) == 2
    assert all(value.isfinite() and value.dtype in (torch.float32, torch.float64) for update in logs for value in update.values())
    assert all(p.dtype == torch.float32 for network in method.networks().values() for p in network.parameters())


@pytest.mark.parametrize("name", ["dcgan", "wgan_gp", "dncnn", "vae"])
def test_bfloat16_stays_near_float32(name):
    ours, truth = (losses(name, compute, 20, batch_size=8)[0] for compute in (BF16, Compute()))
    keys = truth[0].keys()
    series = [torch.tensor([[float(update[k]) for k in keys] for update in logs]) for logs in (ours, truth)]
    assert not torch.equal(*series)
    scale = series[1].abs().amax(0).clamp_min(0.1)
    assert ((series[0] - series[1]).abs() / scale).max() < 0.1


def test_nothing_switched_on_leaves_bits_and_ids(tiny):
    assert [*map(float, (u["loss"] for u in losses("dncnn", Compute(), 2)[0]))] == [
        *map(float, (u["loss"] for u in losses("dncnn", Compute("fp32"), 2)[0]))
    ]
    trial = tiny.trials()[-1]
    plain = identify(trial, tiny.settings).training
    assert not {*(field.name for field in dataclasses.fields(Compute)), "code.compute"} & plain.keys()

    def ids(compute):
        return identify(trial, dataclasses.replace(tiny.settings, compute=compute))

    assert ids(Compute("fp32")).training == plain
    changed = [ids(c).training_id for c in (BF16, Compute(channels_last=True), Compute(compile=True))]
    assert len({*changed, ids(Compute()).training_id}) == 4
    assert identity.protocol_of(ids(BF16).training) == identity.protocol_of(plain)  # rows of one table
    assert Compute("tf32").facts(CUDA) == {}
    assert Compute("fp32").facts(CUDA) == {"precision": "fp32"}


def test_names_and_copies_are_those_of_plain_networks(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    _, method = losses("dcgan", Compute("bf16", channels_last=True, compile=True), 0)
    plain = checks.make("dcgan", steps=0)
    assert method.G.state_dict().keys() == plain.G.state_dict().keys()
    twin = copy.deepcopy(method.G)
    with torch.no_grad():
        next(twin.parameters()).add_(1)
    z = method.z(2)
    with full_precision():
        assert not torch.equal(twin(z), method.G(z))  # it computes with weights of its own


def test_networks_give_float32_and_parts_of_them_too():
    _, method = losses("dcgan", BF16, 0)
    seen = []
    method.D.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    x = torch.rand(4, *method.task.shape)
    assert method.D(x).dtype == method.D.represent(x).dtype == torch.float32
    exact = checks.make("dcgan", steps=0).D
    exact.load_state_dict(method.D.state_dict())
    assert not torch.equal(method.D(x), exact(x))
    exact.load_state_dict(method.D.state_dict())
    with evaluation_mode(method):
        assert torch.equal(method.D(x), exact.eval()(x))
    exact.train()
    assert seen
    assert not any(seen)  # what runs outside of the network is not under autocast


def test_penalties_are_float32():
    _, method = losses("wgan_gp", BF16, 0)
    exact = checks.make("wgan_gp", steps=0).D
    exact.load_state_dict(method.D.state_dict())
    real, fake = torch.rand(2, 4, *method.task.shape)
    values = []
    for D in (method.D, exact):
        torch.manual_seed(0)
        values.append(gradient_penalty(D, real, fake))
        values[-1].backward()
    assert torch.equal(*values)
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(method.D.parameters(), exact.parameters(), strict=True) if p.grad is not None)


@pytest.mark.parametrize("name", ["dcgan", "dncnn", "unet", "srresnet"])
def test_channels_last_moves_rounding_alone(name):
    (ours, method), (truth, _) = (losses(name, compute, 2) for compute in (Compute(channels_last=True), Compute()))
    weights = [p for network in method.networks().values() for p in network.parameters() if p.dim() == 4 and min(p.shape[1:]) > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    for a, b in zip(ours, truth, strict=True):
        assert [*map(float, a.values())] == pytest.approx([*map(float, b.values())], rel=1e-3, abs=1e-4)


def test_tf32_is_as_asked_and_then_as_it_was():
    def flags():
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = flags()
    for compute, convolutions in ((Compute(), True), (Compute("tf32"), True), (Compute("fp32"), False), (BF16, False)):
        with compute.running(CUDA):
            assert flags() == (convolutions, False)
            with evaluation_mode(checks.make("identity")):
                assert flags() == (False, False)
            assert flags() == (convolutions, False)
        assert flags() == before
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with tf32(convolutions=True):
            assert flags() == (True, False)
        assert flags() == (before[0], True)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before[1]


def test_what_ran_is_on_the_record():
    assert Compute().notes(CPU) == {}
    assert Compute().notes(CUDA)["precision"].startswith("tf32 (TF32 in convolutions, else float32); judged in float32")
    notes = Compute("bf16", channels_last=True, compile=True).notes(CPU)
    assert notes.keys() == {"precision", "channels_last", "compile"}
    assert "bfloat16 inside networks" in notes["precision"]


@pytest.mark.parametrize(
    ("options", "device", "says"),
    [
        ({"precision": "fp16"}, CPU, "--precision 'fp16': give fp32, tf32 or bf16"),
        ({"precision": ""}, CPU, "--precision '': give"),
        ({"precision": "tf32"}, CPU, "cpu has no TF32"),
        ({"cuda_graphs": True}, CPU, "--cuda-graphs records what is launched on a CUDA GPU, and the device is cpu: leave it out"),
        ({"cuda_graphs": True, "compile": True}, CUDA, "--cuda-graphs and --compile exclude each other"),
        ({"cuda_graphs": True, "ranks": 2}, CUDA, "--cuda-graphs and --ranks exclude each other"),
        ({"compile": True, "ranks": 2}, CUDA, "--compile and --ranks exclude each other"),
    ],
)
def test_what_cannot_be_is_one_line(options, device, says):
    with pytest.raises(UsageError, match=says):
        compute_of(RunOptions(**options), Tier(), device)


def test_a_missing_compiler_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"g\+\+, which is not here"):
        compute_of(RunOptions(compile=True), Tier(), CPU)


def test_the_command_line_goes_before_the_tier():
    tier = Tier(precision="bf16", channels_last=True)
    assert compute_of(RunOptions(), tier, CPU) == Compute("bf16", channels_last=True)
    assert compute_of(RunOptions(precision="fp32", channels_last=False), tier, CPU) == Compute("fp32")
    assert compute_of(RunOptions(cuda_graphs=True), tier, CUDA) == Compute("bf16", channels_last=True, cuda_graphs=True)


def test_a_trial_in_bfloat16_is_recorded(tiny):
    tiny.settings = dataclasses.replace(tiny.settings, compute=BF16)
    records, _ = tiny.run(methods=["identity", "unet"])
    assert [record.outcome for record in records] == ["finished", "finished"]
    assert ["precision" in record.tags for record in records] == [False, True]  # identity trains nothing


SECOND_DERIVATIVE = "torch.compile with aot_autograd does not currently support double backward"


def test_what_cannot_be_compiled_trains_eagerly_and_says_so(tiny, monkeypatch):
    plain, _ = tiny.run(methods=["unet"])

    class Broken(nn.Module):
        def __call__(self, *_):
            raise RuntimeError(SECOND_DERIVATIVE)

    monkeypatch.setattr(torch, "compile", lambda function: Broken())
    tiny.settings = dataclasses.replace(tiny.settings, compute=Compute(compile=True))
    (record,), _ = tiny.run(methods=["unet"])
    assert record.outcome == "finished"
    assert record.tags["compile"] == (
        "not compiled, trained eagerly: a second derivative goes through compiled networks, which torch does not support"
    )
    assert record.final == plain[0].final
    assert why_eager(RuntimeError("another")) == ""


def test_compiled_networks_train_and_their_penalties_run_eagerly(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: lambda *args: compiled.append(1) or function(*args))
    _, method = losses("wgan_gp", Compute(compile=True), 0)
    x = torch.rand(2, *method.task.shape)
    method.D(x)
    assert len(compiled) == 1
    gradient_penalty(method.D, x, x)
    assert len(compiled) == 1


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch, while it compiles
@pytest.mark.slow  # compiling takes most of a minute
@pytest.mark.parametrize("name", ["dncnn", "wgan_gp"])
def test_what_torch_compiles_is_near_eager_and_resumes_to_the_same_bits(name, tmp_path):
    def trained(compute, folder, **until):
        method = compute.apply(checks.make(name))
        checks.train(method, tmp_path / folder, **until)
        return method

    def weights(method):
        return torch.cat([p.detach().flatten() for network in method.networks().values() for p in network.parameters()])

    compiled = Compute(compile=True)
    for folder in ("eager", "whole", "cut"):
        (tmp_path / folder).mkdir()
    eager, whole = trained(Compute(), "eager"), trained(compiled, "whole")
    trained(compiled, "cut", stop_at=2)
    assert checks.fingerprint(trained(compiled, "cut")) == checks.fingerprint(whole)
    torch.testing.assert_close(weights(whole), weights(eager), rtol=1e-3, atol=1e-4)


def test_a_suite_says_how_its_tier_computes(tmp_path):
    (file := tmp_path / "of_mine.toml").write_text(
        SUITE.replace("evaluations = 2", 'evaluations = 2\nprecision = "bf16"\nchannels_last = true')
    )
    tier = read.load_suite(str(file)).tiers["smoke"]
    assert compute_of(RunOptions(), tier, CPU) == Compute("bf16", channels_last=True)
    file.write_text(SUITE.replace("evaluations = 2", 'precision = "fp16"'))
    with pytest.raises(UsageError, match=r"tiers\.smoke\.precision"):
        read.load_suite(str(file))


def test_the_option_and_the_tier_reach_the_record(tiny, capsys):
    words = ["--suite", str(tiny.file), "--tier", "smoke", "--methods", "unet", "--out", str(tiny.out)]
    assert runner.main([*words, "--precision", "bf16"]) == 0
    tiny.file.write_text(tiny.file.read_text().replace("evaluations = 2", "evaluations = 2\nchannels_last = true"))
    assert runner.main(words) == 0
    capsys.readouterr()
    tags = [record.tags for record in tiny.ledger.read(tiny.ledger.trials())]
    assert sorted(key for found in tags for key in ("precision", "channels_last") if key in found) == ["channels_last", "precision"]
