"""The averaged generator: its numbers against the recursion, and that it changes what is sampled, not what is trained."""

import pytest
import torch

from bench.conformance import checks
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.task import Stream


def _updates(name, **options):
    """The method after its updates, and the generator's weights after each of them."""
    method, seen = checks.make(name, **options), []
    stream = Stream(method.task, 0, 2)
    method.prepare(stream)
    for _ in method.train(stream):
        seen.append({k: v.clone() for k, v in method.G.state_dict().items()})
    return method, seen


@pytest.mark.parametrize("name", ["wgan_gp", "mix_gan", "consensus_gan"])
def test_average_by_the_recursion(name):
    method, seen = _updates(name, ema=0.75)
    for key, average in method.average.items():
        expected = seen[0][key].double()
        for weights in seen[1:]:
            expected = 0.75 * expected + 0.25 * weights[key].double()
        assert torch.allclose(average.double(), expected, atol=1e-6), key
    assert method.average.keys() >= {k for k, _ in method.G.named_parameters()}


def test_training_is_the_same_and_samples_are_the_average():
    plain, _ = _updates("wgan_gp")
    method, _ = _updates("wgan_gp", ema=0.5)
    assert plain.average == {}
    mine, theirs = method.G.state_dict(), plain.G.state_dict()
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    with evaluation_mode(method):
        y = method.sample(4)
    assert all(torch.equal(method.G.state_dict()[k], theirs[k]) for k in mine)  # put back
    with evaluation_mode(plain):
        assert not torch.equal(plain.sample(4), y)
    plain.G.load_state_dict({**theirs, **method.average})
    with evaluation_mode(plain):
        assert torch.equal(plain.sample(4), y)


def test_before_the_first_update_samples_come_from_the_weights():
    method, plain = checks.make("wgan_gp", ema=0.5), checks.make("wgan_gp")
    with evaluation_mode(method):
        y = method.sample(2)
    with evaluation_mode(plain):
        assert torch.equal(y, plain.sample(2))


@pytest.mark.parametrize("name", ["wgan_gp", "mix_gan", "virtual_batchnorm_gan"])
@pytest.mark.parametrize("cut", [1, 3])
def test_resume_is_exact_and_evaluation_neutral(name, cut, tmp_path):
    whole = checks.make(name, ema=0.9)
    (tmp_path / "whole").mkdir()
    checks.train(whole, tmp_path / "whole", evaluations=4)
    (tmp_path / "cut").mkdir()
    checks.train(checks.make(name, ema=0.9), tmp_path / "cut", stop_at=cut)
    resumed = checks.make(name, seed=99, ema=0.9)
    checks.train(resumed, tmp_path / "cut")
    assert whole.average
    assert checks.fingerprint(resumed) == checks.fingerprint(whole)


@pytest.mark.parametrize("ema", [-0.1, 1.0])
def test_decay_out_of_range(ema):
    with pytest.raises((UsageError, ValueError), match="ema"):
        checks.make("wgan_gp", ema=ema)
