"""What the documents say is done: examples pass the project's own checks and hold their contracts, commands parse, links lead somewhere."""

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from PIL import Image

import runner
from bench import claim, registry
from bench.commands import check_claims
from bench.conformance import contracts
from bench.scheduling import tuning
from bench.suites import expand, read

ROOT = Path(__file__).parents[1]
ADDING = sorted((ROOT / "docs/adding").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *ADDING]
FILES = {  # name -> content of every file that a page shows
    name: text
    for page in ADDING
    for name, text in re.findall(r"^```(?:python|toml) (\S+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
}
TESTS = [name for name in FILES if name.startswith("test_")]
CLAIMS = ["line_critics.py"]
PARTS = [name for name in FILES if name.endswith(".py") and name not in TESTS + CLAIMS]
SUITES = [name for name in FILES if name.endswith(".toml")]
COMMANDS = [
    pytest.param(command, id=f"{page.stem}-{command[17:]}"[:80])
    for page in PAGES
    for command in re.findall(r"^    (python runner\.py[^#\n]*)", page.read_text(), re.MULTILINE)
]


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """A folder with the files of all pages, and pictures where the example of a data set looks for them."""
    folder = tmp_path_factory.mktemp("examples")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for i, split in enumerate(("train", "validation", "test")):
        (folder / "shots" / split).mkdir(parents=True)
        for day in ("monday", "friday"):
            Image.effect_noise((160, 160), 40 + i).convert("RGB").save(folder / "shots" / split / f"{day}_{i}.png")
    return folder


def clean(*command, cwd=ROOT):
    done = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# -- the examples
def test_every_page_has_an_example():
    assert [page.name for page in ADDING if not re.search(r"^```\w+ \S+\.(py|toml)$", page.read_text(), re.MULTILINE)] == []


def test_examples_pass_our_linter(examples):
    clean("ruff", "check", "--config", ROOT / "pyproject.toml", *(examples / name for name in PARTS + CLAIMS))
    clean("ruff", "check", "--config", ROOT / "pyproject.toml", "--ignore", "D,ANN", *(examples / name for name in TESTS))
    clean("ruff", "format", "--check", "--config", ROOT / "pyproject.toml", *(examples / name for name in FILES if name.endswith(".py")))


@pytest.mark.slow
def test_examples_pass_our_type_checker(examples):
    clean("mypy", "--strict", *(examples / name for name in PARTS + CLAIMS))


@pytest.mark.parametrize("name", PARTS + SUITES)
def test_an_example_holds_its_contract(name, examples, plugin, capsys, monkeypatch):
    monkeypatch.setenv("GANBENCH_DATA", str(examples))
    if name == "plane_fit_suite.toml":
        registry.load_plugin(examples / "plane_fit.py")
    assert contracts.print_check(str(examples / name)) == 0
    _, *verdicts = capsys.readouterr().out.splitlines()
    assert verdicts
    assert {line[20:].strip() for line in verdicts} == {"holds"}


@pytest.mark.slow
def test_the_tests_of_the_examples_pass(examples):
    clean(
        "pytest",
        "-q",
        "-n",
        "0",
        "-o",
        "addopts=",
        "-c",
        ROOT / "pyproject.toml",
        "--rootdir",
        examples,
        *(examples / name for name in TESTS),
    )


def test_the_example_of_a_claim_holds(examples, monkeypatch):
    monkeypatch.syspath_prepend(examples)
    import line_critics

    assert line_critics.penalty_of_a_line.check().verdict == "holds"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("one_layer.py", ["--methods", "one_layer"]),
        ("edge_error.py", ["--methods", "identity", "--set", 'metrics=("psnr","edge_error")']),
        ("shots.py", ["--methods", "identity", "--set", "data=shots"]),
        ("edge_l1.py", ["--methods", "unet", "--set", "content=edge_l1"]),
        ("sign_sgd.py", ["--methods", "unet", "--set", "optimizer=sign_sgd"]),
        ("cosine_restarts.py", ["--methods", "unet", "--set", "schedule=cosine_restarts"]),
        ("lecun.py", ["--methods", "unet", "--set", "init=lecun"]),
    ],
)
def test_an_example_takes_part_in_a_run(file, words, examples, tiny, plugin, capsys):
    places = ["--data-root", str(examples), "--out", str(tiny.out), "--plugin", str(examples / file)]
    assert runner.main(["--suite", str(tiny.file), "--tier", "smoke", *words, *places]) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    assert "finished  psnr" in streams.out


def test_the_example_of_a_task_is_run_by_its_suite(examples, tiny, plugin, capsys):
    words = ["--suite", examples / "plane_fit_suite.toml", "--tier", "smoke", "--plugin", examples / "plane_fit.py", "--out", tiny.out]
    assert runner.main([str(word) for word in words]) == 0
    assert capsys.readouterr().out.count("finished  distance") == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in COMMANDS if "--tier smoke" in c.values[0] and ".py" in c.values[0][17:]])
def test_a_command_with_an_example_runs_as_it_stands(command, examples, tmp_path):
    words = [str(examples) if word == "~/data" else word for word in shlex.split(command)[2:]]
    done = subprocess.run([sys.executable, ROOT / "runner.py", *words, "--out", tmp_path], cwd=examples, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "    finished  " in done.stdout
    assert "    skipped" not in done.stdout


def test_the_larger_example_of_a_suite_plans_what_it_says(examples):
    loaded = read.load_suite(str(examples / "rules_and_starts.toml"))
    rows = tuning.prepare(expand.expand(loaded, "quick"), loaded.tiers["quick"])
    assert (len(rows), tuning.count(rows, loaded.tiers["quick"])) == (4 * 3, 4 * 3 + 4 * 3 + 4 * 13 * 3)


# -- commands and links
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_what_there_is(command, examples, plugin, monkeypatch):
    monkeypatch.chdir(examples)
    words = runner.spread(shlex.split(command)[2:])
    given = {
        option: [value for key, value in pairwise(words) if key == option]
        for option in ("--suite", "--methods", "--set", "--tier", "--plugin")
    }
    _parse(words)
    for file in given["--plugin"]:
        registry.load_plugin(file)
    if words[:1] == ["check"] and words[1] != "FILE_OR_NAME":
        assert contracts._parts(words[1])
    if words[0] in ("sync", "rebuild", "check", "compare", "report", "show") or not given["--suite"]:
        return
    (name,) = given["--suite"]
    if name == read.CLAIMS:
        assert check_claims.select(claim.chapters(), given["--methods"])
        return
    tier = (given["--tier"] or ["smoke" if "plane_fit" in name else "quick"])[0]
    assert expand.expand(read.load_suite(name), tier, methods=given["--methods"], overrides=given["--set"])


def _parse(words):
    """As the command line does, without doing what it asks for."""
    command = typer.main.get_command(runner.app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("runner.py", list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    files = re.findall(r"`((?:bench|methods|datasets|tests|reports|docs)/[\w./]+\.(?:py|md|toml))`", page.read_text())
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", ADDING, ids=lambda page: page.stem)
def test_every_page_is_to_be_found(page):
    assert f"(docs/adding/{page.name})" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_readme_opens_with_the_two_commands():
    first, second = re.findall(r"^    (pip install .+)$", (ROOT / "README.md").read_text(), re.MULTILINE)[:2]
    assert first == "pip install -e . && python runner.py --suite deblur"
    assert second == "pip install -e '.[test]' && pytest"
