"""Whatever a user writes as a spec is a value or one line of complaint; and a spec that is printed is read back as it was."""

import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.spec import Spec, parse, value_of

FEW = settings(max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
GRAMMAR = st.text("ab_1[](){},='\"\\ .-+eEjJ0x\n\t:#@βu", max_size=25)
WORDS = st.sampled_from(
    [
        "adam",
        "unet",
        "lr",
        "betas",
        "width",
        "=",
        "[",
        "]",
        "(",
        ")",
        ",",
        '"',
        "'",
        "1e-4",
        "0.5",
        "true",
        "none",
        "{",
        "}",
        "\\",
        "-1",
        " ",
    ]
)
TEXT = st.text(max_size=20) | GRAMMAR | st.lists(WORDS, max_size=12).map("".join)
NAME = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8)
KEY = st.text(string.ascii_letters + "_", min_size=1, max_size=6).filter(str.isidentifier)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | GRAMMAR
)
VALUES = st.recursive(PLAIN, lambda v: st.lists(v, max_size=3) | st.lists(v, max_size=3).map(tuple), max_leaves=4)


def specs(values=VALUES):
    return st.builds(Spec, NAME, st.dictionaries(KEY, values, max_size=4))


def value_or_refusal(call, *arguments):
    """What a call returns; None where it refuses in one line."""
    try:
        return call(*arguments)
    except (UsageError, Unavailable) as error:
        said = str(error)
    assert said
    assert "\n" not in said
    return None


@FEW
@given(text=TEXT)
@example("a[x=" + "(" * 5000)
@example("a[x=" + "(" * 3000 + ")" * 3000 + "]")
@example("a[x=" + "-" * 50_000 + "1]")
@example("a[x=" + "9" * 10_000 + "]")
@example("a[x='\ud800']")
@example("a[x=\x00]")
@example("a[x=1e999999]")
@example("a[x='\\N{nonsense}']")
def test_any_text_is_a_spec_or_a_usage_error(text):
    if (spec := value_or_refusal(parse, text)) is None:
        return
    assert isinstance(spec, Spec)
    again = parse(str(spec))
    assert str(again) == str(spec)


@FEW
@given(spec=specs() | specs(specs().map(str)))
def test_a_printed_spec_is_read_back(spec):
    again = parse(str(spec))
    assert again == spec
    assert [type(again.options[key]) for key in spec.options] == [type(value) for value in spec.options.values()]
    assert str(again) == str(spec)


@FEW
@given(text=TEXT)
def test_any_text_is_a_value(text):
    value_of(text)


KINDS = [kind for kind in registry.FOLDERS if registry.names(kind)]


@pytest.mark.parametrize("kind", KINDS)
@settings(FEW, max_examples=40)
@given(data=st.data())
def test_any_options_of_any_part_are_taken_or_refused(kind, data):
    """Real parts, real keys, any values: a part, or `UsageError`, or `Unavailable`."""
    name = data.draw(st.sampled_from(registry.names(kind)))
    known = sorted(registry.settings(registry.find(kind, name)))
    keys = st.sampled_from(known) | KEY if known else KEY
    odd = st.sampled_from(
        [0, -1, 1, 10**30, 0.0, -0.5, 1e308, float("inf"), float("nan"), "", "adam", "adam[lr=1]", True, None, (), (1, 2), [], {}]
    )
    options = data.draw(st.dictionaries(keys, odd | VALUES, max_size=3))
    value_or_refusal(registry.make, kind, Spec(name, options))
