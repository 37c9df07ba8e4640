"""Specs print and parse alike; folders are registries; whatever is wrong is said in one line that names what is known."""

import dataclasses
import inspect
import random
import string
from pathlib import Path
from typing import Annotated, Literal

import pytest

from bench import registry
from bench.errors import UsageError
from bench.registry import FOLDERS, ROOT
from bench.spec import REQUIRED, Option, Spec, options_of, param, parse, split, value_of

METHOD = """
import dataclasses
from bench.method import Method

class Mine(Method):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        strength: float = 0.5
"""


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("unet", Spec("unet")),
        ("unet[]", Spec("unet")),
        ("  unet [ width = 8 , x=1e-4 ] ", Spec("unet", {"width": 8, "x": 1e-4})),
        ("a[x=true,y=False,z=none,w=None]", Spec("a", {"x": True, "y": False, "z": None, "w": None})),
        ("a[x=(0.5,0.999)]", Spec("a", {"x": (0.5, 0.999)})),
        ("a[x=[1,2],y={'k': 3}]", Spec("a", {"x": [1, 2], "y": {"k": 3}})),
        ("a[opt=adam[lr=1e-4,betas=(0,0.9)],y=2]", Spec("a", {"opt": "adam[lr=1e-4,betas=(0,0.9)]", "y": 2})),
        ('a[opt="adam[lr=1e-4,betas=(0,0.9)]",y=2]', Spec("a", {"opt": "adam[lr=1e-4,betas=(0,0.9)]", "y": 2})),
        ("a[opt='f[a=\"b,c\"]']", Spec("a", {"opt": 'f[a="b,c"]'})),
        (r'a[x="say \"no, no\"",y=1]', Spec("a", {"x": 'say "no, no"', "y": 1})),
        ("a[x=some words,y='1']", Spec("a", {"x": "some words", "y": "1"})),
        ("a[path=/data/my set/x=1]", Spec("a", {"path": "/data/my set/x=1"})),
        ("a[x=1,]", Spec("a", {"x": 1})),
        ("a[x=]", Spec("a", {"x": ""})),
        ("a[x={[1]}]", Spec("a", {"x": "{[1]}"})),  # no literal: sets hold no lists
    ],
)
def test_grammar(text, spec):
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the spec ''"),
        ("a b", "write name or name"),
        ("a[x=1", "write name or name"),
        ("a]x=1[", "write name or name"),
        ("a-b", "write name or name"),
        ("a[x]", r"cannot read 'x' .*write key=value"),
        ("a[1=2]", "write key=value"),
        ("a[x=1,x=2]", "'x' is given twice"),
        ("a[x=(1]]", r"unbalanced '\]'"),
        ("a[x=1)]", r"unbalanced '\)'"),
        ("a[x=((1)]", r"'\)' is missing"),
        ("a[x='1]", r'"\'" is missing'),
    ],
)
def test_what_is_no_spec(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_split_keeps_quotes_and_brackets_whole():
    assert split("a[x=1,y=2],b, c['p,q'],,d") == ["a[x=1,y=2]", "b", " c['p,q']", "d"]


def test_equal_specs_print_equally():
    assert str(parse("a[y=2,x='w']")) == str(parse('a[ x="w",y=2 ]')) == "a[x=w,y=2]"


def random_value(rng, depth=0):
    letters = "ab1 ,=[](){}'\"\\\n.-/e\tβ"
    kinds = [
        lambda: rng.choice([True, False, None, "true", "None", "1", "1e-4", "(1,2)", "", " ", "-", "./x-y"]),
        lambda: rng.randint(-999, 999),
        lambda: rng.choice([1e-4, -0.5, 1e300, 0.1 + 0.2, 3.0]),
        lambda: "".join(rng.choices(letters, k=rng.randint(0, 8))),
        lambda: tuple(random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))),
        lambda: str(random_spec(rng, depth + 1)),
    ]
    return rng.choice(kinds if depth < 2 else kinds[:4])()


def random_spec(rng, depth=0):
    keys = {"".join(rng.choices(string.ascii_lowercase + "_", k=3)) for _ in range(rng.randint(0, 4))}
    return Spec(rng.choice(["adam", "wgan_gp", "x2"]), {key: random_value(rng, depth) for key in keys})


@pytest.mark.parametrize("seed", range(20))
def test_canonical_form_parses_back(seed):
    rng = random.Random(seed)
    for _ in range(50):
        spec = random_spec(rng)
        again = parse(str(spec))
        assert again == spec
        assert [type(again.options[k]) for k in spec.options] == [type(v) for v in spec.options.values()]  # 1 == True
        assert str(again) == str(spec)


