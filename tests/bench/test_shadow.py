"""The shadow device sees what goes wrong on a GPU: mixing, waits, copies, random numbers; and faults that are planted in methods."""

import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from _gpu import GpuHere
from _shadow import Device, is_on_device, operations

from bench.conformance import checks
from bench.conformance._tools import checked_on
from bench.evaluation import evaluation_mode
from bench.operators import chance
from bench.store import checkpoint
from bench.task import Stream


@pytest.fixture
def gpu():
    with Device() as device:
        yield device


def test_devices_do_not_mix_but_for_numbers(gpu):
    x = torch.ones(3, device="cuda")
    assert (x.device, x.is_cuda, torch.ones(3).is_cuda) == (torch.device("cuda", 0), True, False)
    assert is_on_device(x[:2] * 2.0 + torch.tensor(1.0))
    with pytest.raises(RuntimeError, match="at least two devices"):
        x + torch.ones(3)
    with pytest.raises(RuntimeError, match="at least two devices"):
        torch.ones(3).add_(x)
    with pytest.raises(RuntimeError, match="indices should be"):
        torch.ones(3)[torch.zeros(2, dtype=torch.long, device="cuda")]
    with pytest.raises(TypeError, match=r"Use Tensor\.cpu"):
        x.numpy()
    assert len(gpu.faults) == 4


def test_what_is_made_backward_lies_on_the_device(gpu):
    with torch.device("cuda"):
        net = torch.nn.Linear(3, 2)
    net(torch.ones(4, 3, device="cuda")).sum().backward()
    assert all(is_on_device(p) and is_on_device(p.grad) for p in net.parameters())
    assert not any(is_on_device(p) for p in torch.nn.Linear(3, 2).parameters())


def test_waits_and_copies_are_counted_with_their_place(gpu):
    x = torch.ones(4, device="cuda")
    assert (gpu.counts["op"], gpu.waits) == (1, 0)
    float(x.sum())
    x[x > 0]
    x.cpu()
    torch.tensor([1.0], device="cuda")
    x[torch.tensor([0])]
    assert gpu.counts == {"op": 5, "wait": 2, "d2h wait": 1, "h2d wait": 2, "bytes d2h": 16, "bytes h2d": 12}
    assert all("test_shadow.py" in place for _, _, place in gpu.events)
    gpu.reset()
    torch.ones(4).pin_memory().to("cuda", non_blocking=True)
    assert (gpu.counts["h2d"], gpu.waits) == (1, 0)
    torch.ones(4).to("cuda", non_blocking=True)  # not pinned
    assert gpu.waits == 1


def test_random_numbers_are_the_devices_own(gpu):
    before = torch.get_rng_state()
    torch.rand(3, device="cuda")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    first = torch.rand(3, device="cuda").cpu()
    torch.manual_seed(3)
    assert torch.equal(torch.rand(3, device="cuda").cpu(), first)
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
        torch.rand(3, device="cuda", generator=torch.Generator())
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
        torch.rand(3, generator=torch.Generator("cuda"))
    own = torch.rand(3, device="cuda", generator=torch.Generator("cuda").manual_seed(1))
    assert is_on_device(own)


def test_there_are_as_many_devices_as_one_says():
    with Device(count=2):
        x, y = torch.ones(2, device="cuda:1"), torch.ones(2, device="cuda")
        assert (x.device.index, y.device.index) == (1, 0)
        with pytest.raises(RuntimeError, match="at least two devices"):
            x + y
        with pytest.raises(RuntimeError, match="invalid device ordinal"):
            torch.ones(2, device="cuda:2")
        assert x.to("cuda:0").device.index == 0
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "shadow"


def test_what_is_refused_twice_or_on_a_gpu_alone_is_seen(gpu):
    x = torch.ones(1, 1, 5, 5, device="cuda", requires_grad=True)
    torch.nn.functional.pad(x, [1] * 4, mode="reflect").sum().backward()
    x.detach().median(-1)
    bins = torch.zeros(3, dtype=torch.long, device="cuda")
    bins.bincount()
    assert {name for name, _ in gpu.nondeterministic} == {"reflection_pad2d_backward", "median"}
    bins.bincount(torch.ones(3, device="cuda"))
    assert ("bincount", 1) in [(name, n) for (name, _), n in gpu.nondeterministic.items()]


