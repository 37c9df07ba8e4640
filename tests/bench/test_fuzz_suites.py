"""Whatever becomes of a suite file, it is a grid of trials or one line of complaint."""

import copy
import re
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import Unavailable, UsageError
from bench.scheduling import tuning
from bench.suites import expand, read
from bench.suites.schema import TIERS

FEW = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
SHIPPED = {name: (read.SUITES / f"{name}.toml").read_text(encoding="utf-8") for name in read.suite_names()}
DATA = {name: tomllib.loads(text) for name, text in SHIPPED.items()}
WORDS = [
    "adam",
    "adam[lr=1]",
    "unet",
    "unet[width=3]",
    "deblur",
    "toy2d",
    "psnr",
    "he",
    "smoke",
    "quick",
    "oneshot",
    "fixed",
    "",
    "a\nb",
    "<b>",
    "../x",
]
KEYS = [
    "title",
    "task",
    "sort",
    "methods",
    "axes",
    "workloads",
    "tiers",
    "smoke",
    "hp",
    "seeds",
    "tuning",
    "rule",
    "spaces",
    "name",
    "optimizer",
    "lr",
]
SCALARS = (
    st.booleans()
    | st.integers(-2, 5)
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=6)
    | st.dates()
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), v, max_size=3), max_leaves=6
)


def written(value):
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in value) + '"'
    return repr(value) if isinstance(value, (int, float)) else str(value)


def places(tree, path=()):
    """The path of everything in a tree."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def read_or_refused(file, content):
    """A file is read and expanded, or refused in one line that says something."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        loaded = read.load_suite(str(file))
        for tier in loaded.tiers:
            rows = tuning.prepare(expand.expand(loaded, tier), loaded.tiers[tier])
            assert tuning.count(rows, loaded.tiers[tier]) >= len(rows)
    except (UsageError, Unavailable) as error:
        said = str(error)
    else:
        return True
    assert said
    assert "\n" not in said
    return False


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_written_is_read_back(name, tmp_path):
    """The mutations below begin with what is right."""
    assert tomllib.loads("\n".join(f"{k} = {written(v)}" for k, v in DATA[name].items())) == DATA[name]


@st.composite
def damaged(draw):
    """A shipped suite after one to three of: a key lost, renamed, moved; a value of another kind, another place, another suite."""
    tree = copy.deepcopy(DATA[draw(st.sampled_from(sorted(DATA)))])
    tree["tiers"] = {k: v for k, v in tree["tiers"].items() if k in TIERS[:1]} or tree["tiers"]
    for _ in range(draw(st.integers(1, 3))):
        *above, key = draw(st.sampled_from(list(places(tree)) or [("title",)]))
        inner = tree
        for step in above:
            inner = inner[step]
        kind = draw(st.sampled_from(["drop", "rename", "retype", "splice", "wrap"]))
        if kind == "drop":
            inner.pop(key) if isinstance(inner, list) else inner.pop(key, None)
        elif kind == "rename" and isinstance(inner, dict):
            inner[draw(st.sampled_from(KEYS) | st.text(max_size=5))] = inner.pop(key, 1)
        elif kind == "wrap":
            inner[key] = (
                draw(st.sampled_from([[inner[key]], {"a": inner[key]}, str(inner[key])])) if key in inner or isinstance(inner, list) else 1
            )
        elif kind == "splice":
            other = DATA[draw(st.sampled_from(sorted(DATA)))]
            for step in draw(st.sampled_from(list(places(other)))):
                other = other[step]
            inner[key] = copy.deepcopy(other)
        else:
            inner[key] = draw(VALUES)
    return "\n".join(f"{written(k)} = {written(v)}" for k, v in tree.items())


@FEW
@given(content=damaged())
def test_a_damaged_suite_is_read_or_refused(tmp_path, content):
    read_or_refused(tmp_path / "own.toml", content)


@FEW
@given(data=st.data())
def test_a_suite_with_damaged_lines_is_read_or_refused(tmp_path, data):
    """Lines twice, gone, swapped, cut; characters of another line in the middle."""
    lines = SHIPPED[data.draw(st.sampled_from(sorted(SHIPPED.keys() - {"optimizers"})))].splitlines()  # whose thousands of trials are slow
    for _ in range(data.draw(st.integers(1, 3))):
        i, j = (data.draw(st.integers(0, len(lines) - 1)) for _ in "ij")
        at = data.draw(st.integers(0, len(lines[i])))
        lines[i : i + 1] = data.draw(
            st.sampled_from(
                [[lines[i], lines[j]], [""], [lines[j]], [lines[i][:at]], [lines[i][:at] + lines[j][at:]], [lines[i][:at] + "\x00\ufeff"]]
            )
        )
    read_or_refused(tmp_path / "own.toml", "\n".join(lines))


@FEW
@given(content=st.binary(max_size=80) | st.text("ax=[]{}\"'.\n# 1-:T\\u", max_size=60).map(str.encode))
def test_any_bytes_are_refused(tmp_path, content):
    assert not read_or_refused(tmp_path / "own.toml", content)


@FEW
@given(
    key=st.sampled_from(["title", "task", "sort", "methods", "axes", "tuning", "sensitivity", "references", "published", "tiers"]),
    value=VALUES,
)
def test_any_value_of_a_key_is_read_or_refused(tmp_path, key, value):
    data = {"title": "T", "task": "deblur", "sort": "psnr", "methods": ["unet"], "tiers": {"smoke": {}}, key: value}
    read_or_refused(tmp_path / "own.toml", "\n".join(f"{k} = {written(v)}" for k, v in data.items()))


@FEW
@given(name=st.text(max_size=70))
def test_any_name_names_a_folder_or_is_refused(tmp_path, name):
    content = f"name = {written(name)}\n" + 'title = "T"\ntask = "deblur"\nsort = "psnr"\nmethods = ["unet"]\n[tiers.smoke]\n'
    if "\ud800" <= max(name, default="") <= "\udfff" or not read_or_refused(tmp_path / "own.toml", content):
        return
    (tmp_path / name).mkdir(exist_ok=True)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert re.fullmatch(r"[\w .+-]+", name)
