"""Suite files are read strictly; what overrides what; the grid of trials that comes out."""

import contextlib
import dataclasses
import re

import pytest

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.method import Method
from bench.scheduling import tuning
from bench.spec import parse
from bench.suites import expand, read

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
    text = "\n".join(
        f"{f'[{t}]' if t else ''}\n" + "\n".join(f"{k} = {v}" for k, v in keys.items() if v is not None) for t, keys in tables.items()
    )
    (folder / name).write_text(text)
    return str(folder / name)


def refused(*args, **kwargs):
    with pytest.raises(UsageError) as caught:
        expand.expand(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def spec_of(trials, name):
    (spec,) = {str(t.spec) for t in trials if t.spec.name == name}
    return parse(spec)


# -- reading
def test_a_good_suite(tmp_path):
    loaded = read.load_suite(written(tmp_path))
    assert (loaded.name, loaded.title, list(loaded.tiers)) == ("own", "T", ["smoke"])


@pytest.mark.parametrize(
    ("table", "lines", "message"),
    [
        ("", {"methodes": "[]"}, r"unknown key 'methodes'; known: name, title, .*methods, published, tiers$"),
        ("tiers.smoke", {"seed": "1"}, r"unknown key 'tiers\.smoke\.seed'; known: .*workloads, seeds, .*evaluations, .*task, hp, methods$"),
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
        ("", {"task": None}, "task is missing: give task, sort and methods, or .*workloads"),
        ("", {"axes": '{ init = "he" }'}, r"axes\.init: .*valid list"),
        ("", {"axes": "{ init = [] }"}, r"axes\.init: .*at least 1 item"),
        (
            "",
            {"workloads": '[{ name = "a", task = "deblur", method = "unet", sort = "psnr", tsk = 3 }]'},
            r"unknown key 'workloads\.0\.tsk'; known: name, task, method, methods, sort, headline, axes$",
        ),
        (
            "",
            {"workloads": '[{ name = "a", task = "deblur", method = "unet", sort = "psnr" }]'},
            "task and .*workloads.* exclude each other",
        ),
        ("tuning", {"trial": "3"}, r"unknown key 'tuning\.trial'; known: rule, option, trials, studies"),
        ("tuning", {"trials": "0"}, r"tuning\.trials: .*greater than or equal to 1"),
        ("tuning", {"rule": '"grid"'}, r"tuning\.rule: .*'oneshot', 'fixed', 'quasirandom' or 'optuna'"),
        ("tuning", {"rule": '"quasirandom"'}, r"tuning: the rule quasirandom needs spaces"),
        ("tuning", {"rule": '"fixed"'}, r"tuning: the rule fixed needs the options"),
        ("tuning.spaces.a", {"rules": '["sgd"]', "ranges": "{ lr = [1, 1] }"}, r"tuning\.spaces\.a: ranges\.lr must be \[low, high\]"),
        ("tuning.spaces.a", {"rules": '["sgd", "sgd"]', "ranges": "{ lr = [1, 2] }"}, "'sgd' stands in two spaces"),
        ("tiers.smoke.tuning", {"trialz": "1"}, r"unknown key 'tiers\.smoke\.tuning\.trialz'; known: rule"),
        ("tiers.smoke.workloads.a", {"hp": "{}"}, r"tiers\.smoke\.workloads: unknown workload 'a'; known: none"),
    ],
)
def test_strict(tmp_path, table, lines, message):
    file = written(tmp_path, table, **lines)
    with pytest.raises(UsageError, match=rf"^{re.escape(file)}\b.*(?:{message})") as caught:
        read.load_suite(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"title = ", "is no TOML"), (b"a = 1\na = 2", "is no TOML"), (b"title = '\xff'", "is no TOML"), (b"", "title: Field required")],
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read.load_suite(str(tmp_path / "x.toml"))
    assert str(tmp_path / "x.toml") in str(caught.value)


