"""The detection metric against hand-worked cases, torchmetrics and its own invariants."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from bench import registry
from bench.detector import Detections
from bench.errors import UsageError
from bench.metrics.detection import Detection
from bench.operators.box_matching import average_precision, box_iou, count, linearise, match, precision_recall_f1


def objects(*rows):
    """(x0, y0, x1, y1, label, score) each."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4].long(), table[:, 5])


def scenes(n=40, classes=4, seed=0, miss=0.3, jitter=3.0, extra=2):
    """References and noisy detections of them: some missed, shifted, mislabelled, invented."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(n):
        k = int(rng.integers(1, 7))
        corner = rng.uniform(0, 90, (k, 2))
        boxes = np.concatenate((corner, corner + rng.uniform(15, 35, (k, 2))), 1)
        labels = rng.integers(0, classes, k)
        truth.append(Detections.from_annotations(torch.tensor(boxes), torch.tensor(labels)))
        seen = rng.random(k) > miss
        moved = boxes[seen] + rng.normal(0, jitter, (seen.sum(), 4))
        guessed = np.where(rng.random(seen.sum()) < 0.1, rng.integers(0, classes, seen.sum()), labels[seen])
        corner = rng.uniform(0, 90, (extra, 2))
        invented = np.concatenate((corner, corner + rng.uniform(15, 35, (extra, 2))), 1)
        every = np.concatenate((moved, invented))
        found.append(
            Detections(
                torch.tensor(every),
                torch.tensor(np.concatenate((guessed, rng.integers(0, classes, extra)))),
                torch.tensor(rng.random(len(every))),
            )
        )
    return found, truth


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1.0),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 0, 4, 2), 0.0),
        ((0, 0, 4, 4), (1, 1, 3, 3), 0.25),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
    ],
)
def test_box_iou(a, b, expected):
    assert box_iou(torch.tensor([a]).double(), torch.tensor([b]).double()).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "truth", "hits"),
    [
        # two detections of one reference: the better score takes it, although the other overlaps more
        (objects((1, 0, 11, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8)), objects((0, 0, 10, 10, 0, 1)), [True, False]),
        # another class never matches
        (objects((0, 0, 10, 10, 1, 0.9)), objects((0, 0, 10, 10, 0, 1)), [False]),
        # exactly IoU .5 counts; a hair less does not
        (objects((0, 0, 10, 10, 0, 0.9)), objects((0, 0, 10, 5, 0, 1)), [True]),
        (objects((0, 0, 10, 10, 0, 0.9)), objects((0, 0, 10, 4.99, 0, 1)), [False]),
        # the best overlap is taken, so that the second detection finds its own reference free
        (objects((0, 0, 10, 10, 0, 0.9), (3, 0, 13, 10, 0, 0.8)), objects((3, 0, 13, 10, 0, 1), (0, 0, 10, 10, 0, 1)), [True, True]),
        # greedy: the first takes what only the second could use; the second stays empty-handed
        (objects((2, 0, 12, 10, 0, 0.9), (4, 0, 14, 10, 0, 0.8)), objects((3, 0, 13, 10, 0, 1)), [True, False]),
        (objects(), objects((0, 0, 1, 1, 0, 1)), []),
        (objects((0, 0, 1, 1, 0, 1)), objects(), [False]),
    ],
)
def test_match_by_hand(found, truth, hits):
    assert match(found, truth, 0.5).tolist() == hits


def test_detections_are_sorted_typed_and_checked():
    d = objects((0, 0, 1, 1, 3, 0.2), (0, 0, 2, 2, 4, 0.9), (0, 0, 3, 3, 5, 0.2))
    assert d.labels.tolist() == [4, 3, 5]
    assert len(d.above(0.5)) == 1
    assert (d.boxes.dtype, d.labels.dtype, d.scores.dtype) == (torch.float32, torch.int64, torch.float32)
    with pytest.raises(UsageError, match="n x 4"):
        Detections(torch.zeros(2, 4), torch.zeros(1), torch.zeros(2))


@pytest.mark.oracle("metric", "detection")
def test_counts_and_micro_averages():
    found = [objects((0, 0, 10, 10, 0, 0.9), (50, 50, 60, 60, 0, 0.8)), objects()]
    truth = [objects((0, 0, 10, 10, 0, 1)), objects((0, 0, 5, 5, 1, 1), (9, 9, 20, 20, 1, 1))]
    counts = count(found, truth, 0.5)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 2]]
    assert precision_recall_f1(counts.sum(0)).tolist() == pytest.approx([1 / 2, 1 / 3, 2 / 5])
    assert precision_recall_f1(torch.tensor([0, 0, 0])).isnan().all()


def test_average_precision_by_hand():
    """One class, two references, three detections: right, wrong, right. Precision envelope 1 up to recall 1/2, then 2/3."""
    found = [objects((0, 0, 10, 10, 0, 0.9), (80, 80, 90, 90, 0, 0.8), (30, 30, 40, 40, 0, 0.7))]
    truth = [objects((0, 0, 10, 10, 0, 1), (30, 30, 40, 40, 0, 1))]
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert average_precision(found, truth) == pytest.approx({"map": expected, "ap50": expected, "ap75": expected})


def test_average_precision_without_boxes():
    nothing, something = [objects()], [objects((0, 0, 1, 1, 0, 1))]
    assert average_precision(nothing, something) == {"map": 0.0, "ap50": 0.0, "ap75": 0.0}
    assert all(math.isnan(v) for v in average_precision(something, nothing).values())


def test_average_precision_agrees_with_plain_pycocotools():
    """The whole COCO protocol (size classes, 1/10/100 detections, summarize) gives the same three numbers."""
    from pycocotools.cocoeval import COCOeval

    from bench.operators.box_matching import _coco

    found, truth = scenes()
    with contextlib.redirect_stdout(io.StringIO()):
        plain = COCOeval(_coco(truth, range(4)), _coco(found, range(4)), "bbox")
        plain.evaluate()
        plain.accumulate()
        plain.summarize()
    ours = average_precision(found, truth)
    assert [ours["map"], ours["ap50"], ours["ap75"]] == pytest.approx(plain.stats[:3].tolist(), abs=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_average_precision_agrees_with_torchmetrics():
    from torchmetrics.detection import MeanAveragePrecision

    found, truth = scenes(seed=1)
    theirs = MeanAveragePrecision(box_format="xyxy")
    theirs.update(
        [{"boxes": d.boxes, "scores": d.scores, "labels": d.labels} for d in found], [{"boxes": d.boxes, "labels": d.labels} for d in truth]
    )
    with contextlib.redirect_stdout(io.StringIO()):
        expected = theirs.compute()
    ours = average_precision(found, truth)
    assert [ours["map"], ours["ap50"], ours["ap75"]] == pytest.approx([expected[k].item() for k in ("map", "map_50", "map_75")], abs=1e-6)


def test_matches_agree_with_pycocotools():
    """True positives at IoU .5 over all scores, picture by picture, are those that COCOeval marks."""
    from pycocotools.cocoeval import COCOeval

    from bench.operators.box_matching import _coco

    found, truth = scenes(seed=2)
    with contextlib.redirect_stdout(io.StringIO()):
        plain = COCOeval(_coco(truth, range(4)), _coco(found, range(4)), "bbox")
        plain.evaluate()
    expected = torch.zeros(len(found), dtype=torch.int64)
    whole = [cell for cell in plain.evalImgs if cell is not None and cell["aRng"] == [0, 1e10]]
    for cell in whole:
        expected[cell["image_id"]] += int((cell["dtMatches"][0] > 0).sum())
    assert count(found, truth, 0.5)[:, 0].tolist() == expected.tolist()


def test_printing_is_silent(capsys):
    average_precision(*scenes(n=3))
    assert capsys.readouterr() == ("", "")


class TestDetection:
    def test_sharp_scores_one_on_its_own_pseudo_labels(self):
        found, _ = scenes()
        score = Detection(reference="pseudo").score(found, found)
        assert (score.precision, score.recall, score.f1) == (1.0, 1.0, 1.0)

    def test_pseudo_references_are_those_above_the_confidence(self):
        sharp = [objects((0, 0, 9, 9, 0, 0.9), (20, 20, 30, 30, 0, 0.2))]
        score = Detection(reference="pseudo").score([objects((0, 0, 9, 9, 0, 0.5))], sharp)
        assert (score.recall, score.counts.tolist()) == (1.0, [[1, 0, 0]])
        assert Detection(reference="annotation").score([objects((0, 0, 9, 9, 0, 0.5))], sharp).recall == 0.5

    def test_identity_gains_exactly_nothing(self):
        metric, (found, truth) = Detection(), scenes()
        blurred, sharp = metric.score(found, truth), metric.score(truth, truth)
        gain = metric.gain(blurred, blurred, sharp)
        assert (gain.delta_f1, gain.recovered) == (0.0, 0.0)
        assert metric.gain(sharp, blurred, sharp).recovered == 1.0

    def test_recovered_is_undefined_where_blur_costs_nothing(self):
        metric, (found, truth) = Detection(), scenes()
        score = metric.score(found, truth)
        assert math.isnan(metric.gain(score, score, score).recovered)

    def test_order_of_pictures_does_not_matter(self):
        metric, (found, truth) = Detection(), scenes()
        there, back = metric.score(found, truth), metric.score(found[::-1], truth[::-1])
        assert there.f1 == back.f1
        assert there.counts.flip(0).equal(back.counts)

    def test_unequal_numbers_are_refused(self):
        with pytest.raises(UsageError, match="1 predictions for 0"):
            Detection().score([objects()], [])

    def test_empty_sets_are_undefined_not_zero(self):
        score = Detection().score([], [])
        assert math.isnan(score.f1)
        assert math.isnan(score.map)

    def test_the_spec_and_the_card(self):
        metric = registry.make("metric", "detection[confidence=0.5,reference=pseudo]")
        card = metric.card()
        assert (metric.confidence, card.higher_is_better) == (0.5, True)
        assert card.protocol["detector"] == {"name": "digit_yolo", "nms": 0.7, "fingerprint": metric.make_detector().fingerprint()}
        assert "pycocotools" in card.protocol
        assert card.hash != Detection().card().hash


def test_what_each_picture_contributes_has_the_pooled_scores_as_mean_and_their_spread():
    """Against a bootstrap that pools the counts of the drawn pictures anew."""
    counts = count(*scenes(n=60, seed=3, miss=0.3), 0.5)
    values = linearise(counts)
    assert values.mean(0).tolist() == pytest.approx(precision_recall_f1(counts.sum(0)).tolist())
    drawn = np.random.default_rng(7).multinomial(60, np.full(60, 1 / 60), size=4000)
    pooled = precision_recall_f1(torch.from_numpy(drawn) @ counts)
    assert (values.std(0) / 60**0.5).tolist() == pytest.approx(pooled.std(0).tolist(), rel=0.05)
    assert linearise(torch.zeros(3, 3, dtype=torch.int64)).isnan().all()


# -- crowds
def with_crowds(seed=4):
    """References of which some are crowds, and detections of which many lie there, in COCO's own form too."""
    found, truth = scenes(seed=seed)
    rng = np.random.default_rng(seed)
    marked = []
    for references in truth:
        n, corner = int(rng.integers(0, 3)), rng.uniform(0, 60, (2, 2))
        boxes = torch.cat([references.boxes, torch.tensor(np.concatenate((corner, corner + rng.uniform(40, 60, (2, 2))), 1)[:n]).float()])
        labels = torch.cat([references.labels, torch.tensor(rng.integers(0, 4, n))])
        marked.append(Detections.from_annotations(boxes, labels, torch.arange(len(labels)) >= len(references)))
    return found, marked


