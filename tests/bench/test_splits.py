"""Splits that have nothing, or nothing that is large enough: one line that says which, why and what to do, in every task."""

import re

import pytest
import torch
from PIL import Image

import runner
from bench import registry
from bench.dataset import SPLITS, Picture, PictureSet
from bench.errors import UsageError
from bench.evaluation import evaluation_set
from bench.running.identify import identify
from bench.spec import Spec
from bench.task import Scores
from bench.tasks import _pictures
from bench.tasks._pictures import Crops
from bench.tasks._splits import open_or_instead, open_split, refuse_empty
from datasets.reading import files
from datasets.reading.files import split_of

CPU = torch.device("cpu")
NAME = next(f"{i}.png" for i in range(99) if split_of(f"{i}.png") == "train")  # the hash of this one is not "test"


def paint(path, size=64, flat=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.new("RGB", (size, size)) if flat else Image.effect_noise((size, size), 80).convert("RGB")).save(path)


def opened(name, **options):
    task = registry.make("task", Spec(name, options))
    task.open(None, CPU)
    return task


def refusal(call, *arguments):
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- empty splits
TASKS = {"deblur": {"scenes": 0, "scene_share": 0.0}, "denoise": {}, "sr": {}, "translate": {}}


@pytest.mark.parametrize("task", TASKS)
def test_an_empty_test_split_says_why(task, tmp_path):
    paint(tmp_path / NAME)
    data = Spec("folder", {"path": str(tmp_path)})
    data = Spec("photo_grey", {"of": str(data)}) if task == "translate" else data
    said = refusal(opened(task, data=str(data), **TASKS[task]).fingerprint)
    assert re.search(r"the (test|validation) split of .* is empty \(listed: train 1, validation 0, test 0\)", said)
    for ask in ("notes", "sample"):
        assert "is empty" in refusal(getattr(opened(task, data=str(data), **TASKS[task]), ask))
    if task == "deblur":
        for ask in (lambda task: task.offers, lambda task: task.cards()):
            assert "is empty" in refusal(ask, opened(task, data=str(data), **TASKS[task]))
    if task != "translate":
        assert said.endswith(
            "a hash of the names chooses the split, 80 % train, 10 % validation, 10 % test: give split=test to test on all"
        )
        assert len(opened(task, data=f"folder[path={tmp_path},split=test]", **TASKS[task])._test) == 1


def test_an_empty_test_split_of_saliency_and_ct(tmp_path):
    for file in (f"mit1003_64/{place}/{NAME.replace('png', 'jpg')}" for place in ("stimuli", "fixmaps")):
        paint(tmp_path / file)
    task = registry.make("task", "saliency[data=mit1003]")
    task.open(tmp_path, CPU)
    assert re.search(
        r"the test split of mit1003 is empty \(listed: train \d, validation \d, test 0\).*split=test", refusal(task.fingerprint)
    )
    for ask in (lambda task: task.cards(), lambda task: task.fingerprint(), lambda task: task.sample()):
        assert "the test split of popout[test=0] is empty" in refusal(ask, opened("saliency", data="popout[test=0]"))
    for ask in (lambda task: task.offers, lambda task: task.fingerprint()):
        assert "the test split of popout[test=0] is empty" in refusal(ask, opened("ldct", data="popout[test=0]"))


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_that_are_asked_for_must_be_there(split):
    scenes = "digit_scenes[train={train},validation={validation},test={test}]".format(
        **{"train": 2, "validation": 2, "test": 2} | {split: 0}
    )
    task = opened("deblur", scenes_data=scenes)
    if split == "test":
        assert "the test split of digit_scenes" in refusal(task.fingerprint)
        opened("deblur", scenes_data=scenes, scenes=0).fingerprint()
    else:
        assert len(task._scene_split(split))  # the default stands in


def test_what_stands_in_may_be_empty_too():
    empty = opened("sr", data="popout[train=0]", train_data="digit_scenes[train=0]")
    assert "the train split of popout[train=0] is empty" in refusal(empty.batch, 1, torch.Generator())
    nothing = PictureSet([], lambda i: None, "empty")
    assert "the train split of photos is empty" in refusal(refuse_empty, nothing, "photos", None, "train", "refuse")


