import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from bench.commands import compare, conditions
from bench.commands.conditions import Side
from bench.errors import UsageError
from bench.statistics import effects, paired
from bench.store.record import TrialRecord
from bench.store.stored import PER_IMAGE
from bench.suites import read
from runner import main

CARD = {"metric": "psnr", "definition": "d", "unit": "dB", "higher_is_better": True, "protocol": {"border": 0}, "hash": "a1"}


def record(label, seed, scores, *, images=True, **changes):
    """A trial with these scores of images, or without them with their mean alone."""
    rows = [("psnr", f"i{i}", float(v), f"i{i}") for i, v in enumerate(scores)] if images else []
    fields = {
        "final": {"psnr": float(np.mean(scores))}, "per_image": pd.DataFrame(rows, columns=list(PER_IMAGE)), "cards": {"psnr": CARD},
        "training_facts": {"method": label, "hp.lr": "0.1", "seed": str(seed), "card.psnr": "a1", "data.photos": "f00",
                           "code.method": label, "torch": "2.15"},
        "environment": {"python": "3.11", "device": "cpu"},
    }  # fmt: skip
    return TrialRecord("deblur", "deblur[]", label, label, seed, "quick", f"{label}{seed}", "finished", **(fields | changes))


def side(label, stack, **changes):
    return Side(label, [record(label, seed, scores, **changes) for seed, scores in enumerate(stack)])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_images_are_compared_image_by_image(rng):
    easy = rng.normal(30, 3, 12)
    a, b = easy + 0.5 + rng.normal(0, 0.3, 12), easy + rng.normal(0, 0.3, 12)
    (d,) = compare.differences(side("a", [a]), side("b", [b]))
    assert d.difference == pytest.approx((a - b).mean())
    assert d.p == pytest.approx(paired.compare([a, b]).p[0, 1])
    assert d.effect == pytest.approx(effects.cliffs_delta(a - b))
    assert (d.n, d.test, d.verdict) == (12, "t over 12 images", "a is better")
    assert d.low < d.difference < d.high


def test_groups_of_images_and_a_single_training_seed_are_told(rng):
    a, b = (side(name, [rng.normal(30 + gain, 0.1, 12)], costs={"train_seconds": 1.0}) for name, gain in (("a", 1), ("b", 0)))
    for r in (*a.records, *b.records):
        r.per_image["group"] = [f"photo{i // 2}" for i in range(12)]
    (d,) = compare.differences(a, b)
    assert (d.test, d.verdict) == ("t over 6 groups of 12 images (one training seed: about these weights, not the method)", "a is better")


def test_means_are_over_the_images_that_both_share():
    base = np.linspace(27, 29, 8)
    perfect, worse = base + np.arange(8) / 100, base - 0.02
    perfect[0], worse[0] = np.inf, 51.0
    (d,) = compare.differences(side("a", [worse], final={"psnr": worse.mean()}), side("b", [perfect], final={"psnr": perfect[1:].mean()}))
    assert (d.a, d.b) == pytest.approx((worse[1:].mean(), perfect[1:].mean()))
    assert d.test == "Wilcoxon over 8 images"


def test_infinite_scores_count_in_the_effect():
    """An identical picture has an infinite PSNR."""
    b = np.linspace(30, 31, 20)
    a = np.where(np.arange(20) < 2, b - 1, np.inf)
    (d,) = compare.differences(side("a", [a]), side("b", [b]))
    assert d.effect == pytest.approx(effects.cliffs_delta([-1] * 2 + [1] * 18))
    (d,) = compare.differences(side("a", [a]), side("b", [np.where(np.arange(20) < 10, b, np.inf)]))
    assert d.effect == pytest.approx(effects.cliffs_delta([-1] * 2 + [1] * 8 + [0] * 10))


def test_seeds_count_too(rng):
    a, b = rng.normal(0, 1, (3, 20)), rng.normal(0, 1, (2, 20)) + 0.2
    (d,) = compare.differences(side("a", a), side("b", b))
    assert d.test == "t over 20 images and 3 and 2 seeds"
    assert d.p == pytest.approx(paired.compare([a, b]).p[0, 1])


def test_lower_is_better_where_the_card_says_so():
    card = {"psnr": CARD | {"higher_is_better": False}}
    base = np.arange(8.0)
    (d,) = compare.differences(side("a", [base + 1], cards=card), side("b", [base], cards=card))
    assert (d.verdict, d.effect) == ("b is better", 1)


