"""The contract of a method, over the whole registry."""

import pytest

from bench import registry
from bench.conformance import checks

METHODS = registry.names("method")


@pytest.mark.parametrize("check", checks.CHECKS)  # changes first: the checks of a method compare with one training
@pytest.mark.parametrize("name", METHODS)
def test_contract(check, name):
    checks.CHECKS[check](name)