@pytest.mark.parametrize("names", [names for names in vars(operations).values() if isinstance(names, set)])
def test_operations_are_known_by_names_that_torch_has(names):
    for name, _, overload in (name.partition(".") for name in names):
        assert hasattr(torch.ops.aten, name), name
        assert not overload or overload in getattr(torch.ops.aten, name).overloads(), overload


def test_memory_can_run_out_and_kernels_can_fail(gpu):
    x = torch.ones(2, device="cuda")
    gpu.out_of_memory = lambda name, given: name == "mul"
    with pytest.raises(torch.OutOfMemoryError):
        x * 2
    gpu.pending_error = RuntimeError("CUDA error: device-side assert triggered")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="device-side assert"):
            x + 1
    assert torch.ones(2).sum() == 2


# -- faults planted in methods and in the harness
def trained(folder, name="wgan_gp", **how):
    method = checks.make(name)
    checks.train(method, Path(folder), **how)
    return checks.fingerprint(method)


def resumed(tmp_path, name="wgan_gp"):
    """The state at the end, undisturbed and after a stop at update 2."""
    with checked_on("cuda"), Device() as device, tempfile.TemporaryDirectory() as other:
        whole = trained(other, name)
        trained(tmp_path, name, stop_at=2)
        return whole, trained(tmp_path, name), device


def test_the_unspoilt_code_passes(tmp_path):
    whole, again, device = resumed(tmp_path)
    assert whole == again
    assert not device.faults


def test_latents_drawn_on_the_cpu_are_seen(tmp_path, monkeypatch):
    from methods.two_player import TwoPlayer

    monkeypatch.setattr(TwoPlayer, "z", lambda self, n: torch.randn(n, self.task.z_dim, device="cpu"))
    with pytest.raises(RuntimeError, match="at least two devices"):
        resumed(tmp_path, "gan")


def test_random_state_that_is_not_saved_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(chance, "state", lambda device: [])
    whole, again, _ = resumed(tmp_path)
    assert whole != again


def test_evaluation_that_forks_the_cpu_alone_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(chance, "gpus", lambda device: [])
    with checked_on("cuda"), Device(), tempfile.TemporaryDirectory() as other:
        assert trained(tmp_path) != trained(other, evaluations=4)


def test_a_checkpoint_left_on_the_cpu_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "to", lambda tree, device: tree)
    with pytest.raises(RuntimeError, match="at least two devices"):
        resumed(tmp_path, "historical_averaging_gan")


@pytest.mark.parametrize("spoil", [lambda loss: loss * loss.item(), lambda loss: loss + loss.new_tensor([0.0]).sum()])
def test_a_wait_in_a_step_is_seen(monkeypatch, spoil):
    from methods.gan.gan import GAN

    real = GAN.critic_loss
    monkeypatch.setattr(GAN, "critic_loss", lambda self, batch: spoil(real(self, batch)))
    with checked_on("cuda"), Device() as device:
        method = checks.make("gan")
        updates = method.train(Stream(method.task, 0, 2))
        next(updates)
        device.reset()
        next(updates)
        assert device.waits == 1
        ((_, _, place),) = (event for event in device.events if event[0].endswith("wait"))
        assert "test_shadow.py" in place


def test_evaluation_leaves_training_alone_on_the_device():
    with checked_on("cuda"), Device() as device:
        method = checks.make("wgan_gp")
        before = device.rng[0].clone()
        with evaluation_mode(method):
            torch.rand(3, device="cuda")
        assert torch.equal(device.rng[0], before)


def test_waits_for_the_gpu_of_this_machine_are_what_torch_warns_of(monkeypatch):
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with GpuHere() as here:
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        assert here.waits == 1
        assert here.events[0][2].startswith(__file__)
        here.reset()
        assert here.waits == 0
    assert modes == ["warn", "default"]
