"""What the documents say is done: the worked example keeps the contract, the commands parse, the figures' names exist."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from bench import claim, registry
from bench.commands import check_claims
from bench.conformance import checks
from bench.scheduling import tuning
from bench.suites import expand, read
from runner import spread

ROOT = Path(__file__).parents[1]
COMMANDS = re.findall(r"^    (python runner\.py --suite [^#\n]+)", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def one_layer(tmp_path_factory):
    source = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    path = tmp_path_factory.mktemp("example") / "one_layer.py"
    path.write_text(source)
    yield registry.load_plugin(path)[1]
    del registry._plugins["method"]["one_layer"]


@pytest.mark.parametrize("check", checks.CHECKS)
def test_the_worked_example_keeps_the_contract(check, one_layer):
    checks.CHECKS[check](one_layer)


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--plugin" not in c])
def test_the_commands_of_the_readme_name_what_there_is(command):
    words = spread(shlex.split(command)[2:])

    def given(option):
        return [value for key, value in pairwise(words) if key == option]

    (name,) = given("--suite")
    if name == read.CLAIMS:
        assert check_claims.select(claim.chapters(), given("--methods"))
        return
    trials = expand.expand(read.load_suite(name), (given("--tier") or ["quick"])[0], methods=given("--methods"), overrides=given("--set"))
    assert trials


def test_the_readme_opens_with_the_two_commands():
    first, second = re.findall(r"^    (pip install .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)[:2]
    assert first == "pip install -e . && python runner.py --suite deblur"
    assert second == "pip install -e '.[test]' && pytest"


def test_the_example_of_a_suite_is_one(tmp_path):
    example = re.search(r"```toml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    (tmp_path / "example.toml").write_text(example)
    loaded = read.load_suite(str(tmp_path / "example.toml"))
    rows = tuning.prepare(expand.expand(loaded, "quick"), loaded.tiers["quick"])
    assert (len(rows), tuning.count(rows, loaded.tiers["quick"])) == (4 * 3, 4 * 3 + 4 * 3 + 4 * 13 * 3)
