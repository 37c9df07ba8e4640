"""The command line: what is right runs, what is wrong is told in one line, and nothing leaves the machine."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import runner
from bench import registry
from bench.commands import run
from bench.suites import read
from bench.training.loop import Interrupted

ROOT = Path(runner.__file__).parent
FAILING = '''"""Fails.

Departures: none
"""
import dataclasses
from bench.method import Method


class Fails(Method):
    """Raises."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Nothing."""

    def restore(self, batch):
        """Never."""
        raise RuntimeError("on purpose")
'''


@pytest.fixture
def out(tmp_path, database, monkeypatch):
    """A folder for results with a fresh store; the environment is put back afterwards."""
    for name in ("GANBENCH_DATA", "GANBENCH_WEIGHTS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    folder = tmp_path / "out"
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    return folder


@pytest.fixture
def tiny_suite(tiny):
    return str(tiny.file)


def told(capsys):
    """The one line of complaint."""
    streams = capsys.readouterr()
    assert re.fullmatch(r"error: [^\n]+\n", streams.err), streams.err
    return streams.err[len("error: ") :].strip()


def subprocess_run(code, *arguments, **env):
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True)


# -- quick and quiet
def test_help_imports_nothing_heavy():
    code = """
import sys, runner
commands = "list show report compare doctor data weights diagnose check".split()
codes = [runner.main([*words, "--help"]) for words in ([], *([c] for c in commands))]
print(codes, sorted({"torch", "numpy", "mlflow", "pandas", "bench.suites.expand", "scipy", "matplotlib", "PIL"} & set(sys.modules)))
"""
    done = subprocess_run(code)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"{[0] * 10} []"
    assert "--max-seconds" in done.stdout


def test_a_pipe_that_closes_early_is_no_error():
    process = subprocess.Popen([sys.executable, "runner.py", "list"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    with process.stderr as complaints:
        assert complaints.read() == ""
    assert process.wait() in (0, 1)  # click's way


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        ("--methods a b --seeds 3", "--methods a --methods b --seeds 3"),
        ("--methods a --methods b c", "--methods a --methods b --methods c"),
        ("--set x=1 y=2 --plugin p.py q.py --fresh", "--set x=1 --set y=2 --plugin p.py --plugin q.py --fresh"),
        ("--suite deblur --methods", "--suite deblur --methods"),
        ("--methods=a b", "--methods=a b"),
        ("show unet", "show unet"),
        ("--tier smoke extra", "--tier smoke extra"),
        ("", ""),
    ],
)
def test_options_that_take_many_values(words, spread):
    assert runner.spread(words.split()) == spread.split()


# -- wrong input
def wrong(name, *words, says):
    return pytest.param(words, says, id=name)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        wrong("nothing", says=r"nothing to do: give --suite NAME"),
        wrong("suite", "--suite", "deblurr", says=r"unknown suite 'deblurr'; known: .*deblur"),
        wrong("suite file", "--suite", "absent.toml", says=r"cannot read the suite absent\.toml: No such file"),
        wrong("tier", "--suite", "TINY", "--tier", "huge", says=r"unknown tier 'huge'; known: smoke, quick, standard, paper"),
        wrong("tier of suite", "--suite", "TINY", "--tier", "paper", says=r"suite 'tiny' has no tier 'paper'; known: smoke"),
        wrong("method", "--suite", "TINY", "--tier", "smoke", "--methods", "unett", says=r"unknown method 'unett'; known: .*unet"),
        wrong("spec", "--suite", "TINY", "--tier", "smoke", "--methods", "unet[width", says=r"'\]' is missing in 'unet\[width'"),
        wrong("key", "--suite", "TINY", "--tier", "smoke", "--methods", "unet[wdth=3]", says=r"unknown option 'wdth'; known: .*width"),
        wrong("value", "--suite", "TINY", "--tier", "smoke", "--methods", "unet[width=wide]", says=r"width = 'wide': "),
        wrong("twice", "--suite", "TINY", "--tier", "smoke", "--methods", "unet", "unet", says=r"unet with seed 0 is asked for twice"),
        wrong("set key", "--suite", "TINY", "--tier", "smoke", "--set", "widht=3", says=r"--set widht: no such key; known: .*width"),
        wrong("set value", "--suite", "TINY", "--tier", "smoke", "--set", "crop=big", says=r"crop = 'big': "),
        wrong("set range", "--suite", "TINY", "--tier", "smoke", "--set", "crop=1", says=r"crop must be >= 8"),
        wrong("set form", "--suite", "TINY", "--tier", "smoke", "--set", "crop", says=r"--set 'crop': write key=value"),
        wrong("part", "--suite", "TINY", "--tier", "smoke", "--set", "optimizer=adamm", says=r"unknown optimizer 'adamm'; known: .*adam, "),
        wrong("metric", "--suite", "TINY", "--tier", "smoke", "--set", "metrics=('psnrr',)", says=r"unknown metric 'psnrr'; known: .*psnr"),
        wrong("speed", "--suite", "TINY", "--tier", "smoke", "--set", "metrics=('flops',)", says=r"metric flops does not judge pictures"),
        wrong("blur", "--suite", "TINY", "--tier", "smoke", "--set", "blur=motion_blur[max_len=-1]", says=r"max_len"),
        wrong("crop too large", "--suite", "TINY", "--tier", "smoke", "--set", "crop=9999", says=r"crop=9999: give --set crop=\d+ or less"),
        wrong("device", "--suite", "TINY", "--device", "gpu", says=r"unknown device 'gpu'; give auto, cpu, cuda, cuda:N or mps"),
        wrong("device type", "--suite", "TINY", "--device", "meta", says=r"device 'meta' is not supported"),
        wrong("seeds word", "--suite", "TINY", "--tier", "smoke", "--seeds", "many", says=r"--seeds 'many': give how many"),
        wrong("seeds none", "--suite", "TINY", "--tier", "smoke", "--seeds", "0", says=r"--seeds '0': give at least one seed"),
        wrong("seeds negative", "--suite", "TINY", "--tier", "smoke", "--seeds", "1,-2", says=r"none negative"),
        wrong("seeds twice", "--suite", "TINY", "--tier", "smoke", "--seeds", "1,1", says=r"none twice"),
        wrong("seeds open", "--suite", "TINY", "--tier", "smoke", "--seeds", "1,", says=r"--seeds '1,'"),
        wrong("data root", "--suite", "TINY", "--data-root", "/absent", says=r"data root /absent is no folder: mend --data-root"),
        wrong("data set", "--suite", "TINY", "--tier", "smoke", "--set", "data=gopro", says=r"'gopro' not found.*--data-root.*get it"),
        wrong("data name", "--suite", "TINY", "--tier", "smoke", "--set", "data=goproo", says=r"unknown dataset 'goproo'; known: .*gopro"),
        wrong("plugin", "--suite", "TINY", "--plugin", "absent.py", says=r"no plug-in file .*absent\.py"),
        wrong("no seconds", "--suite", "TINY", "--max-seconds", "0", says=r"--max-seconds must be positive, not 0"),
        wrong("nan seconds", "--suite", "TINY", "--max-seconds", "nan", says=r"--max-seconds must be positive, not nan"),
        wrong("report suite", "report", "--suite", "deblurr", says=r"unknown suite 'deblurr'"),
        wrong("report tier", "report", "--suite", "TINY", "--tier", "huge", says=r"nothing on record .*at tier huge"),
        wrong("report nothing", "report", "--suite", "TINY", says=r"nothing on record"),
        wrong("show", "show", "nonsense", says=r"nothing is called 'nonsense'; see `runner\.py list`"),
        wrong("show key", "show", "unet[wdth=3]", says=r"method 'unet': unknown option 'wdth'"),
        wrong("show spec", "show", "unet[", says=r"cannot read the spec 'unet\['"),
        wrong("check", "check", "nonsense", says=r"nothing is called .nonsense.; see `runner\.py list`, or give a file"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line(words, says, tiny_suite, out, capsys):
    words = [tiny_suite if w == "TINY" else w for w in words]
    places = [] if words[:1] in (["show"], ["check"]) else ["--out", str(out)]
    assert runner.main([*words, *places]) == 2
    assert re.search(says, told(capsys))


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps"])
def test_a_device_that_is_not_here(device, tiny_suite, out, capsys):
    assert runner.main(["--suite", tiny_suite, "--device", device, "--out", str(out)]) == 2
    assert f"no device {device}: torch finds no" in told(capsys)


def test_data_root_of_the_environment(tiny_suite, out, capsys, monkeypatch):
    monkeypatch.setenv("GANBENCH_DATA", "/absent")
    assert runner.main(["--suite", tiny_suite, "--tier", "smoke", "--out", str(out)]) == 2
    assert "the data root /absent is no folder" in told(capsys)


def test_an_out_folder_that_cannot_be_made(tiny_suite, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert runner.main(["--suite", tiny_suite, "--tier", "smoke", "--out", str(tmp_path / "file" / "x")]) == 2
    assert str(tmp_path / "file" / "x") in told(capsys)


def test_usage_errors_of_the_parser(capsys):
    for words in (["--sweet", "deblur"], ["nonsense"], ["--max-seconds", "soon"], ["report"]):
        assert runner.main(words) == 2
        streams = capsys.readouterr()
        assert streams.out == ""
        assert "Error" in streams.err
        assert "Traceback" not in streams.err


def test_an_unreachable_server(out, tiny_suite):
    code = "import sys, runner; sys.exit(runner.main(sys.argv[1:]))"
    words = ("--suite", tiny_suite, "--tier", "smoke", "--out", str(out), "--tracking-uri", "http://127.0.0.1:9")
    done = subprocess_run(code, *words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert (done.returncode, done.stderr) == (0, "")
    told = (
        r"cannot open the tracking store http://127\.0\.0\.1:9: .*; check --tracking-uri\. "
        r"Work goes on; results wait in .*/tiny/trials and follow"
    )
    assert len(re.findall(told, done.stdout)) == 1
    assert (out / "tiny" / "report" / "index.html").is_file()


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a", "b"):
        Image.effect_noise((64, 64), 60).convert("RGB").save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:900])
    return folder


def test_a_corrupt_picture_is_refused_by_name(tiny_suite, out, pictures, capsys):
    words = [
        "--suite",
        tiny_suite,
        "--tier",
        "smoke",
        "--methods",
        "identity",
        "--out",
        str(out),
        "--set",
        f"data=folder[path={pictures},split=test]",
    ]
    assert runner.main(words) == 2
    complaint = told(capsys)
    assert str(pictures / "broken.png") in complaint
    assert complaint.endswith("on_corrupt=skip")
    assert runner.main([*words, "on_corrupt=skip"]) == 0
    from bench.store.mlflow_store import Store

    (record,) = Store("tiny", out).leaderboard_records("smoke", out)
    assert record.tags["skipped_files"].startswith(f"1: cannot read the image {pictures / 'broken.png'}")
    assert record.per_image[record.per_image.column == "psnr"].image.tolist() == ["a.png@0,0", "b.png@0,0"]


# -- right input
def table_of(text):
    """The printed table, without what depends on the run."""
    return [line for line in text.splitlines() if re.match(r" (\d+|#|─+)  ?", line)]


def test_run_again_and_report(tiny_suite, out, capsys, tmp_path):
    words = ["--suite", tiny_suite, "--tier", "smoke", "--out", str(out)]
    assert runner.main(words) == 0
    first = capsys.readouterr()
    assert first.err == ""
    assert "[1/2] identity, seed 0\n" in first.out
    assert "[2/2] unet, seed 0\n" in first.out
    table = table_of(first.out)
    assert len(table) == 4
    assert {p.name for p in (out / "tiny" / "report").iterdir()} >= {"index.html", "leaderboard.csv", "leaderboard.tex"}

    assert runner.main(words) == 0
    second = capsys.readouterr()
    assert "all 2 trials are on record already: nothing to train" in second.out
    assert "[1/" not in second.out
    assert table_of(second.out) == table

    csv = (out / "tiny" / "report" / "leaderboard.csv").read_bytes()
    shutil.rmtree(out / "tiny" / "report")
    assert runner.main(["report", "--suite", tiny_suite, "--out", str(out), "--latex", str(tmp_path / "paper")]) == 0
    assert table_of(capsys.readouterr().out) == table
    assert (out / "tiny" / "report" / "leaderboard.csv").read_bytes() == csv
    assert "leaderboard_table.tex" in {p.name for p in (tmp_path / "paper").iterdir()}


def test_the_report_is_of_what_was_asked(tiny_suite, out, capsys):
    words = ["--suite", tiny_suite, "--tier", "smoke", "--methods", "identity", "--out", str(out)]
    tables = []
    for pictures in ("2", "1", "2"):
        assert runner.main([*words, "--set", f"pictures={pictures}"]) == 0
        tables.append(table_of(capsys.readouterr().out))
    assert tables[0] == tables[2] != tables[1]


@pytest.mark.parametrize(
    ("fresh", "says"), [([], "give the same command again to go on"), (["--fresh"], "--fresh begins afresh again: leave it out")]
)
def test_what_to_do_after_a_stop(tiny_suite, out, capsys, monkeypatch, fresh, says):
    monkeypatch.setattr(run, "_run_rows", lambda *given: (_ for _ in ()).throw(Interrupted))
    assert runner.main(["--suite", tiny_suite, "--tier", "smoke", "--out", str(out), *fresh]) == 130
    assert f"stopped; everything is saved: {says}" in capsys.readouterr().out


def test_a_failed_trial_is_exit_code_1_and_the_others_go_on(tiny_suite, out, capsys, plugin, tmp_path):
    (tmp_path / "fails.py").write_text(FAILING)
    words = [
        "--suite",
        tiny_suite,
        "--tier",
        "smoke",
        "--plugin",
        str(tmp_path / "fails.py"),
        "--methods",
        "fails",
        "identity",
        "--out",
        str(out),
    ]
    assert runner.main(words) == 1
    text = capsys.readouterr().out
    assert "failed: RuntimeError: on purpose" in text
    assert "finished  psnr" in text
    assert runner.main(words) == 1
    assert "[1/2] fails, seed 0: judges again: it failed before" in capsys.readouterr().out


def test_list(capsys):
    assert runner.main(["list", "--json"]) == 0
    everything = json.loads(capsys.readouterr().out)
    assert set(everything) == {"suite", *registry.FOLDERS}
    assert list(everything["method"]) == registry.names("method")
    assert all(line for kind in everything.values() for line in kind.values())
    assert runner.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["suite", *registry.FOLDERS]
    assert lines[0].split() == ["suite", *", ".join([*read.suite_names(), "claims"]).split()]


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_show_every_part(kind, capsys):
    for name in registry.names(kind):
        assert runner.main(["show", name]) == 0
        text = capsys.readouterr().out
        assert f"{kind} {name} " in text
        for option in registry.settings(registry.find(kind, name)):
            assert re.search(rf"^{option} ", text, re.MULTILINE), (name, option)


def test_show_says_what_an_option_may_be_and_means(capsys):
    assert runner.main(["show", "ssim[border=4]"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^window +gauss11 +gauss11, uniform7 +weights of a window", text, re.MULTILINE)
    assert re.search(r"^border +4 +int +pixels shaved", text, re.MULTILINE)
    assert runner.main(["show", "step"]) == 0
    assert re.search(r"^factor +0\.1 +float +factor by which it falls", capsys.readouterr().out, re.MULTILINE)


def test_show_with_options(capsys):
    assert runner.main(["show", "unet[width=77]"]) == 0
    text = capsys.readouterr().out
    assert "methods/restoration/unet.py" in text
    assert re.search(r"^width +77 +int +channels of the first layer", text, re.MULTILINE)
    assert re.search(r"^batch_size +16 ", text, re.MULTILINE)


def test_check(capsys):
    assert runner.main(["check", "identity"]) == 0
    assert "FAILS" not in capsys.readouterr().out


def test_data_weights_doctor(out, capsys, tmp_path):
    assert runner.main(["data"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", text, re.MULTILINE) for name in registry.names("dataset"))
    assert re.search(r"^photos +train 6, validation 2, test 11$", text, re.MULTILINE)
    assert runner.main(["weights"]) == 0
    assert "vgg19" in capsys.readouterr().out
    assert runner.main(["doctor", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "PROBLEM" not in text
    assert "answers" in text
    assert runner.main(["doctor", "--out", str(out), "--data-root", str(tmp_path / "absent")]) == 1
    assert "PROBLEM: the data root" in capsys.readouterr().out


# -- offline
OFFLINE = """
import socket, sys
def refuse(name):
    original = getattr(socket.socket, name, None) or getattr(socket, name)
    def guarded(*args, **kwargs):
        target = next((a for a in args if isinstance(a, (tuple, str, bytes))), None)
        host = target[0] if isinstance(target, tuple) else target
        if (isinstance(args[0], socket.socket) and args[0].family == socket.AF_UNIX) or host in ("127.0.0.1", "::1", "localhost"):
            return original(*args, **kwargs)
        print("NETWORK", name, args[-1], file=sys.stderr)
        raise OSError("no network here")
    return guarded
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse(name))
for name in ("getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse(name))
import runner
sys.exit(runner.main(sys.argv[1:]))
"""


def offline(out, *words):
    done = subprocess_run(OFFLINE, "--suite", "deblur", "--tier", "smoke", "--device", "cpu", "--out", str(out), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NETWORK" not in done.stderr
    return done


def test_nothing_leaves_the_machine(out):
    done = offline(out, "--methods", "identity", "unet", "--set", "steps=1")
    assert len(table_of(done.stdout)) >= 4
    assert done.stderr == ""


def test_the_guard_guards():
    done = subprocess_run(OFFLINE.partition("import runner")[0] + "socket.create_connection(('example.org', 80))")
    assert "NETWORK getaddrinfo" in done.stderr
    done = subprocess_run(OFFLINE.partition("import runner")[0] + "socket.create_connection(('192.0.2.1', 80), timeout=1)")
    assert "no network here" in done.stderr


@pytest.mark.slow
def test_the_whole_smoke_suite_offline(out):
    done = offline(out)
    board = (out / "deblur" / "report" / "leaderboard.csv").read_text()
    assert board.count(",finished,") == len(read.load_suite("deblur").methods)
    assert "failed" not in done.stdout
