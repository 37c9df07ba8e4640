"""MAT files: what MATLAB itself wrote is read as scipy reads it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.io.matlab

from datasets.reading.matlab import read_mat

WRITTEN_BY_MATLAB = [f for f in sorted(Path(scipy.io.matlab.__file__).parent.glob("tests/data/test*_[5-7]*.mat")) if "hdf5" not in f.name]


def same(mine, theirs):
    """Numbers are equal; records one by one; other kinds are left out."""
    if mine is None:
        return
    if isinstance(mine, list):
        assert theirs.dtype.names
        assert len(mine) == theirs.size
        for record, other in zip(mine, theirs.ravel(order="F"), strict=True):
            assert list(record) == list(theirs.dtype.names)
            for key, value in record.items():
                same(value, other[key])
    elif not theirs.dtype.kind == "c":  # of complex numbers the real part
        assert mine.shape == theirs.shape
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("file", WRITTEN_BY_MATLAB, ids=lambda file: file.stem)
def test_files_of_matlab(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = scipy.io.loadmat(file)
    mine = read_mat(file)
    assert {k for k in theirs if not k.startswith("__")} <= mine.keys()
    for name, value in mine.items():
        if name in theirs and isinstance(theirs[name], np.ndarray):
            same(value, theirs[name])


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_of_scipy(tmp_path, packed):
    points = np.empty((1, 2), dtype=[("a", object), ("b", object)])
    points[0, 0], points[0, 1] = (np.arange(6).reshape(2, 3), np.zeros((0, 2))), (np.float32([[1.5]]), np.uint16([[7, 8]]))
    scipy.io.savemat(tmp_path / "x.mat", {"n": np.array([[3, 4]]), "points": points, "text": "abc"}, do_compression=packed)
    found = read_mat(tmp_path / "x.mat")
    assert found["n"].tolist() == [[3, 4]]
    assert found["text"] is None
    assert [record["a"].tolist() for record in found["points"]] == [[[0, 1, 2], [3, 4, 5]], [[1.5]]]
    assert [record["b"].shape for record in found["points"]] == [(0, 2), (1, 2)]


def test_a_bomb(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"n": np.zeros((3000, 3000))}, do_compression=True)
    assert (tmp_path / "x.mat").stat().st_size < 100_000
    with pytest.raises(ValueError, match="unfolds to more than"):
        read_mat(tmp_path / "x.mat")
