import gzip
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.dataset import SPLITS
from bench.errors import Unavailable, UsageError

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
RNG = np.random.default_rng(0)


def splits(spec, root=None):
    source = registry.make("dataset", spec)
    return {split: source.open(root, split) for split in SPLITS}


def rows(found):
    return [row.tobytes() for row in found.x.numpy()]


# -- what ships inside the dependencies
@pytest.mark.parametrize(
    ("spec", "shape", "counts"),
    [
        ("digits", (1, 16, 16), (1000, 300, 497)),
        ("digits[size=32]", (1, 32, 32), (1000, 300, 497)),
        ("digits[size=8]", (1, 8, 8), (1000, 300, 497)),
        ("faces", (1, 32, 32), (70, 10, 20)),
        ("photo_patches", (3, 32, 32), (1350, 104, 1122)),
        ("stacked_digits[train=300,validation=20,test=50]", (3, 16, 16), (300, 20, 50)),
    ],
)
def test_bundled_sets(spec, shape, counts):
    found = splits(spec)
    source = registry.make("dataset", spec)
    for split, count in zip(SPLITS, counts, strict=True):
        assert found[split].x.shape == (count, *shape)
        assert found[split].x.dtype == torch.uint8
        assert source.count(None, split) == count
        assert found[split].fingerprint == source.open(None, split).fingerprint
    assert len({f.fingerprint for f in found.values()}) == 3


@pytest.mark.parametrize("spec", ["digits[size=8]", "faces", "photo_patches"])
def test_no_picture_is_in_two_splits(spec):
    contents = [set(rows(found)) for found in splits(spec).values()]
    assert not contents[0] & contents[1]
    assert not contents[0] & contents[2]
    assert not contents[1] & contents[2]


@pytest.mark.oracle("dataset", "digits")
def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    truth, found = load_digits(), splits("digits[size=8]")
    x = torch.cat([f.x for f in found.values()])
    assert np.allclose(x[:, 0].double().numpy() * 16 / 255, truth.images, atol=0.04)
    assert torch.cat([f.labels for f in found.values()]).tolist() == truth.target.tolist()


