"""What a part lacks is said when it is registered: one line that names the file, what is missing, and what to write."""

import importlib
import re
import subprocess
import sys

import pytest

import runner
from bench import registry
from bench.errors import UsageError
from bench.registry import _declarations

METRIC = """
import dataclasses
from typing import ClassVar
from bench.metric import ImageMetric

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(ImageMetric):
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "dB"
    definition: ClassVar[str] = "made up"
    border: int = 0
"""
DATASET = """
import dataclasses
from typing import ClassVar
from bench.dataset import Source

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Source):
    origin: ClassVar[str] = "made up"
    layout: ClassVar[str] = "nothing"
"""
TASK = """
import dataclasses
from typing import ClassVar
from bench.task import Task

@dataclasses.dataclass(kw_only=True, eq=False)
class Mine(Task):
    verb: ClassVar[str] = "restore"
    size: int = 8
"""
METHOD = """
from bench.method import Method

class Mine(Method):
    needs = frozenset({"paired"})
"""
SCHEDULE = """
KIND = "schedule"

def mine(progress: float, *, end: float = 0.5) -> float:
    return 1 + (end - 1) * progress
"""
BROKEN = [
    (
        METRIC,
        '    definition: ClassVar[str] = "made up"\n',
        "",
        r"Mine has no definition: write `definition: ClassVar\[str\] = ...` in the class",
    ),
    (METRIC, '    unit: ClassVar[str] = "dB"\n', "", r"Mine has no unit: write `unit: ClassVar\[str\]"),
    (METRIC, "    higher_is_better: ClassVar[bool] = True\n", "", "Mine has no higher_is_better: write "),
    (
        METRIC,
        "[bool] = True",
        '[str] = "yes"',
        r"Mine.higher_is_better = 'yes', which is no ClassVar\[bool\]: Input should be a valid boolean",
    ),
    (METRIC, '"made up"', "3", "Mine.definition = 3, which is no "),
    (
        METRIC,
        "    border",
        "    bounds: ClassVar[tuple[float, float]] = (0.0,)\n    border",
        r"Mine.bounds = \(0.0,\), which is no .*Field required",
    ),
    (
        METRIC,
        "@dataclasses.dataclass(frozen=True, kw_only=True)",
        "",
        "nobody can set border: write @dataclasses.dataclass.frozen=True, kw_only=True. above",
    ),
    (METRIC, "Mine(ImageMetric)", "Mine", "Mine has no base class that says what kind of part it is"),
    (METRIC, "import dataclasses", 'import dataclasses\nKIND = "detector"', "Mine is no detector: derive it from bench.detector.Detector"),
    (DATASET, '    layout: ClassVar[str] = "nothing"\n', "", r"Mine has no layout: write `layout: ClassVar\[str\]"),
    (DATASET, '    origin: ClassVar[str] = "made up"\n', "", "Mine has no origin: "),
    (TASK, '    verb: ClassVar[str] = "restore"\n', "", "Mine has no verb: "),
    (TASK, ", eq=False", "", r"Mine must be hashable: write @dataclasses.dataclass\(kw_only=True, eq=False\)"),
    (METHOD, "    needs", "    HP = dict\n    needs", "the HP of Mine must be a dataclass"),
    (METHOD, "    needs", "    class HP:\n        width: int = 3\n    needs", "the HP of Mine must be a dataclass"),
    (SCHEDULE, "*, end", "end", r"nobody can set end: write `\*, end: ... = 0.5` in mine"),
    (SCHEDULE, "end: float = 0.5", "end=0.5", "the option end of mine has no type: write `end: float = ...`"),
    (SCHEDULE, "*, end: float = 0.5", "**end: float", r"mine takes \*\*end, which would swallow typing errors"),
]


@pytest.mark.parametrize("good", [METRIC, DATASET, TASK, METHOD, SCHEDULE], ids=["metric", "dataset", "task", "method", "schedule"])
def test_what_declares_all_is_registered(plugin, good):
    kind, name = plugin("mine", good)
    assert registry.find(kind, name).__name__.lower() == "mine"


@pytest.mark.parametrize(("text", "old", "new", "says"), BROKEN, ids=[says[:40] for *_, says in BROKEN])
def test_what_is_missing_is_told_in_a_line_that_names_the_file(plugin, tmp_path, capsys, text, old, new, says):
    assert text.count(old) == 1
    (tmp_path / "mine.py").write_text(text.replace(old, new))
    for command in (["list", "--plugin"], ["check"]):
        assert runner.main([*command, str(tmp_path / "mine.py")]) == 2
        assert re.fullmatch(rf"error: (plug-in )?{tmp_path}/mine\.py: {says}.*\n", capsys.readouterr().err)


def test_a_part_of_the_tree_is_asked_as_well(tmp_path, monkeypatch):
    (tmp_path / "bench/metrics").mkdir(parents=True)
    (tmp_path / "bench/metrics/lacking.py").write_text(METRIC.replace('    unit: ClassVar[str] = "dB"\n', ""))
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    monkeypatch.setattr(registry, "_files", lambda kind: {"lacking": "lacking"} if kind == "metric" else {})
    monkeypatch.syspath_prepend(tmp_path / "bench/metrics")
    for ask in (lambda: registry.find("metric", "lacking"), lambda: registry.load_plugin(tmp_path / "bench/metrics/lacking.py")):
        with pytest.raises(UsageError, match=r"^bench/metrics/lacking\.py: Mine has no unit: write"):
            ask()
    del sys.modules["lacking"]


@pytest.mark.parametrize("kind", _declarations.BASES)
def test_the_base_of_a_kind_is_there(kind):
    module, _, name = _declarations.BASES[kind].rpartition(".")
    base = getattr(importlib.import_module(module), name)
    assert all(issubclass(registry.find(kind, part), base) for part in registry.names(kind))


@pytest.mark.parametrize("file", ["methods/gan/wgan.py", "bench/metrics/psnr.py", "datasets/photos.py", "methods/losses/content/l1.py"])
def test_a_file_of_a_registry_folder_is_that_part(file):
    kind, name = registry.load_plugin(registry.ROOT / file)
    assert name not in registry._plugins[kind]
    assert registry._files(kind)[name].replace(".", "/") + ".py" == file


def test_shared_code_is_no_part():
    with pytest.raises(UsageError, match=r"^bench/metrics/_kernel\.py is no metric: files that begin with an underscore are shared code"):
        registry.load_plugin(registry.ROOT / "bench/metrics/_kernel.py")


def test_a_plug_in_bears_its_own_name(plugin):
    plugin("mine", METRIC)
    assert registry.make("metric", "mine[border=2]").card().metric == "mine"


def test_nothing_but_the_part_is_imported():
    code = """
import sys
from bench import registry
registry.find("schedule", "step")
print(sorted({"torch", "numpy", "pydantic", "bench.method", "bench.metric"} & set(sys.modules)))
registry.find("metric", "regret")
print(sorted({"torch", "bench.method", "bench.task", "bench.detector", "bench.feature"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=registry.ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n['bench.feature', 'torch']\n", "")
