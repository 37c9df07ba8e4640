"""Names are the identities of pictures: two files of one stem are two named pictures, each with its own truth,
or one line that names both.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from bench import registry
from bench.dataset import Picture, PictureSet
from bench.errors import UsageError
from datasets.reading.names import Entry, by_stem, distinct


def paint(root, *names, level=None):
    """Pictures of one gray level each, 10, 20, ... in the order in which they are painted."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        paint.level = level or (paint.level + 10) % 250
        Image.new("L", (16, 16), paint.level).save(path)


paint.level = 0


def opened(spec, root, split="test"):
    return registry.make("dataset", spec).open(root, split)


def level(image):
    return round(float(image.mean()) * 25.5)


def refused(spec, root, *names):
    """In one line that names both."""
    with pytest.raises(UsageError) as caught:
        opened(spec, root)
    said = str(caught.value)
    assert "\n" not in said
    assert all(re.search(rf"{re.escape(one)}(\W|$)", said) for one in names), said


# -- names
def entry(name, *files):
    return Entry(name, tuple(map(Path, files)))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["0.png", "1.png"], ["0", "1"]),  # names of old records stay
        (["0.jpg", "0.png", "1.png"], ["0.jpg", "0.png", "1"]),
        (["0.png", "0.PNG"], ["0.png", "0.PNG"]),
        (["a.png", "A.png"], ["a", "A"]),
        (["0.jpg", "0.jpg.png", "0.png"], ["0.jpg", "0.jpg.png", "0.png"]),
        (["0.png.png", "0.jpg", "0.png"], ["0.png.png", "0.jpg", "0.png"]),
    ],
)
def test_names_keep_their_ending_where_two_would_have_one(files, names):
    assert [e.name for e in distinct([entry(file.rpartition(".")[0], file) for file in files])] == names


def test_names_that_are_written_alike_are_refused():
    with pytest.raises(UsageError, match=r"a\\nb\.png and a\\nb\.png would both be called a\\nb\.png: rename one"):
        distinct([entry("a\nb.png", "a\nb.png"), entry("a\\nb.png", "a\\nb.png")])


def test_pictures_that_share_a_truth_are_refused():
    with pytest.raises(UsageError, match=r"^0\.jpg and 0\.png are both 0 to maps/0\.png: keep one of them$"):
        distinct([entry("0", "0.jpg", "maps/0.png"), entry("1", "1.jpg", "maps/1.png"), entry("0", "0.png", "maps/0.png")])


def test_stems_are_keys_only_where_they_are_unique(tmp_path):
    paint(tmp_path, "0.png", "0.jpg", "1.png")
    files = sorted(tmp_path.iterdir())
    assert by_stem(files, {"1"}) == {"1": tmp_path / "1.png"}
    with pytest.raises(UsageError, match=r"0\.jpg and .*0\.png stand for the same picture"):
        by_stem(files)


def test_no_set_has_one_name_twice():
    with pytest.raises(UsageError, match="two pictures called a:"):
        PictureSet(["a", "b", "a"], lambda i: Picture(name="", target=None), "")


# -- pairs
def test_pairs_of_one_stem_keep_their_own_truth(tmp_path):
    for side in "AB":
        paint(tmp_path, *(f"{side}/test/{name}" for name in ("0.bmp", "0.png", "1.png", "s/1.png", "t/1.png")))
    first = level(np.asarray(Image.open(tmp_path / "A/test/0.bmp"), np.float32) / 255)
    pictures = opened("folder_pair", tmp_path)
    assert pictures.names == ["0.bmp", "0.png", "1", "s/1", "t/1"]
    assert [level(p.observed) for p in pictures] == list(range(first, first + 5))
    assert [level(p.target) for p in pictures] == list(range(first + 5, first + 10))


def test_what_lacks_its_partner_is_named(tmp_path):
    paint(tmp_path, "A/test/0.png", "B/test/0.png", "B/test/1.png", "B/train/2.png", "A/train/3.png", "B/train/3.png")
    pictures = opened("folder_pair", tmp_path)
    assert pictures.names == ["0"]
    assert [line.partition(" is left out")[0] for line in pictures.skipped] == [str(tmp_path / "B/test/1.png")]
    assert registry.make("dataset", "folder_pair").count(tmp_path, "test") == 1
    skipped = [opened("folder_pair", tmp_path, "validation").skipped, opened("folder_pair[held_out=0]", tmp_path, "train").skipped]
    assert sum(map(len, skipped)) == 1


def test_halves_domains_and_flat_sets(tmp_path):
    paint(
        tmp_path,
        "set/test/0.png",
        "set/test/0.jpg",
        "set/testA/0.png",
        "set/testA/0.jpg",
        "set/testA/sub/0.jpg",
        "kodak24/0.png",
        "kodak24/0.jpg",
    )
    assert opened("folder_pair", tmp_path / "set").names == ["0.jpg", "0.png"]
    assert opened("folder_unpaired", tmp_path / "set").names == ["0.jpg", "0.png", "sub/0"]
    assert opened("kodak24", tmp_path).names == ["0.jpg", "0.png"]


