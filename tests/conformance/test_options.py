"""Every option of every part says what it means, and is refused with its choices where it has few."""

import pytest

from bench import registry
from bench.errors import UsageError
from bench.spec import REQUIRED, options_of

NOT_YET = {"task", "dataset", "degradation", "adversarial"}  # kinds whose options need not say yet what they mean
PARTS = [(kind, name) for kind in registry.FOLDERS for name in registry.names(kind)]
CHOICES = [
    (kind, name, option)
    for kind, name in PARTS
    for option in options_of(registry.find(kind, name))
    if option.choices and option.default is not REQUIRED
]


@pytest.mark.parametrize(("kind", "name"), [part for part in PARTS if part[0] not in NOT_YET], ids=lambda value: str(value))
def test_every_option_says_what_it_means(kind, name):
    silent = [option.name for option in options_of(registry.find(kind, name)) if not option.meaning]
    assert not silent, f"{kind} {name}: say what {', '.join(silent)} means, by param(default, meaning) or Annotated[type, meaning]"


@pytest.mark.parametrize(("kind", "name"), PARTS, ids=lambda value: str(value))
def test_options_are_those_that_a_spec_sets(kind, name):
    part = registry.find(kind, name)
    assert [option.name for option in options_of(part)] == list(registry.settings(part))


@pytest.mark.parametrize(("kind", "name", "option"), CHOICES, ids=[f"{kind}-{name}-{option.name}" for kind, name, option in CHOICES])
def test_a_value_that_is_no_choice_is_refused_with_the_choices(kind, name, option):
    part = registry.find(kind, name)
    for choice in option.choices:
        assert registry.bind(part, {option.name: choice}, name) == {option.name: choice}
    with pytest.raises(UsageError, match=str(option.choices[0])):
        registry.bind(part, {option.name: "nonsense"}, name)
