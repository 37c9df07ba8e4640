"""What continuous integration does, in which order; and where a browser cannot be had, that it says so and goes on."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
BROWSER = PROJECT / ".ci" / "browser"
ROOT, SUCCEEDS = "#!/bin/sh\necho 0\n", "#!/bin/sh\n"
pytestmark = pytest.mark.skipif(
    not (BROWSER.exists() and shutil.which("bash") and shutil.which("timeout")), reason="no bash, timeout or .ci here"
)


@pytest.fixture
def machine(tmp_path):
    """machine(program="its script", ...) runs .ci/browser where nothing else is installed."""
    for tool in ("bash", "mktemp", "rm", "sh", "tail", "timeout"):
        (tmp_path / tool).symlink_to(shutil.which(tool))

    def run(**programs):
        for name, script in programs.items():
            file = tmp_path / name.replace("_", "-")
            file.unlink(missing_ok=True)
            file.write_text(script)
            file.chmod(0o755)
        return subprocess.run([tmp_path / "bash", BROWSER], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60)

    return run


def test_a_browser_that_is_there_is_left_alone(machine):
    done = machine(chromium=SUCCEEDS, chromedriver=SUCCEEDS, apt_get="#!/bin/sh\nexit 1\n", id=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"id": ROOT}, "nor apt-get is here"),
        ({"id": "#!/bin/sh\necho 1000\n", "apt_get": SUCCEEDS}, "takes root"),
        ({"id": ROOT, "apt_get": "#!/bin/sh\necho no such mirror >&2\nexit 100\n"}, "update' failed (status 100)"),
        (
            {"id": ROOT, "apt_get": '#!/bin/sh\nfor word; do [ "$word" != install ] || exit 100; done\n'},
            "chromium-driver' failed (status 100)",
        ),
        ({"id": ROOT, "apt_get": SUCCEEDS, "timeout": "#!/bin/sh\nexit 124\n"}, "update' failed (status 124)"),
    ],
)
def test_where_none_can_be_installed_one_line_says_why_and_work_goes_on(machine, programs, reason):
    done = machine(**programs)
    assert done.returncode == 0
    last = done.stdout.splitlines()[-1]
    assert last.startswith("no browser")
    assert last.endswith(reason)


def test_nothing_is_asked_and_nothing_waited_for(machine, tmp_path):
    script = f'#!/bin/sh\nread answer && exit 1\necho "$DEBIAN_FRONTEND $*" >> {tmp_path}/called\n'
    assert machine(id=ROOT, apt_get=script).returncode == 0
    update, install = (tmp_path / "called").read_text().splitlines()
    assert update.startswith("noninteractive")
    assert update.endswith(" update")
    assert install.startswith("noninteractive")
    assert install.endswith(" install -y --no-install-recommends chromium chromium-driver")


# -- .ci/run
LOGS = '#!/bin/sh\necho "${0##*/} $*" >> "$LOG"\n'
VENV = LOGS + 'mkdir -p "$3/bin" && : > "$3/bin/activate"\n'
SMOKE = LOGS + 'while [ "$1" != --out ]; do shift; done\nmkdir -p "$2/deblur/report" && echo page > "$2/deblur/report/index.html"\n'


@pytest.fixture
def integrate(tmp_path):
    """integrate(program="its script", ...) runs .ci/run beside our README, every program a stub: the exit code and what was called."""
    tools, project, log = tmp_path / "tools", tmp_path / "project", tmp_path / "log"
    tools.mkdir()
    (project / ".ci").mkdir(parents=True)
    for tool in ("bash", "dirname", "head", "mkdir", "mktemp", "rm", "sed", "sh"):
        (tools / tool).symlink_to(shutil.which(tool))
    for name in ("README.md", ".ci/run"):
        shutil.copy(PROJECT / name, project / name)
    programs = {"pip": LOGS, "ruff": LOGS, "mypy": LOGS, "pytest": LOGS, "python3": VENV, "python": SMOKE, "browser": LOGS}

    def run(**failing):
        for name, script in (programs | failing).items():
            file = project / ".ci/browser" if name == "browser" else tools / name
            file.write_text(script)
            file.chmod(0o755)
        environment = {"PATH": str(tools), "LOG": str(log), "TMPDIR": str(tmp_path)}
        done = subprocess.run([tools / "bash", project / ".ci/run"], env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, [line.split() for line in log.read_text().splitlines()]

    return run


def test_lint_format_and_types_are_checked_between_installation_and_tests(integrate):
    code, called = integrate()
    assert code == 0
    browser, venv, pip, *checks, smoke = called
    assert (browser[0], venv[:3], pip) == ("browser", ["python3", "-m", "venv"], ["pip", "install", "-e", ".[test]"])
    assert checks == [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["pytest"]]
    assert smoke[:6] == ["python", "runner.py", "--suite", "deblur", "--tier", "smoke"]


@pytest.mark.parametrize(("program", "calls"), [("pip", 3), ("ruff", 4), ("mypy", 6), ("pytest", 7)])
def test_what_fails_ends_it(integrate, program, calls):
    code, called = integrate(**{program: LOGS + "exit 3\n"})
    assert code == 3
    assert len(called) == calls
    assert called[-1][0] == program
