"""Pictures and their names as a careless or ill-meaning world makes them: read right, or refused in one line that names the file."""

import contextlib
import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from _page import tags_of
from PIL import Image

import runner
from bench.errors import UsageError
from bench.spec import Spec
from bench.text import one_line
from datasets.folder import Folder
from datasets.folder_pair import FolderPair
from datasets.images import Images
from datasets.reading import files
from datasets.reading.pixels import decode, read_image

SMOOTH = np.stack(np.meshgrid(np.linspace(20, 230, 64), np.linspace(20, 230, 48)), -1).mean(-1)[..., None].repeat(3, 2).astype(np.uint8)
NAMES = [
    "with space.png", "it's.png", '"quoted".png', "line\nbreak.png", "<script>alert(1)<", "=cmd|' '!A0.png", "\x1b[31mred.png", "-rf.png",
    "a,b;c.png", "$(true)`id`.png", "{name}%s%d.png", "[x=1].png", "\\begin{x}.png", "日本\u202e.png", os.fsdecode(b"\xff\xfe.png"),
]  # fmt: skip
NAMES = [name if name.endswith(".png") else f"{name}.png" for name in NAMES]  # a slash no name can have


def picture(seed=0):
    return Image.effect_noise((64, 64), 60).convert("RGB") if seed else Image.fromarray(SMOOTH)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_zeros(path, width, height):
    """A gray PNG of one bit a pixel, a hundred thousandth of what it unfolds to."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def refused(read, path):
    with pytest.raises(UsageError, match=re.escape(path.name)) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def square(path):
    """What the source `images` makes of a file, as a tensor like `read_image`'s."""
    return Images(path=str(path.parent), size=32, crop=48).open(None, split_with(path)).pick(torch.tensor([0])).x[0]


def split_with(path):
    return next(split for split in ("train", "validation", "test") if Images(path=str(path.parent)).listed(path.parent, split))


READERS = {"whole": read_image, "square": square}


# -- bombs and damage
def test_a_picture_of_30000_by_30000(tmp_path):
    path = png_of_zeros(tmp_path / "bomb.png", 30_000, 30_000)
    assert path.stat().st_size < 200_000
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from datasets.reading.files import read_image; from bench.errors import UsageError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_image(Path(sys.argv[1]))\n"
        "except UsageError as error: print(error)\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000"  # kilobytes: it is not unfolded
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=os.path.dirname(runner.__file__), capture_output=True, text=True)
    assert re.fullmatch(r"cannot read the image .*bomb\.png: Image size \(900000000 pixels\) exceeds limit .*\n", done.stdout), (
        done.stdout + done.stderr
    )
    for read in READERS.values():
        refused(read, path)


@pytest.mark.parametrize("kind", ["iTXt", "zTXt"])
def test_a_bomb_in_a_comment(tmp_path, kind):
    text = {"zTXt": b"k\0\0", "iTXt": b"k\0\1\0\0\0"}[kind] + zlib.compress(bytes(50 << 20))
    whole = Image.fromarray(SMOOTH)
    whole.save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[:33] + chunk(kind.encode(), text) + content[33:])
    with contextlib.suppress(UsageError):  # Pillow may also leave the comment out
        assert read_image(tmp_path / "x.png").shape == (3, 48, 64)


