import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from bench.errors import UsageError
from reports.leaderboard import leaderboard


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
    assert (cell.interval.over, cell.interval.n) == ("seeds", 3)
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
    assert (first.rank, second.rank, third.rank) == (1, 1, 4)
    assert table.undecided("deblurgan") == ["wiener", "srgan"]


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
    assert table.footnotes[0].startswith("psnr, ssim, f1, lpips_like: no verdict: 5 images")
    assert [r.rank for r in table.rows] == [1, 2]
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


def test_what_was_left_out_is_said_once_as_who_knows_most_says_it(make):
    records = [make(label) for label in ("identity", "srgan", "deblurgan")]
    records[0].tags["skipped_files"] = "1: a.png is left out"
    records[1].tags["skipped_files"] = "2: a.png is left out; b.png is left out"
    assert [note for note in leaderboard(records, sort="psnr").footnotes if "left out" in note] == [
        "left out, 2: a.png is left out; b.png is left out"
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
    bare = make(per_image=pd.DataFrame(columns=["column", "image", "value"]))
    assert leaderboard([bare, make("srgan")], sort="unknown").sort == "psnr"


def test_equal_values_share_a_place_where_nothing_can_be_tested(make):
    values = {"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}
    blank = dataclasses.replace(make("identity"), per_image=pd.DataFrame(columns=["column", "image", "value"]))
    rows = leaderboard(
        [dataclasses.replace(blank, label=name, final={**blank.final, "psnr": value}) for name, value in values.items()], sort="psnr"
    ).rows
    assert {row.label: row.rank for row in rows} == {"a": 1, "b": 2, "c": 2, "d": 4}


def _scored(make, label, values):
    """Trials of one label with a score that has no images, one a seed."""
    bare = pd.DataFrame(columns=["column", "image", "value"])
    return [make(label, seed, final={"psnr": v}, per_image=bare, spec=label) for seed, v in enumerate(values)]


def test_a_score_without_images_is_compared_seed_by_seed(make):
    noise = np.random.default_rng(0).normal(0, 1, 8)
    trials = {"a": 0.4, "b": 0.2, "c": 0.0}
    table = leaderboard([r for name, gain in trials.items() for r in _scored(make, name, noise + gain + noise**2 / 99)], sort="psnr")
    _, result = table.comparisons["psnr"]
    assert (result.n, result.over) == (8, "seeds")
    assert [(r.label, r.rank, r.cells["psnr"].mark, r.cells["psnr"].tie) for r in table.rows] == [
        ("a", 1, "best", "a"), ("b", 2, "second", "b"), ("c", 3, "", "c")]  # fmt: skip


def test_below_six_seeds_there_is_no_mark_and_the_reason_stands_once(make):
    table = leaderboard([r for name, gain in (("a", 9), ("b", 0)) for r in _scored(make, name, [gain, gain + 1, gain + 2])], sort="psnr")
    assert table.footnotes == ["psnr: no verdict: 3 seeds scored by every row, and below 6 pairs no paired test can reach p < 0.05"]
    assert {r.cells["psnr"].mark for r in table.rows} == {""}


def test_no_mark_where_a_rival_could_not_be_compared(make):
    noise = np.random.default_rng(0).normal(0, 1, 12)
    table = leaderboard([make("wiener", tags={}), make("identity"), *_scored(make, "c", noise[:1])], sort="psnr")
    assert {r.cells["psnr"].mark for r in table.rows} == {""}
