import math

import pytest

from bench import registry
from bench.cards import differences
from reports.table import LeaderboardColumn, cost_column, title_of


@pytest.mark.parametrize(
    ("decimals", "value", "text"),
    [(2, 27.345, "27.34"), (3, -0.5, "−0.500"), (2, math.inf, "∞"), (2, math.nan, "–"), (None, 11_378_179, "11.4 M"),
     (None, 65_000, "65 k"), (None, 1_234, "1234"), (None, 3.14159, "3.14"), (None, 1.5e-7, "1.5e−07"), (None, 2.7e12, "2.7e+03 G")],
)  # fmt: skip
def test_numbers_print_one_way(decimals, value, text):
    assert LeaderboardColumn("x", "x", "", True, decimals).text(value) == text


def test_titles_and_card_differences(make_card):
    assert title_of("psnr_hu[window=full]", make_card("psnr_hu", title="PSNR-hu")) == "PSNR-hu[window=full]"
    assert [title_of("pixel_accuracy", make_card("pixel_accuracy")), title_of("recall")] == ["pixel accuracy", "recall"]
    plain, titled = make_card("psnr", border=0), make_card("psnr", "dB", title="PSNR", window=3)
    assert differences(plain, titled) == "unit =  | dB, border = 0 | absent, window = absent | 3"
    assert make_card("psnr", title="PSNR")["hash"] == make_card("psnr")["hash"]


def test_records_from_before_cards_had_titles_are_headed_by_the_words_of_their_columns(make_card):
    old = {key: value for key, value in make_card("ms_ssim", "").items() if key != "title"}
    assert title_of("ms_ssim", old) == "ms ssim"
    assert cost_column("ms_per_image", {**old, "unit": "ms/image"}).title == "per image"
    assert cost_column("joules_per_image", old).title == "joules per image"


def test_a_cost_is_headed_as_its_metric_says(make_card):
    column = cost_column("joules_per_image", make_card("joules", "J", False, title="energy"))
    assert (column.title, column.unit, column.higher_is_better, column.card) == ("energy", "J", False, None)


@pytest.mark.parametrize(
    ("spec", "column", "title"),
    [("psnr", "psnr", "PSNR"), ("ms_ssim", "ms_ssim", "MS-SSIM"), ("cw_ssim", "cw_ssim", "CW-SSIM"), ("haarpsi", "haarpsi", "HaarPSI"),
     ("gmsd", "gmsd", "GMSD"), ("ssim_daala", "ssim_daala", "SSIM-daala"), ("ms_ssim_wavelet", "ms_ssim_wavelet", "MS-SSIM-wavelet"),
     ("psnr_hu[window=full]", "psnr_hu[window=full]", "PSNR-hu[window=full]"), ("rmse_hu", "rmse_hu", "rmse hu"),
     ("auc_judd", "auc_judd", "auc judd"),
     ("cross_entropy", "loss", "loss"), ("suboptimality[log10=true]", "log10_suboptimality", "log10 suboptimality"),
     ("time", "time", "per image")],
)  # fmt: skip
def test_metrics_bring_their_titles(spec, column, title):
    assert title_of(column, registry.make("metric", spec).card().to_json()) == title


def test_each_of_several_numbers_has_its_own_title():
    detection = {name: title_of(name, card.to_json()) for name, card in registry.make("metric", "detection").cards().items()}
    assert detection == {k: k for k in ("precision", "recall", "gain", "recovered")} | {"f1": "F1", "ap50": "AP50", "map": "mAP"}
    modes = registry.make("metric", "modes").cards(fake=9, real=9)
    assert [title_of(name, card.to_json()) for name, card in modes.items()] == ["modes", "high quality", "kl reverse", "kl forward", "js"]
