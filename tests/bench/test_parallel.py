"""Two ranks train as one process does: the same gradients but for rounding, and they end together."""

import contextlib

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from bench import registry
from bench.conformance.toys import ToyGeneration, ToyRestoration
from bench.store import checkpoint
from bench.task import Stream
from bench.training import data_parallel
from bench.training.loop import Interrupted, Plan, Training
from bench.training.progress import Progress

BATCH, STEPS = 4, 6


def made(name, task, options):
    torch.manual_seed(0)
    method = registry.find("method", name)(task(), steps=STEPS, batch_size=BATCH, **options)
    return method, Stream(method.task, 0, BATCH)


def train(method, stream, folder, stop_at=None):
    """As a trial does; the step at which it ended."""
    plan = Plan(folder, evaluations=2, higher_is_better=False, checkpoint_seconds=-1.0)
    with contextlib.suppress(Interrupted):
        Training(method, stream, lambda: method.task.validate(method), plan, Progress()).run(lambda: method.t == stop_at)
    return method.t


def rank(number, folder, what, stops):
    """One of two processes."""
    torch.set_num_threads(1)
    for i, stop_at in enumerate(stops):
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting-{i}", rank=number, world_size=2)
        method, stream = made(*what)
        if number == 0:
            data_parallel.lead(method)
            train(method, stream, folder, stop_at)
            data_parallel.stop_followers(method.device)
        else:
            data_parallel.follow(method, stream)
        checkpoint.save(folder / f"rank-{number}.safetensors", {"state": method.state(), "drawn": stream.drawn})
        dist.destroy_process_group()


def on_two_ranks(folder, what, stops=(None,)):
    processes.start_processes(rank, (folder, what, stops), nprocs=2, start_method="forkserver")
    return [checkpoint.load(folder / f"rank-{number}.safetensors") for number in (0, 1)]


def weights(state):
    """What is trained; running averages are each rank's own."""
    parts = [(f"{name}.{key}", v) for name, part in state.items() if isinstance(part, dict) for key, v in part.items()]
    return {name: v for name, v in parts if isinstance(v, torch.Tensor) and "running" not in name}


REGRESSION = ("unet", ToyRestoration, {"width": 4, "optimizer": "sgd[lr=0.1]"})
GAME = ("wgan_gp", ToyGeneration, {"n_critic": 2})


def test_gradients_of_two_halves_are_those_of_the_whole(tmp_path):
    method, stream = made(*REGRESSION)
    (tmp_path / "one").mkdir()
    assert train(method, stream, tmp_path / "one") == STEPS
    first, second = on_two_ranks(tmp_path, REGRESSION)
    whole, ours, theirs = weights(method.state()), weights(first["state"]), weights(second["state"])
    start = weights(made(*REGRESSION)[0].state())
    assert whole.keys() == ours.keys() == theirs.keys()
    for key, value in whole.items():
        assert torch.equal(ours[key], theirs[key]), key
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-6)
    assert max(float((value - start[key]).abs().max()) for key, value in whole.items()) > 1e-4  # it did move
    assert first["drawn"] == second["drawn"] == stream.drawn


@pytest.mark.slow
def test_players_of_a_game_stay_together_and_a_trial_that_was_stopped_goes_on(tmp_path):
    (tmp_path / "through").mkdir()
    (tmp_path / "stopped").mkdir()
    through = on_two_ranks(tmp_path / "through", GAME)
    stopped = on_two_ranks(tmp_path / "stopped", GAME, stops=(3, None))
    states = [weights(found["state"]) for found in (*through, *stopped)]
    for other in states[1:]:
        assert all(torch.equal(value, other[key]) for key, value in states[0].items())


@pytest.mark.slow
def test_an_initialiser_that_looks_at_data_rehearses_on_all_ranks(tmp_path):
    """They train twice then, and still average once an update."""
    first, second = on_two_ranks(tmp_path, ("dcgan", ToyGeneration, {"init": "lsuv"}))
    ours, theirs = weights(first["state"]), weights(second["state"])
    assert ours
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_followers_of_a_trial_that_needs_no_training_are_dismissed(monkeypatch):
    monkeypatch.setattr(data_parallel, "_broadcast", lambda word, device: word)
    method, stream = made(*REGRESSION)
    data_parallel.follow(method, stream)
    assert method.t == stream.drawn == 0


def test_a_batch_that_cannot_be_shared_out(monkeypatch):
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    with pytest.raises(
        ValueError, match=r"a batch of 4 cannot be shared out among 3 ranks: give a multiple of them with --set batch_size=\.\.\."
    ):
        data_parallel.lead(made(*REGRESSION)[0])