def test_scores_without_images_are_compared_over_seeds(rng):
    a, b = rng.normal(2, 1, 4), rng.normal(0, 1, 3)
    (d,) = compare.differences(side("a", a[:, None], images=False), side("b", b[:, None], images=False))
    assert (d.test, d.n, d.effect) == ("t over 4 and 3 seeds", 3, pytest.approx((np.sign(a[:, None] - b)).mean()))
    assert d.p == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_below_six_pairs_there_is_no_verdict():
    (d,) = compare.differences(side("a", [np.arange(5.0) + 1]), side("b", [np.arange(5.0)]))
    assert d.verdict == "no verdict: 5 independent images scored by both"
    assert (d.n, math.isnan(d.p), math.isnan(d.effect)) == (5, True, True)
    lone = {"costs": {"train_seconds": 1.0}}
    (d,) = compare.differences(side("a", [[1.0]], images=False, **lone), side("b", [[0.0]], images=False, **lone))
    assert d.verdict == "no verdict: one seed a row"


def test_two_protocols_are_told_and_not_tested():
    other = CARD | {"protocol": {"border": 4}, "hash": "b2"}
    a = side("a", [np.arange(8.0) + 1])
    b = Side("b", [record("b", 0, np.arange(8.0), cards={"psnr": other}, training_facts=a.records[0].training_facts | {"card.psnr": "b2"})])
    (d,) = compare.differences(a, b)
    assert d.verdict == "no verdict: two protocols (see cards)"
    assert conditions.differing_conditions(a, b) == {"cards": ["psnr: border = 0 | 4"]}


def test_a_diverged_seed_forbids_a_verdict():
    a = side("a", np.arange(16.0).reshape(2, 8) + 5)
    a.records[1].outcome, a.records[1].final = "diverged", {}
    (d,) = compare.differences(a, side("b", np.arange(16.0).reshape(2, 8)))
    assert d.verdict == "no verdict: 1 of 2 seeds of a diverged"


def test_no_score_in_common(rng):
    lost = dataclasses.replace(record("b", 0, [1.0], final={}), outcome="failed")
    with pytest.raises(UsageError, match="a and b share no score: b failed"):
        compare.differences(side("a", [rng.normal(0, 1, 8)]), Side("b", [lost]))


def test_p_is_holm_corrected_over_the_scores_and_the_ranked_one_comes_first(rng):
    noise = np.random.default_rng

    def both(label, shift):
        scores = {c: noise(i).normal(0, 1, 10) + noise([i, len(label)]).normal(shift, 1, 10) for i, c in enumerate("xy")}
        rows = [(c, str(i), v, str(i)) for c, values in scores.items() for i, v in enumerate(values)]
        frame = pd.DataFrame(rows, columns=list(PER_IMAGE))
        return Side(
            label, [record(label, 0, [0.0], final={c: v.mean() for c, v in scores.items()}, per_image=frame, cards={"x": CARD, "y": CARD})]
        ), scores

    (a, of_a), (b, of_b) = both("a", 0.9), both("bb", 0.0)
    found = compare.differences(a, b, "y")
    assert [d.column for d in found] == ["y", "x"]
    raw = [paired.compare([of_a[c], of_b[c]]).p[0, 1] for c in "yx"]
    assert [d.p for d in found] == pytest.approx(paired.holm(raw))


@pytest.mark.parametrize("images", [True, False])
def test_rows_that_are_alike_are_rarely_told_apart(rng, images):
    wrong = 0
    for _ in range(120):
        sides = [side(name, rng.normal(0, 1, (8, 10)) + rng.normal(0, 1, (8, 1)), images=images) for name in "ab"]
        wrong += compare.differences(*sides)[0].verdict.endswith("better")
    assert wrong <= scipy.stats.binom.ppf(0.99, 120, 0.05)


def test_what_differs_by_kind():
    a, b = side("a", [np.arange(8.0)] * 2), side("b", [np.arange(8.0)])
    b.records[0].training_facts |= {"hp.lr": "0.2", "data.photos": "f01", "precision": "bf16"}
    b.records[0].environment["python"] = "3.12"
    found = conditions.differing_conditions(a, b)
    assert found["settings"] == ["hp.lr: 0.1 | 0.2", "method: a | b", "precision: absent | bf16", "seeds: 0, 1 | 0"]
    assert found["data"] == ["data.photos: f00 | f01"]
    assert found["code"] == ["code.method: a | b"]
    assert found["environment"] == ["python: 3.11 | 3.12"]
    assert "cards" not in found


# -- the command
def _words(bench, *words):
    return ["compare", *words, "--out", str(bench.out)]


def test_runs_by_id_by_its_beginning_and_by_mlflows(ran, capsys):
    bench, (first, second), _ = ran
    for name in (second.trial_id, second.trial_id[:8], bench.mlflow_run(second).info.run_id):
        assert main(_words(bench, first.trial_id, name)) == 0
        text = capsys.readouterr().out
        assert text.startswith("A  identity seed 0: suite tiny, task deblur[")
        assert "B  unet seed 0: suite tiny" in text
        assert "A - B" in text
        assert "t over" in text or "no verdict" in text
        assert "settings" in text
        assert "method: identity | unet" in text