def in_coco_form(pictures, crowds):
    """Annotations, or detections, as the package's own files hold them."""
    from pycocotools.coco import COCO

    notes = [
        {"image_id": i, "category_id": int(label), "bbox": [*map(float, box[:2]), *map(float, box[2:] - box[:2])], "score": float(score)}
        | {"area": float((box[2:] - box[:2]).prod()), "iscrowd": int(crowd) if crowds else 0}
        for i, d in enumerate(pictures)
        for box, label, score, crowd in zip(d.boxes.double(), d.labels, d.scores, d.crowds)
    ]
    coco = COCO()
    coco.dataset = {"images": [{"id": i} for i in range(len(pictures))], "categories": [{"id": c} for c in range(4)]}
    coco.dataset["annotations"] = [{**note, "id": k} for k, note in enumerate(notes, 1)]
    coco.createIndex()
    return coco


def test_crowds_are_regions_to_ignore_as_coco_has_it():
    from pycocotools.cocoeval import COCOeval

    found, truth = with_crowds()
    with contextlib.redirect_stdout(io.StringIO()):
        plain = COCOeval(in_coco_form(truth, True), in_coco_form(found, False), "bbox")
        plain.evaluate()
        plain.accumulate()
        plain.summarize()
    ours = average_precision(found, truth)
    assert [ours["map"], ours["ap50"], ours["ap75"]] == pytest.approx(plain.stats[:3].tolist(), abs=1e-12)
    without = average_precision(found, [t.where(~t.crowds) for t in truth])
    assert abs(without["ap50"] - ours["ap50"]) > 1e-3  # dropped, they cost precision
    counts = torch.zeros(len(found), 3, dtype=torch.int64)
    for cell in [c for c in plain.evalImgs if c is not None and c["aRng"] == [0, 1e10]]:
        right, ignored = np.array(cell["dtMatches"][0]) > 0, np.array(cell["dtIgnore"][0]).astype(bool)
        wanted = (~np.array(cell["gtIgnore"]).astype(bool)).sum()
        hits = int((right & ~ignored).sum())
        counts[cell["image_id"]] += torch.tensor([hits, int((~right & ~ignored).sum()), int(wanted) - hits])
    assert count(found, truth, 0.5).tolist() == counts.tolist()


def test_a_crowd_by_hand():
    """Two persons in a crowd and one beside it, another class in it, and a person who is annotated alone."""
    crowd = Detections.from_annotations(
        torch.tensor([[0.0, 0, 40, 40], [60, 0, 70, 10]]), torch.tensor([0, 0]), torch.tensor([True, False])
    )  # fmt: skip
    found = objects(
        (0, 0, 10, 10, 0, 0.9), (35, 0, 45, 10, 0, 0.8), (36, 0, 46, 10, 0, 0.7), (0, 0, 10, 10, 1, 0.6), (60, 0, 70, 10, 0, 0.5)
    )
    assert count([found], [crowd], 0.5).tolist() == [[1, 2, 0]]  # half inside is inside; less is wrong, and so is the other class
    assert all(math.isnan(v) for v in average_precision([found], [crowd.where(crowd.crowds)]).values())  # nothing to be found
    assert count([objects()], [crowd.where(crowd.crowds)], 0.5).tolist() == [[0, 0, 0]]
