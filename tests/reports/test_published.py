import dataclasses

import pytest

from bench.errors import UsageError
from reports.published import FOLDER, compare_with_published, concerns, load
from reports.render import tables_of

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


@pytest.fixture(scope="module")
def papers():
    """The SRGAN paper's tables of two test sets."""
    return [t for t in load(FOLDER / "sr.toml") if t.where in ("Table 2, Set5", "Table 2, Set14")]


def _trials(make, make_card, test_set):
    said = {"task.data": "photos", "task.test": test_set, "task.scale": "4", "task.profile": "srgan_daala"}
    return [make("srgan", workload=test_set, test=test_set, training_facts=said, tags={}, params={}, curves=make("srgan").curves[:0])]


def test_a_paper_stands_beside_the_test_set_that_it_names(make, make_card, papers):
    records = [r for name in ("set5", "set14") for r in _trials(make, make_card, name)]
    for table in tables_of(records, sort={"": "psnr"}):
        assert [p.where for p in papers if concerns(p, table)] == [f"Table 2, {table.test_set.title()}"]
    (alone,) = tables_of([dataclasses.replace(r, test="") for r in _trials(make, make_card, "set5")], sort="psnr")
    assert [p.where for p in papers if concerns(p, alone)] == [p.where for p in papers]


def test_what_was_judged_on_decides_whether_the_protocol_is_the_papers(make, make_card, papers):
    records = _trials(make, make_card, "set14")
    (table,) = tables_of(records, sort={"": "psnr"})
    verdicts = {p.where: {r.label: v for r in p.rows for v in [_verdict(p, r, table, records)] if v} for p in papers}
    assert set(verdicts["Table 2, Set14"].values()) == {"same protocol"}
    assert set(verdicts["Table 2, Set5"].values()) == {"another protocol: task.data is set14, not set5"}


def _verdict(paper, row, table, records):
    return next(c.verdict for c in compare_with_published(paper, table, records) if c.name == row.name)
