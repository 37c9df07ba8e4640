"""The loop: windows, milestones, divergence, collapse, the cap, resume; and evaluation that leaves no trace."""

import math
import signal
import threading
import time

import pytest
import torch
from torch import Tensor, nn

from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.method import Method as Base
from bench.method import TrainHP
from bench.store import checkpoint
from bench.task import Stream, mix
from bench.training.history import collapse_step
from bench.training.loop import Diverged, Interrupted, Plan, Training
from bench.training.time_limit import time_limit


class Task:
    """Batches of noise; the seed of each goes along so that a test can see which were drawn."""

    device = torch.device("cpu")

    def batch(self, n, rng):
        return torch.rand(n, 3, generator=rng)


class Method(Base):
    """A linear layer that follows the noise; `logs` says what it reports at update t."""

    HP = TrainHP

    def __init__(self, steps=6, logs=None, seed=0):
        torch.manual_seed(seed)
        self.logs = logs or (lambda t, loss: {"loss": loss})
        super().__init__(Task(), steps=steps, batch_size=2)

    def build(self, task):
        self.net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
        self.opt = torch.optim.Adam(self.net.parameters(), lr=0.1)

    def train(self, data):
        while self.t < self.hp.steps:
            loss = (self.net(next(data)) - 1).square().mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.t += 1
            yield self.logs(self.t, loss.detach())


class Watcher:
    def __init__(self):
        self.windows, self.sent = [], []

    def update(self, step, images_per_s, values):
        self.windows.append((step, values))

    def curves(self, points):
        self.sent.append(list(points))


def training(folder, method=None, *, validate=None, evaluations=2, higher=True, **plan):
    method = method or Method()
    validate = validate or (lambda: {"psnr": float(method.t)})
    return Training(method, Stream(Task(), 0, 2), validate, Plan(folder, evaluations, higher, **plan), Watcher())


def never():
    return False


def train_values(run, key="train/loss"):
    return {step: value for k, step, _, _, value in run.points if k == key}


# -- curves
@pytest.mark.parametrize(("steps", "window"), [(1, 1), (7, 1), (399, 1), (400, 2), (1000, 5), (10_000, 50), (10**6, 50)])
def test_window(tmp_path, steps, window):
    assert training(tmp_path, Method(steps)).window == window


def test_a_point_is_the_mean_of_its_window(tmp_path):
    run = training(tmp_path, Method(11, lambda t, loss: {"loss": float(t)}), evaluations=1)
    run.window = 4
    run.run(never)
    assert train_values(run) == {4: 2.5, 8: 6.5, 11: 10.0}
    assert [step for step, _ in run.progress.windows] == [4, 8, 11]
    assert [(k, s, n) for k, s, n, *_ in run.points] == [
        ("validation/psnr", 0, 0), ("train/loss", 4, 8), ("train/loss", 8, 16), ("train/loss", 11, 22), ("validation/psnr", 11, 22),
    ]  # fmt: skip


def test_keys_that_come_and_go_within_a_window(tmp_path):
    def logs(t, loss):
        return {"loss": float(t)} if t <= 2 else {"critic": -float(t), **({"penalty": 8.0} if t == 4 else {})}

    run = training(tmp_path, Method(4, logs), evaluations=1)
    run.window = 4
    run.run(never)
    assert [train_values(run, f"train/{k}") for k in ("loss", "critic", "penalty")] == [{4: 1.5}, {4: -3.5}, {4: 8.0}]


def test_validations_are_evenly_spaced_and_get_all_points_so_far(tmp_path):
    run = training(tmp_path, Method(10), evaluations=4)
    run.run(never)
    assert [step for step, _ in run.history] == [0, 3, 5, 8, 10]
    assert run.progress.sent[-1] == run.points
    assert [len(p) for p in run.progress.sent] == sorted({len(p) for p in run.progress.sent})


def test_a_validation_closes_the_window_before_it(tmp_path):
    run = training(tmp_path, Method(10, lambda t, loss: {"loss": float(t)}), evaluations=2)
    run.window = 4
    run.run(never)
    assert train_values(run) == {4: 2.5, 5: 5.0, 9: 7.5, 10: 10.0}


def test_more_evaluations_than_updates(tmp_path):
    run = training(tmp_path, Method(2), evaluations=7)
    run.run(never)
    assert [step for step, _ in run.history] == [0, 1, 2]


