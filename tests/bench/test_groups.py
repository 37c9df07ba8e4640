"""What test pictures were taken from: those that share a source say so, in every score of a picture."""

from collections import Counter

import pytest
import torch

from bench import registry
from bench.dataset import Picture
from bench.evaluation import evaluation_set
from bench.method import Batch
from bench.suites import expand, read
from bench.task import Scores
from bench.tasks._pictures import evenly, tiles
from bench.training.build import open_task
from datasets.photos import Photos


def picture(name, **changes):
    return Picture(name=name, target=torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)), **changes)


def test_tiles_belong_to_their_photo_or_to_what_it_was_taken_from():
    assert [(t.name, t.group) for t in tiles(picture("p"), 16)] == [(f"p@{y},{x}", "p") for y in (0, 16) for x in (0, 16)]
    assert {t.group for t in tiles(picture("video/7", group="video"), 16)} == {"video"}


def test_an_exam_keeps_units_and_a_picture_of_its_own_is_one():
    shown = evaluation_set(
        [picture("a"), picture("b", group="v"), picture("c", group="v")],
        lambda p, _: Batch(p.target[None], p.target[None]),
        torch.device("cpu"),
    )
    assert shown.groups == {"a": "a", "b": "v", "c": "v"}


def test_scores_join_their_units_and_rows_name_one_each():
    psnr = Scores({"psnr": 1.5}, {"psnr": (["a@0,0", "a@0,9"], [1.0, 2.0])}, groups={"a@0,0": "a", "a@0,9": "a"})
    f1 = Scores({"f1": 0.5}, {"f1": (["s"], [0.5])}, groups={"s": "b"})
    bare = Scores({"x": 3.0}, {"x": (["lone", "blank"], [3.0, 4.0])}, groups={"blank": ""})
    assert psnr.joined(f1).joined(bare).rows() == [
        ("psnr", "a@0,0", 1.0, "a"),
        ("psnr", "a@0,9", 2.0, "a"),
        ("f1", "s", 0.5, "b"),
        ("x", "lone", 3.0, "lone"),
        ("x", "blank", 4.0, "blank"),
    ]


TASKS = {
    "deblur[tile=128,tiles_per_picture=2,blur=\"motion_blur[max_len=12]\",scenes=12,scene_share=0,metrics=(\"psnr\",)]": "identity",
    "deblur[data=\"digit_scenes[test=12]\",tile=64,scenes=0,scene_share=0,metrics=(\"psnr\",)]": "identity",
    "denoise[tile=128,tiles_per_picture=2,metrics=(\"psnr\",)]": "identity",
    "sr[tile=128,tiles_per_picture=2,metrics=(\"psnr\",)]": "bicubic",
    "translate[data=photo_grey,tile=128,tiles_per_picture=2,metrics=(\"psnr\",),set_metrics=(\"sliced_wasserstein\",)]": "identity",
    'translate[data="photo_grey[of=\\"digit_scenes[test=12]\\"]",load=64,crop=64,tile=64,metrics=("psnr",),set_metrics=()]': "identity",
    "saliency[data=\"popout[test=12]\",metrics=(\"cc\",)]": "brightness",
    "saliency[data=\"popout[test=12]\",metrics=(\"cc\",),whole=True]": "brightness",
}  # fmt: skip


@pytest.mark.parametrize("spec", TASKS)
def test_every_score_of_a_picture_names_the_photo_that_it_was_taken_from(spec):
    """Tiles and scenes of one photo share its group, and each photo gives the same number of tiles where asked to."""
    task = open_task(spec, None, torch.device("cpu"))
    method = registry.find("method", TASKS[spec])(task)
    photos = Photos(colour_only="photo_grey," in spec).open(None, "test").names
    by_column = {}
    for column, image, _, group in task.score(method, lambda done, total: None).rows():
        by_column.setdefault(column, {})[image] = group
    for images in by_column.values():
        assert set(images.values()) <= set(photos)
        assert all(image.partition("@")[0] == group or image.startswith("test_") for image, group in images.items())
        assert len(images) > len(set(images.values()))
    if task.options().get("tiles_per_picture"):
        assert Counter(by_column["psnr"].values()) == dict.fromkeys(photos, 2)


@pytest.mark.parametrize("name", ["deblur", "denoise", "sr", "translate"])
def test_in_every_tier_no_photograph_outweighs_another(name):
    loaded = read.load_suite(name)
    for tier in loaded.tiers:
        task = open_task(str(expand.expand(loaded, tier)[0].task), None, torch.device("cpu"))
        found = Counter(picture.group or picture.name for picture in task._cut("test"))
        assert len(found) == (6 if name == "translate" else 11)
        assert set(found.values()) == {task.tiles_per_picture or 1}


def test_tiles_of_a_picture_are_evenly_spread():
    assert evenly(9, 3) == [0, 3, 6]
    assert evenly(11, 8) == [0, 1, 2, 4, 5, 6, 8, 9]
    assert evenly(3, 5) == evenly(3, 0) == [0, 1, 2]
    assert evenly(0, 4) == evenly(0, 0) == []


def test_scores_of_detection_know_the_photo_of_a_scene():
    task = open_task(next(iter(TASKS)), None, torch.device("cpu"))
    found = task.score(registry.find("method", "identity")(task), lambda done, total: None)
    photos = {scene.name: scene.group for scene in registry.make("dataset", "digit_scenes").open(None, "test")}
    for column in ("f1", "gain"):
        names, values = found.per_image[column]
        assert [found.groups[name] for name in names] == [photos[name] for name in names]
        assert sum(values) / len(values) == pytest.approx(found.values[column])
