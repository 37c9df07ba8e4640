"""Folders as the world makes them: every picture is scored once, named as left out, or told in one line."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bench import registry
from bench.dataset import SPLITS
from bench.errors import UsageError
from bench.spec import Spec
from bench.text import one_line

RANDOM = settings(max_examples=120, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
STEP = 10  # gray levels between two pictures: what a lossy format changes is less

STEMS = st.sampled_from(["0", "1", "a", "A", "a b", "é", "0.png", "x@0,0", "line\nbreak", "line\\nbreak", "-rf", "[x=1]"])
FOLDERS = st.lists(st.sampled_from(["s", "t", ".hidden", "u.png"]), max_size=2).map("/".join)
GOOD = st.sampled_from([".png", ".PNG", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".webp", ".ppm", ".pgm", ".pgm16", ".pnm12"])
OTHER = st.sampled_from([".gif", ".heic", ".jp2"])
BAD = ["empty", "text", "nowhere", "loop", "pipe", "other"]
FILE = st.tuples(FOLDERS, st.sampled_from(["", "", "", "."]), STEMS)
ITEMS = st.lists(
    st.one_of(
        st.tuples(st.just("picture"), FILE, GOOD),
        st.tuples(st.just("picture"), FILE, GOOD),
        st.tuples(st.sampled_from(BAD), FILE, GOOD),
        st.tuples(st.just("unread"), FILE, OTHER),
        st.tuples(st.just("notes"), FILE, st.sampled_from([".txt", ".csv", ".png.txt"])),
        st.tuples(st.sampled_from(["link", "outer file", "outer folder", "folder", "up"]), FILE, GOOD),
    ),
    max_size=10,
)


def paint(path, level):
    """A picture of one gray level, in the format that its ending asks for; what is deeper than 8 bits has no ending of its own."""
    if path.suffix in (".pgm16", ".pnm12"):
        top = 65535 if path.suffix == ".pgm16" else 4095
        path = path.with_suffix(path.suffix[:4])
        pixels = np.full((16, 16), round(level / 255 * top)).astype(">u2").tobytes()
        path.write_bytes(b"P5\n16 16\n%d\n" % top + pixels)
    else:
        Image.new("RGB", (16, 16), (level,) * 3).save(path, format={".jfif": "JPEG", ".pgm": "PPM"}.get(path.suffix))
    return path


def level_of(image):
    return round(float(image.mean()) * 255 / STEP)


class Tree:
    """A folder filled with items, beside another that links may lead to; `levels` are the pictures in either by where they really lie."""

    def __init__(self, base):
        self.inside, self.outside = base / "inside", base / "outside"
        self.levels, self.bad, self.other = {}, [], []
        for folder in (self.inside, self.outside):
            folder.mkdir()
        for name in ("far.png", "near.png"):
            self.paint(self.outside / name)

    def paint(self, path):
        level = len(self.levels) + 1
        self.levels[paint(path, level * STEP)] = level

    def made(self, folder):
        """A folder that is there."""
        folder.mkdir(exist_ok=True)
        return folder

    def add(self, kind, place, ending):
        """One item; none where something of that name is there already, or its folder cannot be."""
        folder, dot, stem = place
        path = self.inside / folder / f"{dot}{stem}{ending}"
        real = path.with_suffix(path.suffix[:4]) if ending in (".pgm16", ".pnm12") else path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
        if os.path.lexists(real) or not path.parent.resolve().is_relative_to(self.inside):
            return
        make = {
            "picture": lambda: self.paint(path),
            "empty": lambda: real.touch(),
            "text": lambda: real.write_text("no picture"),
            "nowhere": lambda: real.symlink_to(self.inside / "nowhere.png"),
            "loop": lambda: real.symlink_to(real),
            "pipe": lambda: os.mkfifo(real),
            "other": lambda: Image.new("F", (4, 4)).save(real, format="TIFF"),
            "unread": lambda: real.touch(),
            "notes": lambda: real.touch(),
            "link": lambda: real.symlink_to(
                next(iter(sorted(p for p in self.levels if p.is_relative_to(self.inside))), self.outside / "far.png")
            ),
            "outer file": lambda: real.symlink_to(self.outside / "far.png"),
            "outer folder": lambda: real.symlink_to(self.outside),
            "folder": lambda: real.symlink_to(self.made(self.inside / "s")),
            "up": lambda: real.symlink_to(self.inside.parent),
        }
        make[kind]()
        if kind in BAD:
            self.bad.append(real)
        if kind == "unread":
            self.other.append(real)

    def visible(self):
        """The real paths that can be reached without a name that begins with a dot: by brute force over names."""
        found, queue = set(), [(self.inside, (self.inside,))]
        while queue:
            place, way = queue.pop()
            for name in os.listdir(place):
                path = Path(os.path.realpath(place / name))
                if name.startswith("."):
                    continue
                if path.is_dir():
                    if path not in way and not self.inside.is_relative_to(path):
                        queue.append((path, (*way, path)))
                else:
                    found.add(path if path.exists() else place / name)
        return found


def grown(items, folder):
    tree = Tree(Path(tempfile.mkdtemp(dir=folder)).resolve())
    for item in items:
        tree.add(*item)
    return tree


def denoising(data, **options):
    task = registry.make(
        "task", Spec("denoise", {"data": str(data), "metrics": ("psnr",), "least_contrast": 0.0, "channels": 3, **options})
    )
    task.open(None, torch.device("cpu"))
    return task


def scored(task):
    """Name -> level of every picture with a score."""
    method = registry.find("method", "identity")(task)
    names, values = task.score(method, lambda done, total: None).per_image["psnr"]
    assert len(names) == len(set(names)) == len(values)
    return {picture.name: level_of(picture.target) for picture in task._test.pictures if picture.name in set(names)}


def value_or_refusal(call, *arguments, says):
    """What a call returns; None where it refuses in one line that says one of these."""
    try:
        return call(*arguments)
    except UsageError as error:
        said = str(error)
    assert said == one_line(said)
    assert any(text in said for text in says), said
    return None


@RANDOM
@given(items=ITEMS)
def test_every_picture_of_a_folder_is_scored_once_or_named(tmp_path, items):
    tree = grown(items, tmp_path)
    visible = tree.visible()
    expected = sorted(level for path, level in tree.levels.items() if path in visible)
    bad = [path for path in tree.bad if path in visible]
    task = denoising(Spec("folder", {"path": str(tree.inside), "split": "test"}), on_corrupt="skip")
    if (
        found := value_or_refusal(scored, task, says=("would both be called",) if expected else ("no images in", "the test split of"))
    ) is None:
        return
    assert sorted(found.values()) == expected
    skipped = "\n".join(task._split("test").skipped)
    for path in [*bad, *(path for path in tree.other if path in visible)]:
        assert one_line(path.name) in skipped
    assert "/." not in skipped
    if bad:
        with pytest.raises(UsageError) as caught:
            scored(denoising(Spec("folder", {"path": str(tree.inside), "split": "test"})))
        assert any(one_line(path.name) in str(caught.value) for path in bad)


@RANDOM
@given(items=ITEMS)
def test_the_splits_of_a_folder_share_no_picture_and_lose_none(tmp_path, items):
    tree = grown([item for item in items if item[0] not in BAD], tmp_path)
    visible = tree.visible()
    expected = sorted(level for path, level in tree.levels.items() if path in visible)
    source = registry.make("dataset", Spec("folder", {"path": str(tree.inside)}))
    if not expected:
        with pytest.raises(UsageError, match="no images in"):
            source.open(None, "test")
        return
    if not (opened := value_or_refusal(lambda: {split: source.open(None, split) for split in SPLITS}, says=["would both be called"])):
        return
    assert sorted(level_of(picture.target) for split in SPLITS for picture in opened[split]) == expected
    assert {split: source.count(None, split) for split in SPLITS} == {split: len(opened[split]) for split in SPLITS}
    if not len(opened["test"]):
        with pytest.raises(UsageError, match=r"the test split of folder.* is empty .*give split=test") as caught:
            denoising(Spec("folder", {"path": str(tree.inside)})).fingerprint()
        assert "\n" not in str(caught.value)


PAIR = st.tuples(
    st.sampled_from(["A", "B", "AB", "AB"]),
    st.sampled_from(["", "s/", ".h/"]),
    STEMS,
    st.sampled_from([".png", ".jpg", ".PNG", ".bmp", ".gif"]),
)


@RANDOM
@given(items=st.lists(PAIR, max_size=8), corrupt=st.sampled_from(["refuse", "skip"]))
def test_every_pair_keeps_its_own_truth_or_is_named(tmp_path, items, corrupt):
    base, made = Path(tempfile.mkdtemp(dir=tmp_path)), {}
    for sides, folder, stem, ending in items:
        for side in sides:
            path = base / side / "test" / f"{folder}{stem}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            made[side, f"{folder}{stem}{ending}"] = len(made) + 1
            paint(path, made[side, f"{folder}{stem}{ending}"] * STEP)
    (base / "A").mkdir(exist_ok=True)
    wanted = {name for side, name in made if not name.startswith(".") and not name.endswith(".gif")}
    pairs = sorted((made["A", name], made["B", name]) for name in wanted if ("A", name) in made and ("B", name) in made)
    lonely = sorted(name for name in wanted if (("A", name) in made) != (("B", name) in made))
    source = registry.make("dataset", Spec("folder_pair", {"path": str(base), "on_corrupt": corrupt}))
    says = ["would both be called"] if pairs else ["no pairs in", "would both be called"]
    if corrupt == "refuse":
        says += [f"{one_line(Path(name).name)}" for name in lonely if ("A", name) in made]
    if (pictures := value_or_refusal(source.open, None, "test", says=says)) is None:
        return
    assert sorted((level_of(picture.observed), level_of(picture.target)) for picture in pictures) == pairs
    assert len(set(pictures.names)) == len(pairs)
    for name in lonely:
        assert one_line(Path(name).name) in "\n".join(pictures.skipped)
