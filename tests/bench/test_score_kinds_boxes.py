"""Detections that exist already are scored beside annotations: COCO's JSON and YOLO's text files on either side."""

import contextlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from _scored import records_of, refusal, score, table_of, write_json
from PIL import Image

import runner
from bench import registry
from bench.detector import Detections
from datasets.reading.boxes import open_found, read_truth

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
DETECTION = ("--task", "detection")
CATEGORIES = {3: "cat", 7: "dog"}


def annotated(folder, *, crowd=False):
    """Annotations of three pictures, the last of which shows nothing."""
    boxes = [(1, 3, [10, 10, 20, 20]), (1, 7, [50, 40, 30, 20]), (2, 3, [5, 5, 40, 30])]
    notes = [{"id": i, "image_id": image, "category_id": c, "bbox": b, "iscrowd": 0} for i, (image, c, b) in enumerate(boxes)]
    if crowd:
        notes.append({"id": 9, "image_id": 2, "category_id": 7, "bbox": [50, 0, 50, 50], "iscrowd": 1})
    images = [{"id": i, "file_name": f"deep/p{i}.jpg", "width": 100, "height": 80} for i in (1, 2, 5)]
    truth = {"images": images, "annotations": notes, "categories": [{"id": i, "name": name} for i, name in CATEGORIES.items()]}
    return write_json(folder / "truth.json", truth)


def results(truth, move=0.0, score=0.9):
    """Every annotated box as a result, moved to the right."""
    notes = json.loads(truth.read_text())["annotations"]
    found = [(n["image_id"], n["category_id"], n["bbox"]) for n in notes if not n.get("iscrowd")]
    return [{"image_id": i, "category_id": c, "bbox": [x + move, y, w, h], "score": score} for i, c, (x, y, w, h) in found]


def as_yolo(folder, truth, entries, pattern="{}.txt"):
    """Results in text files."""
    content = json.loads(truth.read_text())
    names = {image["id"]: image["file_name"].rpartition(".")[0] for image in content["images"]}
    for entry in entries:
        x, y, w, h = entry["bbox"]
        row = (sorted(CATEGORIES).index(entry["category_id"]), (x + w / 2) / 100, (y + h / 2) / 80, w / 100, h / 80, entry["score"])
        (file := folder / pattern.format(names[entry["image_id"]])).parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as text:
            text.write(" ".join(map(str, row)) + "\n")
    return folder