def test_unreadable_files(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    for name in ("absent.toml", "folder.toml"):
        with pytest.raises(UsageError, match=rf"cannot read the suite {tmp_path}/{name}: "):
            read.load_suite(str(tmp_path / name))


def test_unknown_suite_names_the_known():
    with pytest.raises(
        UsageError, match=rf"unknown suite 'deblurr'; known: {', '.join([*read.suite_names(), 'claims'])}; or give a \.toml file"
    ):
        read.load_suite("deblurr")


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
        ("", {"task": '"deblurr"'}, "unknown task 'deblurr'; known: .*deblur"),
        ("", {"task": '"deblur[tiles=3]"'}, "unknown option 'tiles'; known: .*tile"),
        ("tiers.smoke.task", {"cropp": "3"}, "unknown option 'cropp'; known: .*crop"),
        ("tiers.smoke.task", {"crop": '"big"'}, "crop = 'big'"),
        ("tiers.smoke.hp", {"stepps": "3"}, "no method has the hyper-parameter 'stepps'"),
        ("tiers.smoke.hp", {"steps": '"many"'}, "steps = 'many'"),
        ("tiers.smoke.methods.unett", {"width": "3"}, "unknown method 'unett'"),
        ("tiers.smoke.methods.unet", {"wdth": "3"}, "unknown option 'wdth'"),
        ("tiers.smoke", {"seeds": "[1, 1]"}, "unet with seed 1 is asked for twice"),
        ("", {"methods": '["unet", "unet[]"]'}, "unet with seed 0 is asked for twice"),
    ],
)
def test_unknown_names_are_refused(tmp_path, table, lines, message):
    told = refused(read.load_suite(written(tmp_path, table, **lines)), "smoke")
    assert re.search(message, told), told


def test_a_tier_that_is_not_there(tmp_path):
    assert refused(read.load_suite(written(tmp_path)), "paper") == "suite 'own' has no tier 'paper'; known: smoke"


# -- precedence
def test_each_level_overrides_the_one_before(tmp_path):
    """Default < tier.hp < tier.methods < spec < --set, each seen to win over the one before."""

    def width(text="unet", hp="", method="", overrides=()):
        lines = ['title = "T"', 'task = "deblur"', 'sort = "psnr"', f'methods = ["{text}"]', "[tiers.smoke]"]
        lines += [f"hp = {{ steps = 8 {hp} }}", f"methods.unet = {{ {method} }}"]
        (tmp_path / "own.toml").write_text("\n".join(lines))
        (trial,) = expand.expand(read.load_suite(str(tmp_path / "own.toml")), "smoke", overrides=overrides)
        return trial.spec.options.get("width"), trial.label

    every = {"hp": ", width = 5", "method": "width = 6"}
    assert width() == (None, "unet")
    assert width(hp=", width = 5") == (5, "unet")
    assert width(**every) == (6, "unet")
    assert width("unet[width=7]", **every) == (7, "unet[width=7]")
    assert width("unet[width=7]", **every, overrides=["width=8"]) == (8, "unet[width=8]")
    assert width("unet[width=7]", **every, overrides=["unet.width=9"]) == (9, "unet[width=9]")


def test_tier_hp_reaches_the_methods_that_have_the_key(tmp_path):
    trials = expand.expand(read.load_suite(written(tmp_path)), "smoke")
    assert [(t.spec.name, t.steps) for t in trials] == [("identity", 0), ("unet", 8), ("deblurgan", 8)]
    assert [t.label for t in trials] == ["identity", "unet", "deblurgan[content=l1]"]
    assert trials[0].spec.options == {}


def test_task_options(tmp_path):
    file = written(tmp_path, task='"deblur[tile=128,crop=99]"')
    (task,) = {str(t.task) for t in expand.expand(read.load_suite(file), "smoke", overrides=["kernels=7"])}
    assert parse(task).options == {"tile": 128, "crop": 32, "kernels": 7}


# -- --set
def test_set_goes_where_the_key_is(tmp_path):
    trials = expand.expand(
        read.load_suite(written(tmp_path)), "smoke", overrides=["crop=16", "batch_size=3", "deblurgan.steps=5", "unet.width=2"]
    )
    assert {str(t.task) for t in trials} == {"deblur[crop=16]"}
    assert spec_of(trials, "identity").options == {}
    assert spec_of(trials, "unet").options == {"steps": 8, "width": 2, "batch_size": 3}
    assert spec_of(trials, "deblurgan").options == {"steps": 5, "batch_size": 3, "content": "l1"}
    assert [t.label for t in trials] == ["identity", "unet[batch_size=3,width=2]", "deblurgan[batch_size=3,content=l1,steps=5]"]


