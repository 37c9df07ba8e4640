import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.dataset import EMPTY, SPLITS, DataSource
from bench.errors import Unavailable, UsageError
from bench.operators.psf import convolve
from datasets.bsds import BSDS
from datasets.coco import Coco
from datasets.folder import Folder
from datasets.gopro import GoPro
from datasets.levin import Levin
from datasets.photos import Photos
from datasets.reading import files
from datasets.reading.inventory import inventory

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")


def paint(path: Path, level=0, size=(20, 16), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode == "L" else (level, 0, 255 - level)).save(path)
    return path


def psnr(x, y):
    return -10 * torch.log10(((x.double() - y.double()) ** 2).mean()).item()


# every source of pictures


def every_source():
    parts = [registry.find("dataset", name) for name in registry.names("dataset")]
    return [part for part in parts if isinstance(part, type) and issubclass(part, DataSource)]


@pytest.mark.parametrize("part", every_source())
def test_every_source_says_what_it_is_and_what_is_missing(part, tmp_path):
    assert part.origin
    assert part.layout
    assert part.licence
    if getattr(part, "folders", ()):
        for root in (None, tmp_path):
            with pytest.raises(Unavailable, match="get it from" if root else "GANBENCH_DATA") as caught:
                part().find(root)
            assert "\n" not in str(caught.value)


def test_the_inventory_has_a_row_for_each(tmp_path):
    paint(tmp_path / "gopro_pairs" / "A_blur1.png")
    paint(tmp_path / "gopro_pairs" / "A_sharp1.png")
    rows = {row.name: row for row in inventory(tmp_path)}
    assert len(rows) == len(every_source())
    assert rows["photos"].counts == {"train": 6, "validation": 2, "test": 11}
    assert rows["digit_scenes"].counts == {"train": 6000, "validation": 100, "test": 300}
    assert rows["gopro"].found
    assert rows["gopro"].counts == {"train": 0, "validation": 0, "test": 1}
    assert not rows["coco"].found
    assert "get it from https://cocodataset.org" in rows["coco"].where


def test_photos_are_bundled():
    pictures = Photos().open(None, "validation")
    assert pictures.names == ["chelsea", "moon"]
    assert pictures[0].target.shape == (3, 300, 451)
    for split in SPLITS:
        assert Photos().count(None, split) == len(Photos().open(None, split))
    with pytest.raises(Unavailable, match="reinstall no_such_package"):
        files.bundled("no_such_package/data/a.png")


@pytest.mark.oracle("dataset", "photos")
def test_no_photo_is_in_two_splits_and_each_is_large_enough_for_a_scene():
    photos = [picture for split in SPLITS for picture in Photos().open(None, split)]
    contents = {hash(picture.target.numpy().tobytes()) for picture in photos}
    assert len({picture.name for picture in photos}) == len(contents) == len(photos) == 19
    assert min(side for picture in photos for side in picture.target.shape[1:]) == 300


def test_gray_photos_are_those_that_colour_only_leaves_out():
    def names(split, gray):
        return [p.name for p in Photos().open(None, split) if (p.target == p.target[:1]).all() == gray]

    for split in SPLITS:
        assert Photos(colour_only=True).open(None, split).names == names(split, False)
        assert Photos().open(None, split).names == names(split, False) + names(split, True)
    assert [len(names(split, True)) for split in SPLITS] == [0, 1, 5]


# folder


@pytest.mark.oracle("dataset", "folder")
def test_folder_splits_by_name_and_stays_so(tmp_path):
    for i in range(60):
        paint(tmp_path / ("sub" if i % 2 else "") / f"{i}.png", i)
    names = {split: Folder(path=str(tmp_path)).open(None, split).names for split in SPLITS}
    assert sorted(name for split in SPLITS for name in names[split]) == sorted(f"sub/{i}.png" if i % 2 else f"{i}.png" for i in range(60))
    assert 38 <= len(names["train"]) <= 57
    assert names["validation"]
    assert names["test"]
    paint(tmp_path / "new.png")
    again = {split: Folder().open(tmp_path, split).names for split in SPLITS}
    assert all(set(names[split]) <= set(again[split]) for split in SPLITS)


