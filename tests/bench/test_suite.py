"""Suite files are read strictly; what overrides what; the grid of trials that comes out."""

import re

import pytest

from bench import registry, suite
from bench.errors import UsageError

BASE = {
    "": {"title": '"T"', "task": '"deblur"', "sort": '"psnr"', "methods": '["identity", "unet", "deblurgan[content=l1]"]'},
    "tiers.smoke": {"seeds": "[0]", "evaluations": "1"},
    "tiers.smoke.task": {"crop": "32"},
    "tiers.smoke.hp": {"steps": "8"},
    "tiers.smoke.methods.unet": {"width": "8"},
}


def written(folder, table="", name="own.toml", **lines):
    """The base suite with keys of one table changed; None leaves a key out."""
    tables = {**BASE, table: {**BASE.get(table, {}), **lines}}
    text = "\n".join(f"{f'[{t}]' if t else ''}\n" + "\n".join(f"{k} = {v}" for k, v in keys.items() if v is not None) for t, keys in tables.items())
    (folder / name).write_text(text)
    return str(folder / name)


def refused(*args, **kwargs):
    with pytest.raises(UsageError) as caught:
        suite.expand(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def spec_of(trials, name):
    (spec,) = {str(t.spec) for t in trials if t.spec.name == name}
    return registry.parse(spec)


# -- reading
def test_a_good_suite(tmp_path):
    loaded = suite.load(written(tmp_path))
    assert (loaded.name, loaded.title, list(loaded.tiers)) == ("own", "T", ["smoke"])


@pytest.mark.parametrize(
    ("table", "lines", "message"),
    [
        ("", {"methodes": "[]"}, r"unknown key 'methodes'; known: name, title, .*methods, published, tiers$"),
        ("tiers.smoke", {"seed": "1"}, r"unknown key 'tiers\.smoke\.seed'; known: seeds, evaluations, task, hp, methods$"),
        ("tiers.huge", {"seeds": "[0]"}, r"tiers\.huge.*'smoke', 'quick', 'standard' or 'paper'"),
        ("", {"title": None}, "title: Field required"),
        ("", {"title": "3"}, "title: .*valid string"),
        ("", {"methods": '"unet"'}, "methods: .*valid list"),
        ("", {"methods": "[3]"}, r"methods\.0: .*valid string"),
        ("tiers.smoke", {"seeds": "3"}, r"tiers\.smoke\.seeds: .*valid list"),
        ("tiers.smoke", {"seeds": "[-1]"}, r"tiers\.smoke\.seeds\.0: .*greater than or equal to 0"),
        ("tiers.smoke", {"seeds": '["x"]'}, r"tiers\.smoke\.seeds\.0: .*valid integer"),
        ("tiers.smoke", {"evaluations": "0"}, r"tiers\.smoke\.evaluations: .*greater than or equal to 1"),
        ("tiers.smoke.methods", {"deblurgan": "8"}, r"tiers\.smoke\.methods\.deblurgan: .*valid dictionary"),
    ],
)
def test_strict(tmp_path, table, lines, message):
    file = written(tmp_path, table, **lines)
    with pytest.raises(UsageError, match=rf"^{re.escape(file)}\b.*(?:{message})") as caught:
        suite.load(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"title = ", "is no TOML"), (b"a = 1\na = 2", "is no TOML"), (b"title = '\xff'", "is no TOML"), (b"", "title: Field required")],
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        suite.load(str(tmp_path / "x.toml"))
    assert str(tmp_path / "x.toml") in str(caught.value)