def test_values():
    assert [value_of(v) for v in (" TRUE ", "1_000", "'1'", "1e-4", "-3", "x y", "f[1")] == [True, 1000, "1", 1e-4, -3, "x y", "f[1"]


# -- lookup and binding
@pytest.mark.parametrize("kind", FOLDERS)
def test_unknown_name_lists_the_known_ones(kind):
    with pytest.raises(UsageError, match=f"unknown {kind} 'nonsense'; known: ") as caught:
        registry.find(kind, "nonsense")
    assert str(caught.value).endswith(", ".join(registry.names(kind)) or "none")


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_folder_is_the_registry(kind, monkeypatch):
    monkeypatch.setitem(registry._plugins, kind, {})  # whatever other tests loaded
    stems = [p.stem for folder in FOLDERS[kind] for p in (ROOT / folder).iterdir() if p.suffix == ".py" and not p.stem.startswith("_")]
    assert registry.names(kind) == sorted(stems)
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in FOLDERS for name in registry.names(kind)])
def test_one_public_part_a_file(kind, name):
    part = registry.find(kind, name)
    file = Path(inspect.getfile(part))
    assert file.stem == name
    assert part.__doc__, "says what it is"
    registry.settings(part)  # every option is typed


def test_unknown_option_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"^adam\[lrr=1\]: unknown option 'lrr'; known: lr, betas, eps, weight_decay$"):
        registry.make("optimizer", "adam[lrr=1]")
    with pytest.raises(UsageError, match="unknown option 'x'; known: none"):
        registry.make("schedule", "constant[x=1]")


@pytest.mark.parametrize("spec", ["adam[lr=fast]", "adam[betas=0.5]", "adam[betas=(0.5,0.9,0.9)]", "adam[lr=none]"])
def test_value_of_the_wrong_type(spec):
    key = spec[5:].partition("=")[0]
    with pytest.raises(UsageError, match=rf"{key} = .*(valid|should)") as caught:
        registry.make("optimizer", spec)
    assert "\n" not in str(caught.value)


def test_values_are_converted():
    assert registry.make("optimizer", "adam[lr=1]").keywords == {"lr": 1.0}
    assert isinstance(registry.make("optimizer", "adam[lr=1]").keywords["lr"], float)


def test_a_choice_names_the_choices():
    with pytest.raises(UsageError, match=r"'vgg19'.*'squeezenet'"):
        registry.make("content", "perceptual[net=resnet]")


def test_values_that_a_part_refuses_are_the_users_error():
    with pytest.raises(UsageError, match=r"digit_scenes\[size=10\]: .*size in 96\.\.300"):
        registry.make("dataset", "digit_scenes[size=10]")


# -- plug-ins
def test_plugin_joins_its_kind(plugin):
    assert plugin("mine", METHOD) == ("method", "mine")
    assert "mine" in registry.names("method")
    assert registry.find("method", "mine").__name__ == "Mine"
    assert plugin("mine", METHOD) == ("method", "mine")  # the same file once more


def test_plugin_of_another_kind(plugin):
    assert plugin("ramp", 'KIND = "schedule"\ndef ramp(progress: float, *, by: float = 2.0) -> float:\n    return by * progress') == (
        "schedule",
        "ramp",
    )
    assert registry.make("schedule", "ramp[by=3]")(0.5) == 1.5


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("syntax", "def f(:", r"plug-in .*syntax\.py fails to import: SyntaxError"),
        ("raises", "1 / 0", r"plug-in .*raises\.py fails to import: ZeroDivisionError: division by zero"),
        ("missing", "import no_such_module", r"fails to import: ModuleNotFoundError"),
        ("two", METHOD + "\nclass Other: ...", r"two\.py must define one public class or function, found: Mine, Other"),
        ("two_more", 'KIND = "metric"\ndef a(): ...\ndef b(): ...', r"must define one public class or function, found: a, b"),
        ("nothing", "x = 1", "must define one public class or function, found: none"),
        (
            "kindless",
            "def f(): ...",
            r"kindless\.py: f has no base class that says .*: derive it .*, or set KIND to one of method, optimizer",
        ),
        (
            "wrong_kind",
            'KIND = "optimiser"\ndef f(): ...',
            r"is of the kind 'optimiser', which there is not: .* set KIND to one of method, optimizer",
        ),
        ("unet", METHOD, r"method 'unet' is defined twice: methods/restoration/unet\.py and .*/unet\.py"),
        ("my-method", METHOD, "letters, digits and underscores"),
    ],
)
def test_plugin_that_cannot_join(plugin, name, text, message):
    before = registry.names("method")
    with pytest.raises(UsageError, match=message) as caught:
        plugin(name, text)
    assert "\n" not in str(caught.value)
    assert registry.names("method") == before


