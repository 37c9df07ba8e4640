import struct

import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import UsageError
from datasets.reading import files
from datasets.reading.files import hash_files, readable
from datasets.reading.folders import image_files
from datasets.reading.pixels import read_image
from datasets.reading.samples import _square

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def tensor(array):
    return torch.from_numpy(array.astype(np.float32).transpose(2, 0, 1) / 255)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_colour_is_read_exactly(tmp_path):
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(PIXELS)))
    assert got.dtype == torch.float32
    assert torch.equal(got, tensor(PIXELS))


def test_gray_is_repeated(tmp_path):
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(PIXELS[..., 0])))
    assert torch.equal(got, tensor(PIXELS[..., :1].repeat(3, axis=2)))


def test_sixteen_bits_keep_their_precision(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (5, 6), dtype=np.uint16)
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(deep)))
    np.testing.assert_allclose(got.numpy(), np.broadcast_to(deep / 65535, (3, 5, 6)), atol=1e-7)


def pgm(path, values, top, *, plain=False):
    """A gray PNM of any depth, by the format's definition: two bytes a sample, the high one first, from 256 levels on; or plain text."""
    height, width = values.shape
    body = " ".join(map(str, values.ravel())).encode() if plain else values.astype(">u2" if top > 255 else "u1").tobytes()
    path.write_bytes(b"P%d\n# made by hand\n%d %d\n%d\n" % (2 if plain else 5, width, height, top) + body)
    return path


def tiff12(path, values):
    """A TIFF of 12 bits a sample, two samples in three bytes; width even."""
    height, width = values.shape
    high, low = values.ravel()[::2].astype(np.uint32), values.ravel()[1::2].astype(np.uint32)
    body = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], 1).astype(np.uint8).tobytes()
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, len(body))]
    at = 8 + len(body) + len(body) % 2
    folder = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, at) + body + bytes(len(body) % 2) + folder)
    return path


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("top", [65535, 4095, 1023, 256, 255, 15])
def test_pnm_of_any_depth_is_scaled_by_its_largest_value(tmp_path, top, plain):
    values = np.random.default_rng(top).integers(0, top + 1, (6, 8))
    values[0, :2] = 0, top
    path = pgm(tmp_path / "a.pgm", values, top, plain=plain)
    exact = 0.5 / (255 if top <= 255 else 65535)
    np.testing.assert_allclose(read_image(path).numpy(), np.broadcast_to(values / top, (3, 6, 8)), atol=exact + 1e-7)
    square = _square(path, 6, 6, gray=True)
    np.testing.assert_allclose(square[0], values[:, 1:7] / top * 255, atol=0.51)


def test_a_deep_picture_is_the_same_in_every_format(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (5, 6), dtype=np.uint16)
    paths = [
        pgm(tmp_path / "a.pgm", deep, 65535),
        saved(tmp_path / "a.png", Image.fromarray(deep)),
        saved(tmp_path / "a.tif", Image.fromarray(deep)),
    ]
    first, *others = map(read_image, paths)
    assert all(torch.equal(first, other) for other in others)
    np.testing.assert_allclose(first[0], deep / 65535, atol=1e-7)


def test_twelve_bits_of_a_tiff_are_scaled_to_one(tmp_path):
    values = np.random.default_rng(3).integers(0, 4096, (4, 6))
    values[0, :2] = 0, 4095
    np.testing.assert_allclose(read_image(tiff12(tmp_path / "a.tif", values))[2], values / 4095, atol=1e-6)


def test_a_deep_pnm_that_is_cut_is_refused(tmp_path):
    path = pgm(tmp_path / "a.pgm", np.full((40, 40), 9), 4095)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"cannot read the image .*a\.pgm: .*on_corrupt=skip"):
        read_image(path)


def test_alpha_is_dropped(tmp_path):
    clear = np.dstack([PIXELS, np.zeros((12, 20), np.uint8)])
    assert torch.equal(read_image(saved(tmp_path / "a.png", Image.fromarray(clear))), tensor(PIXELS))
    gray = Image.fromarray(PIXELS[..., 0]).convert("LA")
    gray.putalpha(0)
    assert torch.equal(read_image(saved(tmp_path / "b.png", gray))[1], tensor(PIXELS[..., :1])[0])


def test_palettes_are_looked_up_even_with_transparency(tmp_path):
    indexed = Image.fromarray(PIXELS).quantize(16)
    want = tensor(np.asarray(indexed.convert("RGB")))
    assert torch.equal(read_image(saved(tmp_path / "a.png", indexed)), want)
    assert torch.equal(read_image(saved(tmp_path / "b.png", indexed, transparency=bytes(range(16)))), want)


def test_cmyk_becomes_rgb(tmp_path):
    smooth = Image.new("RGB", (32, 32), (200, 40, 90))
    got = read_image(saved(tmp_path / "a.jpg", smooth.convert("CMYK"), quality=95))
    np.testing.assert_allclose(got.mean((1, 2)) * 255, [200, 40, 90], atol=3)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    got = read_image(saved(tmp_path / "a.png", Image.fromarray(PIXELS), exif=exif))
    assert torch.equal(got, tensor(np.rot90(PIXELS, -1)))


def truncated(path):
    saved(path, Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def float_tiff(path):
    Image.fromarray(np.full((4, 4), 7.5, np.float32)).save(path, format="TIFF")


BROKEN = {
    "truncated.png": truncated,
    "truncated.jpg": truncated,
    "truncated.bmp": truncated,
    "truncated.webp": truncated,
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("not a picture\n"),
    "head.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)),
    "float.tif": float_tiff,
    "missing.png": lambda path: None,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_by_name(tmp_path, name):
    path = tmp_path / name
    BROKEN[name](path)
    with pytest.raises(UsageError, match=f"cannot read the image .*{name}"):
        read_image(path)
    with pytest.raises(UsageError, match=name):
        readable([path], "refuse")
    good, skipped = readable([path, saved(tmp_path / "good.png", Image.fromarray(PIXELS))], "skip")
    assert [p.name for p in good] == ["good.png"]
    assert len(skipped) == 1
    assert name in skipped[0]
    assert "\n" not in skipped[0]


def test_the_fingerprint_sees_names_contents_and_order(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("1")
    first = hash_files([a, b])
    assert first == hash_files([a, b])
    assert first != hash_files([b, a])
    b.write_text("2")
    assert first != hash_files([a, b])
    with pytest.raises(UsageError, match="missing"):
        hash_files([tmp_path / "missing"])


def test_large_sets_are_hashed_by_their_heads(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_SMALL", 100_000)
    big = tmp_path / "big"
    content = bytearray(200_000)
    big.write_bytes(content)
    first = hash_files([big])
    content[-1] = 1
    big.write_bytes(content)
    assert hash_files([big]) == first
    content[0] = 1
    big.write_bytes(content)
    assert hash_files([big]) != first
    big.write_bytes(content + b"x")
    assert hash_files([big]) != first


def test_image_files_are_sorted_and_nothing_else(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt", "sub/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in image_files(tmp_path)] == ["a.jpg", "b.PNG"]
    assert [p.name for p in image_files(tmp_path, recursive=True)] == ["a.jpg", "b.PNG", "c.webp"]