def test_unreadable_files(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    for name in ("absent.toml", "folder.toml"):
        with pytest.raises(UsageError, match=rf"cannot read the suite {tmp_path}/{name}: "):
            suite.load(str(tmp_path / name))


def test_unknown_suite_names_the_known():
    with pytest.raises(UsageError, match=rf"unknown suite 'deblurr'; known: {', '.join([*suite.names(), 'claims'])}; or give a \.toml file"):
        suite.load("deblurr")


# -- what a suite names must exist
@pytest.mark.parametrize(
    ("table", "lines", "message"),
    [
        ("", {"methods": '["unett"]'}, "unknown method 'unett'; known: "),
        ("", {"methods": '["unet[wdth=3]"]'}, "method 'unet': unknown option 'wdth'; known: .*width"),
        ("", {"methods": '["unet[width=wide]"]'}, "width = 'wide'"),
        ("", {"methods": '["unet[optimizer=adamm]"]'}, "unknown optimizer 'adamm'; known: .*adam, "),
        ("", {"methods": '["unet[optimizer=adam[x=1]]"]'}, r"adam\[x=1\]: unknown option 'x'"),
        ("", {"methods": '["unet[steps=-1]"]'}, "steps must be >= 0"),
        ("", {"methods": '["unet[width=3"]'}, "cannot read the spec"),
        ("", {"task": '"deblurr"'}, "unknown task 'deblurr'; known: deblur"),
        ("", {"task": '"deblur[tiles=3]"'}, "unknown option 'tiles'; known: .*tile"),
        ("tiers.smoke.task", {"cropp": "3"}, "unknown option 'cropp'; known: .*crop"),
        ("tiers.smoke.task", {"crop": '"big"'}, "crop = 'big'"),
        ("tiers.smoke.hp", {"stepps": "3"}, "no method has the hyper-parameter 'stepps'"),
        ("tiers.smoke.hp", {"steps": '"many"'}, "steps = 'many'"),
        ("tiers.smoke.methods.unett", {"width": "3"}, "unknown method 'unett'"),
        ("tiers.smoke.methods.unet", {"wdth": "3"}, "unknown option 'wdth'"),
        ("tiers.smoke", {"seeds": "[1, 1]"}, "identity with seed 1 is asked for twice"),
        ("", {"methods": '["unet", "unet[]"]'}, "unet with seed 0 is asked for twice"),
    ],
)
def test_unknown_names_are_refused(tmp_path, table, lines, message):
    told = refused(suite.load(written(tmp_path, table, **lines)), "smoke")
    assert re.search(message, told), told


def test_a_tier_that_is_not_there(tmp_path):
    assert refused(suite.load(written(tmp_path)), "paper") == "suite 'own' has no tier 'paper'; known: smoke"


# -- precedence
def test_each_level_overrides_the_one_before(tmp_path):
    """Default < tier.hp < tier.methods < spec < --set, each seen to win over the one before."""

    def width(text="unet", hp="", method="", overrides=()):
        lines = ['title = "T"', 'task = "deblur"', 'sort = "psnr"', f'methods = ["{text}"]', "[tiers.smoke]"]
        lines += [f"hp = {{ steps = 8 {hp} }}", f"methods.unet = {{ {method} }}"]
        (tmp_path / "own.toml").write_text("\n".join(lines))
        (trial,) = suite.expand(suite.load(str(tmp_path / "own.toml")), "smoke", overrides=overrides)
        return trial.spec.options.get("width"), trial.label

    every = {"hp": ", width = 5", "method": "width = 6"}
    assert width() == (None, "unet")
    assert width(hp=", width = 5") == (5, "unet")
    assert width(**every) == (6, "unet")
    assert width("unet[width=7]", **every) == (7, "unet[width=7]")
    assert width("unet[width=7]", **every, overrides=["width=8"]) == (8, "unet[width=8]")
    assert width("unet[width=7]", **every, overrides=["unet.width=9"]) == (9, "unet[width=9]")


def test_tier_hp_reaches_the_methods_that_have_the_key(tmp_path):
    trials = suite.expand(suite.load(written(tmp_path)), "smoke")
    assert [(t.spec.name, t.steps) for t in trials] == [("identity", 0), ("unet", 8), ("deblurgan", 8)]
    assert [t.label for t in trials] == ["identity", "unet", "deblurgan[content=l1]"]
    assert trials[0].spec.options == {}


def test_task_options(tmp_path):
    file = written(tmp_path, task='"deblur[tile=128,crop=99]"')
    (task,) = {str(t.task) for t in suite.expand(suite.load(file), "smoke", overrides=["kernels=7"])}
    assert registry.parse(task).options == {"tile": 128, "crop": 32, "kernels": 7}


# -- --set
def test_set_goes_where_the_key_is(tmp_path):
    trials = suite.expand(suite.load(written(tmp_path)), "smoke", overrides=["crop=16", "batch_size=3", "deblurgan.steps=5", "unet.width=2"])
    assert {str(t.task) for t in trials} == {"deblur[crop=16]"}
    assert spec_of(trials, "identity").options == {}
    assert spec_of(trials, "unet").options == {"steps": 8, "width": 2, "batch_size": 3}
    assert spec_of(trials, "deblurgan").options == {"steps": 5, "batch_size": 3, "content": "l1"}
    assert [t.label for t in trials] == ["identity", "unet[batch_size=3,width=2]", "deblurgan[batch_size=3,content=l1,steps=5]"]


def test_set_takes_specs_and_equals_signs(tmp_path):
    trials = suite.expand(suite.load(written(tmp_path)), "smoke", overrides=["unet.optimizer=adam[lr=1e-2,betas=(0.1,0.2)]", " crop = 48 "])
    assert spec_of(trials, "unet").options["optimizer"] == "adam[lr=1e-2,betas=(0.1,0.2)]"
    assert trials[0].task.options["crop"] == 48


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("crop", "--set 'crop': write key=value or method.key=value"),
        ("cropp=3", "--set cropp: no such key; known: .*crop.*width"),
        ("unet.crop=3", r"--set unet\.crop: no such key; known: .*width"),
        ("unett.width=3", r"--set unett\.width: no such key; known: deblurgan, identity, unet"),
        ("width=wide", "width = 'wide'"),
        ("crop=big", "crop = 'big'"),
        ("optimizer=sgdd", "unknown optimizer 'sgdd'"),
    ],
)
def test_set_that_fits_nowhere(tmp_path, override, message):
    told = refused(suite.load(written(tmp_path)), "smoke", overrides=[override])
    assert re.search(message, told), told