DAMAGE = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("not a picture"),
    "page.jpg": lambda path: path.write_text("<html>404</html>"),
    "half.png": lambda path: (picture(1).save(path), path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
    "half.jpg": lambda path: (picture(1).save(path), path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
    "half.webp": lambda path: (picture(1).save(path), path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
    "zeros.png": lambda path: path.write_bytes(bytes(1000)),
    "no_pixels.png": lambda path: path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")
    ),
    "float.tif": lambda path: Image.fromarray(np.full((4, 4), 7.5, np.float32)).save(path, format="TIFF"),
    "deep.tif": lambda path: Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(path, format="TIFF"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("reader", READERS)
def test_damaged_files(tmp_path, name, reader):
    DAMAGE[name](tmp_path / name)
    refused(READERS[reader], tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("source", [Folder, Images])
def test_what_is_no_file_is_named(tmp_path, source):
    """A pipe would be waited for without end."""
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    picture().save(tmp_path / "good.png")
    for name, says in {
        "folder.png": "it is a folder",
        "pipe.png": "it is a pipe, a socket or a device",
        "dangling.png": "it is a link to .*nowhere, which is not there",
        "loop.png": "it is a link to .*loop.png, which is not there",
    }.items():
        for read in (read_image, decode):
            assert re.search(says, refused(read, tmp_path / name))
    with pytest.raises(UsageError, match=r"dangling\.png|loop\.png|pipe\.png"):
        [source(path=str(tmp_path)).open(None, split) for split in ("train", "validation", "test")]
    if source is Folder:
        opened = Folder(path=str(tmp_path), split="test", on_corrupt="skip").open(None, "test")
        assert opened.names == ["good.png"]
        assert [re.search(r"\w+\.png", line)[0] for line in opened.skipped] == ["dangling.png", "loop.png", "pipe.png"]


def test_of_a_large_set_what_is_no_file_is_found_when_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_SMALL", 10)
    picture().save(tmp_path / "good.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"dangling\.png: it is a link to .*nowhere, which is not there; replace it"):
        Folder(path=str(tmp_path), split="test").open(None, "test")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_may_not_be_read(tmp_path, reader):
    picture().save(tmp_path / "secret.png")
    (tmp_path / "secret.png").chmod(0)
    assert "Permission denied" in refused(READERS[reader], tmp_path / "secret.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_file_that_somebody_else_may_not_read(tmp_path):
    """As above, where the tests run as root: in a child that gives its rights up."""
    picture().save(tmp_path / "secret.png")
    (tmp_path / "secret.png").chmod(0)
    code = (
        "import os, sys; from pathlib import Path; from PIL import PngImagePlugin\n"
        "from datasets.reading.files import read_image; os.setuid(65534)\n"
        "from bench.errors import UsageError\n"
        "try: read_image(Path('secret.png'))\n"
        "except UsageError as error: print(error)"
    )
    words = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": os.path.dirname(runner.__file__)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert re.fullmatch(r"cannot read the image secret\.png: .*Permission denied.*\n", done.stdout), done.stdout + done.stderr


# -- unusual, but right
def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (255, 0, 51)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").flatten().tolist() == pytest.approx([1, 0, 0.2])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "CMYK", "YCbCr"])
def test_both_readers_see_the_same_picture_in_every_mode(tmp_path, mode):
    gray = SMOOTH[..., 0]
    if mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    elif mode in ("LA", "RGBA"):
        image = Image.fromarray(SMOOTH).convert(mode)
        image.putalpha(7)  # nearly clear: dropped, not blended
    else:
        image = Image.fromarray(SMOOTH).convert("P").convert(mode) if mode == "PA" else Image.fromarray(SMOOTH).convert(mode)
    path = tmp_path / ("x.jpg" if mode in ("CMYK", "YCbCr") else "x.tif" if mode == "PA" else "x.png")
    image.save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))
    whole, small = read_image(path), square(path)
    assert (whole.shape, whole.dtype, small.shape) == ((3, 48, 64), torch.float32, (3, 32, 32))
    want = torch.from_numpy(np.array(image.convert("RGB")) if mode in ("1", "P", "PA") else SMOOTH).permute(2, 0, 1) / 255
    torch.testing.assert_close(whole, want, atol=0.02, rtol=0)
    if mode != "1":  # dither
        torch.testing.assert_close(small.mean((1, 2)), want[..., 8:-8].mean((1, 2)), atol=0.02, rtol=0)


@pytest.mark.parametrize("reader", READERS)
def test_exif_rotation_is_applied(tmp_path, reader):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(SMOOTH).save(tmp_path / "x.jpg", quality=95, exif=exif)
    y = READERS[reader](tmp_path / "x.jpg")
    assert y[:, 0, 0].mean() > 0.5 > y[:, -1, -1].mean()


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "gif"])
def test_of_an_animation_the_first_picture_counts(tmp_path, ending):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((250, 10, 10), (10, 250, 10))]
    options = {"lossless": True} if ending == "webp" else {}
    frames[0].save(tmp_path / f"x.{ending}", save_all=True, append_images=frames[1:], **options)
    torch.testing.assert_close(read_image(tmp_path / f"x.{ending}").mean((1, 2)) * 255, torch.tensor([250.0, 10, 10]), atol=2, rtol=0)


def test_another_format_than_the_ending_says(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "x.png", format="BMP")
    assert torch.equal(read_image(tmp_path / "x.png"), torch.from_numpy(SMOOTH).permute(2, 0, 1) / 255)


# -- names
@pytest.fixture
def strange(tmp_path):
    """A folder of pictures with strange names, below a folder with a strange name."""
    folder = tmp_path / 'it\'s "a" <b>folder<, [x=1]'
    folder.mkdir()
    try:
        for i, name in enumerate(NAMES):
            picture(i + 1).save(folder / name)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such names")
    return folder


@pytest.mark.parametrize("source", [Folder, Images])
def test_strange_names_are_read_and_split(strange, source):
    splits = ("train", "validation", "test") if source is Folder else ("train", "test")
    opened = [source(path=str(strange)).open(None, split) for split in splits]
    assert sum(map(len, opened)) >= len(NAMES) - 3
    assert all(pictures.fingerprint for pictures in opened)


def test_strange_names_are_shown_as_text(strange):
    pictures = Folder(path=str(strange), split="test").open(None, "test")
    assert len(pictures) == len(NAMES)
    for name, one in zip(pictures.names, pictures, strict=True):
        assert name == one.name
        name.encode()  # can be written


def test_strange_names_in_pairs(tmp_path):
    for side in "AB":
        (tmp_path / side / "test").mkdir(parents=True)
        for name in NAMES:
            picture(1).save(tmp_path / side / "test" / name)
    pictures = FolderPair(path=str(tmp_path)).open(None, "test")
    assert len(pictures) == len(NAMES)
    assert [one.name.encode() for one in pictures]


def told(capsys):
    streams = capsys.readouterr()
    assert re.fullmatch(r"error: [^\n]+\n", streams.err), streams.err
    assert "\x1b" not in streams.err
    return streams.err


def test_strange_names_through_task_and_report(strange, tiny, capsys):
    """A broken file among them: refused in one line; left out, it is named in the report, and nothing in a name becomes markup."""
    for broken in ("<script>broken\n\x1b[2J.png", '"><img src=x onerror=alert(1)>.png'):
        (strange / broken).write_bytes(b"no picture")
    spec = Spec("folder", {"path": str(strange), "split": "test"})
    words = [
        "--suite",
        str(tiny.file),
        "--tier",
        "smoke",
        "--methods",
        "identity",
        "--out",
        str(tiny.out),
        "--set",
        f"data={spec}",
        "--set",
        "pictures=0",
    ]
    assert runner.main(words) == 2
    assert "on_corrupt=skip" in told(capsys)
    assert runner.main([*words, "--set", "on_corrupt=skip"]) == 0
    shown = capsys.readouterr()
    assert "\x1b[2J" not in shown.out + shown.err

    (record,) = tiny.store.leaderboard_records("smoke", tiny.out)
    assert record.tags["skipped_files"].startswith("2: cannot read the image")
    assert len(record.per_image[record.per_image.column == "psnr"]) == len(NAMES)

    folder = tiny.out / "tiny" / "report"
    page = (folder / "index.html").read_text(encoding="utf-8")
    tags = tags_of(page)
    assert [tag for tag, _ in tags].count("script") == 1  # our own
    assert not any(key.startswith("on") for _, attributes in tags for key in attributes)
    assert all(attributes.get("src", "data:").startswith("data:") for tag, attributes in tags if tag == "img")
    for file in folder.iterdir():
        if file.suffix in (".csv", ".md", ".tex"):
            assert "\x1b" not in file.read_text(encoding="utf-8"), file.name


def test_one_line():
    assert one_line("a\nb\tc\x1b[31m\u202e\udcff é 日 \\n") == "a\\nb\\tc\\x1b[31m\\u202e\\udcff é 日 \\n"