def test_all_files_skipped_is_a_reason(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    task = opened("denoise", data=f"folder[path={tmp_path},split=test]", on_corrupt="skip")
    assert re.search(r"test split of .* 1 left out, first: cannot read the image .*a\.png: not an image", refusal(task.fingerprint))


def test_what_was_left_out_stays_said_where_others_stand_in(tmp_path):
    for split in ("train", "test"):
        name = next(f"{i}.png" for i in range(99) if split_of(f"{i}.png") == split)
        paint(tmp_path / name)
    (tmp_path / NAME).write_text("no picture")
    data = f"folder[path={tmp_path}]"
    train = open_or_instead(data, "photos", None, "train", "skip")
    assert train.names == open_or_instead("photos", "photos", None, "train", "skip").names
    assert NAME in train.skipped[0]
    assert NAME in opened("denoise", data=data, on_corrupt="skip").notes()["skipped_files"]


def test_one_picture_of_another_split_is_told_on_the_command_line(tmp_path, tiny, capsys):
    paint(tmp_path / "one" / NAME)
    words = [
        "--suite",
        str(tiny.file),
        "--tier",
        "smoke",
        "--methods",
        "identity",
        "--out",
        str(tiny.out),
        "--set",
        f"data=folder[path={tmp_path}/one]",
    ]
    assert runner.main(words) == 2
    assert re.fullmatch(r"error: the test split of folder.* is empty .*give split=test to test on all\n", capsys.readouterr().err)


# -- flat and small tiles
def test_pictures_without_a_tile_are_named(tmp_path):
    paint(tmp_path / "good.png")
    paint(tmp_path / "flat.png", flat=True)
    task = opened("denoise", data=f"folder[path={tmp_path},split=test]", tile=32)
    assert "skipped_files" not in task.notes()
    assert {name.partition("@")[0] for name in task._test.names} == {"good.png"}
    assert (
        task.notes()["skipped_files"]
        == "1: the test picture flat.png is left out: no tile of 32 x 32 pixels has a contrast of 0.0784 or more"
    )
    (tmp_path / "good.png").unlink()
    open_split.cache_clear()
    said = refusal(lambda: opened("denoise", data=f"folder[path={tmp_path},split=test]", tile=32)._test)
    assert said.startswith("nothing is left of the 1 test pictures of folder")
    assert "least_contrast=0" in said


def test_pairs_smaller_than_a_tile_are_named(tmp_path):
    for side in "AB":
        for split in ("train", "val", "test"):
            paint(tmp_path / side / split / "large.png")
        paint(tmp_path / side / "test" / "small.png", size=16)
    task = opened("translate", data=f"folder_pair[path={tmp_path}]", tile=32, crop=16, set_metrics=())
    assert {name.partition("@")[0] for name in task._test.names} == {"large"}
    assert "the test picture small is left out" in task.notes()["skipped_files"]


def test_pictures_of_the_larger_domain_are_named(tmp_path):
    for split in ("train", "val", "test"):
        for i in range(2):
            paint(tmp_path / f"{split}A" / f"{i}.png")
        paint(tmp_path / f"{split}B" / "0.png")
    task = opened("translate", data=f"folder_unpaired[path={tmp_path}]", tile=32, crop=16)
    assert task._split("test").skipped == ["the test picture 1 is left out: the other domain has only 1"]
    assert task._split("train").skipped == []  # all train
    assert len(task._domain_crops("A").pictures) == 2


# -- names
def test_two_pictures_to_judge_have_two_names():
    def observe(picture, i):
        raise AssertionError

    pictures = [Picture(name="x@0,0", target=torch.rand(3, 8, 8)), Picture(name="x@0,0", target=torch.rand(3, 8, 8))]
    with pytest.raises(UsageError, match="two pictures to judge are called x@0,0: rename"):
        evaluation_set(pictures, lambda picture, i: opened("denoise").degrade(picture.target[None], torch.Generator()), CPU)


def test_scores_have_one_value_a_name():
    with pytest.raises(ValueError, match="two values of psnr for images called a:"):
        Scores({"psnr": 1.0}, {"psnr": (["a", "a"], [1.0, 2.0])})


# -- pictures smaller than the crop
def pictures_of(*sides):
    made = [Picture(name=f"p{side}", target=torch.full((3, side, side), i / 10)) for i, side in enumerate(sides)]
    return PictureSet([picture.name for picture in made], made.__getitem__, "f")


def test_small_training_pictures_are_left_out_and_named():
    crops = Crops(pictures_of(16, 40, 31, 32), 32, CPU)
    assert crops.skipped == [f"the training picture p{n} is {n} x {n}, smaller than crop=32, so it is left out" for n in (16, 31)]
    drawn = {round(float(crops.draw([i / 10, 0.5, 0.5, 0.5])[0].mean()), 4) for i in range(10)}
    assert drawn == {0.1, 0.3}
    assert refusal(Crops, pictures_of(16, 31), 32, CPU) == "all 2 training pictures are smaller than crop=32: give --set crop=31 or less"


def test_of_a_large_set_a_small_picture_fails_the_trial_that_draws_it(monkeypatch):
    monkeypatch.setattr(_pictures, "PRELOAD", 1)
    crops = Crops(pictures_of(40, 16), 32, CPU)
    crops.draw([0.0, 0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="the training picture p16 is 16 x 16, smaller than crop=32: give a smaller crop") as caught:
        crops.draw([0.9, 0.5, 0.5, 0.5])
    assert not isinstance(caught.value, UsageError)  # which would end the run


@pytest.fixture
def mixed(tmp_path):
    """Pairs of 64 x 64, and one to train on of 16 x 16."""
    for side in "AB":
        for split in ("train", "val", "test"):
            paint(tmp_path / "pairs" / side / split / "large.png")
        paint(tmp_path / "pairs" / side / "train" / "small.png", size=16)
    return f"data=folder_pair[path={tmp_path}/pairs]"


def run(tiny, mixed, *more):
    return runner.main(["--suite", str(tiny.file), "--tier", "smoke", "--out", str(tiny.out), "--device", "cpu", "--set", mixed, *more])


def test_a_run_goes_on_without_the_small_picture_and_says_so(tiny, mixed, capsys):
    assert run(tiny, mixed) == 0
    records = {record.label: record for record in tiny.store.leaderboard_records("smoke", tiny.out)}
    assert {label: record.outcome for label, record in records.items()} == {"identity": "finished", "unet": "finished"}
    line = "the training picture small is 16 x 16, smaller than crop=32, so it is left out"
    assert records["unet"].tags["skipped_files"] == f"1: {line}"
    assert f"files left out for unet: 1: {line}" in capsys.readouterr().out


def test_where_it_is_found_in_training_the_other_methods_go_on(tiny, mixed, monkeypatch, capsys):
    monkeypatch.setattr(_pictures, "PRELOAD", 1)
    assert run(tiny, mixed, "--methods", "unet", "identity") in (0, 1)
    records = {record.label: record for record in tiny.ledger.read(tiny.ledger.trials())}
    assert records["identity"].outcome == "finished"
    assert records["unet"].outcome == "failed"
    assert "smaller than crop=32" in records["unet"].reason


def test_where_all_are_small_nothing_trains(tiny, mixed, capsys):
    assert run(tiny, mixed, "--set", "crop=80") == 2
    assert capsys.readouterr().err.endswith("error: all 2 training pictures are smaller than crop=80: give --set crop=64 or less\n")


def test_a_split_is_opened_once_for_what_trains_and_what_judges(tiny, tmp_path, monkeypatch):
    """A set of many files is read and hashed as it is opened."""
    folder, opened = tmp_path / "own", []
    folder.mkdir()
    for i in range(12):
        Image.effect_noise((64, 64), 80).convert("RGB").save(folder / f"{i}.png")
    real = files.hash_files
    monkeypatch.setattr(files, "hash_files", lambda paths: opened.append(len(paths)) or real(paths))
    data = f"folder[path={folder}]"
    (trial,) = tiny.trials(methods=["identity"], overrides=[f"data={data}"])
    identify(trial, tiny.settings)
    assert sum(opened) <= 12  # every file once, whatever the tasks