def test_folder_for_testing_only(tmp_path):
    paint(tmp_path / "a.png", 255)
    paint(tmp_path / "sub" / "b.png")
    pictures = Folder(path=str(tmp_path), split="test", recursive=False).open(None, "test")
    assert pictures.names == ["a.png"]
    assert pictures[0].target[:, 0, 0].tolist() == [1, 0, 0]
    assert len(Folder(path=str(tmp_path), split="test").open(None, "train")) == 0


def test_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no images in"):
        Folder().open(tmp_path, "test")
    with pytest.raises(UsageError, match="is not a folder"):
        Folder(path=str(tmp_path / "nowhere")).open(None, "test")


def test_broken_pictures_are_refused_or_left_out(tmp_path, monkeypatch):
    paint(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    with pytest.raises(UsageError, match=r"b\.png"):
        Folder(split="test").open(tmp_path, "test")
    pictures = Folder(split="test", on_corrupt="skip").open(tmp_path, "test")
    assert pictures.names == ["a.png"]
    assert len(pictures.skipped) == 1
    assert "b.png" in pictures.skipped[0]
    monkeypatch.setattr(files, "_SMALL", 10)  # a large set: found out when read
    late = Folder(split="test").open(tmp_path, "test")
    assert len(late) == 2
    with pytest.raises(UsageError, match=r"b\.png"):
        list(late)


def test_pictures_are_read_when_asked_for(tmp_path):
    path = paint(tmp_path / "a.png", 0)
    pictures = Folder(split="test").open(tmp_path, "test")
    paint(path, 255)
    assert pictures[0].target[0, 0, 0] == 1
    assert pictures[-1].name == "a.png"
    with pytest.raises(IndexError):
        pictures[1]


def test_the_fingerprint_follows_the_content(tmp_path):
    path = paint(tmp_path / "a.png", 0)
    first = Folder(split="test").open(tmp_path, "test").fingerprint
    paint(path, 255)
    assert Folder(split="test").open(tmp_path, "test").fingerprint != first


# gopro


def gopro(root):
    for part, sequences in (("train", 4), ("test", 2)):
        for s in range(sequences):
            for frame in range(2):
                for level, kind in ((50, "blur"), (100, "blur_gamma"), (200, "sharp")):
                    paint(root / "GOPRO_Large" / part / f"GOPR{s}" / kind / f"{frame:06}.png", level + s)
    return root


@pytest.mark.oracle("dataset", "gopro")
def test_gopro_as_published(tmp_path):
    root = gopro(tmp_path)
    assert [GoPro().count(root, split) for split in SPLITS] == [4, 4, 4]
    assert GoPro().open(root, "validation").names == ["GOPR2/000000", "GOPR2/000001", "GOPR3/000000", "GOPR3/000001"]
    assert GoPro(held_out=0).count(root, "train") == 8
    assert GoPro(held_out=0).open(root, "validation") is EMPTY
    picture = GoPro().open(root, "test")[2]
    assert (picture.name, round(picture.target[0, 0, 0].item() * 255), round(picture.observed[0, 0, 0].item() * 255)) == (
        "GOPR1/000000",
        201,
        101,
    )
    linear = GoPro(subset="blur").open(root, "test")
    assert round(linear[2].observed[0, 0, 0].item() * 255) == 51
    assert linear.fingerprint != GoPro().open(root, "test").fingerprint


def test_gopro_names_a_missing_partner(tmp_path):
    root = gopro(tmp_path)
    (root / "GOPRO_Large/test/GOPR0/blur_gamma/000001.png").unlink()
    with pytest.raises(UsageError, match=r"GOPR0/blur_gamma/000001\.png"):
        GoPro().open(root, "test")
    pictures = GoPro(on_corrupt="skip").open(root, "test")
    assert len(pictures) == 3
    assert len(pictures.skipped) == 1


@real
def test_gopro_pairs():
    pictures = GoPro().open(Path(DATA), "test")
    assert {p.name: round(psnr(p.target, p.observed), 2) for p in pictures} == {"Flower": 25.11, "Istanbul": 24.05}
    assert pictures[0].target.shape == (3, 720, 1280)
    assert GoPro().open(Path(DATA), "train") is EMPTY


# levin


@pytest.mark.oracle("dataset", "levin")
@pytest.mark.parametrize("turned", [False, True])
def test_levin_kernels_are_fitted_to_the_pictures(tmp_path, turned):
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (120, 130), dtype=np.uint8)
    kernel = np.zeros((9, 9), np.uint8)
    kernel[1, 1:7] = kernel[1:5, 6] = 200
    wide = torch.zeros(1, 17, 17)
    wide[0, 1:10, 6:15] = torch.from_numpy(kernel / kernel.sum()).float()  # shifted by (-3, +2)
    blurred = convolve(torch.from_numpy(sharp).float()[None, None], wide)[0, 0].round().byte().numpy()
    folder = tmp_path / "levin2009"
    (folder / "gt").mkdir(parents=True)
    Image.fromarray(blurred).save(folder / "im5_kernel3_img.png")
    Image.fromarray(sharp).save(folder / "gt/im5.png")
    Image.fromarray(np.ascontiguousarray(np.rot90(kernel, 2)) if turned else kernel).save(folder / "gt/kernel3.png")
    pictures = Levin().open(tmp_path, "test")
    assert pictures.names == ["im5_kernel3"]
    psf = pictures[0].psf
    assert psf.sum().item() == pytest.approx(1)
    centre = psf.shape[-1] // 2
    torch.testing.assert_close(psf[centre - 8 : centre + 9, centre - 8 : centre + 9], wide[0])
    assert Levin().open(tmp_path, "train") is EMPTY


