"""Label maps that exist already are scored beside true ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from _scored import records_of, refusal, score, table_of
from PIL import Image

import runner
from bench import registry
from bench.errors import UsageError
from bench.metrics import _confusion
from bench.statistics import intervals, paired
from datasets.reading.labels import read_labels

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
SEGMENTATION = ("--task", "segmentation")


def write(folder, **maps):
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in maps.items():
        Image.fromarray(np.asarray(labels, dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


def by_definition(pairs, classes, ignore=255):
    """The three numbers, pixel by pixel."""
    hits, true, given = (np.zeros(classes) for _ in range(3))
    total = 0
    for labels, truth in pairs:
        for p, t in zip(np.ravel(labels).tolist(), np.ravel(truth).tolist(), strict=True):
            if t == ignore:
                continue
            total += 1
            true[t] += 1
            hits[t] += p == t
            if p != ignore:
                given[p] += 1
    shown, seen = true > 0, true + given > 0
    accuracy, union = hits[shown] / true[shown], hits[seen] / (true + given - hits)[seen]
    return {"pixel_accuracy": hits.sum() / total, "class_accuracy": accuracy.mean(), "iou": union.mean()}


@pytest.mark.oracle("metric", "label_agreement")
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    metric = registry.make("metric", "label_agreement[classes=6]")
    truths = [rng.choice([0, 1, 2, 4, 255], (9, 7)) for _ in range(4)]
    pairs = [(np.where(rng.random(t.shape) < 0.6, t, rng.choice([0, 1, 3, 255], t.shape)), t) for t in truths]
    counts = torch.stack([metric.tally(torch.from_numpy(a), torch.from_numpy(b)) for a, b in pairs])
    expected = by_definition(pairs, 6)
    assert metric.score(counts.sum(0)) == pytest.approx(expected, abs=1e-12)
    means = {column: float(values.mean()) for column, values in metric.per_picture(counts).items()}
    assert means == pytest.approx(expected, abs=1e-12)


def test_maps_are_scored_over_the_whole_set(tmp_path, out):
    rng = np.random.default_rng(0)
    truth = {name: rng.choice([0, 1, 2, 255], size) for name, size in (("a", (8, 9)), ("b", (20, 6)))}
    mine = {name: np.where(rng.random(t.shape) < 0.7, t, 1) for name, t in truth.items()}
    files = write(tmp_path / "mine", **mine), write(tmp_path / "truth", **truth)
    assert score(files[0], "--truth", files[1], *SEGMENTATION, "--classes", 3, out=out) == 0
    record = records_of(out)["mine"]
    expected = by_definition([(mine[n], truth[n]) for n in truth], 3)
    assert record.final == pytest.approx(expected, abs=1e-12)
    assert table_of(out)[list(expected)].mean().to_dict() == pytest.approx(expected, abs=1e-12)
    assert np.mean([record.summary[f"iou/class_{i}"] for i in range(3)]) == pytest.approx(expected["iou"])
    assert len(list(out.glob("score_*/trials/*/judgements/*/gallery/*.json"))) == 2


def test_pixels_that_are_ignored_count_nowhere_unless_one_says_so(tmp_path, out):
    truth = write(tmp_path / "truth", a=[[0, 0, 1, 255], [1, 1, 0, 255]])
    mine = write(tmp_path / "mine", a=[[0, 0, 1, 1], [1, 1, 0, 0]])
    assert score(mine, "--truth", truth, *SEGMENTATION, out=out) == 0
    assert set(records_of(out)["mine"].final.values()) == {1}
    mine = write(tmp_path / "void", a=[[0, 0, 1, 1], [1, 255, 255, 0]])
    assert score(mine, "--truth", truth, *SEGMENTATION, out=out) == 0
    assert records_of(out)["void"].final["pixel_accuracy"] == pytest.approx(4 / 6)
    (other := tmp_path / "other").mkdir()
    write(truth, a=[[0, 0, 1, 2], [1, 1, 2, 2]])
    assert score(truth, "--truth", truth, *SEGMENTATION, "--ignore", 2, "--name", "same", out=other) == 0
    assert records_of(other)["same"].final["pixel_accuracy"] == 1


def test_palettes_and_deep_maps_are_read_as_numbers(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(labels).convert("P")
    image.putpalette([255 - i for i in range(256) for _ in range(3)])
    image.putdata(labels.ravel().tolist())
    image.save(tmp_path / "p.png")
    Image.fromarray(labels.astype(np.uint16) * 300).save(tmp_path / "deep.png")
    assert read_labels(tmp_path / "p.png").tolist() == labels.tolist()
    assert read_labels(tmp_path / "deep.png").tolist() == (labels.astype(int) * 300).tolist()
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    with pytest.raises(UsageError, match=r"it has 3 channels \(RGB\): a label map has one"):
        read_labels(tmp_path / "rgb.png")


def test_labels_that_do_not_belong_are_refused_in_a_line(tmp_path, out, capsys):
    truth, words = write(tmp_path / "truth", a=[[0, 1], [1, 0]]), ["--truth", tmp_path / "truth", *SEGMENTATION]
    assert "lacks 1 of the pictures" in refusal(capsys, write(tmp_path / "else", b=[[0]]), *words, out=out)
    assert "is 1 x 1 pixels, the true picture a is 2 x 2" in refusal(capsys, write(tmp_path / "small", a=[[0]]), *words, out=out)
    (photos := tmp_path / "photos").mkdir()
    Image.new("L", (2, 2)).save(photos / "a.jpg")
    assert "no files of a known kind" in refusal(capsys, photos, *words, out=out)
    assert "say where the true labels are" in refusal(capsys, truth, *SEGMENTATION, out=out)
    assert "psnr does not judge labels" in refusal(capsys, truth, *words, "--metrics", "psnr", out=out)
    twice = [*words, "--classes", 2, "--metrics", "label_agreement[classes=3]"]
    assert "classes is given twice" in refusal(capsys, truth, *twice, out=out)
    assert "--classes is of --task segmentation" in refusal(capsys, truth, *words[:2], "--classes", 2, out=out)


@pytest.mark.parametrize("given", [2, 7, 200])
def test_labels_beyond_the_classes_are_named(tmp_path, out, capsys, given):
    truth, mine = write(tmp_path / "truth", a=[[0, 1]]), write(tmp_path / "mine", a=[[0, given]])
    assert score(mine, "--truth", truth, *SEGMENTATION, out=out) in (1, 2)
    said = capsys.readouterr()
    assert f"a: a given label is {given}: there are 2 classes, 0 to 1; give --classes N" in said.out + said.err
    assert "Traceback" not in said.out + said.err
    assert score(truth, "--truth", truth, *SEGMENTATION, "--classes", 1, out=out) in (1, 2)
    said = capsys.readouterr()
    assert "a true label is 1: there are 1 classes" in said.out + said.err


def test_a_truth_that_is_ignored_everywhere_or_no_label_map_is_refused(tmp_path, out, capsys):
    truth = write(tmp_path / "truth", a=[[255, 255]])
    assert "no pixel of the true labels counts" in refusal(capsys, truth, "--truth", truth, *SEGMENTATION, out=out)
    deep = tmp_path / "deep"
    deep.mkdir()
    Image.fromarray(np.full((2, 2), 60000, dtype=np.uint16)).save(deep / "a.png")
    assert "more than 4096 classes" in refusal(capsys, deep, "--truth", deep, *SEGMENTATION, out=out)


@real
def test_published_masks_beside_themselves(out):
    folder = Path(DATA) / "coco_val128" / "semantic_masks"
    assert score(folder, "--truth", folder, *SEGMENTATION, out=out) == 0
    assert set(records_of(out)["semantic_masks"].final.values()) == {1}


def test_what_is_no_picture_is_not_saved_again(tmp_path, out):
    truth = write(tmp_path / "truth", a=[[0, 1]])
    assert score(truth, "--truth", truth, *SEGMENTATION, out=out) == 0
    (suite,) = out.glob("score_*.toml")
    assert runner.main(["--suite", str(suite), "--tier", "quick", "--out", str(out), "--save-outputs"]) == 0
    assert not list(out.rglob("outputs/*.png"))


def tallies(rng, shown):
    """Of pictures that show so many pixels of each class (N x K), each class read as well as chance has it, else as the next one."""
    right = rng.binomial(shown, rng.beta(8, 3, shown.shape))
    counts = np.zeros((*shown.shape, shown.shape[1]))
    classes = np.arange(shown.shape[1])
    counts[:, classes, classes] = right
    counts[:, classes, (classes + 1) % len(classes)] = shown - right
    return torch.stack([_confusion.tally(torch.from_numpy(c)) for c in counts])


def test_intervals_cover_and_verdicts_err_as_printed():
    """Over pictures of few classes each, of which a set shows any share: the values of pictures are those of ratios of sums."""
    rng = np.random.default_rng(0)

    def shown(n):
        return np.round(2000 * rng.dirichlet([0.5] * 4, n)).astype(int)

    whole = tallies(rng, shown(6000))
    truth, covered, wrong = _confusion.shares(whole.sum(0)).numpy(), np.zeros(3), np.zeros(3)
    for _ in range(300):
        pixels = shown(20)
        one, other = (_confusion.shares_of_pictures(tallies(rng, pixels)).numpy() for _ in range(2))
        for c in range(3):
            interval = intervals.interval([one[:, c].mean()], [one[:, c]])
            covered[c] += interval.low <= truth[c] <= interval.high
            wrong[c] += paired.compare([paired.ScoredRow(x[None, :, c], trained=False) for x in (one, other)]).better.any()
    assert (covered / 300 > 0.93).all()
    assert (wrong / 300 < 0.09).all()
