import pytest

from bench.errors import UsageError
from reports.published import FOLDER, load

GOOD = """
[[table]]
paper = "P"
where = "Table 1"
data = "GoPro"
protocol = "?"
evidence = "recalled"
units = { psnr = "dB" }
rows = [{ name = "A", values = { psnr = 30.0 } }]
"""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_files_load(path):
    assert load(path)


def test_deblurgan_numbers_keep_their_evidence():
    tables = load(FOLDER / "deblur.toml")
    evidence = {(t.where[:7], row.name): t.evidence_of(row) for t in tables for row in t.rows}
    assert evidence["Table 1", "DeblurGAN Comb"] == "recalled"
    assert evidence["Table 1", "SRN"] == "verified"
    assert evidence["Table 2", "DeblurGAN WILD"] == "verified"
    assert evidence["Table 3", "DeblurGAN Comb"] == "recalled"
    assert str(tables[1].rows[1].values["psnr"]) == "25.10"  # as printed
    for row in tables[-1].rows:  # F1 is the harmonic mean of precision and recall, to rounding
        p, r, f1 = (float(row.values[key]) for key in ("precision", "recall", "f1"))
        assert f1 == pytest.approx(2 * p * r / (p + r), abs=1.5e-3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [('evidence = "recalled"', 'evidence = "sure"', "table.0.evidence"), ("data =", "dta =", "table.0"),
     ("psnr = 30.0", 'psnr = "30"', "table.0.rows.0.values.psnr"),
     ("psnr = 30.0", "ssim = 0.9", "column 'ssim' has no unit"), ("[[table]]", "[[table", "cannot read")],
)  # fmt: skip
def test_files_are_read_strictly(tmp_path, old, new, message):
    path = tmp_path / "p.toml"
    path.write_text(GOOD)
    assert load(path)[0].rows[0].values == {"psnr": 30.0}
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(UsageError, match=message):
        load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml")
