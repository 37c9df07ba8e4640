import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import UsageError
from datasets import _base
from datasets._base import hash_files, readable
from datasets._files import image_files
from datasets._pixels import read_image

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
    monkeypatch.setattr(_base, "_SMALL", 100_000)
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
