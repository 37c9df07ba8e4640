"""Suite files as a careless or ill-meaning world writes them: one line that names what is wrong, nothing is run, no folder is made."""

import dataclasses
import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

import runner
from bench.commands.progress import SuiteDisplay
from bench.errors import UsageError
from bench.running.job import Job
from bench.scheduling import tuning
from bench.suites import components, expand, grid, read, schema

HEAD = 'title = "T"\ntask = "deblur"\nsort = "psnr"\nmethods = ["identity", "unet"]\n'
GOOD = HEAD + "[tiers.smoke]\n"
WORKLOAD = 'title = "T"\n[tiers.smoke]\n[[workloads]]\nname = "a"\ntask = "deblur"\nmethod = "unet"\nsort = "psnr"\n'
TUNED = 'rule = "quasirandom"\nspaces.a = { rules = ["adam"], ranges = { lr = [1e-5, 1] } }\n'
NINES, MEGABYTE = "9" * 400, "x" * 1_000_000


@pytest.fixture
def go(tmp_path, capsys):
    """go(content, *options) gives a suite file to the command line, which must refuse it; returns what it said."""

    def go(content, *options, file=None):
        file = file or tmp_path / "own.toml"
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = tmp_path / "runs"
        assert runner.main(["--suite", str(file), "--tier", "smoke", "--out", str(out), *options]) == 2
        streams = capsys.readouterr()
        assert not out.exists()
        assert streams.out == ""
        assert re.fullmatch(r"error: [^\n]{1,1500}\n", streams.err), streams.err[:3000]
        assert streams.err[:-1].isprintable()
        return streams.err

    return go


# -- the file
FILES = {
    "empty": (b"", r"own\.toml: title: Field required"),
    "latin-1": (b"title = '\xe9'", "own.toml is no TOML: 'utf-8' codec"),
    "UTF-16": (GOOD.encode("utf-16"), "own.toml is no TOML: 'utf-8' codec"),
    "zero bytes": (bytes(100), "own.toml is no TOML: "),
    "NUL": (GOOD + "\0", "own.toml is no TOML: "),
    "a page": ("<html>404</html>", "own.toml is no TOML: "),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "own.toml is no TOML: "),
    "half a file": (GOOD[:30], "own.toml is no TOML: "),
    "duplicate key": (HEAD + 'sort = "ssim"\n', r"own\.toml is no TOML: Cannot overwrite a value \(at line 5"),
    "duplicate table": (GOOD + "[tiers.smoke]\n", "own.toml is no TOML: Cannot declare"),
    "duplicate inner key": (GOOD + "hp = { width = 1, width = 2 }\n", "own.toml is no TOML: Duplicate inline table key 'width'"),
    "huge": (GOOD + "# x\n" * 1_000_000, r"cannot read the suite \S*own\.toml: it is longer than 262,144 bytes"),
    "huge title": (GOOD.replace('"T"', f'"{MEGABYTE}"'), "it is longer than"),
    "array in array": (HEAD + "x = " + "[" * 100_000, "own.toml is no suite: its values nest too deeply"),
    "array in array, closed": (HEAD + "x = " + "[" * 5000 + "]" * 5000, "nest too deeply"),
    "table in table": (HEAD + "x = " + "{a=" * 5000 + "1" + "}" * 5000, "nest too deeply"),
    "dotted without end": (HEAD + ".".join("a" * 100_000) + " = 1\n", "own.toml is no TOML: more than 50 dots in one key"),
    "dotted and quoted without end": (HEAD + " . ".join(['"a"'] * 40_000) + " = 1\n", "more than 50 dots in one key"),
    "dotted table without end": (HEAD + f"[{'.'.join('a' * 100_000)}]\n", "more than 50 dots in one key"),
    "an integer of 5000 digits": (GOOD + f"seeds = [{'9' * 5000}]\n", r"own\.toml is no TOML: Exceeds the limit .* digits"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(go, name):
    content, says = FILES[name]
    assert re.search(says, go(content))


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace('"T"', '"é"').replace("\n", "\r\n").encode())
    assert read.load_suite(str(tmp_path / "own.toml")).title == "é"


def test_dots_that_are_no_keys_are_read(tmp_path):
    (tmp_path / "own.toml").write_text(
        "# " + "." * 140 + "\n" + HEAD.replace('"T"', f'"{"." * 140}"') + f"[tiers.smoke]\nseeds = [{'1, ' * 60}]\n"
    )
    read.load_suite(str(tmp_path / "own.toml"))


