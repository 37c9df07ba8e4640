import json
import math

import pandas as pd
import pytest

from bench.store.record import join
from bench.store.record_files import read_judgement, read_run, write
from bench.store.stored import CURVES, PER_IMAGE, Judgement, Training, strict


def training(**changes):
    return Training(
        **{"id": "ab", "suite": "s", "task": "deblur", "spec": "wgan[steps=3]", "title": "wgan", "seed": 1, "tier": "smoke"} | changes
    )


def judgement(**changes):
    return Judgement(**{"id": "cd", "suite": "s", "training": "ab", "task": "deblur[test=x]", "label": "wgan"} | changes)


def test_empty_frames_have_their_columns():
    record = join(training(), judgement())
    assert tuple(record.per_image.columns) == PER_IMAGE
    assert tuple(record.curves.columns) == CURVES


def test_files_keep_numbers_that_json_cannot_hold(tmp_path):
    frame = pd.DataFrame([("psnr", "a", math.inf, "a"), ("psnr", "b", math.nan, "x"), ("psnr", "c", 30.25, "x")], columns=list(PER_IMAGE))
    write(judgement(final={"psnr": math.inf}, summary={"collapse_step": math.nan}, per_image=frame, tags={"oracle": "PSF"}), tmp_path)
    json.loads((tmp_path / "record.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    back = read_judgement(tmp_path)
    assert back.final == {"psnr": math.inf}
    assert math.isnan(back.summary["collapse_step"])
    pd.testing.assert_frame_equal(back.per_image, frame)
    assert (back.label, back.tags, back.head()) == ("wgan", {"oracle": "PSF"}, {**back.head(), "kind": "judgement"})


def test_a_training_comes_back_as_it_was(tmp_path):
    curves = pd.DataFrame([("train/loss", 1, 2, 0.5, math.nan)], columns=list(CURVES))
    write(training(curves=curves, weights={"last": "0"}, costs={"train_seconds": 1.0}), tmp_path)
    back = read_run(tmp_path)
    assert (back.head(), type(back)) == (training(weights={"last": "0"}, costs={"train_seconds": 1.0}).head(), Training)
    pd.testing.assert_frame_equal(back.curves, curves)


@pytest.mark.parametrize(
    "head", ["[]", "{}", '{"suite": "s", "label": "x"}', '{"kind": "training", "id": "1", "suite": "s", "new": 1}', '{"kind": "x"}']
)
def test_what_another_version_wrote_is_no_record(tmp_path, head):
    (tmp_path / "record.json").write_text(head)
    with pytest.raises(ValueError, match=r"no training of this version|holds no record"):
        read_run(tmp_path, frames=False)


def test_a_trial_ends_as_its_training_where_that_did_not_finish():
    record = join(training(outcome="diverged", reason="NaN"), judgement(outcome="finished"))
    assert (record.outcome, record.reason) == ("diverged", "NaN")
    record = join(training(), judgement(outcome="failed", reason="no memory"))
    assert (record.outcome, record.reason) == ("failed", "no memory")


def test_a_trial_that_was_judged_elsewhere_says_where():
    here, there = {"torch": "2.15", "threads": "2"}, {"torch": "2.14", "threads": "2"}
    assert join(training(environment=here), judgement(environment=there)).environment == {**here, "judged_torch": "2.14"}


def test_strict_leaves_ordinary_values_alone():
    assert strict({"a": [1, 2.5, None, "x"], 3: (-math.inf,)}) == {"a": [1, 2.5, None, "x"], "3": ["-inf"]}
