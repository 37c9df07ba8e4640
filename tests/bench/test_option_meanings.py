"""Every option says what it means: `runner.py show` prints it."""

import dataclasses

import pytest

from bench import registry

KINDS = ("task", "dataset", "degradation", "adversarial")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in registry.names(kind)])
def test_every_option_has_a_meaning(kind, name):
    part = registry.find(kind, name)
    silent = [f.name for f in dataclasses.fields(part) if f.init and not f.metadata.get("doc")]
    assert not silent, f"{kind} {name}: say with param(..., meaning) what {silent} mean"
