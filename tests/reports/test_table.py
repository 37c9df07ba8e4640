import math

import pytest

from bench.cards import differences
from reports.table import LeaderboardColumn, title_of


@pytest.mark.parametrize(
    ("decimals", "value", "text"),
    [(2, 27.345, "27.34"), (3, -0.5, "−0.500"), (2, math.inf, "∞"), (2, math.nan, "–"), (None, 11_378_179, "11.4 M"),
     (None, 65_000, "65 k"), (None, 1_234, "1234"), (None, 3.14159, "3.14"), (None, 1.5e-7, "1.5e−07"), (None, 2.7e12, "2.7e+03 G")],
)  # fmt: skip
def test_numbers_print_one_way(decimals, value, text):
    assert LeaderboardColumn("x", "x", "", True, decimals).text(value) == text


def test_titles_and_card_differences(make_card):
    assert [title_of("ms_ssim"), title_of("recall"), title_of("ms", "ms")] == ["MS-SSIM", "recall", "ms"]
    said = differences(make_card("psnr", border=0), make_card("psnr", "dB", window=3))
    assert said == "unit =  | dB, border = 0 | absent, window = absent | 3"