def test_seconds_never_fall_and_leave_evaluation_out(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def logs(t, loss):
        clock[0] += 1.0  # an update takes a second
        return {"loss": loss}

    def validate():
        clock[0] += 100.0
        return {"psnr": 1.0}

    run = training(tmp_path, Method(4, logs), validate=validate, evaluations=4)
    run.run(never)
    assert run.spent == 4.0
    assert [seconds for key, _, _, seconds, _ in run.points if key == "train/loss"] == [1.0, 2.0, 3.0, 4.0]


# -- divergence
@pytest.mark.parametrize("at", [1, 2, 5, 9, 10])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_divergence_is_found_at_its_update(tmp_path, at, bad):
    run = training(tmp_path, Method(10, lambda t, loss: {"loss": loss, "other": torch.tensor(bad if t == at else 1.0)}), evaluations=1)
    run.window = 5
    with pytest.raises(Diverged, match=f"other is not finite at update {at}$") as caught:
        run.run(never)
    assert caught.value.step == at


def test_the_earliest_of_two_and_keys_that_come_late(tmp_path):
    logs = {1: {"a": 1.0}, 2: {"a": 1.0, "b": 1.0}, 3: {"a": 1.0, "b": math.nan}, 4: {"a": math.nan}}
    run = training(tmp_path, Method(4, lambda t, loss: logs[t]), evaluations=1)
    run.window = 4
    with pytest.raises(Diverged, match="b is not finite at update 3"):
        run.run(never)


def test_opposite_infinities_and_huge_values(tmp_path):
    run = training(tmp_path, Method(2, lambda t, loss: {"a": math.inf if t == 1 else -math.inf}), evaluations=1)
    run.window = 2
    with pytest.raises(Diverged, match="a is not finite at update 1"):
        run.run(never)
    run = training(tmp_path, Method(2, lambda t, loss: {"a": 3e38}), evaluations=1)
    run.window = 2  # the mean overflows, the values do not
    with pytest.raises(Diverged, match="at update 2"):
        run.run(never)


def test_a_validation_that_is_not_finite(tmp_path):
    method = Method(4)
    run = training(tmp_path, method, validate=lambda: {"psnr": math.nan if method.t == 2 else 1.0})
    with pytest.raises(Diverged, match="validation/psnr is not finite at update 2"):
        run.run(never)


@pytest.mark.parametrize(("higher", "good"), [(True, math.inf), (False, -math.inf)])
def test_an_infinitely_good_validation_is_no_divergence_and_the_best(tmp_path, higher, good):
    method = Method(4)
    values = {0: 1.0, 1: 2.0, 2: good, 3: 3.0, 4: 2.5}
    run = training(tmp_path, method, validate=lambda: {"score": values[method.t]}, evaluations=4, higher=higher)
    run.run(never)
    assert train_values(run, "validation/score") == values
    assert run.best_step() == 2
    assert run.summary()["auc"] == good
    run.load_best()
    assert method.t == 2
    again = training(tmp_path, Method(4), higher=higher)
    assert again._resume()  # the checkpoint holds it
    assert again.history == run.history


@pytest.mark.parametrize(("higher", "bad"), [(True, -math.inf), (False, math.inf), (True, math.nan), (False, math.nan)])
def test_an_infinitely_bad_validation_is_a_divergence(tmp_path, higher, bad):
    method = Method(4)
    with pytest.raises(Diverged, match="validation/score is not finite at update 2"):
        training(tmp_path, method, validate=lambda: {"score": bad if method.t == 2 else 1.0}, higher=higher).run(never)


def test_the_direction_of_a_later_validation_score(tmp_path):
    scores = {"loss": 1.0, "psnr": math.inf}
    run = training(tmp_path / "..", validate=lambda: scores, higher=False, directions={"loss": False, "psnr": True})
    run.run(never)
    assert run.best_step() == 0
    for directions in ({}, {"psnr": False}):  # not known, or the other way
        with pytest.raises(Diverged, match="validation/psnr is not finite at update 0"):
            training(tmp_path, validate=lambda: scores, higher=False, directions=directions).run(never)


def raising(value, error, **given):
    """A method that raises after update 3; by then its weights are what `value` says."""

    class Raises(Method):
        def train(self, data):
            for logs in super().train(data):
                yield logs
                if self.t == 3:
                    torch.nn.init.constant_(self.net[0].weight, value)
                    raise error

    return Raises(**given)


@pytest.mark.parametrize(
    "error", [RuntimeError("all elements of input should be between 0 and 1"), torch.linalg.LinAlgError("not converged")]
)
def test_what_is_raised_over_weights_that_are_not_finite_is_a_divergence(tmp_path, error):
    run = training(tmp_path, raising(math.nan, error))
    with pytest.raises(Diverged, match="a weight of net is not finite at update 3"):
        run.run(never)
    run = training(tmp_path, raising(math.inf, error, logs=lambda t, loss: {"loss": math.inf if t == 2 else loss}), evaluations=1)
    run.window = 5
    with pytest.raises(Diverged, match="loss is not finite at update 2"):
        run.run(never)


@pytest.mark.parametrize(
    ("value", "error"),
    [(1.0, RuntimeError("a bug")), (math.nan, UsageError("a corrupt picture")), (math.nan, torch.OutOfMemoryError("a batch too large"))],
)
def test_other_errors_are_none(tmp_path, value, error):
    with pytest.raises(type(error), match=str(error)):
        training(tmp_path, raising(value, error)).run(never)


# -- best and collapse
@pytest.mark.parametrize(
    ("values", "higher", "step"),
    [
        ([1, 2, 3, 4], True, None),
        ([1, 5, 3.1, 4], True, None),  # never below half of the gain
        ([1, 5, 3, 2], True, 20),  # half is lost: exactly half does not stay
        ([1, 5, 2, 4], True, None),  # it comes back
        ([1, 5, 2, 4, 1], True, 40),
        ([1, 5, 4, 0, 0, 2], True, 30),
        ([5, 1, 2, 5], False, 30),
        ([5, 1, 4, 5], False, 20),
        ([1, 2, 3], False, 10),  # the start was best: all that follows is worse
        ([3, 3, 3], True, 10),
        ([3], True, None),
        ([20, math.inf, 33, 33], True, None),  # infinite once: as good as the best of the others
        ([20, math.inf, 33, 21], True, 30),
        ([-1, -math.inf, -9, -2], False, 30),
        ([20, math.inf, math.inf], True, None),
        ([math.inf, math.inf], True, None),
    ],
)
def test_collapse_step(values, higher, step):
    assert collapse_step([(10 * i, v) for i, v in enumerate(values)], higher) == step


@pytest.mark.parametrize(
    ("values", "higher", "best"), [([1, 4, 4, 2], True, 1), ([4, 1, 3, 1], False, 1), ([9, 1, 3, 1], True, 0), ([2, 2, 2, 2], True, 0)]
)
def test_best_step_is_the_first_of_the_best(tmp_path, values, higher, best):
    method = Method(3)
    run = training(tmp_path, method, validate=lambda: {"score": values[method.t], "other": -values[method.t]}, evaluations=3, higher=higher)
    run.run(never)
    assert run.best_step() == run.summary()["best_step"] == best
    final = {k: v.clone() for k, v in method.net.state_dict().items()}
    run.load_best()
    assert method.t == best
    assert best == 3 or not torch.equal(method.net.state_dict()["0.weight"], final["0.weight"])


def test_summary_area_is_the_mean_over_updates(tmp_path):
    run = training(tmp_path)
    run.history = [(0, 0.0), (2, 4.0), (10, 4.0)]
    assert run.summary() == {"best_step": 2.0, "auc": (4 + 32) / 10}
    run.history = [(0, 1.0)]
    assert run.summary() == {}


# -- cap, stop, resume
def test_the_cap_stops_validates_and_is_recorded(tmp_path):
    run = training(tmp_path, Method(50), max_seconds=1e-9)
    run.run(never)
    assert (run.capped, run.method.t) == (True, 1)
    assert [step for step, _ in run.history] == [0, 1]
    free = training(tmp_path / "..", Method(2))
    free.run(never)
    assert not free.capped


def test_a_time_limit_leaves_the_alarm_as_it_was():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match="too late"), time_limit(0.05, "too late"):
        time.sleep(10)
    for seconds in (60.0, 1e300, math.inf):  # no timer takes the second
        with time_limit(seconds, "never"):
            assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (seconds == 60)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) == before


