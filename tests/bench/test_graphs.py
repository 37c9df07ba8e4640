"""Updates as graphs: what is one program, what is not and why, and that Python goes on where it must."""

import contextlib
import dataclasses
import types

import pytest
import torch
from _recorder import CallRecorder, as_on_a_gpu
from torch import nn

from bench import registry
from bench.conformance import checks
from bench.conformance.toys import ToyMinimisation
from bench.graphs import _capturable
from bench.graphs._cuda_graph import CudaRecorder
from bench.graphs._watched import Path, Watched
from bench.graphs.updates import GraphedUpdates
from bench.method import Method, TrainHP
from bench.running.identify import identify
from bench.store import identity
from bench.task import Stream
from bench.training.accumulation import accumulate
from bench.training.compute import Compute
from bench.training.loop import Plan, Training
from bench.training.progress import Progress


class _Line(Method):
    """A line through data; each test overrides one step of its updates."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        steps: int = 12
        batch_size: int = 4
        optimizer: str = "adam[lr=0.1]"
        schedule: str = "cosine"

    def build(self, task):
        self.net = nn.Linear(4, 1)
        self.opt = self.optimizer(self.net)

    def loss(self, batch):
        return (self.net(batch) - batch.sum(1, keepdim=True)).square().mean()

    def minimise(self):
        return self.net

    def extra(self, batch):
        """What an update does besides."""

    def train(self, data):
        while self.t < self.hp.steps:
            self.anneal()
            batch = next(data)
            loss = self.loss(batch)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.extra(batch)
            self.t += 1
            yield {"loss": loss.detach()}


def _made(method, **hp):
    torch.manual_seed(0)
    return method(ToyMinimisation(), **hp)


def _train(method, folder, graphed=True, recorder=None, evaluations=2, validate=None, stop_at=None):
    stream = Stream(method.task, 0, getattr(method.hp, "batch_size", 1))
    graphs = GraphedUpdates(method, stream, recorder or CallRecorder()) if graphed else None
    if not graphed:
        _capturable.make_capturable(method)
    folder.mkdir(exist_ok=True)

    def scores():
        return (validate or method.task.validate)(method)

    training = Training(method, stream, scores, Plan(folder, evaluations, higher_is_better=False), Progress(), graphs)
    torch.manual_seed(1)
    with contextlib.suppress(KeyboardInterrupt):
        training.run(lambda: _stop(method, training, stop_at))
    return training, graphs


def _stop(method, training, stop_at):
    if method.t == stop_at:
        training.save()
        raise KeyboardInterrupt
    return False


def _result(training):
    return checks.fingerprint(training.method), [point[:3] + point[4:] for point in training.points], training.stream.drawn


def _check_equal(method, folder, **options):
    """Graphed and eager training end with the same bits; returns the graphs."""
    eager, _ = _train(method(), folder / "eager", graphed=False, **options)
    graphed, graphs = _train(method(), folder / "graphed", **options)
    assert _result(graphed) == _result(eager)
    return graphs


# -- numbers that are watched
def test_a_watched_number_tells_for_which_others_its_answers_hold():
    path = Path()
    t = Watched(6, path)
    assert [t < 10, t % 5 == 0, 3 * t - 1 > 2, bool(t), t // 2 >= 3, abs(-t) != 7] == [True, False, True, True, True, True]
    assert [n for n in range(12) if path.holds(n)] == [6, 8, 9]
    assert path.used == ""


def test_a_question_that_cannot_be_asked_of_another_number_does_not_hold():
    path = Path()
    assert 1 / Watched(2, path) < 1
    assert not path.holds(0)


@pytest.mark.parametrize(
    "use", [float, int, str, range, "{:d}".format, lambda t: [0] * t, lambda t: torch.full((2,), t), lambda t: torch.zeros(2).fill_(t)]
)
def test_a_number_that_is_used_says_where(use):
    path = Path()
    use(Watched(3, path) + 1)
    assert path.used.startswith("tests/bench/test_graphs.py:")


def test_arithmetic_with_a_tensor_reads_the_number_from_memory():
    path, x = Path(), torch.tensor([1.0, 2.0])
    path.inputs.begin(contextlib.nullcontext)
    t = Watched(4, path)
    assert ((1 - t / 8) * x).tolist() == [0.5, 1.0]
    assert (x / (t + 1)).tolist() == torch.tensor([0.2, 0.4]).tolist()
    assert (2 - x * t).tolist() == [-2.0, -6.0]
    path.inputs.fill(6)
    assert [slot.item() for slot, _ in path.inputs.slots] == [0.25, 7.0, 6.0]
    assert not path.used


# -- updates that are one program
def test_updates_are_replayed_under_a_schedule(tmp_path):
    graphs = _check_equal(lambda: _made(_Line), tmp_path)
    assert graphs.replayed == 9  # of 12: the first makes the state of Adam, and two are found alike
    assert graphs.recorder.recorded == 1
    assert graphs.note() == "updates are replayed from CUDA graphs"


def test_what_an_update_logged_is_not_overwritten_by_the_next(tmp_path):
    def losses(updates):
        return [logs["loss"] for logs in list(updates)]

    eager, graphed = _made(_Line), _made(_Line)
    _capturable.make_capturable(eager)
    graphs = GraphedUpdates(graphed, Stream(graphed.task, 0, 4), CallRecorder())
    assert losses(graphs.updates()) == losses(eager.train(Stream(eager.task, 0, 4)))
    assert graphs.replayed == 9


def test_updates_of_two_kinds_are_two_programs_and_each_has_its_turn(tmp_path):
    def wgan():
        return checks.make("wgan", steps=24, warmup=5, n_long=3, n_critic=1, long_every=6, schedule="linear_decay")

    with as_on_a_gpu():
        graphs = _check_equal(wgan, tmp_path)
    assert graphs.recorder.recorded == 3  # long ones of the warm-up, short ones, long ones later
    assert [program.draws for program in graphs.programs] == [3, 1, 3]
    assert graphs.replayed == 24 - 3 - 2 - 2


def test_a_resumed_training_goes_on_as_an_undisturbed_one(tmp_path):
    whole, _ = _train(_made(_Line), tmp_path / "whole")
    stopped, _ = _train(_made(_Line), tmp_path / "cut", stop_at=7)
    assert stopped.method.t == 7
    resumed, graphs = _train(_made(_Line), tmp_path / "cut")
    assert _result(resumed) == _result(whole)
    assert graphs.replayed == 3


def test_gradients_are_accumulated_in_graphs(tmp_path):
    def accumulating():
        accumulate(method := _made(_Line), 2)
        return method

    assert _check_equal(accumulating, tmp_path).replayed == 9


def test_a_batch_of_another_shape_runs_eagerly(tmp_path, monkeypatch):
    plain = ToyMinimisation.batch
    drawn = []

    def batch(self, n, rng):
        drawn.append(n)
        return plain(self, n - (len(drawn) % 12 == 8), rng)

    monkeypatch.setattr(ToyMinimisation, "validate", lambda self, method: {"mse": 0.0})
    monkeypatch.setattr(ToyMinimisation, "batch", batch)
    assert _check_equal(lambda: _made(_Line), tmp_path).replayed == 8


def test_memory_that_evaluation_exchanges_is_recorded_anew(tmp_path):
    def validate(method):
        method.net.weight.data = method.net.weight.data.clone()
        return {"mse": 0.0}

    graphs = _check_equal(lambda: _made(_Line), tmp_path, validate=validate)
    assert graphs.recorder.recorded == 2


def test_a_recording_that_fails_is_made_eagerly_on_the_same_batch(tmp_path):
    class Fails(CallRecorder):
        def record(self, update):
            super().record(update)
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    graphs = _check_equal(lambda: _made(_Line), tmp_path, recorder=Fails())
    assert not graphs.replayed
    assert graphs.note() == "updates run without CUDA graphs: recording failed: operation not permitted when stream is capturing"


def test_an_end_while_an_update_is_recorded_leaves_a_plain_number(tmp_path):
    class Late(CallRecorder):
        def record(self, update):
            raise TimeoutError("no update in time")

    method = _made(_Line)
    with pytest.raises(TimeoutError):
        _train(method, tmp_path / "graphed", recorder=Late())
    assert (type(method.t), method.t) == (int, 3)


def test_what_the_first_update_alone_does_is_no_obstacle(tmp_path):
    class Prepares(_Line):
        def loss(self, batch):
            if not hasattr(self, "factor"):
                self.factor = batch.new_tensor(0.5)
            return self.factor * super().loss(batch)

    assert _check_equal(lambda: _made(Prepares), tmp_path).replayed == 9


def test_a_method_is_left_as_it_was(tmp_path):
    _train(method := _made(_Line), tmp_path / "graphed")
    assert method.anneal.__func__ is Method.anneal
    assert isinstance(method.t, int)


# -- updates that are not
class _Counts(_Line):
    def extra(self, batch):
        self.count = getattr(self, "count", 0) + 1


class _Reads(_Line):
    def extra(self, batch):
        self.biased = bool(self.net.bias > 100)


class _Rebinds(_Line):
    def build(self, task):
        super().build(task)
        self.mean = torch.zeros(4)

    def extra(self, batch):
        self.mean = 0.9 * self.mean + 0.1 * batch.mean(0)


class _Constant(_Line):
    def extra(self, batch):
        self.net.bias.data.mul_(batch.new_tensor(0.9))


class _Numbered(_Line):
    def extra(self, batch):
        self.net.bias.data.lerp_(batch.new_zeros(()), self.t / 100)


class _Masked(_Line):
    def loss(self, batch):
        return self.net(batch[batch[:, 0] > -100]).square().mean()


class _Generator(_Line):
    def build(self, task):
        super().build(task)
        self.rng = torch.Generator().manual_seed(0)

    def state(self):
        return {k: v for k, v in super().state().items() if k != "rng"}

    def loss(self, batch):
        return super().loss(batch + torch.randn(batch.shape, generator=self.rng))


class _Logs(_Line):
    def train(self, data):
        for logs in super().train(data):
            yield {**logs, "rate": float(self.opt.param_groups[0]["lr"])}


class _AnnealsLate(_Line):
    def extra(self, batch):
        self.t += 1
        self.anneal()
        self.t -= 1


class _TwoAtOnce(_Line):
    def extra(self, batch):
        self.t += 1


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (_Counts, "self.count changes"),
        (_Reads, "reads a number back from a tensor (_local_scalar_dense.default, tests/bench/test_graphs.py:"),
        (_Rebinds, "mul.Tensor reads other memory in each update: what changes must be changed in place (tests/bench/test_graphs.py:"),
        (_Constant, "copies between host and device (lift_fresh.default, tests/bench/test_graphs.py:"),
        (_Numbered, "its updates depend on their number (tests/bench/test_graphs.py:"),
        (_Masked, "makes something whose size depends on values (index.Tensor, tests/bench/test_graphs.py:"),
        (_Generator, "draws from a generator of its own (randn.generator, tests/bench/test_graphs.py:"),
        (_Logs, "reads a number back from a tensor"),
        (_AnnealsLate, "it sets learning rates after it counted the update"),
        (_TwoAtOnce, "its updates count by 2 in self.t"),
    ],
)
def test_what_no_graph_holds_runs_eagerly_and_says_why(method, reason, tmp_path):
    graphs = _check_equal(lambda: _made(method), tmp_path)
    assert not graphs.replayed
    assert reason in graphs.note()


def test_python_s_random_numbers_are_no_program(tmp_path):
    import random

    class Shuffles(_Line):
        def extra(self, batch):
            if random.random() < 2:
                self.net.bias.data.mul_(0.9)

    random.seed(0)
    _, graphs = _train(_made(Shuffles), tmp_path / "graphed")
    assert "Python's random state changes" in graphs.note()


def test_a_scalar_that_changes_is_named(tmp_path):
    class Grows(_Line):
        factors = iter([1 + k / 64 for k in range(100)])

        def extra(self, batch):
            self.net.bias.data.mul_(next(Grows.factors))

    _, graphs = _train(_made(Grows), tmp_path / "graphed")
    assert "mul_.Tensor is called with 1.03125 in one update and with 1.046875 in another" in graphs.note()


def test_numbers_that_python_logs_are_named(tmp_path):
    class Says(_Line):
        said = iter(range(100))

        def train(self, data):
            for logs in super().train(data):
                yield {**logs, "said": next(Says.said)}

    training, graphs = _train(_made(Says), tmp_path / "graphed")
    assert graphs.note() == "updates run without CUDA graphs: it logs numbers that Python computes: said"
    assert [value for key, *_, value in training.points if key == "train/said"] == list(range(12))


def test_no_watched_number_is_left_on_a_method(tmp_path):
    class Keeps(_Line):
        def extra(self, batch):
            self.seen = {"last": [self.t]}

    training, graphs = _train(_made(Keeps), tmp_path / "graphed")
    assert training.method.seen == {"last": [11]}
    assert "its updates depend on their number" in graphs.note()


# -- optimizers
@pytest.mark.parametrize("rule", registry.names("optimizer"))
def test_a_rule_that_can_be_captured_steps_as_ever_up_to_rounding(rule):
    def trained(capturable):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))
        opt = registry.make("optimizer", rule)(list(net.parameters()))
        if capturable:
            _capturable.make_capturable(types.SimpleNamespace(opt=opt))
        for k in range(8):
            opt.zero_grad()
            net(torch.linspace(-1, 1, 15).view(3, 5) + k).square().sum().backward()
            opt.step()
        return net

    with as_on_a_gpu():
        torch.testing.assert_close(dict(trained(True).named_parameters()), dict(trained(False).named_parameters()), rtol=2e-5, atol=1e-6)


# -- CUDA
class _FakeCuda:
    """What `CudaRecorder` asks of torch.cuda, noted."""

    def __init__(self, patch):
        self.events, self.now = [], "current"
        for name in ("Stream", "stream", "current_stream", "CUDAGraph", "graph"):
            patch.setattr(torch.cuda, name, getattr(self, name))

    def Stream(self, device=None):
        return self._stream("own")

    def _stream(self, name):
        return types.SimpleNamespace(name=name, wait_stream=lambda other: self.events.append(f"{name} waits for {other.name}"))

    def current_stream(self, device=None):
        return self._stream("current")

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.now = self.now, stream.name
        yield
        self.now = before

    def CUDAGraph(self):
        return types.SimpleNamespace(replay=lambda: self.events.append(f"replay on {self.now}"))

    @contextlib.contextmanager
    def graph(self, graph, stream, capture_error_mode):
        self.events.append(f"capture on {stream.name}, {capture_error_mode}")
        yield


def test_cuda_graphs_are_recorded_and_replayed_on_a_stream_of_their_own(monkeypatch):
    cuda = _FakeCuda(monkeypatch)
    recorder = CudaRecorder(torch.device("cuda"))
    with recorder.running():
        result, replay = recorder.record(lambda: cuda.events.append(f"update on {cuda.now}") or "logs")
        replay()
    assert result == "logs"
    assert cuda.events == [
        "own waits for current", "capture on own, thread_local", "update on own", "replay on own", "current waits for own",
    ]  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize(
    "name",
    ["gan", "wgan", "wgan_gp", "instance_noise_gan", "historical_averaging_gan", "r1_gan", "mix_gan", "unrolled_gan", "vae", "infogan"],
)
def test_replayed_updates_on_a_gpu_are_the_eager_ones(name, tmp_path):
    results = []
    for graphed in (False, True):
        cls, device = registry.find("method", name), torch.device("cuda")
        task = registry.make("task", "toy2d")
        task.open(None, device)
        torch.manual_seed(0)
        with device:
            method = cls(task, **{**cls.toy, "steps": 40, "batch_size": 64, "schedule": "linear_decay"})
        stream = Stream(task, 0, 64)
        graphs = GraphedUpdates(method, stream) if graphed else None
        if not graphed:
            _capturable.make_capturable(method)
        updates = graphs.updates() if graphs else method.train(stream)
        logs = [{key: float(value) for key, value in logs.items()} for logs in updates]
        results.append((logs, {key: p.cpu() for key, p in method.G.state_dict().items()}, torch.cuda.get_rng_state(), stream.drawn))
        assert graphs is None or graphs.replayed >= 30, graphs.note()
    (logs, weights, chance, drawn), (others, replayed, chance_too, drawn_too) = results
    assert (drawn, chance.tolist()) == (drawn_too, chance_too.tolist())
    torch.testing.assert_close(replayed, weights, rtol=1e-3, atol=1e-4)
    for a, b in zip(logs, others, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)


# -- the option
@pytest.fixture
def recorded(tiny, plugin, monkeypatch):
    """The tiny suite under --cuda-graphs, recorded by calls; a method that can be, and one that cannot."""
    monkeypatch.setattr("bench.graphs.updates.CudaRecorder", lambda device: CallRecorder())
    plugin("counting", COUNTING)
    tiny.settings = dataclasses.replace(tiny.settings, compute=Compute(cuda_graphs=True))
    return tiny


COUNTING = '''
"""Counts. Departures: none."""
import dataclasses

import torch

from bench.method import Method, TrainHP


class Counting(Method):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(TrainHP):
        counts: bool = False

    def build(self, task):
        self.gain, self.count = torch.nn.Linear(1, 1), 0
        self.opt = self.optimizer(self.gain)

    def train(self, data):
        while self.t < self.hp.steps:
            loss = (next(data).observed.mean() * self.gain.weight).square().sum()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.count += self.hp.counts
            self.t += 1
            yield {"loss": loss.detach()}

    def restore(self, batch):
        return batch.observed
'''


def test_a_record_says_what_became_of_graphs(recorded):
    records, _ = recorded.run(methods=["counting[steps=6]", "counting[steps=6,counts=true]"])
    assert [record.outcome for record in records] == ["finished", "finished"]
    assert [record.tags["cuda_graphs"] for record in records] == [
        "updates are replayed from CUDA graphs", "updates run without CUDA graphs: self.count changes",
    ]  # fmt: skip


def test_it_is_another_training_only_where_it_is_asked_for(tiny):
    trial = tiny.trials()[1]
    plain, graphed = (identify(trial, dataclasses.replace(tiny.settings, compute=Compute(cuda_graphs=on))).training for on in (False, True))
    assert graphed.keys() - plain.keys() == {"cuda_graphs", "code.compute", "code.graphs"}
    assert plain.items() <= graphed.items()
    assert identity.protocol_of(plain) == identity.protocol_of(graphed)
