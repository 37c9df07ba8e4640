"""What test pictures were taken from: those that share a source say so, in every score of a picture."""

import torch

from bench.method import Batch
from bench.task import Scores
from bench.tasks._pictures import exam, tiles
from datasets._base import Picture


def picture(name, **changes):
    return Picture(name=name, sharp=torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)), **changes)


def test_tiles_belong_to_their_photo_or_to_what_it_was_taken_from():
    assert [(t.name, t.unit) for t in tiles(picture("p"), 16)] == [(f"p@{y},{x}", "p") for y in (0, 16) for x in (0, 16)]
    assert {t.unit for t in tiles(picture("video/7", unit="video"), 16)} == {"video"}


def test_an_exam_keeps_units_and_a_picture_of_its_own_is_one():
    shown = exam(
        [picture("a"), picture("b", unit="v"), picture("c", unit="v")], lambda p, _: Batch(p.sharp[None], p.sharp[None]), torch.device("cpu")
    )
    assert shown.units == {"a": "a", "b": "v", "c": "v"}


def test_scores_join_their_units_and_rows_name_one_each():
    psnr = Scores({"psnr": 1.5}, {"psnr": (["a@0,0", "a@0,9"], [1.0, 2.0])}, units={"a@0,0": "a", "a@0,9": "a"})
    f1 = Scores({"f1": 0.5}, {"f1": (["s"], [0.5])}, units={"s": "b"})
    bare = Scores({"x": 3.0}, {"x": (["lone", "blank"], [3.0, 4.0])}, units={"blank": ""})
    assert psnr.joined(f1).joined(bare).rows() == [
        ("psnr", "a@0,0", 1.0, "a"),
        ("psnr", "a@0,9", 2.0, "a"),
        ("f1", "s", 0.5, "b"),
        ("x", "lone", 3.0, "lone"),
        ("x", "blank", 4.0, "blank"),
    ]