def test_a_time_limit_in_another_thread_lets_it_work():
    done = []

    def work():
        with time_limit(60.0, "never"):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("cut", [1, 3, 4, 7, 9])
@pytest.mark.parametrize("window", [1, 4])
def test_resume_is_exact(tmp_path, cut, window):
    def run(folder, method, stop=None):
        folder.mkdir(exist_ok=True)

        def validate():
            torch.rand(3)  # evaluation draws numbers
            return {"psnr": float(method.net[0].weight.sum())}

        job = training(folder, method, validate=validate, evaluations=3)
        job.window = window
        if stop:
            with pytest.raises(Interrupted):
                job.run(lambda: method.t == stop)
        else:
            job.run(never)
        return job

    whole = run(tmp_path / "whole", Method(10))
    run(tmp_path / "cut", Method(10), stop=cut)
    torch.manual_seed(99)
    other = Method(10, seed=5)
    other.prepare = lambda data: pytest.fail("it was prepared before")
    again = run(tmp_path / "cut", other)
    assert [(k, s, n, v) for k, s, n, _, v in again.points] == [(k, s, n, v) for k, s, n, _, v in whole.points]
    assert again.history == whole.history
    assert again.stream.drawn == whole.stream.drawn == 10
    for key, value in whole.method.net.state_dict().items():
        assert torch.equal(again.method.net.state_dict()[key], value)
    assert again.summary() == whole.summary()
    best = [checkpoint.load(tmp_path / name / "best.safetensors") for name in ("whole", "cut")]
    assert torch.equal(*(b["method"]["net"]["0.weight"] for b in best))