# -- the grid
def test_methods_and_seeds_from_the_command_line(tmp_path):
    loaded = suite.load(written(tmp_path, "tiers.smoke", seeds="[5]"))
    assert [t.seed for t in suite.expand(loaded, "smoke")] == [5, 5, 5]
    trials = suite.expand(loaded, "smoke", methods=["unet[width=3]", "wiener"], seeds=[2, 4])
    assert [(t.label, t.seed) for t in trials] == [("unet[width=3]", 2), ("unet[width=3]", 4), ("wiener", 2), ("wiener", 4)]
    assert trials[0].spec.options == {"steps": 8, "width": 3}


def test_missing_weights_do_not_stop_a_suite(tmp_path, monkeypatch):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    trials = suite.expand(suite.load(written(tmp_path)), "smoke", methods=["deblurgan[content=perceptual[net=vgg19]]"])
    assert trials[0].label == 'deblurgan[content="perceptual[net=vgg19]"]'


@pytest.mark.parametrize(("name", "tier"), [(name, tier) for name in suite.names() for tier in suite.load(name).tiers])
def test_shipped_suites_expand(name, tier, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    loaded = suite.load(name)
    trials = suite.expand(loaded, tier)
    assert len(trials) == len(loaded.methods) * len(loaded.tiers[tier].seeds)
    assert len({(t.label, t.seed) for t in trials}) == len(trials)
    assert loaded.name == name
    task = registry.make("task", trials[0].task)
    assert loaded.sort in [*task.metrics, "f1"]
