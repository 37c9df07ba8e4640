"""What continuous integration does where a browser cannot be had: it says so, and goes on."""

import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = Path(__file__).parents[1] / ".ci" / "browser"
ROOT, SUCCEEDS = "#!/bin/sh\necho 0\n", "#!/bin/sh\n"
pytestmark = pytest.mark.skipif(not (BROWSER.exists() and shutil.which("bash") and shutil.which("timeout")), reason="no bash, timeout or .ci here")


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
        ({"id": ROOT, "apt_get": '#!/bin/sh\nfor word; do [ "$word" != install ] || exit 100; done\n'}, "chromium-driver' failed (status 100)"),
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
