"""Where the rows of one table ran: what may move bits is told by key, the rest is not."""

import pytest

from bench.commands import conditions
from bench.store.record import TrialRecord
from bench.store.remarks import environment_differences

USUAL = {"torch": "2.14.1", "threads": "2", "device_name": "x86_64", "git": "a1", "python": "3.12"}


def record(label, seed=0, **environment):
    names = {key: value for key, value in (USUAL | environment).items() if value is not None}
    return TrialRecord("s", "t", label, label, seed, "quick", f"{label}{seed}", "finished", environment=names)


def _lines(*records):
    return [d.text for d in environment_differences(records)]


def test_the_rows_of_each_value_are_named_but_for_the_usual_one():
    records = [record("unet", torch="2.15.0"), record("srcnn", torch="2.15.0"), *(record(label) for label in "abc")]
    (difference,) = environment_differences(records)
    assert difference.text == "rows differ in torch: 2.15.0 (unet, srcnn), 2.14.1 (others)"
    assert difference.unusual_rows == {"unet", "srcnn"}


def test_a_line_for_each_key_in_a_fixed_order():
    records = [record("a", threads="8", device_name="NVIDIA H200"), record("b"), record("c")]
    assert _lines(*records) == ["rows differ in device name: NVIDIA H200 (a), x86_64 (others)", "rows differ in threads: 8 (a), 2 (others)"]


@pytest.mark.parametrize("key", ["git", "python", "hostname", "load"])
def test_what_cannot_move_bits_is_not_told(key):
    assert _lines(record("a", **{key: "other"}), record("b"), record("c")) == []


def test_a_record_of_older_form_is_unknown():
    assert _lines(record("a", torch=None), record("b"), record("c")) == ["rows differ in torch: unknown (a), 2.14.1 (others)"]
    assert _lines(record("a", torch=None), record("b", torch=None)) == []


def test_weights_that_were_judged_under_another_version_say_both():
    records = [record("a", judged_torch="2.15.0"), record("b"), record("c", judged_torch="2.14.1")]
    assert _lines(*records) == ["rows differ in torch: 2.14.1, judged under 2.15.0 (a), 2.14.1 (others)"]


def test_the_seeds_are_named_where_a_row_is_split():
    records = [record("a", 0), record("a", 1, torch="2.15.0"), record("a", 2, torch="2.15.0"), record("b")]
    (difference,) = environment_differences(records)
    assert difference.text == "rows differ in torch: 2.15.0 (a seeds 1, 2), 2.14.1 (others)"
    assert difference.unusual_rows == {"a"}


def test_without_a_majority_every_row_is_named_and_differs():
    (difference,) = environment_differences([record("a", torch="2.15.0"), record("b")])
    assert difference.text == "rows differ in torch: 2.15.0 (a), 2.14.1 (b)"
    assert difference.unusual_rows == {"a", "b"}


def test_many_rows_are_counted():
    records = [record(f"odd{i}", torch="2.15.0") for i in range(4)] + [record(f"row{i}") for i in range(5)]
    assert _lines(*records) == ["rows differ in torch: 2.15.0 (odd0, odd1, 2 more), 2.14.1 (others)"]


def test_compare_tells_what_may_move_bits_first():
    a, b = (conditions.Side(name, [record(name, **more)]) for name, more in (("a", {"git": "b2", "torch": None}), ("b", {"threads": "8"})))
    assert conditions.differing_conditions(a, b)["environment"] == ["torch: unknown | 2.14.1", "threads: 2 | 8", "git: b2 | a1"]
