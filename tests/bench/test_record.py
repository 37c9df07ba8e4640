import json
import math

import pandas as pd

from bench.record import CURVES, PER_IMAGE, TrialRecord, strict


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
    frame = pd.DataFrame([("psnr", "a", math.inf), ("psnr", "b", math.nan), ("psnr", "c", 30.25)], columns=list(PER_IMAGE))
    record = _record(final={"psnr": math.inf}, summary={"collapse_step": math.nan}, per_image=frame, gallery=tmp_path, tags={"oracle": "PSF"})
    text = json.dumps(record.to_json(), allow_nan=False)
    back = TrialRecord.from_json(json.loads(text))
    assert back.final == {"psnr": math.inf}
    assert math.isnan(back.summary["collapse_step"])
    assert back.gallery == tmp_path
    pd.testing.assert_frame_equal(back.per_image, frame)
    assert (back.label, back.tags, len(back.curves)) == ("wgan", {"oracle": "PSF"}, 0)


def test_strict_leaves_ordinary_values_alone():
    assert strict({"a": [1, 2.5, None, "x"], 3: (-math.inf,)}) == {"a": [1, 2.5, None, "x"], "3": ["-inf"]}