@real
def test_levin_pictures_are_explained_by_their_kernels():
    pictures = Levin().open(Path(DATA), "test")
    assert len(pictures) == 32
    for p in pictures:
        model = convolve(p.target[None], p.psf[None])[0]
        assert psnr(model[:, 32:-32, 32:-32], p.observed[:, 32:-32, 32:-32]) > 34.9


# bsds


@pytest.mark.oracle("dataset", "bsds")
def test_bsds_as_published(tmp_path):
    for i, part in enumerate(("train", "val", "test")):
        paint(tmp_path / "BSR/BSDS500/data/images" / part / f"{i}.jpg")
    assert [BSDS().open(tmp_path, split).names for split in SPLITS] == [["0"], ["1"], ["2"]]


@pytest.mark.parametrize("listed", [True, False])
def test_bsds_small_layout_keeps_validation_and_test_apart(tmp_path, listed):
    for i in range(6):
        paint(tmp_path / "bsds500_color" / ("val" if i else "train") / f"{i}.jpg")
    if listed:
        (tmp_path / "bsds500_color/CBSD68.txt").write_text("bsds500_color/val/2.jpg\nbsds500_color/val/5.jpg\n")
    names = {split: BSDS().open(tmp_path, split).names for split in SPLITS}
    assert names["train"] == ["0"]
    assert names["test"] == (["2", "5"] if listed else ["2", "3", "4", "5"])
    assert sorted(names["validation"] + names["test"]) == ["1", "2", "3", "4", "5"]


@real
def test_bsds_real_counts():
    assert [len(BSDS().open(Path(DATA), split)) for split in SPLITS] == [200, 32, 68]


# coco


def coco_json(root):
    paint(root / "coco/val2017/000000000007.jpg", size=(40, 30))
    paint(root / "coco/val2017/000000000009.jpg", size=(40, 30))
    notes = {
        "images": [{"id": 7, "file_name": "000000000007.jpg"}, {"id": 9, "file_name": "000000000009.jpg"}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}],
        "annotations": [
            {"image_id": 7, "category_id": 90, "bbox": [10, 5, 20, 10], "iscrowd": 0},
            {"image_id": 7, "category_id": 13, "bbox": [30, 20, 10.5, 10], "iscrowd": 0},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 30], "iscrowd": 1},
        ],
    }
    path = root / "coco/annotations/instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(notes))
    return path


