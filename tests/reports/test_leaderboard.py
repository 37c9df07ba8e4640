import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from bench.errors import UsageError
from bench.store.stored import PER_IMAGE
from reports.leaderboard import leaderboard
from reports.trials import by_table


@pytest.fixture(scope="module")
def table(records):
    return leaderboard(records, sort="psnr")


def _row(table, label):
    return next(r for r in table.rows if r.label == label)


def test_rows_are_means_over_seeds_best_first(table, records, hostile):
    assert [r.label for r in table.rows] == ["wiener", "deblurgan", "srgan", hostile, "unsharp", "identity", "cyclegan"]
    seeds = [r.final["psnr"] for r in records if r.label == "deblurgan"]
    cell = _row(table, "deblurgan").cells["psnr"]
    assert cell.value == pytest.approx(np.mean(seeds))
    assert (cell.interval.over, cell.interval.n) == ("images", 12)
    assert _row(table, "unsharp").cells["psnr"].interval.over == "images"
    assert _row(table, "deblurgan").value("parameters") == 11.4e6


def test_marks_need_the_tests_and_skip_rows_that_do_not_compete(table, records):
    assert {r.cells["psnr"].mark for r in table.rows if r.cells} == {""}  # deblurgan and srgan cannot be told apart
    decided = leaderboard([r for r in records if r.label != "srgan"], sort="psnr")
    marks = {r.label: r.cells["psnr"].mark for r in decided.rows}
    assert (marks["deblurgan"], marks["wiener"], marks["cyclegan"]) == ("best", "", "")
    others = {_row(decided, label).cells["psnr"].mark for label in ("unsharp", "identity")}
    assert others == {""}
    assert _row(table, "wiener").rank is None
    assert table.leader.label == "deblurgan"


def test_ties_share_a_letter_and_a_rank(table):
    first, second, third = (_row(table, label) for label in ("deblurgan", "srgan", "unsharp"))
    assert set(first.cells["psnr"].tie) & set(second.cells["psnr"].tie)
    assert not set(first.cells["psnr"].tie) & set(third.cells["psnr"].tie)
    assert (first.rank, second.rank, third.rank) == (1, 1, 3)  # the hostile row is not told from the third
    assert "srgan" in table.undecided("deblurgan")


def test_a_diverged_seed_puts_a_row_last_and_unfinished_trials_are_kept_with_reasons(table, make):
    last = table.rows[-1]
    assert (last.label, last.seeds, last.planned, last.note, last.rank) == ("cyclegan", (0, 2), 3, "1 of 3 seeds diverged", 6)
    assert [(r.label, r.outcome) for r in table.unfinished] == [("cyclegan", "diverged"), ("srresnet", "failed"), ("pix2pix", "skipped")]
    better_but_diverged = [make("wiener", 0, tags={}), make("wiener", 1, "diverged", tags={}), make("identity")]
    assert [r.label for r in leaderboard(better_but_diverged, sort="psnr").rows] == ["identity", "wiener"]


def test_a_label_whose_every_seed_diverged_has_an_empty_row(make):
    table = leaderboard([make("identity"), make("cyclegan", 0, "diverged", "nan")], sort="psnr")
    assert [(r.label, r.rank, len(r.cells)) for r in table.rows] == [("identity", 1, 4 + 3), ("cyclegan", 2, 0)]


def test_oracles_compete_among_themselves(make):
    table = leaderboard([make("wiener"), make("unsharp", tags={"oracle": "PSF"})], sort="psnr")
    assert [r.rank for r in table.rows] == [1, 2]


def test_no_verdict_below_six_pictures_says_why(make):
    table = leaderboard([make("wiener", n=5, tags={}), make("identity", n=5)], sort="psnr")
    assert table.footnotes[0].startswith("psnr, ssim, f1, lpips_like: no verdict: 5 independent images")
    assert [r.rank for r in table.rows] == [1, 1]
    assert table.rows[0].cells["psnr"].tie == ""


def test_lower_is_better_where_the_card_says_so(table, make):
    ranked = leaderboard([make("identity"), make("wiener", tags={})], sort="lpips_like")
    assert [r.label for r in ranked.rows] == ["wiener", "identity"]
    assert [r.rank for r in ranked.rows] == [1, 2]


def test_rows_that_tie_are_marked_alike(make):
    twin = [dataclasses.replace(make("identity"), label=name) for name in ("a", "b")]
    table = leaderboard([*twin, make("unsharp")], sort="psnr")
    assert [r.cells["psnr"].mark for r in table.rows] == ["best", "", ""]
    assert [r.rank for r in table.rows] == [1, 2, 2]


