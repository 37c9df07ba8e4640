"""Calls of `runner.py score` and what came of them."""

import json

import pandas as pd

import runner
from bench.store.mlflow_store import Store


def score(*words, out):
    """The exit code of `runner.py score WORDS`."""
    return runner.main(["score", *map(str, words), "--out", str(out)])


def table_of(out):
    """The scores of single pictures."""
    (file,) = out.glob("score_*/report/per_image.csv")
    return pd.read_csv(file)


def records_of(out):
    """Label -> record, of all that was scored."""
    stores = [Store(file.stem, out) for file in out.glob("score_*.toml")]
    return {record.label: record for store in stores for record in store.read(store.trials())}


def write_json(path, content):
    """The path, with the content in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def refusal(capsys, *words, out):
    """The one line with which a call is refused; nothing is on record then."""
    capsys.readouterr()
    assert score(*words, out=out) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert not list(out.glob("score_*/trials/*"))
    return said