@pytest.mark.oracle("dataset", "stacked_digits")
def test_a_stacked_digit_is_three_digits():
    digits, stacked = splits("digits")["test"], splits("stacked_digits[train=5,validation=5,test=40]")["test"]
    known = {}
    for row, label in zip(rows(digits), digits.labels.tolist(), strict=True):
        known.setdefault(row, label)
    for x, label in zip(stacked.x, stacked.labels.tolist(), strict=True):
        assert [known[channel[None].numpy().tobytes()] for channel in x] == [label // 100, label // 10 % 10, label % 10]
    assert len(stacked.classes) == 1000
    with pytest.raises(UsageError, match="gray pictures with ten classes"):
        splits("stacked_digits[of=faces]")


def test_faces_are_faces():
    """The first hundred of the file; the other hundred, which are none, are darker."""
    assert 0.4 < torch.cat([f.x for f in splits("faces").values()]).double().mean() / 255 < 0.5


# -- a set
def test_draws_are_a_function_of_the_seed():
    found = splits("digits")["train"]
    a, again, b = (found.draw(32, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(a.x, again.x)
    assert not torch.equal(a.x, b.x)
    assert a.x.dtype == torch.float32
    assert 0 <= a.x.min() < 0.01
    assert a.x.max() == 1
    where = [next(i for i, x in enumerate(found.x) if torch.equal(x.float() / 255, drawn)) for drawn in a.x[:4]]
    assert found.labels[where].tolist() == a.labels[:4].tolist()


def test_spread_samples_are_different_and_ordered():
    found = splits("digits")["validation"]
    assert torch.equal(found.spread(1000).x, found.x.float() / 255)
    some = found.spread(100)
    assert torch.equal(some.x, found.x[::3].float() / 255)


# -- IDX
def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.oracle("dataset", "mnist", "fashion_mnist")
@pytest.mark.parametrize(
    ("name", "folder", "ending"), [("mnist", "mnist", ".gz"), ("mnist", "MNIST/raw", ""), ("fashion_mnist", "FashionMNIST/raw", "")]
)
def test_idx_layouts(tmp_path, name, folder, ending):
    x, labels = RNG.integers(0, 256, (40, 28, 28), dtype=np.uint8), np.arange(40, dtype=np.uint8) % 10
    for part, n in (("train", 40), ("t10k", 20)):
        write_idx(tmp_path / folder / f"{part}-images-idx3-ubyte{ending}", x[:n])
        write_idx(tmp_path / folder / f"{part}-labels-idx1-ubyte{ending}", labels[:n])
    found = splits(f"{name}[size=28]", tmp_path)
    assert np.array_equal(torch.cat([found["train"].x, found["validation"].x])[:, 0].numpy(), x)
    assert [len(found[s]) for s in SPLITS] == [36, 4, 20]
    assert found["validation"].labels.tolist() == [6, 7, 8, 9]
    padded = splits(name, tmp_path)["test"].x
    assert padded.shape == (20, 1, 32, 32)
    assert np.array_equal(padded[:, 0, 2:-2, 2:-2].numpy(), x[:20])
    assert padded.sum() == int(x[:20].sum(dtype=np.int64))


@pytest.mark.parametrize("harm", [lambda b: b[:100], lambda b: b + b"\0", lambda b: b"\x01" + b[1:], lambda b: b""])
def test_a_damaged_idx_file_is_named(tmp_path, harm):
    for part in ("train", "t10k"):
        write_idx(tmp_path / "mnist" / f"{part}-images-idx3-ubyte", np.zeros((20, 28, 28), np.uint8))
        write_idx(tmp_path / "mnist" / f"{part}-labels-idx1-ubyte", np.zeros(20, np.uint8))
    broken = tmp_path / "mnist" / "train-images-idx3-ubyte"
    broken.write_bytes(harm(broken.read_bytes()))
    with pytest.raises(UsageError, match="train-images-idx3-ubyte"):
        splits("mnist", tmp_path)


# -- CIFAR-10
def cifar(n=20):
    return RNG.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), RNG.integers(0, 10, n)


def write_binary(folder, x, labels):
    parts = np.concatenate([labels[:, None].astype(np.uint8), x.reshape(len(x), -1)], 1)
    for i, part in enumerate(np.array_split(parts, 5), 1):
        (folder / f"data_batch_{i}.bin").write_bytes(part.tobytes())
    (folder / "test_batch.bin").write_bytes(parts[:7].tobytes())


def python2_pickle(data, labels):
    """{"data": array, "labels": list} as Python 2 and the NumPy of 2009 write it: byte strings, numpy.core."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    array += b"K" + bytes([len(data)]) + b"M" + (3072).to_bytes(2, "little") + b"\x86"
    array += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array += b"\x89T" + data.size.to_bytes(4, "little") + data.tobytes() + b"tb"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels](" + b"".join(b"K" + bytes([label]) for label in labels) + b"eu."


def write_python(folder, x, labels):
    for name, rows in [(f"data_batch_{i + 1}", slice(4 * i, 4 * i + 4)) for i in range(5)] + [("test_batch", slice(0, 7))]:
        (folder / name).write_bytes(python2_pickle(x[rows].reshape(-1, 3072), labels[rows].tolist()))


def write_mosaic(folder, x, labels):
    files = {}
    for name, n in (("train_0.webp", len(x)), ("test_0.webp", 7)):
        tiles = np.zeros((1000, 3, 32, 32), np.uint8)
        tiles[:n] = x[:n]
        sheet = tiles.reshape(25, 40, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(800, 1280, 3)
        Image.fromarray(sheet).save(folder / name, lossless=True, exact=True)
        files[name] = {"n": n, "labels": labels[:n].tolist()}
    (folder / "labels.json").write_text(json.dumps({"files": files}))


@pytest.mark.oracle("dataset", "cifar10")
@pytest.mark.parametrize(
    ("write", "folder"), [(write_binary, "cifar-10-batches-bin"), (write_python, "cifar-10-batches-py"), (write_mosaic, "cifar10_10k")]
)
def test_cifar_layouts(tmp_path, write, folder):
    x, labels = cifar()
    (tmp_path / folder).mkdir()
    write(tmp_path / folder, x, labels)
    found = splits("cifar10", tmp_path)
    assert [len(found[s]) for s in SPLITS] == [18, 2, 7]
    assert np.array_equal(torch.cat([found["train"].x, found["validation"].x]).numpy(), x)
    assert np.array_equal(found["test"].x.numpy(), x[:7])
    assert torch.cat([found["train"].labels, found["validation"].labels]).tolist() == labels.tolist()
    assert found["train"].classes[6] == "frog"


class Payload:
    """What a hostile batch would bring along."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (Path(self.mark),)


def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    write_python(folder, *cifar())
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": Payload(str(tmp_path / "ran")), b"labels": []}, protocol=2))
    with pytest.raises(UsageError, match="refused; use the binary version"):
        splits("cifar10", tmp_path)
    assert not (tmp_path / "ran").exists()
    pickle.loads((folder / "data_batch_1").read_bytes())
    assert (tmp_path / "ran").exists()  # the payload was live


def test_a_damaged_cifar_is_named(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    write_binary(folder, *cifar())
    (folder / "data_batch_3.bin").write_bytes(b"\0" * 100)
    with pytest.raises(UsageError, match=r"data_batch_3\.bin is damaged"):
        splits("cifar10", tmp_path)
    (folder / "data_batch_3.bin").write_bytes(b"\x0b" * 3073)
    with pytest.raises(UsageError, match="labels are not 0 to 9"):
        splits("cifar10", tmp_path)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(UsageError, match=r"data_batch_3\.bin"):
        splits("cifar10", tmp_path)


# -- folders of images
def paint(path, size=(40, 30), level=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 0, 0)).save(path)


@pytest.mark.oracle("dataset", "images")
def test_any_folder(tmp_path):
    for i in range(40):
        paint(tmp_path / "mine" / ("sub" if i % 2 else "") / f"{i}.png", level=5 * i)
    for spec in ("images[path=mine,size=8]", f"images[path={tmp_path / 'mine'},size=8]"):
        found = splits(spec, tmp_path)
        assert sum(len(f) for f in found.values()) == 40
        levels = [set(f.x[:, 0, 0, 0].tolist()) for f in found.values()]
        assert set.union(*levels) == {5 * i for i in range(40)}
        assert sum(map(len, levels)) == 40
    assert len(registry.make("dataset", "images[path=mine,size=8,limit=3]").open(tmp_path, "train")) == 3


def test_the_centre_is_kept(tmp_path):
    x = np.zeros((20, 40, 3), np.uint8)
    x[:, 10:30] = 200
    (tmp_path / "a").mkdir()
    for i in range(30):
        Image.fromarray(x).save(tmp_path / "a" / f"{i}.png")
    assert (splits("images[path=a,size=20]", tmp_path)["train"].x == 200).all()
    with pytest.raises(UsageError, match=r"is 40 x 20: smaller than crop=30"):
        splits("images[path=a,crop=30]", tmp_path)
    (tmp_path / "a" / "3.png").write_text("no image")
    with pytest.raises(UsageError, match=r"cannot read the image .*3\.png"):
        splits("images[path=a]", tmp_path)


@pytest.mark.oracle("dataset", "orl", "coil20", "celeba", "lsun")
def test_orl_and_coil_and_celeba_and_lsun(tmp_path):
    for person in range(1, 41):
        for shot in range(1, 11):
            path = tmp_path / "orl_faces" / f"s{person}" / f"{shot}.pgm"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (9, 11), 5 * person).save(path)
    orl = splits("orl[size=8]", tmp_path)
    assert [len(orl[s]) for s in SPLITS] == [280, 40, 80]
    assert all((f.x[:, 0, 0, 0] == 5 * (f.labels + 1)).all() for f in orl.values())
    for view in range(12):
        paint(tmp_path / "coil20" / f"obj2__{view}.png")
        paint(tmp_path / "coil20" / f"obj10__{view}.png")
    assert [len(f) for f in splits("coil20[size=8]", tmp_path).values()] == [16, 4, 4]
    assert set(splits("coil20[size=8,object=10]", tmp_path)["test"].labels.tolist()) == {9}
    for number in (1, 162_770, 162_771, 182_637, 182_638, 202_599):
        paint(tmp_path / "celeba" / "img_align_celeba" / f"{number:06d}.jpg", (178, 218))
    celeba = splits("celeba", tmp_path)
    assert [f.x.shape for f in celeba.values()] == [(2, 3, 64, 64)] * 3
    for i in range(40):
        paint(tmp_path / "lsun" / "bedroom_train" / f"{i}.webp")
    assert sum(len(f) for f in splits("lsun", tmp_path).values()) == 40
    with pytest.raises(UsageError, match="no train pictures"):
        splits("lsun[category=church_outdoor]", tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "celeba", "lsun", "orl", "coil20"])
