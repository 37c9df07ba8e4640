import numpy as np
import pytest
import torch

from datasets import digit_scenes
from datasets.digit_scenes import DigitScenes


@pytest.fixture(scope="module")
def scenes():
    return {split: list(DigitScenes(train=40, validation=20, test=20).open(None, split)) for split in ("train", "validation", "test")}


def test_scenes_look_as_promised(scenes):
    for picture in [p for split in scenes.values() for p in split]:
        assert picture.target.shape == (3, 128, 128)
        assert picture.target.dtype == torch.float32
        assert 0 <= picture.target.min() <= picture.target.max() <= 1
        assert 3 <= len(picture.labels) == len(picture.boxes) <= 6
        assert picture.labels.dtype == torch.int64
        assert picture.boxes.dtype == torch.float32
        low, high = picture.boxes[:, :2], picture.boxes[:, 2:]
        assert (low >= 0).all()
        assert (high <= 128).all()
        assert (high - low > 3).all()
        overlap = (torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)).clamp_min(0).prod(2)
        assert overlap.fill_diagonal_(0).max() == 0


def test_every_digit_appears(scenes):
    assert set(torch.cat([p.labels for p in scenes["train"]]).tolist()) == set(range(10))
    assert DigitScenes().open(None, "test").classes == [str(d) for d in range(10)]


def test_a_scene_depends_on_seed_split_and_index_alone():
    few, many = DigitScenes(test=3).open(None, "test"), DigitScenes(test=9).open(None, "test")
    assert torch.equal(many[2].target, few[2].target)
    assert torch.equal(few[2].target, few[2].target)
    assert not torch.equal(few[2].target, few[1].target)
    assert not torch.equal(few[2].target, DigitScenes(seed=1).open(None, "test")[2].target)
    with pytest.raises(IndexError):
        few[3]


@pytest.mark.oracle("dataset", "digit_scenes")
def test_boxes_bound_exactly_what_is_opaque(monkeypatch):
    """On a black photo with white digits the picture is the opacity itself."""
    monkeypatch.setattr(digit_scenes, "_photos", lambda split: [("night", np.zeros((140, 150, 3), np.float32))])
    monkeypatch.setattr(digit_scenes, "_colour", lambda patch, alpha, rng: np.ones(3, np.float32))
    for picture in DigitScenes(train=20).open(None, "train"):
        solid = picture.target[0] > 0.5
        covered = torch.zeros(128, 128, dtype=torch.bool)
        for x0, y0, x1, y1 in picture.boxes.int().tolist():
            inside = solid[y0:y1, x0:x1]
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()  # noqa: PT018
            covered[y0:y1, x0:x1] = True
        assert not (solid & ~covered).any()


def test_colours_stand_out_even_from_middle_gray():
    rng = np.random.default_rng(0)
    for level in (0.0, 0.3, 0.5, 0.69, 1.0):
        patch, alpha = np.full((9, 9, 3), level, np.float32), np.ones((9, 9), np.float32)
        for _ in range(200):
            colour = digit_scenes._colour(patch, alpha, rng)
            assert abs(float(colour @ digit_scenes._LUMA) - level) > 0.3


def test_splits_share_neither_digits_nor_photos():
    parts = {split: digit_scenes._digits(split)[0] for split in ("train", "validation", "test")}
    assert [len(p) for p in parts.values()] == [1200, 100, 497]
    assert [len(digit_scenes._photos(split)) for split in parts] == [6, 2, 11]


def test_the_fingerprint_covers_what_decides_a_scene():
    prints = [DigitScenes(**o).open(None, "test").fingerprint for o in ({}, {"seed": 1}, {"size": 96}, {"test": 299})]
    prints.append(DigitScenes().open(None, "train").fingerprint)
    assert len(set(prints)) == 5
    assert DigitScenes(train=7).open(None, "test").fingerprint == prints[0]


def test_scenes_change_only_with_the_recipe():
    """If this fails on purpose, raise `_RECIPE` and put the new values here."""
    picture = DigitScenes().open(None, "test")[0]
    assert digit_scenes._RECIPE == 1
    assert (picture.labels.tolist(), picture.boxes[0].tolist(), round(picture.target.mean().item(), 4)) == GOLDEN


GOLDEN = ([0, 7, 9, 1], [10.0, 13.0, 27.0, 41.0], 0.5032)


@pytest.mark.parametrize("options", [{"size": 95}, {"size": 301}, {"test": -1}])
def test_senseless_options_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        DigitScenes(**options)
