"""Names beside the labels: of workloads, pictures, data paths, columns and gallery items; and a report of many tables."""

import csv
import io
import re

import pandas as pd
import pytest
from _page import tags_of

from bench.store.stored import PER_IMAGE
from reports.render import render, tables_of

NAMES = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</script><svg onload=alert(1)>", "=cmd|' /C calc'!A0", "@SUM(1)",
    r"\input{/etc/passwd}", "\\end{document}", "a | b\n| - |", "[x](javascript:alert(1))", "\x1b[2J\x1b[31m", "../../x", "{{7*7}}",
    "\n\\input{/etc/passwd}", "\r\\write18{id}",
]  # fmt: skip


@pytest.fixture(scope="module", params=[False, True], ids=["workloads", "test sets"])
def written(request, make, tmp_path_factory):
    """File -> text of a report in which everything but the labels is hostile."""
    records = []
    for name in NAMES:
        for label in ("unet", "identity"):
            images = pd.DataFrame([("psnr", f"{name}{i}", 20.0 + i, name) for i in range(4)], columns=list(PER_IMAGE))
            spec = f"deblur[data=\"folder[path='{name}']\"]"
            records.append(
                make(
                    label,
                    0,
                    workload=name,
                    test=name * request.param,
                    task=spec,
                    suite=name,
                    per_image=images,
                    tags={"skipped_files": name, "oracle": name},
                ),
            )
    folder = tmp_path_factory.mktemp("report")
    render(tables_of(records, sort={"": "psnr"} if request.param else "psnr"), records, folder, title=NAMES[0])
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def test_no_name_leaves_the_folder(written):
    """Files are named after the tables; a table's name is not a path."""
    assert "index.html" in written
    assert all(re.fullmatch(r"[\w.-]+", name) for name in written), list(written)


def test_the_page(written):
    tags = tags_of(written["index.html"])
    assert [tag for tag, _ in tags].count("script") == 1
    assert not {"iframe", "object", "embed", "base", "form", "foreignobject"} & {tag for tag, _ in tags}
    for tag, attributes in tags:
        assert not [key for key in attributes if key.startswith("on")], tag
        assert all((attributes.get(key) or "#").startswith(("#", "data:")) for key in ("href", "src", "xlink:href")), tag


def test_the_tables(written):
    for name, text in written.items():
        assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), name
        if name.endswith(".csv"):
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?![\d.])", cell)], name
        if name.endswith(".tex"):
            text = re.sub(r"^%.*", "", text, flags=re.MULTILINE)  # a comment does nothing, provided that no name ends it
            assert not re.search(r"\\(input|write18|immediate|openin|catcode)", text), name
            assert text.count("\\end{document}") == ("\\documentclass" in text), name
        if name.endswith(".md"):
            assert not re.search(r"<script|<svg|<img|(?<!\\)\]\(", text), name
