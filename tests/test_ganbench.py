"""The Python interface: what a notebook does, without a word on the terminal and without traces in the process."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import ganbench
from bench import registry

RUN = {"tier": "smoke", "methods": ["identity", "unet"], "set": ["steps=2", "scenes=0", "metrics=('psnr','ssim')"]}


def test_run_results_load(out, capfd, monkeypatch):
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    before = dict(os.environ), torch.get_num_threads()
    board = ganbench.run("deblur", out=out, **RUN)
    assert (dict(os.environ), torch.get_num_threads()) == before
    assert set(board.rows["label"]) == {"identity", "unet[steps=2]"}
    assert set(board.rows["outcome"]) == {"finished"}
    one = board.per_image.query("label == 'identity' and column == 'psnr'")
    assert one["value"].mean() == pytest.approx(board.rows.set_index("label")["psnr"]["identity"])
    assert set(board.curves["label"]) == {"unet[steps=2]"}
    assert "unet[steps=2]" in repr(board)
    assert len(repr(board)) < 2000
    shown = board._repr_html_()
    assert "identity" in shown
    assert "Tier smoke." in shown
    assert [*board.leaderboard().columns[:2]] == ["#", "method"]
    with pytest.raises(ganbench.UsageError, match="unknown table 'x'; known: deblur"):
        board.leaderboard("x")
    assert ganbench.results("deblur", out=out).rows.equals(board.rows)

    unet = ganbench.load(board.rows.set_index("label")["trial"]["unet[steps=2]"][:8], out=out)
    picture = np.random.default_rng(0).random((40, 48, 3), dtype=np.float32)
    restored = unet.restore(picture)
    assert (restored.shape, restored.dtype) == (picture.shape, np.float32)
    assert np.array_equal(restored, unet.restore(torch.from_numpy(picture).permute(2, 0, 1).contiguous()).permute(1, 2, 0).numpy())
    with pytest.raises(ganbench.UsageError, match="draws no samples"):
        unet.sample(3)
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")


def test_it_speaks_when_asked(out, capsys):
    ganbench.run("deblur", out=out, verbose=True, **{**RUN, "methods": ["identity"], "set": RUN["set"][1:]})
    assert "identity" in capsys.readouterr().out


def test_metric_is_the_registry_s(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    y = np.clip(x + rng.normal(0, 9, x.shape), 0, 255).round().astype(np.uint8)
    ssim = ganbench.metric("ssim[border=4,channel=y601]")
    a, b = (torch.from_numpy(z).permute(0, 3, 1, 2).contiguous().float() / 255 for z in (y, x))
    assert np.array_equal(ssim(y, x), registry.make("metric", "ssim[border=4,channel=y601]")(a, b).numpy())
    assert np.array_equal(ssim(*(z.astype(np.float32) / np.float32(255) for z in (y, x))), ssim(y, x))  # whatever lies behind them
    assert ssim(y[0], x[0]).shape == (1,)
    assert ganbench.metric("psnr")(y, x) == pytest.approx(10 * np.log10(255**2 / np.mean((y.astype(float) - x) ** 2, axis=(1, 2, 3))))
    assert ssim.card.protocol["border"] == 4


def test_score_of_arrays_is_score_of_files(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    y = np.clip(x + rng.normal(0, 9, x.shape), 0, 255).round().astype(np.uint8)
    for name, pictures in (("x", x), ("y", y)):
        (tmp_path / name).mkdir()
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / name / f"{i}{'_out' if name == 'y' else ''}.png")
    files = ganbench.score(tmp_path / "y", str(tmp_path / "x"), match="{}_out", metrics=["psnr", "ssim", "gmsd"], profile="sr_y4_wang")
    arrays = ganbench.score(y, x, metrics=["psnr", "ssim", "gmsd"], profile="sr_y4_wang")
    assert files.means == pytest.approx(arrays.means, abs=1e-12)
    assert list(files.per_image.index) == ["0", "1", "2"]
    assert files.cards["psnr"].protocol["channel"] == "y601"
    assert "mean" in files._repr_html_()


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: ganbench.metric("fid"), "does not compare pictures"),
        (lambda: ganbench.metric("psmr"), "unknown metric"),
        (lambda: ganbench.metric("psnr")(np.zeros((8, 8, 3)), np.zeros((8, 9, 3))), "of one shape"),
        (lambda: ganbench.metric("psnr")(np.full((8, 8), 9.0), np.zeros((8, 8))), r"floats in \[0, 1\]"),
        (lambda: ganbench.metric("psnr")(np.zeros((8, 8, 2)), np.zeros((8, 8, 2))), "1 or 3 channels"),
        (lambda: ganbench.score(None, None), "these are object"),
        (lambda: ganbench.metric("psnr")(np.zeros((8, 8), np.uint16), np.zeros((8, 8), np.uint16)), "these are uint16"),
        (lambda: ganbench.load("median").restore(np.zeros((0, 0))), "these are 0 x 0"),
        (lambda: ganbench.metric("psnr")(np.full((8, 8), np.nan), np.zeros((8, 8))), "nan"),
        (lambda: ganbench.run("deblur", methods="identiti"), "unknown method 'identiti'"),
        (lambda: ganbench.run("deblur", set={"scnes": 0}), "no such key"),
        (lambda: ganbench.score("nowhere", "none"), "nowhere does not exist"),
        (lambda: ganbench.score("nowhere", np.zeros((8, 8))), "give files on both sides"),
        (lambda: ganbench.run("deblurr"), "unknown suite 'deblurr'"),
        (lambda: ganbench.load("unet"), "is not trained"),
    ],
)  # fmt: skip
def test_bad_input_raises_its_own_errors(call, complaint):
    with pytest.raises((ganbench.UsageError, ganbench.Unavailable), match=complaint):
        call()


def test_pictures_without_any_error_have_infinite_means(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    assert ganbench.score(x, x, metrics="psnr").means == {"psnr": np.inf}


@pytest.mark.parametrize("shape", [(17, 23), (17, 23, 3), (2, 17, 23, 3)])
def test_pictures_of_any_size_come_back_as_they_were_given(shape):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    y = ganbench.load("gaussian").restore(x)
    assert (y.shape, y.dtype) == (x.shape, np.float32)
    assert y.std() < (x / 255).std()


def test_samples_of_one_seed_are_the_same(out):
    made = ganbench.run("generate", tier="smoke", methods=["vae"], out=out, set=["metrics=('prdc',)"])
    vae = ganbench.load(made.rows["trial"][0], out=out)
    assert vae.sample(5, seed=3).equal(vae.sample(5, seed=3))
    assert not vae.sample(5, seed=3).equal(vae.sample(5, seed=4))
    with pytest.raises(ganbench.UsageError, match="draws samples"):
        vae.restore(np.zeros((8, 8)))


def test_the_lines_of_the_page_run(tmp_path, monkeypatch, database):
    """docs/python.md and the README, in a folder with pictures."""
    for name, level in (("sharp", 100), ("restored", 104)):
        (tmp_path / name).mkdir()
        x = np.random.default_rng(0).integers(0, 90, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(x + np.uint8(level)).save(tmp_path / name / "a.png")
    (tmp_path / "runs").mkdir()
    shutil.copy(database, tmp_path / "runs" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for page in ("README.md", "docs/python.md"):
        (lines,) = re.findall(r"^```python\n(.*?)^```$", (registry.ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
        exec(compile(lines, page, "exec"), {})


def test_the_notebook_runs(tmp_path, monkeypatch, database):
    (tmp_path / "runs").mkdir()
    shutil.copy(database, tmp_path / "runs" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    cells = json.loads((registry.ROOT / "docs" / "ganbench.ipynb").read_text())["cells"]
    names = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "docs/ganbench.ipynb", "exec"), names)
            assert not cell["outputs"], "a notebook is kept without its outputs"
    assert names["board"].rows["outcome"].eq("finished").all()


def test_importing_it_is_quick_and_quiet():
    code = "import sys, ganbench; print(sorted({'mlflow', 'pandas', 'torchvision'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=registry.ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
