import json
import math

import pandas as pd

from bench.store.record import TrialRecord, read_record, write_record
from bench.store.stored import CURVES, PER_IMAGE, strict


def _record(**changes):
    fixed = {
        "suite": "s",
        "task": "deblur",
        "label": "wgan",
        "spec": "wgan[steps=3]",
        "seed": 1,
        "tier": "smoke",
        "trial_id": "ab",
        "outcome": "finished",
    }
    return TrialRecord(**(fixed | changes))


def test_empty_frames_have_their_columns():
    record = _record()
    assert tuple(record.per_image.columns) == PER_IMAGE
    assert tuple(record.curves.columns) == CURVES


def test_json_round_trip_keeps_numbers_that_json_cannot_hold(tmp_path):
    frame = pd.DataFrame([("psnr", "a", math.inf, "a"), ("psnr", "b", math.nan, "x"), ("psnr", "c", 30.25, "x")], columns=list(PER_IMAGE))
    record = _record(final={"psnr": math.inf}, summary={"collapse_step": math.nan}, per_image=frame, gallery=tmp_path, tags={"oracle": "PSF"})
    text = json.dumps(record.to_json(), allow_nan=False)
    back = TrialRecord.from_json(json.loads(text))
    assert back.final == {"psnr": math.inf}
    assert math.isnan(back.summary["collapse_step"])
    assert back.gallery == tmp_path
    pd.testing.assert_frame_equal(back.per_image, frame)
    assert (back.label, back.tags, len(back.curves)) == ("wgan", {"oracle": "PSF"}, 0)


def test_scores_recorded_before_groups_were_belong_to_the_photo_of_their_tile(tmp_path):
    groups = {"a@0,128": "a", "a@128,0": "a", "b": "b", "mail@home": "mail@home", "c@d@1,2": "c@d", "d@1": "d@1", "@1,2": "@1,2"}
    record = _record(per_image=pd.DataFrame([("psnr", name, 1.0) for name in groups], columns=["column", "image", "value"]))
    assert dict(TrialRecord.from_json(record.to_json()).per_image[["image", "group"]].to_numpy().tolist()) == groups
    write_record(record, tmp_path)
    back = read_record(tmp_path).per_image
    assert tuple(back.columns) == PER_IMAGE
    assert back["group"].tolist() == list(groups.values())


def test_scores_keep_the_groups_that_they_were_recorded_with(tmp_path):
    frame = pd.DataFrame([("psnr", "a@0,0", 1.0, "video"), ("psnr", "b", 2.0, "video")], columns=list(PER_IMAGE))
    write_record(_record(per_image=frame), tmp_path)
    pd.testing.assert_frame_equal(read_record(tmp_path).per_image, frame)


def test_strict_leaves_ordinary_values_alone():
    assert strict({"a": [1, 2.5, None, "x"], 3: (-math.inf,)}) == {"a": [1, 2.5, None, "x"], "3": ["-inf"]}
