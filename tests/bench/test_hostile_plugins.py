"""Files of strangers that join by --plugin: whatever they do wrong is one line that names them, and the other trials go on."""

import dataclasses
import re

import pytest

import runner
from bench.conformance import contracts
from bench.errors import UsageError
from bench.training import loop

METHOD = '''"""A gain that is trained. Nobody, nowhere.

Departures: none
"""
import dataclasses
import torch
from torch import nn
from bench.method import Method, TrainHP, param


class Plug(Method):
    """One number for all pictures."""

    HP = TrainHP

    def build(self, task):
        """The number."""
        self.net = nn.Conv2d(3, 3, 1)
        self.opt = self.optimizer(self.net)

    def train(self, data):
        """Nothing much."""
        while self.t < self.hp.steps:
            batch = next(data)
            loss = (self.net(batch.observed) - batch.target).square().mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.t += 1
            yield {"loss": loss.detach()}

    def restore(self, batch):
        """N x 3 x H x W."""
        return self.net(batch.observed).clamp(0, 1)
'''
RESTORE = "return self.net(batch.observed).clamp(0, 1)"
LOOP = "while self.t < self.hp.steps:"
YIELD = 'yield {"loss": loss.detach()}'


@pytest.fixture
def go(tiny, plugin, tmp_path, capsys):
    """go(text, *options) runs the plug-in beside `identity` and returns (exit code, standard output, standard error)."""

    def go(text, *options, name="stranger"):
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        words = ["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out), "--methods", name, "identity", "--plugin", str(file)]
        code = runner.main([*words, *options])
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return go


def test_a_good_one(go):
    code, out, err = go(METHOD)
    assert (code, err) == (0, "")
    assert out.count("finished  psnr") == 2


# -- that cannot be loaded
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise ValueError('no\\nway')", r"fails to import: ValueError: no\\nway"),
        ("import no_such_module", "fails to import: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "fails to import: SyntaxError: "),
        ("\x00", "fails to import: (SyntaxError|ValueError): "),
        ("import sys; sys.exit(0)", "fails to import: SystemExit: 0"),
        ("quit()", "fails to import: SystemExit"),
        ("class E(BaseException): pass\nraise E('odd')", "fails to import: E: odd"),
        ("def f(): return f()\nf()", "fails to import: RecursionError: maximum recursion depth exceeded"),
        ("x = 1", "must define one public class or function, found: none"),
        (METHOD + "\nclass Second: ...\n", "must define one public class or function, found: Plug, Second"),
        ("class Plug: ...", ": Plug has no base class that says what kind of part it is: .*set KIND to one of method, "),
        ("KIND = ['method']\nclass Plug: ...", r": Plug is of the kind \['method'\], which there is not: .*set KIND to one of method, "),
        ("KIND = 'nonsense'\nclass Plug: ...", ": Plug is of the kind 'nonsense', which there is not: .*set KIND to one of method, "),
        (METHOD.replace("HP = TrainHP", "HP = dict"), ": the HP of Plug must be a dataclass"),
        (METHOD.replace("HP = TrainHP", "HP = 3"), ": the HP of Plug must be a dataclass"),
    ],
)
def test_that_cannot_be_loaded(plugin, tmp_path, capsys, text, says):
    (tmp_path / "stranger.py").write_text(text)
    assert runner.main(["list", "--plugin", str(tmp_path / "stranger.py")]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert re.fullmatch(rf"error: (plug-in )?\S*/stranger\.py ?{says}[^\n]*\n", streams.err), streams.err


def test_of_bytes_that_are_no_text(tmp_path, plugin, capsys):
    (tmp_path / "stranger.py").write_bytes(b"\xff\xfe\x00x")
    assert runner.main(["list", "--plugin", str(tmp_path / "stranger.py")]) == 2
    assert re.fullmatch(r"error: plug-in \S*stranger\.py fails to import: SyntaxError: [^\n]+\n", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["unet", "identity"])
def test_of_a_name_that_is_taken(plugin, tmp_path, capsys, name):
    (tmp_path / f"{name}.py").write_text(METHOD)
    assert runner.main(["list", "--plugin", str(tmp_path / f"{name}.py")]) == 2
    assert re.fullmatch(rf"error: method '{name}' is defined twice: methods/\S+/{name}\.py and \S*/{name}\.py\n", capsys.readouterr().err)


def test_without_a_verb(go):
    code, out, err = go(METHOD.replace("def restore", "def mend"))
    assert (code, err) == (0, "")  # skipped, with the reason
    assert "skipped: stranger cannot restore, which the task deblur asks for" in out
    assert "finished  psnr" in out


# -- that do wrong when they run
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("self.net = nn", "raise OSError('no\\nway'); self.net = nn", "failed: OSError: no", id="build raises"),
        pytest.param(RESTORE, "return None", "failed: AttributeError", id="restores nothing"),
        pytest.param(RESTORE, "return batch.observed.numpy()", "failed: ", id="restores no tensor"),
        pytest.param(RESTORE, "return batch.observed[:, :, 1:]", r"failed: ValueError: Plug\.restore returned", id="wrong shape"),
        pytest.param(RESTORE, "return batch.observed[:1].repeat(2, 1, 1, 1)[1:]", "finished|failed", id="fewer pictures"),
        pytest.param(
            RESTORE, "return self.net(batch.observed) * float('nan')", "diverged: validation/psnr is not finite at update 0", id="NaN"
        ),
        pytest.param(RESTORE, "return self.net(batch.observed) * float('inf')", "finished|diverged", id="infinity"),
        pytest.param(RESTORE, "raise SystemExit(0)", "failed: SystemExit: 0", id="leaves while restoring"),
        pytest.param(YIELD, "yield None", "failed: ", id="yields nothing"),
        pytest.param(YIELD, 'yield {"loss": "much"}', "failed: ", id="yields text"),
        pytest.param(YIELD, 'yield {"loss": torch.zeros(3)}', "finished", id="yields vectors, of which the mean counts"),
        pytest.param(YIELD, 'yield {3: loss.detach()}', "finished|failed", id="yields odd keys"),
        pytest.param(YIELD, 'yield {"=1+1<script>": loss.detach() * float("nan")}', "diverged: =1.1<script> is not finite", id="NaN loss"),
        pytest.param(YIELD, YIELD + "\n            self.net = None", "failed: ", id="loses its network"),
        pytest.param(LOOP, "yield from ()\n        while False:", r"failed: RuntimeError: Plug\.train ended at update 0 of 4", id="empty"),
        pytest.param(LOOP, "return None\n        while True:", r"failed: RuntimeError: Plug\.train ended at update 0 of 4", id="returns"),
        pytest.param(LOOP, "while self.t < 2:", r"failed: RuntimeError: Plug\.train ended at update 2 of 4", id="ends early"),
        pytest.param(LOOP, "while True:", r"failed: RuntimeError: Plug\.train went on after update 4, its last", id="never ends"),
        pytest.param("self.t += 1", "pass", r"failed: RuntimeError: Plug\.train does not count its updates in self\.t", id="never counts"),
        pytest.param("def train(self, data):", "def train(self):", "failed: TypeError", id="wrong arguments"),
        pytest.param('"""Nothing much."""', "return 3", "failed: ", id="no generator"),
    ],
)  # fmt: skip
def test_that_do_wrong_when_they_run(tiny, plugin, old, new, says):
    """The trial ends with its reason in one line; the next one goes on."""
    assert METHOD.count(old) == 1
    plugin("stranger", METHOD.replace(old, new))
    (first, second), _ = tiny.run(methods=["stranger", "identity"])
    assert re.match(says, f"{first.outcome}: {first.reason}"), f"{first.outcome}: {first.reason}"
    assert "\n" not in first.reason
    assert second.outcome == "finished"