@pytest.mark.oracle("dataset", "coco")
def test_coco_as_published(tmp_path):
    path = coco_json(tmp_path)
    pictures = Coco().open(tmp_path, "test")
    assert pictures.classes == ["person", "stop sign", "toothbrush"]
    assert pictures[0].boxes.tolist() == [[10, 5, 30, 15], [30, 20, 40, 30]]
    assert pictures[0].labels.tolist() == [2, 1]
    assert (pictures[0].crowds.tolist(), pictures[0].crowd_labels.tolist()) == ([[0, 0, 40, 30]], [0])
    assert pictures[1].boxes.shape == pictures[1].crowds.shape == (0, 4)
    assert pictures[1].labels.dtype == torch.int64
    path.write_text(path.read_text().replace("[10, 5, 20, 10]", "[10, 5, 20, 11]"))
    assert Coco().open(tmp_path, "test").fingerprint != pictures.fingerprint


@pytest.mark.parametrize("content", ["", "{}", '{"images": 3, "categories": [], "annotations": []}', None])
def test_coco_damaged_annotations_are_named(tmp_path, content):
    path = coco_json(tmp_path)
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UsageError, match=r"instances_val2017\.json"):
        Coco().open(tmp_path, "test")


def coco_yolo(root, line):
    folder = root / "coco_val128"
    paint(folder / "images/a.jpg", size=(40, 20))
    paint(folder / "images/b.jpg", size=(40, 20))
    (folder / "labels").mkdir()
    (folder / "labels/a.txt").write_text(line)
    (folder / "classes.yaml").write_text("path: .\nnames:\n  0: person\n  1: 'stop sign'\n# end\n")
    return root


def test_coco_yolo_layout(tmp_path):
    pictures = Coco().open(coco_yolo(tmp_path, "1 0.5 0.5 0.5 0.5\n0 0.9 0.5 0.3 1\n"), "test")
    assert pictures.classes == ["person", "stop sign"]
    torch.testing.assert_close(pictures[0].boxes, torch.tensor([[10.0, 5, 30, 15], [30, 0, 40, 20]]))
    assert pictures[0].labels.tolist() == [1, 0]
    assert len(pictures[1].boxes) == 0  # no label file: nothing in the picture
    assert Coco().open(tmp_path, "train") is EMPTY


@pytest.mark.parametrize("line", ["2 .5 .5 .1 .1", "0 .5 .5 .1", "0 .5 .5 1.5 .1", "x .5 .5 .1 .1", "0.5 .5 .5 .1 .1", "0 nan .5 .1 .1"])
def test_coco_yolo_damaged_lines_are_named(tmp_path, line):
    pictures = Coco().open(coco_yolo(tmp_path, "0 .5 .5 .1 .1\n" + line), "test")
    with pytest.raises(UsageError, match=r"a\.txt:2"):
        pictures[0]


def test_coco_yolo_needs_its_classes(tmp_path):
    root = coco_yolo(tmp_path, "")
    (root / "coco_val128/classes.yaml").write_text("names:\n  0: person\n  2: car\n")
    with pytest.raises(UsageError, match=r"classes\.yaml: expected"):
        Coco().open(root, "test")


@real
def test_coco_val128():
    pictures = Coco().open(Path(DATA), "test")
    labels = Counter(label for p in pictures for label in p.labels.tolist())
    assert (len(pictures), labels.total(), len(labels), len(pictures.classes)) == (128, 898, 73, 80)
    for p in pictures:
        assert (p.boxes[:, 2:] > p.boxes[:, :2]).all()
        assert (p.boxes >= 0).all()
        assert (p.boxes[:, 2:] <= torch.tensor(p.target.shape[:0:-1])).all()
