"""What every method with a free choice of game must honour."""

from pathlib import Path

import pytest

from bench import registry
from bench.conformance import checks
from bench.errors import UsageError

PLAYERS = [name for name in registry.names("method") if "adversarial" in registry.settings(registry.find("method", name))]


@pytest.mark.parametrize("name", PLAYERS)
def test_the_critic_of_wgan_is_clipped(name, tmp_path: Path, monkeypatch):
    try:
        method = checks.make(name, adversarial="wgan[clip=0.0123]")
    except UsageError as error:
        pytest.skip(f"plays certain games only: {error}")
    clipped = []
    wgan = type(method.adversarial)
    monkeypatch.setattr(wgan, "constrain", lambda self, critic, constrain=wgan.constrain: clipped.append(critic) or constrain(self, critic))
    checks.train(method, tmp_path)
    assert clipped
    assert all(p.abs().max() <= 0.0124 for critic in clipped for p in critic.parameters())
