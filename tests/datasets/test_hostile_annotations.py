"""Annotations that are wrong: what can be mended is, what cannot is refused in one line that names the file."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.errors import UsageError
from datasets import coco, salicon
from datasets.coco import Coco
from datasets.reading import yolo as _yolo

GOOD = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10]}],
}


def written(root, content):
    """A data root with two pictures of 40 x 30 and these annotations."""
    (root / "coco/val2017").mkdir(parents=True, exist_ok=True)
    (root / "coco/annotations").mkdir(exist_ok=True)
    for name in "ab":
        Image.new("RGB", (40, 30)).save(root / f"coco/val2017/{name}.jpg")
    file = root / "coco/annotations/instances_val2017.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def with_boxes(*boxes):
    return {**GOOD, "annotations": [{"id": i, "image_id": 7, "category_id": 3, "bbox": list(box)} for i, box in enumerate(boxes)]}


def refused(root, says):
    with pytest.raises(UsageError, match=rf"cannot read the COCO annotations .*instances_val2017\.json: .*{says}") as caught:
        Coco().open(root, "test")
    assert "\n" not in str(caught.value)


def test_boxes_without_area_are_left_out(tmp_path):
    pictures = Coco().open(written(tmp_path, with_boxes([5, 5, 0, 10], [5, 5, 10, 0], [5, 5, 0, 0], [10, 5, 20, 10])), "test")
    assert pictures[0].boxes.tolist() == [[10, 5, 30, 15]]
    assert pictures[0].labels.tolist() == [1]


def test_boxes_out_of_range_are_clipped_or_left_out(tmp_path):
    boxes = [[-5, -5, 10, 10], [35, 25, 100, 100], [100, 100, 5, 5], [-50, 0, 20, 20], [-1e30, -1e30, 2e30, 2e30]]
    pictures = Coco().open(written(tmp_path, with_boxes(*boxes)), "test")
    assert pictures[0].boxes.tolist() == [[0, 0, 5, 5], [35, 25, 40, 30], [0, 0, 40, 30]]
    assert len(pictures[0].labels) == 3


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, -5, 5],
        [0, 0, 5, -5],
        [0, 0, float("nan"), 5],
        [float("inf"), 0, 5, 5],
        [0, 0, 5],
        [0, 0, 5, 5, 5],
        [],
        ["a", 0, 5, 5],
        [10**400] * 4,
    ],
)
def test_impossible_boxes(tmp_path, box):
    refused(written(tmp_path, with_boxes([10, 5, 20, 10], box)), "")


def test_a_box_that_is_no_list(tmp_path):
    for box in ("1234", None, 7, {"x": 1}):
        content = json.loads(json.dumps(GOOD))
        content["annotations"][0]["bbox"] = box
        refused(written(tmp_path, content), "")


@pytest.mark.parametrize(("key", "value"), [("category_id", 99), ("image_id", 99), ("category_id", None), ("image_id", [7])])
def test_unknown_classes_and_pictures(tmp_path, key, value):
    content = json.loads(json.dumps(GOOD))
    content["annotations"][0][key] = value
    refused(written(tmp_path, content), "")


@pytest.mark.parametrize("kind", ["images", "categories", "annotations"])
def test_duplicate_ids(tmp_path, kind):
    refused(
        written(tmp_path, {**GOOD, kind: [*GOOD[kind], GOOD[kind][0] | {"name": "other", "file_name": "c.jpg"}]}),
        "the id . is given twice",
    )


def test_two_pictures_of_one_stem_keep_their_own_boxes(tmp_path):
    content = {**GOOD, "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "a.png"}]}
    root = written(tmp_path, content)
    Image.new("RGB", (40, 30)).save(root / "coco/val2017/a.png")
    pictures = Coco().open(root, "test")
    assert [len(one.boxes) for one in pictures] == [1, 0, 0]


def test_a_name_cannot_reach_out_of_the_folder(tmp_path):
    content = {**GOOD, "images": [{"id": 7, "file_name": "../../../etc/a.jpg"}, {"id": 9, "file_name": "b.jpg"}]}
    assert len(Coco().open(written(tmp_path, content), "test")[0].boxes) == 1


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "null", "[]", '"x"', "7", '{"images": [1], "categories": [], "annotations": []}', "\x00", "{" * 5000]
)
def test_what_is_no_coco_file(tmp_path, content):
    refused(written(tmp_path, content), "")


def test_annotations_that_are_not_text(tmp_path):
    (written(tmp_path, GOOD) / "coco/annotations/instances_val2017.json").write_bytes(b"\xff\xfe\x00{")
    refused(tmp_path, "UnicodeDecodeError")


def yolo(root, lines):
    folder = root / "coco_val128"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    Image.new("RGB", (40, 20)).save(folder / "images/a.jpg")
    (folder / "labels/a.txt").write_bytes(lines)
    (folder / "classes.yaml").write_text("names:\n  0: person\n  1: '<script>alert(1)</script>'\n")
    return Coco().open(root, "test")


def test_yolo_boxes_without_area_are_left_out_and_others_clipped(tmp_path):
    pictures = yolo(tmp_path, b"0 .5 .5 0 .5\n1 .5 .5 .5 0\n1 1 1 .5 .5\n0 .5 .5 1 1\n\n"[:-1])
    assert pictures[0].boxes.tolist() == [[30, 15, 40, 20], [0, 0, 40, 20]]
    assert pictures[0].labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    "line", [b"-1 .5 .5 .1 .1", b"0 -.5 .5 .1 .1", b"0 inf .5 .1 .1", b"\xff\xfe\x00", b"0 .5 .5 .1 .1 7", b"x" * 100_000, b"1e400 0 0 0 0"]
)
def test_yolo_lines_that_are_wrong(tmp_path, line):
    with pytest.raises(UsageError, match=r"a\.txt:2: expected") as caught:
        yolo(tmp_path, b"0 .5 .5 .1 .1\n" + line)[0]
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "boxes"),
    [
        (b"0 .5 .5 1 1\n\n", 1),  # a blank last line
        (b"\n  \t\r\n0 .5 .5 1 1\r\n\n\n1 .5 .5 .5 .5\n \n", 2),
        (b"\xef\xbb\xbf0 .5 .5 1 1", 1),  # a byte order mark
        (b"", 0),
        (b"\n\n", 0),
        (b"0 .5 .5 1 1\n0 .5 .5 1 1\n0 .5 .5 1.0 1", 1),  # the same line three times
        (b"0 1.005 .5 .02 .5\n1 -.005 .5 .02 .5", 2),  # rounded beyond the border
        (b"0 .25 .25 .75 .25 .5 .75", 1),  # an outline
    ],
)
def test_yolo_lines_that_its_own_tools_read(tmp_path, lines, boxes):
    pictures = yolo(tmp_path, lines)
    assert len(pictures[0].boxes) == boxes


def test_the_box_of_an_outline(tmp_path):
    assert yolo(tmp_path, b"1 .25 .25 .75 .5 .5 .75")[0].boxes.tolist() == [[10, 5, 30, 15]]


CLASSES = [
    ("names:\n  0: person  # a human\n  1: dog\n", ["person", "dog"]),
    ("# of mine\npath: ../here\n\nnames: # two\n\n  0: person\n\n  # not yet: 2\n  1: 'a # dog'\n\nnc: 2\n", ["person", "a # dog"]),
    ("names:\n- person\n- 'dog'\n", ["person", "dog"]),
    ("names: [person, dog]  # both\n", ["person", "dog"]),
    ("names: {0: person, 1: dog}\n", ["person", "dog"]),
    ("names:\n  1: dog\n  0: person\n", ["person", "dog"]),
    ('names:\n    "0": person\n    "1": "dog"\n', ["person", "dog"]),
    ("\ufeffnames: [no, 1.0]\n", ["no", "1.0"]),
    ("nc: 2\n", ["class_0", "class_1"]),
    ("train: x\nnames:\n  0: person\ndownload: |\n  import os\n  1: dog\n", ["person"]),
]


@pytest.mark.parametrize(("text", "names"), CLASSES)
def test_class_files_that_yolos_own_tools_read(tmp_path, text, names):
    file = tmp_path / "classes.yaml"
    file.write_text(text, encoding="utf-8")
    assert _yolo.read_classes(file) == names


@pytest.mark.parametrize(
    "text",
    [
        *("", "names:", "names: cat", "names: []", "names: {1: cat}", "names: {0: [cat]}", "names: {a: cat}", "[cat]", "nc: 0", "nc: many"),
        *(
            "nc: 3\nnames: [cat]",
            "nc: 1000000000",
            "names: [cat",
            "names: {0: cat, -1: dog}",
            "\tnames: [cat]",
            "&a [*a]",
            "names: &a [*a, cat]",
        ),
    ],
)
def test_class_files_that_say_no_classes(tmp_path, text):
    file = tmp_path / "classes.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"classes\.yaml: expected `names:`") as caught:
        _yolo.read_classes(file)
    assert "\n" not in str(caught.value)


# -- anything at all
KEYS = st.sampled_from(["id", "name", "bbox", "image_id", "file_name"])
FEW = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def value_or_refusal(call, *arguments, says):
    """What a call returns; None where it refuses in one line that begins so."""
    try:
        return call(*arguments)
    except UsageError as error:
        said = str(error)
    assert said.startswith(says)
    assert "\n" not in said
    return None


def nearly(**fields):
    """A mapping with these fields, any of which may be missing or anything."""
    return st.fixed_dictionaries({}, optional={key: value | value | value | ANY for key, value in fields.items()})


IDS = st.integers(0, 3)
COCO = nearly(
    images=st.lists(nearly(id=IDS, file_name=st.sampled_from(["a.jpg", "b.jpg", "../a.jpg", ""])), max_size=3),
    categories=st.lists(nearly(id=IDS, name=st.text(max_size=5)), max_size=3),
    annotations=st.lists(
        nearly(image_id=IDS, category_id=IDS, bbox=st.lists(st.floats(-50, 50) | st.floats(), min_size=4, max_size=4), iscrowd=IDS, id=IDS),
        max_size=3,
    ),
)


@FEW
@given(content=COCO | ANY)
def test_any_coco_file_is_read_or_refused(tmp_path, content):
    file = tmp_path / "x.json"
    file.write_text(json.dumps(content))
    if not (found := value_or_refusal(coco._instances, file, says=f"cannot read the COCO annotations {file}: ")):
        return
    classes, objects = found
    assert all(isinstance(name, str) for name in classes)
    for several in objects.values():
        for label, (x0, y0, x1, y1) in several:
            assert 0 <= label < len(classes)
            assert x0 <= x1
            assert y0 <= y1
    one = coco._with_boxes(objects, coco.Entry("a", (picture_file(tmp_path),)))
    assert one.boxes.shape == (len(one.labels), 4)
    assert one.boxes.isfinite().all()
    assert (one.boxes[:, 2:] > one.boxes[:, :2]).all()
    assert (one.boxes >= 0).all()
    assert (one.boxes <= torch.tensor([40, 30, 40, 30])).all()


def picture_file(folder: Path) -> Path:
    file = folder / "a.jpg"
    if not file.exists():
        Image.new("RGB", (40, 30)).save(file)
    return file


@FEW
@given(content=st.binary(max_size=60) | st.text("0123456789. e-+naif\n\t", max_size=60).map(str.encode))
def test_any_yolo_file_is_read_or_refused(tmp_path, content):
    file = tmp_path / "x.txt"
    file.write_bytes(content)
    if (rows := value_or_refusal(_yolo.read_rows, file, 3, says=f"{file}:")) is None:
        return
    assert rows.shape[1] == 5
    assert rows.isfinite().all()
    assert (rows[:, 0] < 3).all()


@FEW
@given(content=st.binary(max_size=60) | st.text("names:\n 0123<\"'x", max_size=60).map(str.encode))
def test_any_class_file_is_read_or_refused(tmp_path, content):
    file = tmp_path / "classes.yaml"
    file.write_bytes(content)
    assert value_or_refusal(_yolo.read_classes, file, says=f"{file}: expected") != []


# -- fixations of SALICON
def mat(file, **content):
    scipy.io.savemat(file, content)
    return file.read_bytes()


def gaze(*observers):
    """One record an observer, each with the x and y of fixations."""
    found = np.empty((len(observers), 1), dtype=[("fixations", object)])
    for i, points in enumerate(observers):
        found[i, 0] = (np.array(points),)
    return found


@pytest.mark.parametrize(
    "content",
    [
        {"resolution": [[10**9, 10**9]], "gaze": gaze([[1, 1]])},
        {"resolution": [[-3, 4]], "gaze": gaze([[1, 1]])},
        {"resolution": [[3]], "gaze": gaze([[1, 1]])},
        {"resolution": "<b>\n", "gaze": gaze([[1, 1]])},
        {"resolution": [[np.nan, 4]], "gaze": gaze([[1, 1]])},
        {"resolution": [[3, 4]]},
        {"resolution": [[3, 4]], "gaze": [[1, 2]]},
        {"resolution": [[3, 4]], "gaze": gaze([[1, 1, 1]])},
        {"resolution": [[3, 4]], "gaze": gaze(["text"])},
    ],
)
def test_impossible_fixations(tmp_path, content):
    mat(tmp_path / "x.mat", **content)
    with pytest.raises(UsageError, match=r"cannot read the fixations .*x\.mat: ") as caught:
        salicon._fixations(tmp_path / "x.mat")
    assert "\n" not in str(caught.value)


def test_fixations_beyond_the_picture_count_at_its_border(tmp_path):
    mat(tmp_path / "x.mat", resolution=[[3, 4]], gaze=gaze([[-5, 99], [4, 3], [10**12, 1]]))
    assert salicon._fixations(tmp_path / "x.mat")[0].nonzero().tolist() == [[0, 3], [2, 0], [2, 3]]


@FEW
@given(data=st.data())
def test_any_damaged_file_of_fixations_is_read_or_refused(tmp_path, data):
    file = tmp_path / "x.mat"
    content = bytearray(mat(file, resolution=[[3, 4]], gaze=gaze([[1, 1], [2, 2]], [[3, 3]])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what scipy thinks of it
        seen = value_or_refusal(salicon._fixations, file, says=f"cannot read the fixations {file}: ")
    assert seen is None or (seen.ndim == 3 and set(seen.unique().tolist()) <= {0, 1})


@FEW
@given(data=st.data())
def test_a_coco_file_with_damaged_text_is_read_or_refused(tmp_path, data):
    """Characters lost, doubled, moved, exchanged."""
    text = json.dumps(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        i, j = sorted(data.draw(st.integers(0, len(text))) for _ in "ij")
        text = (
            text[:i]
            + data.draw(st.sampled_from(["", text[i:j] * 2, text[j : j + 9], "NaN", "-", "null", '"', "1e999", "\x00", "\\ud800"]))
            + text[j:]
        )
    file = tmp_path / "x.json"
    file.write_text(text)
    value_or_refusal(coco._instances, file, says=f"cannot read the COCO annotations {file}: ")