def test_two_plugins_of_one_name(plugin, tmp_path):
    plugin("mine", METHOD)
    other = tmp_path / "elsewhere" / "mine.py"
    other.parent.mkdir()
    other.write_text(METHOD)
    with pytest.raises(UsageError, match=rf"'mine' is defined twice: {tmp_path}/mine\.py and {other}"):
        registry.load_plugin(other)


def test_missing_plugin(tmp_path):
    with pytest.raises(UsageError, match=rf"no plug-in file {tmp_path}/absent\.py"):
        registry.load_plugin(tmp_path / "absent.py")
    with pytest.raises(UsageError, match="no plug-in file"):
        registry.load_plugin(tmp_path)


def test_a_doubtful_escape_is_text_and_says_nothing(recwarn):
    assert value_of(r"'C:\data'") == r"'C:\data'"
    assert not recwarn.list


def test_a_value_is_checked_in_every_call():
    def part(*, rate: float = 0.1, name: str = "x") -> None: ...

    def other(*, rate: int = 1) -> None: ...

    for _ in range(3):
        assert registry.bind(part, {"rate": 2, "name": "y"}, "here") == {"rate": 2.0, "name": "y"}
        assert type(registry.bind(part, {"rate": 2}, "here")["rate"]) is float
        assert type(registry.bind(other, {"rate": 2}, "here")["rate"]) is int  # another part's option of that name
        with pytest.raises(UsageError, match=r"^here: rate = 'fast': "):
            registry.bind(part, {"rate": "fast"}, "here")
        with pytest.raises(UsageError, match=r"^there: rate = 0.5: "):
            registry.bind(other, {"rate": 0.5}, "there")
        with pytest.raises(UsageError, match="unknown option 'speed'"):
            registry.bind(part, {"speed": 1}, "here")


def test_what_checks_an_option_is_made_once(monkeypatch):
    import pydantic

    def part(*, rate: float = 0.1) -> None: ...

    made = []
    monkeypatch.setattr(pydantic, "TypeAdapter", lambda *a, _make=pydantic.TypeAdapter, **k: made.append(a) or _make(*a, **k))
    for rate in (1, 2, 3):
        registry.bind(part, {"rate": rate}, "here")
    assert len(made) == 1


def test_a_method_makes_its_schedule_once(monkeypatch):
    from bench.conformance import checks

    method = checks.make("descent", steps=4, optimizer="sgd[lr=1.0]", schedule="linear_decay[start=0.0]")
    asked = []
    monkeypatch.setattr(registry, "make", lambda kind, text, _make=registry.make: asked.append(kind) or _make(kind, text))
    rates = []
    for method.t in range(4):
        method.anneal()
        rates.append(method.opt.param_groups[0]["lr"])
    assert rates == [1, 0.75, 0.5, 0.25]
    assert asked == ["schedule"]
    assert "_schedule" not in method.state()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Part:
    width: int
    kind: Literal["a", "b"] | None = param(None, "which of the two")
    sizes: tuple[int, ...] = param((1, 2), "sides, pixels")
    rate: Annotated[float, "of learning"] = 0.1
    silent: bool = False
    derived: int = dataclasses.field(default=0, init=False)


def _function(x: float, *, end: Annotated[float, "where it ends"] = 0.5, mode: Annotated[Literal[1, 2], "which"] = 1, least: int) -> float:
    return x


def test_options_are_read_from_fields_and_arguments():
    assert options_of(_Part) == [
        Option("width", "int", (), REQUIRED, ""),
        Option("kind", "str | None", ("a", "b", None), None, "which of the two"),
        Option("sizes", "tuple[int, ...]", (), (1, 2), "sides, pixels"),
        Option("rate", "float", (), 0.1, "of learning"),
        Option("silent", "bool", (), False, ""),
    ]
    assert options_of(_function) == [
        Option("end", "float", (), 0.5, "where it ends"),
        Option("mode", "int", (1, 2), 1, "which"),
        Option("least", "int", (), REQUIRED, ""),
    ]
    assert registry.bind(_function, {"end": "2", "mode": 2}, "f") == {"end": 2.0, "mode": 2}
    with pytest.raises(UsageError, match="Input should be 1 or 2"):
        registry.bind(_function, {"mode": 3}, "f")