def test_what_is_no_file(go, tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    for name, says in {"folder": "Is a directory", "absent": "No such file", "loop": "", "x" * 300: "File name too long", "\0": ""}.items():
        assert re.search(
            rf"error: (cannot read the suite )?\S*{name[:9] if name.isalnum() else ''}.*{says}", go(None, file=tmp_path / f"{name}.toml")
        )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(go, tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    assert "pipe.toml: it is no file" in go(None, file=tmp_path / "pipe.toml")


def test_a_device_without_end(go, tmp_path):
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    assert "zero.toml: it is no file" in go(None, file=tmp_path / "zero.toml")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no rights here")
def test_a_file_that_may_not_be_read(tmp_path):
    """In a child that gives its rights up where the tests run as root."""
    (tmp_path / "secret.toml").write_text(GOOD)
    (tmp_path / "secret.toml").chmod(0)
    code = (
        "import os; from bench.suites import read; from bench.errors import UsageError\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: read.load_suite('secret.toml')\n"
        "except UsageError as error: print(error)"
    )
    env = {**os.environ, "PYTHONPATH": os.path.dirname(runner.__file__)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout == "cannot read the suite secret.toml: Permission denied\n", done.stdout + done.stderr


# -- unknown keys, at every depth: all that may stand there are named
PLACES = {
    "": (HEAD + "oops = 1\n[tiers.smoke]\n", "oops", schema.Suite),
    "tier": (GOOD + "oops = 1\n", "tiers.smoke.oops", schema.Tier),
    "tuning": (HEAD + f"[tuning]\noops = 1\n{TUNED}[tiers.smoke]\n", "tuning.oops", schema.Tuning),
    "tuning of a tier": (GOOD + f"[tiers.smoke.tuning]\noops = 1\n{TUNED}", "tiers.smoke.tuning.oops", schema.Tuning),
    "space": (HEAD + f"[tuning]\n{TUNED.replace('{ rules', '{ oops = 1, rules')}[tiers.smoke]\n", "tuning.spaces.a.oops", schema.Space),
    "sensitivity": (HEAD + '[sensitivity]\noops = 1\nrules = ["adam"]\n[tiers.smoke]\n', "sensitivity.oops", schema.Sensitivity),
    "workload": (WORKLOAD + "oops = 1\n", "workloads.0.oops", schema.Workload),
    "override": (WORKLOAD.replace("smoke]\n", "smoke]\nworkloads.a = { oops = 1 }\n"), "tiers.smoke.workloads.a.oops", schema.Override),
}


@pytest.mark.parametrize("place", PLACES)
def test_unknown_keys_name_the_known(go, place):
    content, key, model = PLACES[place]
    assert f"own.toml: unknown key '{key}'; known: {', '.join(model.model_fields)}\n" in go(content)


@pytest.mark.parametrize("key", ["a\\nb", "\\u001b[2J", "<script>", "../x", "'", "\\u202e", "", "k" * 100_000])
def test_unknown_keys_of_any_name(go, key):
    assert "unknown key" in go(f'"{key}" = 1\n' + GOOD)
    assert "unknown option" in go(GOOD + f'methods.unet."{key}" = 1\n')
    assert "no method has the hyper-parameter" in go(GOOD + f'hp."{key}" = 1\n')
    assert "unknown option" in go(GOOD + f'task."{key}" = 1\n')


# -- values of a wrong type: every key of every table, each with all that it is not
ODD = [
    "3",
    "-1",
    "1.5",
    "nan",
    "inf",
    "true",
    '"x"',
    "1979-05-27",
    "1979-05-27T07:32:00Z",
    "[]",
    "[[]]",
    "[{}]",
    "{}",
    "{ a = { b = 1 } }",
    NINES,
]


def keys(model, head, tail=""):
    return [(head, key, tail) for key in model.model_fields]


WHERE = [
    *keys(schema.Suite, "", "[tiers.smoke]\n"),
    *keys(schema.Tier, "[tiers.smoke]\n"),
    *keys(schema.Tuning, "[tiers.smoke]\n[tuning]\n"),
    *keys(schema.Space, '[tiers.smoke]\n[tuning]\nrule = "quasirandom"\n[tuning.spaces.a]\n'),
    *keys(schema.Sensitivity, "[tiers.smoke]\n[sensitivity]\n"),
]


@pytest.mark.parametrize(("head", "key", "tail"), WHERE)
def test_any_value_of_any_key_is_read_or_refused(tmp_path, head, key, tail):
    base = {"title": '"T"', "task": '"deblur"', "sort": '"psnr"', "methods": '["identity", "unet"]'}
    for value in ODD:
        lines = {**base, key: value} if not head else base
        text = (
            "".join(f"{k} = {v}\n" for k, v in lines.items())
            + ("" if key == "tiers" and not head else tail)
            + head
            + (f"{key} = {value}\n" if head else "")
        )
        read_or_refused(tmp_path, text)


def read_or_refused(folder, text):
    """How many trials a suite has; None where it is refused in one line."""
    (folder / "own.toml").write_text(text)
    try:
        loaded = read.load_suite(str(folder / "own.toml"))
        rows = tuning.prepare(expand.expand(loaded, "smoke"), loaded.tiers["smoke"])
        return tuning.count(rows, loaded.tiers["smoke"])
    except UsageError as error:
        said = str(error)
    assert said
    assert "\n" not in said
    return None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "tiers = 3\n", r"own\.toml: tiers: .*dictionary"),
        (HEAD + "tiers = [1]\n", r"own\.toml: tiers: .*dictionary"),
        (HEAD + "[tiers]\n", r"own\.toml: tiers: .*at least 1"),
        (HEAD + "axes.init = [1979-05-27]\n[tiers.smoke]\n", r"own\.toml: axes\.init\.0: "),
        (HEAD + "axes.width = [nan]\n[tiers.smoke]\n", "suite 'own', tier smoke: method 'unet': width = nan: .*finite"),
        (GOOD + "hp = { width = 1979-05-27 }\n", "suite 'own', tier smoke: method 'unet': width = .*valid integer"),
        (GOOD + "hp = { width = { a = 1 } }\n", "method 'unet': width = {'a': 1}: .*valid integer"),
        (GOOD + f"hp = {{ width = {'[' * 200}{']' * 200} }}\n", "method 'unet': width = .*valid integer"),
        # numbers
        (GOOD + f"seeds = [{NINES}]\n", r"own\.toml: tiers\.smoke\.seeds\.0: .*less than 4294967296"),
        (GOOD + "seeds = [-1]\n", r"tiers\.smoke\.seeds\.0: .*greater than or equal to 0"),
        (GOOD + "seeds = [nan]\n", r"tiers\.smoke\.seeds\.0: "),
        (GOOD + f"evaluations = {NINES}\n", r"tiers\.smoke\.evaluations: .*less than or equal to 10000"),
        (GOOD + "evaluations = 0\n", r"tiers\.smoke\.evaluations: .*greater than or equal to 1"),
        (GOOD + f"hp = {{ steps = {NINES} }}\n", r"method 'unet': steps = 999.*integer of 64 bits"),
        (GOOD + "hp = { steps = -1 }\n", "steps must be >= 0"),
        (GOOD + "hp = { batch_size = 0 }\n", "batch_size >= 1"),
        (GOOD + "hp = { width = -1 }\n", r"method unet\[width=-1\]: width must not be negative"),
        (GOOD + "hp = { steps = nan }\n", "steps = nan: .*finite"),
        (GOOD + 'hp = { optimizer = "adam[lr=nan]" }\n', r"adam\[lr=nan\]: lr = 'nan': .*finite"),
        (GOOD + 'hp = { optimizer = "adam[lr=1e999]" }\n', "lr = inf: .*finite"),
        (GOOD + f'hp = {{ optimizer = "adam[lr={NINES}]" }}\n', "lr = 999"),
        (GOOD + "task = { crop = -1 }\n", "crop must be >= 8"),
        (GOOD + "task = { pictures = -1 }\n", "pictures >= 0"),
        (GOOD + "task = { scene_share = inf }\n", "scene_share = inf: .*finite"),
        (GOOD + f"task = {{ kernels = {NINES} }}\n", "kernels = 999.*64 bits"),
        (HEAD + f"[tuning]\ntrials = {NINES}\n{TUNED}[tiers.smoke]\n", r"tuning\.trials: .*less than or equal to 10000"),
        (HEAD + f"[tuning]\nstudies = 1000000000000\n{TUNED}[tiers.smoke]\n", r"tuning\.studies: .*less than or equal to 10000"),
        (HEAD + f"[tuning]\nseed = {NINES}\n{TUNED}[tiers.smoke]\n", r"tuning\.seed: .*less than 4294967296"),
        (HEAD + f"[tuning]\n{TUNED.replace('1]', 'inf]')}[tiers.smoke]\n", r"tuning\.spaces\.a\.ranges\.lr\.1: .*finite"),
        (HEAD + '[sensitivity]\nrules = ["adam"]\nlow = 10\nhigh = 1\n[tiers.smoke]\n', "sensitivity: low must be below high"),
        (HEAD + '[sensitivity]\nrules = ["adam"]\nhigh = inf\n[tiers.smoke]\n', r"sensitivity\.high: .*finite"),
        (HEAD + '[sensitivity]\nrules = ["adam"]\nlow = nan\n[tiers.smoke]\n', r"sensitivity\.low: .*"),
        (HEAD + '[sensitivity]\nrules = ["adam"]\nper_decade = 1000\n[tiers.smoke]\n', r"sensitivity\.per_decade: .*than or equal to 100"),
        # names
        ('name = ".."\n' + GOOD, r"own\.toml: name: '\.\.' cannot name the suite's folder"),
        ('name = "../../x"\n' + GOOD, "cannot name the suite's folder"),
        ('name = "/tmp/x"\n' + GOOD, "cannot name the suite's folder"),
        ('name = "a\\\\b"\n' + GOOD, "cannot name the suite's folder"),
        ('name = "a\\nb"\n' + GOOD, "cannot name the suite's folder"),
        ('name = "<script>"\n' + GOOD, "cannot name the suite's folder"),
        ("name = \"'\"\n" + GOOD, "cannot name the suite's folder"),
        ('name = ""\n' + GOOD, "cannot name the suite's folder"),
        (f'name = "{"x" * 200_000}"\n' + GOOD, "cannot name the suite's folder"),
        ('name = "claims"\n' + GOOD, "none of claims, artifacts, mlflow.db"),
        ('name = "mlflow.db"\n' + GOOD, "none of claims, artifacts, mlflow.db"),
        (GOOD.replace('"T"', '"a\\nb"'), "title: must be one printable line"),
        (GOOD.replace('"T"', '"\\u001b[2J"'), "title: must be one printable line"),
        (GOOD.replace('"T"', '"\\u202e"'), "title: must be one printable line"),
        (GOOD.replace('"T"', '""'), "title: must be one printable line"),
        (GOOD.replace('"T"', f'"{"x" * 200_000}"'), "title: must be one printable line of at most 200"),
        ('published = "../../../../etc/passwd"\n' + GOOD, "published: .*should match"),
        (GOOD.replace("deblur", "de\\nblur"), r"suite 'own', tier smoke: cannot read the spec 'de\\nblur'"),
        (GOOD.replace("deblur", "../deblur"), "cannot read the spec '../deblur'"),
        (GOOD.replace("deblur", "x" * 200_000), "unknown task 'xxx"),
        (GOOD.replace("unet", "un\\net"), r"cannot read the spec 'un\\net'"),
        (GOOD.replace("unet", "../../setup"), "cannot read the spec '../../setup'"),
        (GOOD.replace("unet", "<script>"), "cannot read the spec '<script>'"),
        (GOOD.replace("unet", "x" * 200_000), "unknown method 'xxx"),
        (GOOD.replace("unet", "unet[optimizer=" + "x" * 200_000 + "]"), "unknown optimizer 'xxx"),
        (GOOD.replace('"psnr"', '"ps\\nnr"'), r"sorts by 'ps\\nnr', which the task deblur does not score"),
        (HEAD + 'axes.optimizer = ["a\\nb"]\n[tiers.smoke]\n', r"cannot read the spec 'a\\nb'"),
        (HEAD + 'axes."a\\nb" = ["a"]\n[tiers.smoke]\n', r"no method has the axis 'a\\nb'"),
        (HEAD + 'references = ["x\\ny"]\n[tiers.smoke]\n', r"the reference 'x\\ny' is no row"),
        (WORKLOAD.replace('"a"', '"../a"'), r"own\.toml: workloads\.0\.name: .*should match"),
        (WORKLOAD.replace('"a"', '"a\\n"'), r"own\.toml: workloads\.0\.name: .*should match"),
        (WORKLOAD.replace('"a"', '"<b>"'), r"own\.toml: workloads\.0\.name: .*should match"),
    ],
)  # fmt: skip
def test_values(go, text, says):
    assert re.search(says, go(text))