@pytest.mark.parametrize(
    ("name", "files", "split", "names"),
    [
        (
            "gopro",
            ["gopro_pairs/X_blur1.png", "gopro_pairs/X_sharp1.png", "gopro_pairs/X_blur1.jpg", "gopro_pairs/X_sharp1.jpg"],
            "test",
            2,
        ),
        ("gopro", [f"GOPRO_Large/test/S/{kind}/0.{end}" for kind in ("blur_gamma", "sharp") for end in ("png", "jpg")], "test", 2),
        ("cc15", ["cc15/a_real.png", "cc15/a_mean.png", "cc15/a_real.jpg", "cc15/a_mean.jpg"], "test", 2),
        ("set5", [f"Set5/image_SRF_4/img_1_SRF_4_{kind}.{end}" for kind in ("HR", "LR") for end in ("png", "bmp")], "test", 2),
        ("train400", ["Train400/0.png", "Train400/0.jpg"], "train", 2),
        ("bsds", ["bsds500_color/val/0.png", "bsds500_color/val/0.jpg", "bsds500_color/val/1.jpg"], "test", 2),
        ("mit1003[split=test]", [f"mit1003_64/{place}/0.{end}" for place in ("stimuli", "fixmaps") for end in ("jpg", "png")], "test", 2),
    ],
)
def test_sets_whose_truth_has_the_ending_too(tmp_path, name, files, split, names):
    paint(tmp_path, *files)
    pictures = opened(name, tmp_path, split)
    assert len(set(pictures.names)) == len(pictures) == names


# -- one truth for two pictures
def test_two_pictures_of_one_truth_are_refused(tmp_path):
    root = tmp_path
    paint(
        root,
        *(f"MIT1003/ALLSTIMULI/0.{end}" for end in ("jpg", "jpeg")),
        *(f"MIT1003/ALLFIXATIONMAPS/0_{kind}.jpg" for kind in ("fixMap", "fixPts")),
    )
    refused("mit1003[split=test]", root, "ALLSTIMULI/0.jpg", "ALLSTIMULI/0.jpeg")
    paint(root, "SALICON/images/val/0.jpg", "SALICON/images/val/0.png", "SALICON/maps/val/0.png")
    (root / "SALICON/fixations/val").mkdir(parents=True)
    scipy.io.savemat(root / "SALICON/fixations/val/0.mat", {"x": 1})
    refused("salicon", root, "images/val/0.jpg", "images/val/0.png")
    paint(root, "sod_saliency/gt/0.png", "sod_saliency/images/0.png", "sod_saliency/images/0.jpg")
    refused("sod", root, "images/0.jpg", "images/0.png")
    paint(root, "sod_saliency/pred/0.png", "sod_saliency/pred/0.jpg")
    refused("sod[pictures=pred]", root, "pred/0.jpg", "pred/0.png")
    (root / "sod_saliency/images/0.jpg").unlink()
    paint(root, "sod_saliency/gt/0.bmp")
    refused("sod", root, "gt/0.bmp", "gt/0.png")
    paint(root, "levin2009/im1_kernel1_img.png", "levin2009/im1_kernel1_img.jpg", "levin2009/gt/im1.png", "levin2009/gt/kernel1.png")
    refused("levin", root, "im1_kernel1_img.jpg", "im1_kernel1_img.png")
    paint(root, "kohler/BlurryImages/Blurry1_1.png", "kohler/BlurryImages/Blurry1_1.jpg", "kohler/GroundTruth1_1_1.png")
    refused("kohler", root, "Blurry1_1.jpg", "Blurry1_1.png")


def test_two_masks_of_one_photograph_are_refused(tmp_path):
    for n in range(30):  # one of them is of the test split
        paint(tmp_path, f"coco_masks/images/{n}.jpg", f"coco_masks/semantic_masks/{n}.png", f"coco_masks/semantic_masks/{n}.bmp")
    refused("coco_masks", tmp_path, "bmp", "png")


def test_yolo_labels_of_two_pictures_are_refused(tmp_path):
    paint(tmp_path, "coco_val128/images/0.jpg", "coco_val128/images/0.png")
    (tmp_path / "coco_val128/labels").mkdir()
    (tmp_path / "coco_val128/classes.yaml").write_text("names: [cat]")
    refused("coco", tmp_path, "images/0.jpg", "images/0.png")


def test_coco_pictures_of_one_stem_have_their_own_boxes_and_of_one_file_are_refused(tmp_path):
    paint(tmp_path, "coco/val2017/0.jpg", "coco/val2017/0.png")
    note = {"category_id": 1, "bbox": [1, 1, 4, 4]}
    content = {"images": [{"id": 1, "file_name": "0.jpg"}, {"id": 2, "file_name": "0.png"}], "categories": [{"id": 1, "name": "cat"}]}
    file = tmp_path / "coco/annotations/instances_val2017.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content | {"annotations": [note | {"image_id": 2}]}))
    assert {picture.name: len(picture.boxes) for picture in opened("coco", tmp_path)} == {"0.jpg": 0, "0.png": 1}
    content["images"][1]["file_name"] = "other/0.jpg"
    file.write_text(json.dumps(content | {"annotations": []}))
    refused("coco", tmp_path, "two pictures have the file '0.jpg'")


def test_pictures_without_frames_are_named(tmp_path):
    paint(tmp_path, "kohler/BlurryImages/Blurry1_1.png", "kohler/BlurryImages/Blurry2_1.png", "kohler/Image1/GroundTruth1_1_1.png")
    pictures = opened("kohler", tmp_path)
    assert pictures.names == ["1_1"]
    assert "Blurry2_1.png is left out" in pictures.skipped[0]