def test_two_protocols_in_one_column_are_refused(make, make_card):
    other = make("srgan", cards=make().cards | {"psnr": make_card("psnr", "dB", border=4, colour="rgb", data="photos", n=12)})
    with pytest.raises(UsageError, match=r"'psnr' holds two protocols, border = 0 \| 4 \(deblurgan \| srgan\)"):
        leaderboard([make(), other], sort="psnr")


def test_two_units_in_one_column_are_refused(make, make_card):
    other = make("srgan", cards=make().cards | {"psnr": make_card("psnr", "bel")})
    with pytest.raises(UsageError, match=r"unit = dB \| bel"):
        leaderboard([make(), other], sort="psnr")


def test_seeds_of_one_row_never_mix_protocols(make, make_card):
    other = make(seed=1, cards=make().cards | {"psnr": make_card("psnr", "dB", border=4)})
    with pytest.raises(UsageError, match=r"holds two protocols, border = 0 \| 4.* \(deblurgan \| deblurgan\)"):
        leaderboard([make(), other], sort="psnr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 0}, "holds one seed twice"),
        ({"spec": "deblurgan[steps=9]"}, "two specs"),
        ({"tier": "paper"}, "two tiers"),
        ({"cards": {}}, "has no card"),
    ],
)
def test_bad_records_are_refused(make, changes, message):
    with pytest.raises(UsageError, match=message):
        leaderboard([make(), make(**{"seed": 1} | changes)], sort="psnr")


def test_a_record_with_one_picture_twice_is_refused_in_one_line(make):
    record = make()
    record.per_image = pd.concat([record.per_image, record.per_image.iloc[:1]])
    with pytest.raises(UsageError, match=r"^'deblurgan', seed 0, has two scores for pictures called 'img00': run it again with --fresh"):
        leaderboard([record, make("srgan")], sort="psnr")


def test_what_was_left_out_is_said_with_the_rows_that_it_concerns(make):
    records = [make(label) for label in ("identity", "srgan", "deblurgan")]
    records[0].tags["skipped_files"] = "1: a.png is left out"
    records[1].tags["skipped_files"] = records[2].tags["skipped_files"] = "2: a.png is left out; b.png is left out"
    assert [note for note in leaderboard(records, sort="psnr").footnotes if "left out" in note] == [
        "files left out for identity: 1: a.png is left out",
        "files left out for srgan and deblurgan: 2: a.png is left out; b.png is left out",
    ]


def test_scores_that_are_nan_rank_below_and_spoil_nothing(make):
    broken = make("unsharp")
    broken.final["psnr"] = math.nan
    broken.per_image.loc[broken.per_image["column"] == "psnr", "value"] = math.nan
    table = leaderboard([broken, make("identity"), make("srgan")], sort="psnr")
    assert [(r.label, r.rank) for r in table.rows] == [("srgan", 1), ("identity", 2), ("unsharp", 3)]
    assert table.rows[0].cells["psnr"].tie == "a"


def test_without_scores_there_is_still_a_table(make):
    table = leaderboard([make(outcome="failed", reason="x")], sort="psnr")
    assert (table.rows, len(table.unfinished), table.leader) == ([], 1, None)
    bare = make(per_image=pd.DataFrame(columns=list(PER_IMAGE)))
    assert leaderboard([bare, make("srgan")], sort="unknown").sort == "psnr"


def test_rows_share_a_rank_where_nothing_can_be_tested(make):
    rows = [r for name, value in (("a", 3.0), ("b", 2.0), ("c", 1.0)) for r in _scored(make, name, [value])]
    table = leaderboard(rows, sort="psnr")
    assert {row.label: row.rank for row in table.rows} == {"a": 1, "b": 1, "c": 1}
    assert table.footnotes == ["psnr: no verdict: one seed a row, and nobody knows how far from it another would be"]


def _scored(make, label, values):
    """Trials of one label with a score that has no images, one a seed."""
    bare = pd.DataFrame(columns=list(PER_IMAGE))
    return [make(label, seed, final={"psnr": v}, per_image=bare, spec=label) for seed, v in enumerate(values)]


