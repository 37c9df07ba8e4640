"""What is kept of a judging is what was judged: scored again, it has the same numbers."""

import numpy as np
import pytest
import torch
from PIL import Image

import runner
from bench.judging.png import write_png
from bench.judging.saved_outputs import SavesOutputs
from bench.method import Batch
from bench.store.mlflow_store import Store


def test_samples_are_kept_once_and_score_the_same(out):
    suite = ["--suite", "generate", "--tier", "smoke", "--out", str(out), "--set", "metrics=('prdc',)"]
    assert runner.main([*suite, "--methods", "vae", "--save-outputs"]) == 0
    (saved,) = out.glob("generate/trials/*/judgements/*/outputs/samples.npy")
    assert runner.main([*suite, "--methods", f"samples[path='{saved}',name=mine]"]) == 0
    store = Store("generate", out)
    vae, mine = sorted(store.read(store.trials()), key=lambda r: r.label == "mine")
    assert len(np.load(saved)) == int(vae.cards["precision"]["protocol"]["fake"])
    assert mine.final == vae.final


class Doubles:
    """Restores and samples what shows where it came from."""

    def restore(self, batch):
        return batch.observed * 2

    def sample(self, n):
        return torch.full((n, 1, 2, 2), 0.25)


def test_pictures_lie_under_their_names_and_nowhere_else(tmp_path):
    names = ("a", "deep/b@0,64", "../../c", "/d.png")
    SavesOutputs(Doubles(), tmp_path / "kept").restore(Batch(torch.full((4, 3, 5, 7), 0.4), names=names))
    kept = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png")}
    assert kept == {"kept/a.png", "kept/deep/b@0,64.png", "kept/c.png", "kept/d.png.png"}
    assert np.unique(Image.open(tmp_path / "kept" / "a.png")) == round(0.8 * 255)


def test_samples_wait_for_the_last(tmp_path):
    saving = SavesOutputs(Doubles(), tmp_path / "kept")
    saving.sample(3)
    saving.sample(2)
    assert not (tmp_path / "kept").exists()
    saving.close()
    assert np.load(tmp_path / "kept" / "samples.npy").shape == (5, 1, 2, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_levels(tmp_path, channels):
    x = torch.tensor([-0.2, 0.0, 1 / 255, 0.5, 1.0, 1.3]).view(1, 2, 3).expand(channels, -1, -1)
    write_png(x, tmp_path / "x.png")
    found = np.asarray(Image.open(tmp_path / "x.png"))
    assert found.shape == ((2, 3) if channels == 1 else (2, 3, 3))
    assert found.reshape(6, -1)[:, 0].tolist() == [0, 0, 1, 128, 255, 255]
