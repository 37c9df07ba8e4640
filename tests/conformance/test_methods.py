"""The contract of a method, over the whole registry."""

import pytest

from bench import contract, registry

METHODS = registry.names("method")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("check", contract.CHECKS)
def test_contract(check, name):
    contract.CHECKS[check](name)