def coco_eval(truth, found):
    """mAP and AP50 by COCO's own program, which reads the files itself."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content = json.loads(truth.read_text())
    for note in content["annotations"]:
        note["area"] = note["bbox"][2] * note["bbox"][3]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = content
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:2].tolist()


def test_the_truth_found_again_is_perfect(tmp_path, out, capsys):
    truth = annotated(tmp_path, crowd=True)
    mine = write_json(tmp_path / "mine.json", results(truth))
    assert score(mine, "--truth", truth, *DETECTION, out=out) == 0
    record = records_of(out)["mine"]
    assert record.final == {"precision": 1, "recall": 1, "f1": 1, "ap50": 1, "map": 1}
    assert {k: record.summary[k] for k in ("pictures", "without_boxes", "boxes", "objects")} == {
        "pictures": 3, "without_boxes": 1, "boxes": 3, "objects": 3,
    }  # fmt: skip
    assert list(table_of(out)["image"]) == ["deep/p1", "deep/p2", "deep/p5"]
    assert "rest on 3 annotated objects" in capsys.readouterr().out


def test_average_precision_of_one_set_each_decides_nothing(tmp_path, out, capsys):
    """Nobody knows how far from it other pictures would be; the difference stands there without a verdict."""
    truth = annotated(tmp_path)
    good, bad = (write_json(tmp_path / f"{name}.json", found) for name, found in (("good", results(truth)), ("bad", [])))
    assert score(good, bad, "--truth", truth, *DETECTION, out=out) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "ap50, map: no verdict: one seed a row" in said
    (suite,) = out.glob("score_*.toml")
    assert runner.main(["compare", "good", "bad", "--suite", str(suite), "--out", str(out)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    assert "no verdict" in lines["ap50"]
    assert "is better" not in lines["map"]


def test_scores_of_boxes_by_hand(tmp_path, out):
    """One of three is found, one with too small a score, one moved away; something is seen where nothing is."""
    truth = annotated(tmp_path)
    found = results(truth)
    found[1]["score"] = 0.2
    found[2]["bbox"][0] += 30
    found.append({"image_id": 5, "category_id": 7, "bbox": [1, 1, 5, 5], "score": 0.5})
    mine = write_json(tmp_path / "mine.json", found)
    assert score(mine, "--truth", truth, *DETECTION, out=out) == 0
    final = records_of(out)["mine"].final
    assert (final["precision"], final["recall"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    low = write_json(tmp_path / "low.json", found)
    assert score(low, "--truth", truth, *DETECTION, "--metrics", "box_agreement[confidence=0.1]", out=out) == 0
    assert records_of(out)["low"].final["recall"] == pytest.approx(2 / 3)


def test_json_and_text_say_the_same(tmp_path, out):
    truth = annotated(tmp_path)
    found = results(truth, move=3.0, score=0.75)
    (tmp_path / "yolo").mkdir()
    yolo = as_yolo(tmp_path / "yolo", truth, found, "{}_v8.txt")
    (yolo / "classes_v8.txt").write_text("cat\ndog\n")
    mine = write_json(tmp_path / "mine.json", found)
    assert score(mine, yolo, "--truth", truth, *DETECTION, "--match", "{}_v8", out=out) == 0
    records = records_of(out)
    assert records["mine"].final == records["yolo"].final
    assert 0 < records["mine"].final["map"] < 1


@pytest.mark.oracle("metric", "box_agreement")
@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_cocos(tmp_path, seed):
    rng = np.random.default_rng(seed)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(8)]
    categories = [{"id": c, "name": str(c)} for c in (1, 4, 9)]
    notes, found = [], []
    for i in range(60):
        image, category = int(rng.integers(8)), int(rng.choice([1, 4, 9]))
        box = [*rng.uniform(0, 300, 2), *rng.uniform(20, 150, 2)]
        notes.append({"id": i + 1, "image_id": image, "category_id": category, "bbox": box, "iscrowd": int(rng.random() < 0.1)})
        for _ in range(int(rng.integers(0, 3))):
            moved = [float(x) for x in np.array(box) + rng.normal(0, 6, 4)]
            moved[2:] = [max(1.0, side) for side in moved[2:]]
            found.append({"image_id": image, "category_id": category, "bbox": moved, "score": float(rng.uniform(0.05, 1))})
    truth = write_json(tmp_path / "truth.json", {"images": images, "annotations": notes, "categories": categories})
    mine = write_json(tmp_path / "mine.json", found)
    read = read_truth(truth)
    ours = open_found(mine, "{}", read)
    predictions = [Detections(b[:, :4], b[:, 4].long(), b[:, 5]) for b in map(ours, read.objects)]
    references = [Detections.from_annotations(b[:, :4], b[:, 4].long(), b[:, 5] > 0) for b in read.objects.values()]
    scored = registry.make("metric", "box_agreement").score(predictions, references)
    assert [scored.map, scored.ap50] == pytest.approx(coco_eval(truth, found), abs=1e-9)
    assert 0.1 < scored.map < scored.ap50 < 1


# -- YOLO's truth
def yolo_set(folder):
    """Two pictures with labels, one without."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for name, size in (("1", (100, 80)), ("two", (64, 64)), ("empty", (64, 64))):
        Image.new("RGB", size).save(folder / "images" / f"{name}.png")
    (folder / "labels" / "1.txt").write_text("0 0.2 0.25 0.2 0.25\n1 0.65 0.625 0.3 0.25\n")
    (folder / "labels" / "two.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (folder / "labels" / "classes.txt").write_text("cat\ndog\n")
    (folder / "data.yaml").write_text("names: [cat, dog]\n")
    return folder


def test_results_beside_yolos_labels(tmp_path, out):
    truth = yolo_set(tmp_path / "set")
    entries = [(1, 0, [10, 10, 20, 20]), ("1", 1, [50, 40, 30, 20]), ("two", 0, [24, 24, 16, 16])]
    mine = write_json(tmp_path / "mine.json", [{"image_id": i, "category_id": c, "bbox": b, "score": 1} for i, c, b in entries])
    shutil.copytree(truth / "labels", yolo := tmp_path / "yolo")
    for file in yolo.glob("[1t]*.txt"):
        file.write_text("".join(f"{line} 0.9\n" for line in file.read_text().splitlines()))
    assert score(mine, yolo, "--truth", truth, *DETECTION, out=out) == 0
    assert {label: record.final["map"] for label, record in records_of(out).items()} == {"mine": 1, "yolo": 1}
    (truth / "images").rename(tmp_path / "elsewhere")
    again = write_json(tmp_path / "again.json", [])
    assert score(again, "--truth", truth, *DETECTION, "--images", tmp_path / "elsewhere", out=out) == 0
    assert records_of(out)["again"].final["map"] == 0


@real
def test_published_labels_found_again_are_perfect_and_moved_ones_agree_with_cocos_program(tmp_path, out):
    truth = read_truth(Path(DATA) / "coco_val128")
    assert (len(truth.objects), len(truth.classes)) == (128, 80)
    ids = {name: number for number, name in truth.ids.items() if isinstance(number, int)}
    rng = np.random.default_rng(0)
    perfect, moved, notes = [], [], []
    for name, boxes in truth.objects.items():
        for x0, y0, x1, y1, label, _ in boxes.tolist():
            box = [x0, y0, x1 - x0, y1 - y0]
            entry = {"image_id": ids[name], "category_id": int(label), "score": float(rng.uniform(0.3, 1))}
            perfect.append(entry | {"bbox": box})
            moved.append(entry | {"bbox": [box[0] + float(rng.normal(0, box[2] / 8)), *box[1:]]})
            notes.append({"id": len(notes) + 1, "image_id": ids[name], "category_id": int(label), "bbox": box, "iscrowd": 0})
    files = [write_json(tmp_path / f"{name}.json", entries) for name, entries in (("perfect", perfect), ("moved", moved))]
    assert score(*files, "--truth", Path(DATA) / "coco_val128", *DETECTION, out=out) == 0
    records = records_of(out)
    assert [records["perfect"].final[c] for c in ("map", "ap50")] == pytest.approx([1, 1])
    images = [{"id": i} for i in ids.values()]
    coco = {"images": images, "annotations": notes, "categories": [{"id": i} for i in range(80)]}
    expected = coco_eval(write_json(tmp_path / "coco.json", coco), moved)
    assert [records["moved"].final[c] for c in ("map", "ap50")] == pytest.approx(expected, abs=1e-4)
    assert 0.3 < records["moved"].final["map"] < 0.9


# -- what is refused
BROKEN = {
    "id": ([{"image_id": 4, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}], "entry 0: the image_id 4 is none of the 3 pictures"),
    "class": ([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}], "category_id 1 is none of the 2 classes"),
    "nan box": ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, float("nan"), 1], "score": 1}], "is not finite"),
    "negative": ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, -4, 1], "score": 1}], "has a negative side"),
    "short box": ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1], "score": 1}], "not enough values"),
    "no score": ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]}], "entry 0: it states no 'score'"),
    "score": ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 70}], "the score 70.0 is not in [0, 1]"),
    "nan score": ([{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": float("nan")}], "is not in [0, 1]"),
    "list id": ([{"image_id": [1], "category_id": 3, "bbox": [0, 0, 1, 1], "score": 1}], "unhashable"),
    "annotations": ({"images": [], "annotations": []}, "it is no list of"),
    "numbers": ([1, 2], "entry 0: "),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_results_that_are_none_are_refused_in_a_line(tmp_path, out, capsys, broken):
    content, told = BROKEN[broken]
    mine = write_json(tmp_path / "mine.json", content)
    said = refusal(capsys, mine, "--truth", annotated(tmp_path), *DETECTION, out=out)
    assert "cannot read the boxes" in said
    assert told in said


@pytest.mark.parametrize("content", [b"", b'[{"image_id": 1', b"\xff\xfe\x00", b"[" * 100_000, b"cos\nsystem\n(S'touch /tmp/x'\ntR."])
def test_files_that_are_no_json_are_refused_in_a_line(tmp_path, out, capsys, content):
    truth = annotated(tmp_path)
    (file := tmp_path / "mine.json").write_bytes(content)
    assert "cannot read the boxes" in refusal(capsys, file, "--truth", truth, *DETECTION, out=out)
    assert "cannot read the COCO annotations" in refusal(capsys, truth, "--truth", file, *DETECTION, out=out)


ROWS = {
    "0 0.5 0.5 0.1 0.1": "no confidence stands behind the box",
    "2 0.5 0.5 0.1 0.1 0.9": "with a class below 2",
    "0 0.5 0.5 nan 0.1 0.9": "fractions in [0, 1]",
    "0 0.5 0.5 0.1 0.1 1.9": "with a confidence in [0, 1]",
    "0 320 200 40 30 0.9": "fractions in [0, 1]",
    "cat 0.5 0.5 0.1 0.1 0.9": "expected `class x y width height`",
    "0 0.5 0.5 0.1 0.1 0.2 0.3": "expected `class x y width height confidence`",
}


@pytest.mark.parametrize("row", ROWS)
def test_rows_that_are_no_boxes_are_refused_by_their_number(tmp_path, out, capsys, row):
    (folder := tmp_path / "yolo" / "deep").mkdir(parents=True)
    (folder / "p1.txt").write_text(f"0 0.5 0.5 0.1 0.1 0.9\n{row}\n")
    said = refusal(capsys, tmp_path / "yolo", "--truth", annotated(tmp_path), *DETECTION, out=out)
    assert "p1.txt:2: " in said
    assert ROWS[row] in said


def test_files_of_no_picture_and_truths_that_lack_something_are_refused(tmp_path, out, capsys):
    truth = annotated(tmp_path)
    (folder := tmp_path / "yolo").mkdir()
    (folder / "p9.txt").write_text("0 0.5 0.5 0.1 0.1 0.9\n")
    assert "1 files that are of no picture" in refusal(capsys, folder, "--truth", truth, *DETECTION, out=out)
    assert "has no folder labels" in refusal(capsys, folder, "--truth", folder, *DETECTION, out=out)
    assert "say where the true boxes are" in refusal(capsys, folder, *DETECTION, out=out)
    yolo = yolo_set(tmp_path / "set")
    (yolo / "images" / "two.png").unlink()
    assert "1 files that are of no picture" in refusal(capsys, folder, "--truth", yolo, *DETECTION, out=out)
    (yolo / "data.yaml").unlink()
    assert "has none for the names of the classes" in refusal(capsys, folder, "--truth", yolo, *DETECTION, out=out)
    content = json.loads(truth.read_text())
    content["images"][0].pop("width")
    write_json(truth, content)
    (folder / "p9.txt").unlink()
    (folder / "deep").mkdir()
    (folder / "deep" / "p1.txt").write_text("0 0.5 0.5 0.1 0.1 0.9\n")
    assert "states no width and height of the picture deep/p1" in refusal(capsys, folder, "--truth", truth, *DETECTION, out=out)
    words = [write_json(tmp_path / "mine.json", []), "--truth", truth, *DETECTION, "--metrics"]
    assert "psnr does not judge boxes" in refusal(capsys, *words, "psnr", out=out)
    assert "one metric gives all columns" in refusal(capsys, *words, "box_agreement", "psnr", out=out)


def test_equal_results_are_as_many_boxes(tmp_path):
    truth = read_truth(annotated(tmp_path))
    (folder := tmp_path / "yolo" / "deep").mkdir(parents=True)
    (folder / "p1.txt").write_text("0 0.5 0.5 0.1 0.1 0.9\n\n" * 2)
    found = open_found(tmp_path / "yolo", "{}", truth)
    torch.testing.assert_close(found("deep/p1"), torch.tensor([[45, 36, 55, 44, 0, 0.9]] * 2))
    assert found("deep/p5").shape == (0, 6)
