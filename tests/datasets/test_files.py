"""Which files of a folder are data: links are followed once, hidden names are none, and what is left out is named."""

import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

import runner
from bench import registry
from bench.dataset import SPLITS
from bench.errors import UsageError
from datasets.folder import Folder
from datasets.images import Images
from datasets.lsun import LSUN
from datasets.reading.folders import files_in, folders_in, image_files, once


def paint(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(root / name)


def below(root):
    return [path.relative_to(root).as_posix() for path in image_files(root, recursive=True)]


def all_of(folder, **options):
    return Folder(path=str(folder), split="test", **options).open(None, "test")


# -- links
def test_a_linked_folder_counts_like_any_other(tmp_path):
    paint(tmp_path, *(f"set/{i}.png" for i in range(4)), *(f"more/{i}.png" for i in range(6)))
    (tmp_path / "set/more").symlink_to(tmp_path / "more")
    assert all_of(tmp_path / "set").names == [f"{i}.png" for i in range(4)] + [f"more/{i}.png" for i in range(6)]
    assert Folder(path=str(tmp_path / "set"), split="test").count(None, "test") == 10
    assert sum(len(Images(path=str(tmp_path / "set")).listed(tmp_path / "set", split)) for split in SPLITS) == 10


def test_links_that_go_round_are_followed_once(tmp_path):
    paint(tmp_path, "set/a.png", "set/s/b.png", "far/c.png", "beside.png")
    for link, to in {
        "set/s/up": "set",
        "set/out": ".",
        "set/self": "set",
        "set/far": "far",
        "set/far2": "far",
        "far/back": "set",
        "set/z": "set/s",
    }.items():
        (tmp_path / link).symlink_to(tmp_path / to)
    assert below(tmp_path / "set") == ["a.png", "far/c.png", "s/b.png"]
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert below(tmp_path / "link") == ["a.png", "far/c.png", "s/b.png"]


def test_of_a_file_and_links_to_it_the_file_counts(tmp_path):
    paint(tmp_path, "set/b.png", "far/x.png", "far/y.png")
    for link, to in {"a.png": "set/b.png", "c.png": "set/b.png", "d.png": "far/x.png", "e.png": "far/x.png", "f.png": "far/y.png"}.items():
        (tmp_path / "set" / link).symlink_to(tmp_path / to)
    pictures = all_of(tmp_path / "set")
    assert pictures.names == ["b.png", "d.png", "f.png"]
    assert [line.removeprefix(f"{tmp_path}/set/").replace(str(tmp_path), "") for line in pictures.skipped] == [
        "a.png is left out: it is a link to /set/b.png, which is in the set",
        "c.png is left out: it is a link to /set/b.png, which is in the set",
        "e.png is left out: it is a link to /set/d.png, which is in the set",
    ]
    os.link(tmp_path / "set/b.png", tmp_path / "set/hard.png")  # a name of its own right
    assert "hard.png" in all_of(tmp_path / "set").names
    assert once([tmp_path / "set/b.png"]) == ([tmp_path / "set/b.png"], {})


def test_links_of_a_pair_each_have_their_truth(tmp_path):
    """Ten pictures may share one truth, and one picture may stand in ten pairs."""
    paint(tmp_path, "one.png", "A/test/own.png", "B/test/own.png")
    for side, name in (("A", "x"), ("A", "y"), ("B", "x"), ("B", "y")):
        (tmp_path / side / "test" / f"{name}.png").symlink_to(tmp_path / "one.png")
    pictures = registry.make("dataset", f"folder_pair[path={tmp_path}]").open(None, "test")
    assert pictures.names == ["own", "x", "y"]
    assert pictures.skipped == []


# -- hidden names
def test_names_that_begin_with_a_dot_are_no_data(tmp_path):
    paint(tmp_path, "a.png", ".b.png", ".ipynb_checkpoints/a-checkpoint.png", "s/c.png", "s/.t/d.png", "__MACOSX/._a.png")
    assert all_of(tmp_path).names == ["a.png", "s/c.png"]
    assert [path.name for path in files_in(tmp_path)] == ["a.png"]
    assert [path.name for path in folders_in(tmp_path)] == ["__MACOSX", "s"]
    assert all_of(tmp_path).skipped == []
    paint(tmp_path, ".cache/set/a.png")  # a folder that is named is meant
    assert all_of(tmp_path / ".cache" / "set").names == ["a.png"]


def test_hidden_frames_and_sequences_are_no_data(tmp_path):
    for sequence in ("S", ".T"):
        for kind in ("blur_gamma", "sharp"):
            paint(tmp_path, *(f"GOPRO_Large/test/{sequence}/{kind}/{name}.png" for name in ("0", ".1")))
    assert registry.make("dataset", "gopro").open(tmp_path, "test").names == ["S/0"]


# -- what is not read
def test_pictures_of_other_kinds_are_named(tmp_path):
    paint(tmp_path, "a.png", "b.jfif", "c.GIF")
    for name in ("d.heic", "e.jp2", "notes.txt", "labels.csv", "Thumbs.db"):
        (tmp_path / name).touch()
    pictures = all_of(tmp_path)
    assert pictures.names == ["a.png", "b.jfif"]
    why = "is left out: files of this ending are not read"
    assert pictures.skipped == [f"{tmp_path / name} {why}" for name in ("c.GIF", "d.heic", "e.jp2")]
    only = tmp_path / "only"
    paint(only, "a.gif")
    with pytest.raises(UsageError, match=r"no images in .*only, but 1 pictures of other kinds; known endings are png"):
        all_of(only)


def test_small_squares_name_what_was_left_out(tmp_path):
    paint(tmp_path, *(f"{i}.png" for i in range(40)), *(f"{i}.gif" for i in range(40)))
    opened = [Images(path=str(tmp_path), limit=5).open(None, split) for split in SPLITS]
    assert sum(line.endswith("files of this ending are not read") for samples in opened for line in samples.skipped) == 40
    beyond = [line for samples in opened for line in samples.skipped if "limit=5" in line]
    assert beyond[0] == f"{Images(path=str(tmp_path)).count(None, 'train') - 5} train pictures are left out: limit=5"
    task = registry.make("task", f'generate[data="images[path={tmp_path},limit=5]",metrics=("sliced_wasserstein",)]')
    task.open(None, torch.device("cpu"))
    assert task.notes()["skipped_files"].startswith("4")


def test_deep_folders_of_lsun_follow_links(tmp_path):
    paint(tmp_path, "lsun/bedroom_train/a/0.png", "far/1.png", "lsun/bedroom_train/.b/2.png")
    (tmp_path / "lsun/bedroom_train/far").symlink_to(tmp_path / "far")
    assert sum(len(LSUN().listed(tmp_path / "lsun", split)) for split in SPLITS) == 2


# -- what cannot be listed
def test_a_folder_that_may_not_be_listed_is_named(tmp_path):
    """By somebody who is not root, who may list everything."""
    paint(tmp_path, "set/a.png", "set/secret/b.png")
    tmp_path.chmod(0o755)
    (tmp_path / "set/secret").chmod(0)
    code = (
        "import os, sys; from pathlib import Path; from bench.errors import UsageError; from datasets.reading.folders import image_files\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: print(image_files(Path('set'), recursive=True))\n"
        "except UsageError as error: print(error)"
    )
    env = {**os.environ, "PYTHONPATH": os.path.dirname(runner.__file__)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    (tmp_path / "set/secret").chmod(0o700)
    assert done.stdout == "cannot list the folder set/secret: Permission denied; make it readable, or move it away\n", done.stderr
