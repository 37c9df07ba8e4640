"""Standard output has whatever encoding a terminal, a pipe or a service gave it: what it lacks is replaced. Files are UTF-8."""

import io
import json
import os
import subprocess
import sys

import pytest

import runner
from bench.registry import ROOT

BROKEN = '''"""A method that fails in another alphabet, β 日本.

Departures: none
"""
from bench.method import Method


class Broken(Method):
    """Fails."""

    def build(self, task):
        """Nothing."""

    def restore(self, batch):
        """Never done."""
        raise RuntimeError("größer als β, 日本 \\udce9")
'''


class Pipe(io.TextIOWrapper):
    """Standard output of an encoding, with nobody's terminal behind it."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "cp437", "utf-8"])
@pytest.mark.parametrize("command", [["report", "--suite", "{file}", "--out", "{out}"], ["show", "unet"], ["list"]])
def test_every_encoding_can_be_printed_to(ran, tmp_path, monkeypatch, encoding, command):
    bench = ran[0]
    out, err = Pipe(encoding), Pipe(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert runner.main([word.format(file=bench.file, out=bench.out) for word in command]) == 0
    said = out.buffer.getvalue().decode(encoding)
    assert err.buffer.getvalue() == b""
    if command[0] == "report":
        assert "identity" in said
        assert ("PSNR ↑" in said) == (encoding == "utf-8")
        assert ("PSNR ?" in said) == (encoding != "utf-8")
        page = bench.out / "tiny" / "report" / "index.html"
        assert "↑" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_complaint_can_always_be_printed(monkeypatch, encoding):
    monkeypatch.setattr(sys, "stderr", err := Pipe(encoding))
    assert runner.main(["show", "日本"]) == 2
    assert err.buffer.getvalue().decode(encoding).startswith("error: nothing is called ")


def test_a_place_of_ascii_alone(ran, tmp_path, out):
    """Neither streams nor files have another encoding by default; a trial fails in words that ASCII lacks."""
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    words = ["--suite", ran[0].file, "--tier", "smoke", "--plugin", tmp_path / "broken.py", "--out", out]
    words += ["--methods", "identity", "broken"]
    place = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "runner.py", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, env=os.environ | place)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"1 of 2 trials failed, the first of them broken, seed 0: RuntimeError: gr??er als ?, ??" in done.stdout
    heads = [json.loads(file.read_bytes()) for file in out.glob("tiny/trials/*/judgements/*/record.json")]
    assert {h["label"]: h["id"] for h in heads}["identity"] == ran[1][0].trial_id
    (traceback,) = out.glob("tiny/trials/*/judgements/*/traceback.txt")
    assert "größer als β, 日本" in traceback.read_text(encoding="utf-8")
    assert "größer als β, 日本" in (out / "tiny" / "report" / "leaderboard.md").read_text(encoding="utf-8")