def test_rows_by_label(ran, capsys):
    bench, *_ = ran
    assert main(_words(bench, "unet", "identity", "--suite", str(bench.file))) == 0
    assert capsys.readouterr().out.startswith("A  unet: suite tiny")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("unet", "identity"), "'unet' is no run's id: for a row's label give --suite"),
        (("unet", "srgan", "--suite", "FILE"), "'srgan' is no row of the suite"),
        (("0123", "4567"), "no finished run 0123 on record"),
        (("unet", "unet", "--suite", "FILE"), "unet and unet are the same trial"),
        (("unet", "identity", "--suite", "nonsense"), "unknown suite 'nonsense'"),
        (("unet", "identity", "--suite", "FILE", "--tier", "paper"), "nothing on record"),
    ],
)
def test_what_is_wrong_is_one_line(ran, capsys, words, says):
    bench, *_ = ran
    assert main(_words(bench, *(str(bench.file) if w == "FILE" else w for w in words))) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ")
    assert complaint.count("\n") == 1
    assert says in complaint


def test_without_a_store(tmp_path, capsys):
    assert main(["compare", "0123", "4567", "--out", str(tmp_path)]) == 2
    assert "nothing on record below" in capsys.readouterr().err


def test_an_id_that_begins_several_is_refused(continued, ran, capsys):
    first, second = ran[1]
    twin = first.trial_id[:6] + "0" * 10
    tags = {"run_id": "other", "suite": "tiny", "outcome": "finished", f"judgement.{twin}": "{}"}
    run = continued.store.client.create_run(continued.store.queries.experiment, tags=tags)
    continued.store.client.set_terminated(run.info.run_id)
    assert main(_words(continued, first.trial_id[:6], second.trial_id)) == 2
    assert f"{first.trial_id[:6]} begins the ids of 2 trials" in capsys.readouterr().err


def test_a_label_in_several_tables_wants_its_workload():
    rows = [dataclasses.replace(record("adam", s, [1.0]), workload=w) for w in ("digits", "vae") for s in range(2)]
    with pytest.raises(UsageError, match="'adam' stands in 2 tables: write digits/adam or vae/adam"):
        compare._find_side("adam", rows, "optimizers", None, None, None)
    found = compare._find_side("vae/adam", rows, "optimizers", None, None, None)
    assert [(r.workload, r.seed) for r in found.records] == [("vae", 0), ("vae", 1)]


@pytest.mark.parametrize("columns", ["40", "80"])
def test_no_cell_or_heading_of_the_table_breaks(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    d = compare.Difference("psnr", 20.123, 31.315, -12.51, -9.874, 0.0004, "", -0.93, 64, "deblurgan[content=l1] is better")
    compare._print(side("a", [[1.0]]), side("b", [[2.0]]), [d], {})
    heading, row = capsys.readouterr().out.splitlines()[2:4]
    assert re.split(" {2,}", heading.strip()) == ["score", "A", "B", "A - B", "95 % interval", "p", "Cliff's delta", "pairs", "verdict"]
    cells = ["psnr", "20.12", "31.32", "-11.19", "[-12.51, -9.874]", "< 0.001", "-0.93", "64", "deblurgan[content=l1] is better"]
    assert re.split(" {2,}", row.strip()) == cells


@pytest.mark.parametrize(
    ("suite", "workload", "test", "column"),
    [("sr", "set5", "set5", "psnr"), ("sr", "", "", "psnr"), ("optimizers", "gone", "", "")],
)
def test_a_test_set_is_ranked_as_its_table_of_the_suite(suite, workload, test, column):
    r = dataclasses.replace(record("a", 0, [1.0]), suite=suite, workload=workload, test=test)
    assert compare._ranking_column([Side("a", [r])]) == column


def test_a_row_of_a_workloads_test_set_is_ranked_as_that_workload():
    r = dataclasses.replace(record("a", 0, [1.0]), suite="optimizers")
    first = read.load_suite("optimizers").tables[0]
    assert compare._ranking_column([Side("a", [dataclasses.replace(r, workload=f"{first.name}/set5", test="set5")])]) == first.sort
    rows = [dataclasses.replace(r, workload=f"{first.name}/{name}", test=name) for name in ("set5", "set14")]
    found = compare._find_side(f"{first.name}/set5/a", rows, "optimizers", None, None, None)
    assert [x.workload for x in found.records] == [f"{first.name}/set5"]