def test_a_missing_set_says_where_to_get_it(name, tmp_path):
    with pytest.raises(Unavailable, match="get it from http"):
        registry.make("dataset", name).open(tmp_path, "train")


@pytest.mark.parametrize("spec", ["digits[size=4]", "faces[size=4]", "images[size=0]", "photo_patches[stride=0]", "stacked_digits[test=0]"])
def test_bad_options_are_refused(spec):
    with pytest.raises(UsageError, match="must be"):
        registry.make("dataset", spec)


# -- real files
@real
def test_real_mnist():
    found = splits("mnist[size=28]", Path(DATA))
    x = torch.cat([found["train"].x, found["validation"].x]).double() / 255
    assert x.shape == (60_000, 1, 28, 28)
    assert x.mean() == pytest.approx(0.1307, abs=5e-5)
    assert x.std() == pytest.approx(0.3081, abs=5e-5)
    assert found["train"].labels[:6].tolist() == [5, 0, 4, 1, 9, 2]
    assert found["test"].labels[:6].tolist() == [7, 2, 1, 0, 4, 1]


@real
def test_real_cifar():
    found = splits("cifar10", Path(DATA))
    assert [len(found[s]) for s in SPLITS] == [9000, 1000, 1000]
    assert found["train"].labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert found["test"].labels[:5].tolist() == [3, 8, 8, 0, 6]
    assert found["train"].x[0, :, 0, 0].tolist() == [59, 62, 63]  # the first pixel of the frog


@real
def test_real_faces_and_objects():
    assert splits("orl", Path(DATA))["train"].x.shape == (280, 1, 32, 32)
    assert sum(len(f) for f in splits("coil20", Path(DATA)).values()) == 1000