@pytest.mark.parametrize("stem", ["<script>", "a\nb", "..", "-x", " ", "'", '"', "\x1b[2J", "claims"])
def test_names_of_files(go, tmp_path, stem):
    """The file names the folder of results unless the suite does."""
    file = tmp_path / f"{stem}.toml"
    assert "cannot name the suite's folder" in go(GOOD, file=file)
    file.write_text('name = "good"\n' + GOOD)
    assert read.load_suite(str(file)).name == "good"


def test_a_title_is_no_markup(tiny, capsys):
    tiny.file.write_text(tiny.file.read_text().replace("A tiny suite", "[/nothing] [red]a[/red]"))
    assert runner.main(["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out), "--methods", "identity"]) == 0
    assert "[/nothing] [red]a[/red]\n" in capsys.readouterr().out


def test_a_label_is_no_markup_on_a_terminal(tiny):
    trial = dataclasses.replace(tiny.trials()[0], label="[/a] [red]unet[width=3]")
    shown = io.StringIO()
    with SuiteDisplay(Console(file=shown, force_terminal=True, width=200), 1, []) as display:
        display.start(Job(0, (trial,), ()), 1)
    assert shown.getvalue().count("[/a] [red]unet[width=3]") > 1  # the line and the bar


# -- parts without end
def nested(depth):
    return "warmup[then=" * depth + "cosine" + "]" * depth


def test_parts_inside_parts(go, tmp_path):
    assert read_or_refused(tmp_path, GOOD + f'hp = {{ schedule = "{nested(40)}" }}\n') == 2
    for depth in (60, 1000, 15_000):
        assert "more than 50 brackets inside one another" in go(GOOD + f'hp = {{ schedule = "{nested(depth)}" }}\n')


ITSELF = '''"""Departures: none"""
import dataclasses
from bench import registry
KIND = "schedule"

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mirror:
    """What it is made of is itself."""
    then: str = "mirror[then=mirror]"

    def __post_init__(self):
        """Make it."""
        EAGER and registry.make("schedule", self.then)

    def __call__(self, progress):
        """One."""
        return 1.0
'''


def test_a_part_that_names_itself(go, tmp_path, plugin):
    plugin("mirror", ITSELF.replace("EAGER", "True"))
    assert "schedule 'mirror' names itself without end" in go(GOOD + 'hp = { schedule = "mirror" }\n')


def test_parts_that_name_one_another_are_listed_once(plugin):
    plugin("mirror", ITSELF.replace("EAGER", "False"))
    assert list(components.nested_components([("schedule", "mirror")])) == [("schedule", "mirror"), ("schedule", "mirror[then=mirror]")]


# -- more trials than anybody meant
ENDLESS = 'rules = ["adam"]\nlow = 1e-300\nhigh = 1e300\nper_decade = 100\n'


def numbers(n):
    return str(list(range(1, n + 1)))


def test_a_grid_of_a_million_million_is_counted_and_not_made(go, monkeypatch):
    monkeypatch.setattr(grid, "cross", lambda *_: pytest.fail("it is made"))
    text = HEAD + f"axes = {{ width = {numbers(10_000)}, batch_size = {numbers(10_000)}, steps = {numbers(10_000)} }}\n[tiers.smoke]\n"
    for options in ((), ("--yes",), ("--methods", "unet"), ("--seeds", "3")):
        assert re.search("suite 'own', tier smoke: a grid of [13],000,000,000,00[13] trials, and 100,000 is the most", go(text, *options))


def test_references_are_not_sought_in_an_endless_grid(go):
    """A tier may cut the axes; the references stand in the suite's."""
    axes = f"axes = {{ width = {numbers(10_000)}, batch_size = {numbers(10_000)} }}\n"
    text = HEAD + f'references = ["x"]\n{axes}[tiers.smoke]\naxes = {{ width = [1], batch_size = [1] }}\n'
    assert "a grid of 100,000,001 trials" in go(text)


@pytest.mark.parametrize(
    ("text", "options", "count"),
    [
        (HEAD + f"axes = {{ width = {numbers(150)}, batch_size = {numbers(100)} }}\n[tiers.smoke]\n", (), "15,001"),
        (GOOD + f"seeds = {numbers(12_000)}\n", (), "12,001"),
        (GOOD, ("--seeds", ",".join(map(str, range(6000)))), "12,000"),
        (HEAD + f"[tuning]\ntrials = 10000\nstudies = 10000\n{TUNED}[tiers.smoke]\n", (), "100,000,002"),
        (HEAD + f"[sensitivity]\n{ENDLESS}seeds = {numbers(1000)}\n[tiers.smoke]\n", (), "60,001,002"),
    ],
)  # fmt: skip
def test_many_trials_are_asked_about_before_anything_is_made(go, text, options, count):
    assert f"these are {count} trials: give --yes if that is meant" in go(text, *options)


def test_many_workloads_are_read_at_once(tmp_path):
    """Work that grows with the square of their number would take minutes."""
    one = f"[[{WORKLOAD.partition('[[')[2]}"
    blocks = "".join(one.replace('"a"', f'"a{i}"').replace('"unet"', f'"unet[width={i + 1}]"') for i in range(3000))
    assert read_or_refused(tmp_path, WORKLOAD.partition("[[")[0] + blocks) == 3000
