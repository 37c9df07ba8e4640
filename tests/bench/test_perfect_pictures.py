"""Pictures that a method restores without error: an infinite score is a good one, in training, on record and in comparisons."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

import runner
from bench.method import Batch
from bench.statistics import effects
from bench.statistics.intervals import Floats
from bench.store import validation
from bench.store.mlflow_store import Store
from bench.store.record import join
from bench.store.run_dir import RunDir
from bench.store.stored import CURVES, Judgement, Training
from bench.tasks.deblur import Deblur
from reports import figure_style, plots


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two pairs a split: one black on both sides, one blurred."""
    root = tmp_path_factory.mktemp("pairs")
    photo = data.astronaut()[:64, 100:164]
    for split in ("train", "val", "test"):
        for side, picture in (("A", gaussian_filter(photo, (1.5, 1.5, 0))), ("B", photo)):
            (folder := root / side / split).mkdir(parents=True)
            Image.fromarray(np.zeros_like(photo)).save(folder / "black.png")
            Image.fromarray(picture).save(folder / "photo.png")
    return root


@dataclasses.dataclass
class Adds:
    """Restores what was observed but for an error on black pictures and on others."""

    black: float
    other: float

    def restore(self, batch: Batch) -> torch.Tensor:
        error = torch.where(batch.observed.amax((1, 2, 3), keepdim=True) > 0, self.other, self.black)
        return batch.observed + error


def validated(task, black, other):
    (value,) = task.validate(Adds(black, other)).values()
    return value


def test_validation_compares_one_update_with_another(pairs):
    """The mean over all pictures: better where one is better, finite where one is perfect."""
    task = Deblur(data=f"folder_pair[path={pairs}]", scenes=0, scene_share=0, tile=0, metrics=("psnr",))
    task.open(None, torch.device("cpu"))
    perfect, level, worse = validated(task, 0.0, 0.0), validated(task, 1 / 255, 0.0), validated(task, 0.0, 0.02)
    blurred = validated(task, 2 / 255, 0.0) * 2 - 20 * math.log10(255 / 2)  # of the other picture alone
    assert perfect == pytest.approx((100 + blurred) / 2)
    assert level == pytest.approx((20 * math.log10(255) + blurred) / 2)
    assert perfect > level  # over the finite ones alone it would be the other way about
    assert perfect > worse  # an infinite mean would not tell these two apart


def test_pictures_without_damage_do_not_end_a_training(pairs, tmp_path):
    """One method begins as the identity, which is perfect on the black pair."""
    only = ["--methods", "unet", "--set", "scenes=0", "scene_share=0", f'data="folder_pair[path={pairs}]"', 'metrics=("psnr",)', "steps=2"]
    assert runner.main(["--suite", "deblur", "--tier", "smoke", *only, "--out", str(tmp_path)]) == 0
    (record,) = (store := Store("deblur", tmp_path)).read(store.trials())
    assert record.outcome == "finished"
    curve = validation.curve(record)[1]
    assert curve[0] > 60  # half of 100, and the blurred picture
    assert np.isfinite(curve).all()


def record_with(values, outcome="finished", label="a", seed=0, good=True):
    rows = [("validation/psnr", 10 * i, 10 * i, float(i), v) for i, v in enumerate(values)]
    card = {"metric": "psnr", "definition": "", "unit": "dB", "higher_is_better": good, "protocol": {}, "hash": "0"}
    training = Training(
        id=f"{label}{seed}", suite="s", task="t", spec="m", title=label, seed=seed, tier="smoke", outcome=outcome, attempt="x",
        curves=pd.DataFrame(rows, columns=list(CURVES)), summary={"auc": max(values), "steps": 20.0},
        environment={"device": "cpu", "git": ""},
    )  # fmt: skip
    return join(
        training,
        Judgement(id="j", suite="s", training=training.id, task="t", label=label, final={"psnr": values[-1]}, cards={"psnr": card}),
    )


def test_an_infinite_curve_comes_back_from_disk_and_store(tmp_path):
    rows = [("validation/psnr", i, i, float(i), v) for i, v in enumerate([20.0, math.inf, 30.0])]
    curves = pd.DataFrame(rows, columns=list(CURVES))
    training = Training(
        id="a0", suite="s", task="t", spec="m", title="a", seed=0, tier="smoke", attempt="x", curves=curves, summary={"auc": math.inf}
    )
    folder = RunDir(tmp_path / "trial")
    folder.close(training)
    folder.judge(Judgement(id="j", suite="s", training="a0", task="t", label="a", attempt="y"))
    back = folder.read_trial("j")
    assert back.curves["value"].tolist() == [20.0, math.inf, 30.0]
    assert back.summary["auc"] == math.inf
    store = Store("s", tmp_path / "out")
    run = store.begin(training)
    store.curves(run, rows)  # MLflow takes the points
    assert store.put(folder, *folder.read_all())
    assert store.newest("j").curves.equals(curves)
    assert [m.value > 1e308 for m in store.client.get_metric_history(run, "validation/psnr")] == [False, True, False]


@pytest.mark.parametrize("up", [True, False])
def test_the_target_may_be_infinite_but_not_infinitely_bad(up):
    good = math.inf if up else -math.inf
    rows = [
        record_with([1.0, good], label="a", good=up),
        record_with([1.0, 30.0], label="b", good=up),
        record_with([1.0], "diverged", "c", good=up),
    ]
    assert validation.target(rows, ["a", "b", "c"]) == good
    assert validation.target(rows, ["b", "c"]) == 30
    assert math.isnan(validation.target(rows, ["c"]))
    both = [*rows, record_with([1.0], "diverged", "a", seed=1, good=up)]
    assert validation.target(both, ["a", "b"]) == 30  # half of a diverged
    assert effects.steps_to_target(*validation.curve(rows[0]), good, higher_is_better=up) == 10


def capped(*values: float) -> Floats:
    return effects.cap_infinite(values)[0]


def test_infinitely_good_counts_as_the_best_of_the_others():
    assert capped(1.0, math.inf, 3.0, -math.inf).tolist() == [1, 3, 3, -math.inf]
    assert capped(math.inf, -math.inf).tolist() == [math.inf, -math.inf]
    assert effects.best_of([20, math.inf, 30]).tolist() == effects.best_of([20, 30, 30]).tolist()
    assert (
        effects.best_of([2, -math.inf, 1], higher_is_better=False).tolist() == effects.best_of([2, 1, 1], higher_is_better=False).tolist()
    )
    found = effects.sensitivity([0.1, 1.0], [[20.0, -math.inf], [math.inf, 30.0]], higher_is_better=True)
    assert found.diverged.tolist() == [0.5, 0]
    assert found.value.tolist() == [20, 30]


def test_an_infinite_point_lies_on_the_edge_of_the_frame():
    records = [record_with([20.0, math.inf, 30.0]), record_with([21.0, 22.0, 23.0], label="b")]
    pooled = plots.pool_curves(records)
    assert pooled["value"].tolist() == [20, math.inf, 30, 21, 22, 23]
    (axes,) = plots.curve(pooled, "validation/psnr", "step", figure_style.styles(records)).axes
    assert axes.get_ylim()[1] < 32
    (diamond,) = [line for line in axes.lines if line.get_marker() == "d"]
    assert diamond.get_xydata().tolist() == [[10, axes.get_ylim()[1]]]