def test_the_best_weights_are_those_of_the_best_step(tmp_path):
    """A run that is killed after a best validation and then goes on in another way, as one on a GPU may, has none."""
    run = training(tmp_path, Method(4), validate=lambda: {"psnr": 1.0})
    run.run(never)
    run.load_best()
    run.history[2] = (run.history[2][0], 2.0)
    with pytest.raises(checkpoint.CorruptCheckpoint, match=r"best\.safetensors is of update 0, not 4"):
        run.load_best()


def test_a_capped_run_that_was_stopped_while_it_was_judged_is_not_trained_on(tmp_path):
    run = training(tmp_path, Method(50), max_seconds=1e-9)
    run.run(never)
    again = training(tmp_path, Method(50), max_seconds=1e-9)
    again.run(never)
    assert (again.capped, again.method.t, again.history, again.points) == (True, 1, run.history, run.points)


@pytest.mark.gpu
def test_a_window_that_was_cut_is_closed_on_the_gpu(tmp_path):
    def logs(t, loss):
        return {"loss": loss.cuda(), "given": float(t)}

    run = training(tmp_path, method := Method(8, logs), evaluations=1)
    run.window = 8
    with pytest.raises(Interrupted):
        run.run(lambda: method.t == 3)
    again = training(tmp_path, Method(8, logs), evaluations=1)
    again.window = 8
    again.run(never)
    assert train_values(again, "train/given") == {8: 4.5}


def test_a_finished_run_does_nothing_more(tmp_path):
    training(tmp_path, Method(4)).run(never)
    again = training(tmp_path, Method(4, lambda t, loss: 1 / 0))
    again.run(never)
    assert again.method.t == 4
    assert [step for step, _ in again.history] == [0, 2, 4]


def test_checkpoints_come_by_the_clock(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Training, "save", lambda self: saved.append(self.method.t))
    training(tmp_path, Method(5), checkpoint_seconds=1e9).run(never)
    assert saved == [5]
    training(tmp_path, Method(5), checkpoint_seconds=-1.0).run(never)
    assert saved == [5, 1, 2, 3, 4, 5, 5]


# -- evaluation leaves no trace
def test_judging_restores_modes_and_random_numbers():
    method = Method()
    method.net[0].train(False)  # a part that was frozen on purpose
    before, modes = torch.get_rng_state(), [m.training for m in method.net.modules()]
    with evaluation_mode(method, seed=3):
        assert not any(m.training for m in method.net.modules())
        assert not torch.is_grad_enabled()
        first = torch.rand(2)
        method.net.train()
    assert torch.equal(torch.get_rng_state(), before)
    assert [m.training for m in method.net.modules()] == modes == [True, False, True]
    assert torch.is_grad_enabled()
    torch.rand(100)
    with evaluation_mode(method, seed=3):
        assert torch.equal(torch.rand(2), first)  # wherever training stands
    with evaluation_mode(method, seed=4):
        assert not torch.equal(torch.rand(2), first)


def test_judging_restores_when_the_body_raises():
    method = Method()
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), evaluation_mode(method):
        torch.rand(7).tolist()[0] / 0
    assert torch.equal(torch.get_rng_state(), before)
    assert all(m.training for m in method.net.modules())
    assert torch.is_grad_enabled()


# -- the stream
def test_batch_i_is_a_function_of_seed_and_i():
    stream = Stream(Task(), 7, 2)
    batches: list[Tensor] = [next(stream) for _ in range(5)]
    assert stream.drawn == 5
    torch.rand(10)
    assert torch.equal(next(Stream(Task(), 7, 2, drawn=3)), batches[3])
    assert not torch.equal(next(Stream(Task(), 8, 2, drawn=3)), batches[3])
    assert len({float(b.sum()) for b in batches}) == 5


def test_mix():
    seeds = [mix(a, b) for a in range(30) for b in range(30)]
    assert len(set(seeds)) == 900
    assert all(0 <= s < 2**63 for s in seeds)
    assert mix(1, 2) != mix(2, 1)
    assert mix(1, 2) == mix(1, 2)