def test_that_leaves_in_the_middle(go):
    """Through the command line: its exit must not be ours."""
    code, out, err = go(METHOD.replace(RESTORE, "raise SystemExit(0)"))
    assert (code, err) == (1, "")
    assert "[1/2] stranger, seed 0\n    failed: SystemExit: 0" in out
    assert "[2/2] identity, seed 0\n    finished  psnr" in out


@pytest.mark.parametrize(
    ("old", "new"), [(LOOP, "while True:\n            pass\n        " + LOOP), ("loss.backward()", "import time; time.sleep(60)")]
)
def test_that_give_no_update_are_stopped_under_a_cap(tiny, plugin, monkeypatch, old, new):
    """Without --max-seconds nothing can tell a long update from one without end."""
    monkeypatch.setattr(loop, "_GRACE", 0.3)
    tiny.settings = dataclasses.replace(tiny.settings, max_seconds=0.2)
    plugin("stranger", METHOD.replace(old, new))
    (first, second), _ = tiny.run(methods=["stranger", "identity"])
    assert (first.outcome, second.outcome) == ("failed", "finished")
    assert first.reason == "TimeoutError: Plug.train gave no update within --max-seconds and a minute more"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (LOOP, "while True:", r"Plug\.train went on after update 4, its last"),
        ("self.t += 1", "pass", r"Plug\.train does not count its updates"),
        (LOOP, "while False:", r"Plug\.train ended at update 0 of 4"),
    ],
)
def test_the_check_names_the_fault(plugin, tmp_path, capsys, old, new, says):
    (tmp_path / "bad.py").write_text(METHOD.replace(old, new))
    assert contracts.print_check(str(tmp_path / "bad.py")) == 1
    assert re.search(rf"runs +FAILS: RuntimeError: {says}", capsys.readouterr().out)


def test_a_folder_or_nothing_as_a_plug_in(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "absent.py"):
        assert runner.main(["list", "--plugin", str(path)]) == 2
        assert re.fullmatch(rf"error: no plug-in file {path}\n", capsys.readouterr().err)
    with pytest.raises(UsageError):
        contracts.print_check("absent.py")
