"""The contract of a method, over the whole registry."""

import pytest

from bench import registry
from bench.conformance import checks

METHODS = registry.names("method")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("check", checks.CHECKS)
def test_contract(check, name):
    checks.CHECKS[check](name)