def test_a_score_without_images_is_compared_over_seeds(make):
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 4))
    table = leaderboard([r for name, gain in (("a", 4), ("b", 2), ("c", 0)) for r in _scored(make, name, noise[gain // 2] + gain)], sort="psnr")
    _, result = table.comparisons["psnr"]
    assert (result.n, result.over, table.footnotes) == (4, "seeds", [])
    assert [(r.label, r.rank, r.cells["psnr"].mark, r.cells["psnr"].tie) for r in table.rows] == [
        ("a", 1, "best", "a"), ("b", 2, "second", "b"), ("c", 3, "", "c")]  # fmt: skip


def test_a_row_that_is_not_trained_rests_on_its_images(make):
    trials = [dataclasses.replace(make("identity", costs={}), seed=seed) for seed in range(3)]
    interval = leaderboard([*trials, *(make("deblurgan", seed) for seed in range(3))], sort="psnr").rows[1].cells["psnr"].interval
    assert (interval.over, interval.n) == ("images", 12)
    assert interval.low < interval.mean < interval.high


def _perfect_once(make):
    """A row of the input itself, perfect in picture 0 and better by a hair in the others, and one that adds a little noise everywhere."""
    identity = np.array([np.inf, *np.linspace(27.2, 29.3, 7)])
    worse = np.array([51.1, *identity[1:] - 0.037])
    trials = []
    for label, scores in (("worse", worse), ("identity", identity)):
        frame = pd.DataFrame([("psnr", f"img{i}", v, f"img{i}") for i, v in enumerate(scores)], columns=list(PER_IMAGE))
        final = {"psnr": float(scores[np.isfinite(scores)].mean())}
        trials.append(make(label, spec=label, final=final, per_image=frame, costs={}))
    return trials


def test_a_perfect_picture_is_left_out_for_all_rows_and_said(make):
    table = leaderboard(_perfect_once(make), sort="psnr")
    assert [(r.label, r.rank) for r in table.rows] == [("identity", 1), ("worse", 2)]
    assert [r.value("psnr") for r in table.rows] == pytest.approx([28.25, 28.213])
    assert [r.cells["psnr"].tie for r in table.rows] == ["a", "b"]
    assert [(r.cells["psnr"].interval.over, r.cells["psnr"].interval.n) for r in table.rows] == [("images", 7)] * 2
    assert table.footnotes == ["psnr: means over 7 of 8 images: the others have no finite score in identity"]


def test_what_is_said_across_tables_has_the_same_means(make):
    (trials,) = by_table(_perfect_once(make)).values()
    assert [t.final["psnr"] for t in trials] == pytest.approx([28.213, 28.25])


def test_an_interval_ends_where_the_card_says_that_scores_do(make):
    record = make(cards=make().cards | {"psnr": make().cards["psnr"] | {"bounds": ["-inf", 28.0]}})
    interval = leaderboard([record], sort="psnr").rows[0].cells["psnr"].interval
    assert interval.low < interval.mean < interval.high == 28.0
    assert leaderboard([make()], sort="psnr").rows[0].cells["psnr"].interval.high > 28.0


def test_a_row_that_is_perfect_everywhere_stays_infinite(make):
    trials = _perfect_once(make)
    trials[1].per_image["value"], trials[1].final["psnr"] = np.inf, math.inf
    table = leaderboard(trials, sort="psnr")
    assert [(r.label, r.rank, r.value("psnr")) for r in table.rows] == [("identity", 1, math.inf), ("worse", 2, pytest.approx(31.07, abs=0.01))]


def test_every_picture_perfect_in_some_row(make):
    trials = _perfect_once(make)
    trials[0].per_image["value"], trials[0].final["psnr"] = [30.0] + [math.inf] * 7, 30.0
    table = leaderboard(trials, sort="psnr")
    assert [(r.label, r.rank, r.value("psnr")) for r in table.rows] == [("identity", 1, math.inf), ("worse", 1, math.inf)]


def test_tiles_of_one_photograph_count_once(make):
    trials = [make("wiener", tags={}), make("identity")]
    for trial in trials:
        trial.per_image["group"] = "photo" + (trial.per_image["image"].str[3:].astype(int) // 4).astype(str)
    table = leaderboard(trials, sort="psnr")
    assert (table.rows[0].cells["psnr"].interval.over, table.rows[0].cells["psnr"].interval.n) == ("groups", 3)
    assert {r.rank for r in table.rows} == {1}
    assert "12 images in 3 groups: those of one photograph, video or patient count once" in table.footnotes[1]


def test_a_verdict_from_one_training_seed_says_what_it_is_about(make):
    table = leaderboard([make("deblurgan"), make("identity")], sort="psnr")
    assert table.rows[0].cells["psnr"].mark == "best"
    assert "one training seed: intervals, bold, letters and ranks are about these weights, not about the methods" in table.footnotes[-1]
    assert not leaderboard([*(make("deblurgan", seed) for seed in range(3)), make("identity", costs={})], sort="psnr").footnotes


def test_no_mark_where_a_rival_could_not_be_compared(make):
    noise = np.random.default_rng(0).normal(0, 1, 12)
    table = leaderboard([make("wiener", tags={}), make("identity"), *_scored(make, "c", noise[:1])], sort="psnr")
    assert {r.cells["psnr"].mark for r in table.rows} == {""}