def test_set_takes_specs_and_equals_signs(tmp_path):
    trials = expand.expand(
        read.load_suite(written(tmp_path)), "smoke", overrides=["unet.optimizer=adam[lr=1e-2,betas=(0.1,0.2)]", " crop = 48 "]
    )
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
    told = refused(read.load_suite(written(tmp_path)), "smoke", overrides=[override])
    assert re.search(message, told), told


# -- the grid
def test_methods_and_seeds_from_the_command_line(tmp_path):
    loaded = read.load_suite(written(tmp_path, "tiers.smoke", seeds="[5]"))
    assert [t.seed for t in expand.expand(loaded, "smoke")] == [5, 5, 5]
    trials = expand.expand(loaded, "smoke", methods=["unet[width=3]", "wiener"], seeds=[2, 4])
    assert [(t.label, t.seed) for t in trials] == [("unet[width=3]", 2), ("unet[width=3]", 4), ("wiener", 2), ("wiener", 4)]
    assert trials[0].spec.options == {"steps": 8, "width": 3}


@pytest.mark.parametrize("twin", ["unet[content=l1]", "unet[width=8]", "unet[steps=8,width=8]"])
def test_two_names_of_one_trial_are_refused(tmp_path, twin):
    """It would be on record once, and one of the rows would be lost."""
    told = refused(read.load_suite(written(tmp_path)), "smoke", methods=["identity", "unet", twin], seeds=[0, 1])
    assert told == f"suite 'own': unet and {parse(twin)} are the same trial: leave one of them out"


def test_missing_weights_do_not_stop_a_suite(tmp_path, monkeypatch):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    trials = expand.expand(read.load_suite(written(tmp_path)), "smoke", methods=["deblurgan[content=perceptual[net=vgg19]]"])
    assert trials[0].label == 'deblurgan[content="perceptual[net=vgg19]"]'


def test_what_is_not_trained_runs_once_unless_seeds_are_asked_for(tmp_path):
    own = read.load_suite(written(tmp_path, "tiers.smoke", seeds="[3, 4]"))
    assert [(t.spec.name, t.seed) for t in expand.expand(own, "smoke")][:3] == [("identity", 3), ("unet", 3), ("unet", 4)]
    assert [(t.label, t.seed) for t in expand.expand(own, "smoke", methods=["identity"], seeds=[5, 6])] == [
        ("identity", 5),
        ("identity", 6),
    ]


@pytest.mark.parametrize(("name", "tier"), [(name, tier) for name in read.suite_names() for tier in read.load_suite(name).tiers])
def test_shipped_suites_expand(name, tier, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    loaded = read.load_suite(name)
    trials = expand.expand(loaded, tier)
    if not loaded.axes and not loaded.workloads:
        trained = [registry.find("method", parse(spec).name).train is not Method.train for spec in loaded.methods]
        assert len(trials) == sum(len(loaded.tiers[tier].seeds) if of_seeds else 1 for of_seeds in trained)
    assert len({(t.workload, t.label, t.seed) for t in trials}) == len(trials)
    assert loaded.name == name
    prepared = tuning.prepare(trials, loaded.tiers[tier])
    assert tuning.count(prepared, loaded.tiers[tier]) < 10_000
    for table in loaded.tables:
        for task in {str(t.task) for t in trials if t.workload == table.name}:
            made = registry.make("task", task)
            with contextlib.suppress(Unavailable):  # data that are not here
                assert table.sort in [*(made.metrics if hasattr(made, "metrics") else made.cards()), "f1"]


# -- crossed suites
GRID = """
title = "G"
axes = { optimizer = ["sgd", "adam[betas=(0.5,0.9)]"], batch_size = [1, 2] }
references = ["sgd + batch_size=1"]
tiers.smoke = { hp = { steps = 3 }, task = { pictures = 4 }, workloads.a = { task.crop = 32, hp.width = 5, evaluations = 2 } }
tiers.quick = { axes = { batch_size = [2] }, workloads = { a = { axes = { optimizer = ["sgd"] } }, c = { skip = true } } }
[[workloads]]
name = "a"
task = "deblur[tile=64]"
method = "unet[width=8,init=he]"
sort = "psnr"
[[workloads]]
name = "b"
task = "denoise"
method = "dncnn"
sort = "psnr"
axes = { optimizer = ["sgd"] }
[[workloads]]
name = "c"
task = "toy2d"
method = "gan"
sort = "modes"
"""


def grid(folder, text=GRID, **changes):
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "grid.toml").write_text(text)
    return read.load_suite(str(folder / "grid.toml"))


def labels(trials):
    return [f"{t.workload}/{t.label}" for t in trials]


def test_workloads_are_crossed_with_the_axes(tmp_path):
    trials = expand.expand(grid(tmp_path), "smoke")
    four = ["sgd + batch_size=1", "sgd + batch_size=2", "adam + batch_size=1", "adam + batch_size=2"]
    assert labels(trials) == [f"a/{x}" for x in four] + [f"b/{x}" for x in four[:2]] + [f"c/{x}" for x in four]
    assert trials[3].spec.options == {"steps": 3, "width": 8, "init": "he", "optimizer": "adam[betas=(0.5,0.9)]", "batch_size": 2}
    assert [t.evaluations for t in (trials[0], trials[-1])] == [2, 5]


def test_a_workload_overrides_its_task_and_what_all_tasks_have(tmp_path):
    trials = expand.expand(grid(tmp_path), "smoke")
    assert {str(t.task) for t in trials} == {"deblur[crop=32,pictures=4,tile=64]", "denoise[pictures=4]", "toy2d"}


def test_a_tier_cuts_axes_and_skips_workloads(tmp_path):
    trials = expand.expand(grid(tmp_path), "quick")
    assert labels(trials) == ["a/sgd + batch_size=2", "b/sgd + batch_size=2"]


def test_equal_names_on_an_axis_are_told_apart_at_every_tier(tmp_path):
    loaded = grid(
        tmp_path,
        **{
            '"adam[betas=(0.5,0.9)]"': '"swats", "swats[rtol=1e-3]"',
            "axes = { batch_size = [2] }": 'axes = { optimizer = ["swats[rtol=1e-3]"] }',
        },
    )
    assert [t.label.partition(" + ")[0] for t in expand.expand(loaded, "smoke", methods=["c/batch_size=1"])] == [
        "sgd",
        "swats",
        "swats[rtol=0.001]",
    ]
    assert {t.label.partition(" + ")[0] for t in expand.expand(loaded, "quick") if t.workload == "b"} == {"sgd"}
    loaded = grid(
        tmp_path,
        **{
            '"adam[betas=(0.5,0.9)]"': '"swats", "swats[rtol=1e-3]"',
            'a = { axes = { optimizer = ["sgd"] } }': 'a = { axes = { optimizer = ["swats[rtol=1e-3]"] } }',
        },
    )
    assert labels(expand.expand(loaded, "quick", methods=["a/*"])) == ["a/swats[rtol=0.001] + batch_size=2"]


def test_methods_are_crossed_with_the_axes_that_they_have(tmp_path):
    (tmp_path / "x.toml").write_text(
        'title = "T"\ntask = "deblur"\nsort = "psnr"\nmethods = ["identity", "unet[width=3]"]\naxes.init = ["he", "lsuv"]\n'
        "axes.content_weight = [1.0]\n[tiers.smoke]\n"
    )
    told = refused(read.load_suite(str(tmp_path / "x.toml")), "smoke")
    assert told == "suite 'x', tier smoke: no method has the axis 'content_weight'"
    (tmp_path / "x.toml").write_text((tmp_path / "x.toml").read_text().replace("axes.content_weight = [1.0]\n", ""))
    trials = expand.expand(read.load_suite(str(tmp_path / "x.toml")), "smoke")
    assert [t.label for t in trials] == ["identity", "unet[width=3] + he", "unet[width=3] + lsuv"]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["a/sgd"], ["a/sgd + batch_size=1", "a/sgd + batch_size=2"]),
        (["c/adam + batch_size=2", "b/batch_size=1"], ["b/sgd + batch_size=1", "c/adam + batch_size=2"]),
        (["batch_size=2 + a*"], ["a/adam + batch_size=2", "c/adam + batch_size=2"]),
        (["[bc]/sgd + batch_size=1"], ["b/sgd + batch_size=1", "c/sgd + batch_size=1"]),
    ],
)
def test_methods_choose_rows(tmp_path, words, chosen):
    assert labels(expand.expand(grid(tmp_path), "smoke", methods=words)) == chosen


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"methods": ["lion"]}, r"--methods 'lion' names no row of the suite 'grid'; its rows: sgd \+ batch_size=1, "),
        ({"methods": ["d/sgd"]}, "--methods 'd/sgd' names no row"),
        ({"overrides": ["optimizer=lion"]}, "--set optimizer: an axis of the suite 'grid'; choose rows by --methods instead"),
        ({"overrides": ["d.steps=1"]}, r"--set d\.steps: no such key; known: a, b, c, dncnn, gan, unet"),
        ({"overrides": ["c.crop=1"]}, r"--set c\.crop: no such key; known: .*batch_size"),
    ],
)
def test_what_a_grid_refuses(tmp_path, chosen, message):
    assert re.search(message, refused(grid(tmp_path), "smoke", **chosen))


def test_set_on_a_grid_names_tasks_methods_and_workloads(tmp_path):
    trials = expand.expand(
        grid(tmp_path), "smoke", overrides=["a.width=9", "pictures=6", "gan.init=he", "steps=4"], methods=["batch_size=1 + sgd"]
    )
    assert [(t.label, t.spec.options["steps"]) for t in trials] == [
        ("sgd + batch_size=1 [steps=4,width=9]", 4), ("sgd + batch_size=1 [steps=4]", 4), ("sgd + batch_size=1 [init=he,steps=4]", 4),
    ]  # fmt: skip
    assert [t.task.options.get("pictures") for t in trials] == [6, 6, None]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('references = ["sgd + batch_size=1"]', 'references = ["sgd"]', "the reference 'sgd' is no row; known: adam"),
        ("hp = { steps = 3 }", "hp = { stepps = 3 }", "no method has the hyper-parameter 'stepps'"),
        ("hp.width = 5", "hp.wdth = 5", "method 'unet': unknown option 'wdth'"),
        ("pictures = 4", "picturez = 4", "unknown option 'picturez'; known: "),
        ("tile=64", "tle=64", "unknown option 'tle'"),
        ('"sgd", "adam', '"sgdd", "adam', "unknown optimizer 'sgdd'"),
        ("batch_size = [1, 2]", 'batch_size = [1, "a"]', "batch_size = 'a'"),
        ("batch_size = [1, 2]", "batch_size = [1, 1]", "a/sgd \\+ batch_size=1 with seed 0 is asked for twice"),
    ],
)
def test_what_a_grid_names_must_exist(tmp_path, old, new, message):
    told = refused(grid(tmp_path, **{old: new}), "smoke")
    assert re.search(message, told), told


def test_two_workloads_of_one_name(tmp_path):
    with pytest.raises(UsageError, match="two workloads are called 'a'"):
        grid(tmp_path, **{'name = "b"': 'name = "a"'})


def test_a_name_and_a_place_do_not_decide_what_a_trial_is(tmp_path):
    """Suites and labels may change; what was trained stays on record."""
    from pathlib import Path

    import torch

    from bench.running.identify import identify
    from bench.running.settings import Settings

    (row, *_) = expand.expand(read.load_suite("deblur"), "smoke", methods=["identity"])
    settings = Settings(out=Path(tmp_path), device=torch.device("cpu"))
    found = identify(row, settings)
    about = {"suite": "x", "label": "y", "workload": "z", "plan": "p", "costs": {"tuning_trials": 3.0}}
    assert identify(dataclasses.replace(row, **about), settings) == found
    assert identify(dataclasses.replace(row, role="tuning"), settings).training == found.training | {"role": "tuning"}
    assert "role" not in found.training


def test_the_largest_grid_that_is_planned(tiny, monkeypatch):
    tiny.file.write_text(
        tiny.file.read_text().replace("[tiers.smoke]", "[axes]\nwidth = [2, 3, 4]\n[tiers.smoke]", 1).replace("width = 4, ", "")
    )
    monkeypatch.setattr(expand, "_MOST", 8)
    assert len(tiny.trials(seeds=[0, 1])) == 8  # identity has no width
    monkeypatch.setattr(expand, "_MOST", 7)
    with pytest.raises(UsageError, match="a grid of 8 trials, and 7 is the most"):
        tiny.trials(seeds=[0, 1])
