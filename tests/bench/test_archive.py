"""Archives unfold below their folder, within bounds, or not at all."""

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from bench.errors import Unavailable
from bench.external import archive
from bench.external.archive import Limits, unpack

FILES = {"set/a.txt": b"alpha", "set/deep/b.bin": bytes(5000), "c d.txt": b""}


def zipped(path, files, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return path


def tarred(path, files, **changes):
    """`changes` are set on every member."""
    mode = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}[path.name[path.name.index(".") :]]
    with tarfile.open(path, mode) as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in changes.items():
                setattr(info, key, value)
            out.addfile(info, io.BytesIO(content))
    return path


def packed(path, files):
    return (zipped if path.suffix == ".zip" else tarred)(path, files)


def found(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(path, says, limits=archive._LIMITS):
    """Refused in one line; nothing is left, neither inside nor outside."""
    before = {p for p in path.parent.parent.rglob("*") if path.parent in p.parents or p == path.parent or p.parent == path.parent.parent}
    with pytest.raises(Unavailable, match=says) as caught:
        unpack(path, path.parent / "out", limits)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or "in the way" in str(caught.value)
    after = {p for p in path.parent.parent.rglob("*") if path.parent in p.parents or p == path.parent or p.parent == path.parent.parent}
    assert after - before <= {path.parent / "out"}


@pytest.mark.parametrize("ending", archive.ENDINGS)
def test_what_is_inside_comes_out(tmp_path, ending):
    path = packed(tmp_path / f"x{ending}", FILES)
    assert archive.is_archive(path)
    unpack(path, tmp_path / "out")
    assert found(tmp_path / "out") == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", path.name]


def test_other_files_are_no_archives(tmp_path):
    assert not any(archive.is_archive(tmp_path / name) for name in ("x.gz", "x.png", "zip", "x.zip.part"))


def test_two_archives_into_one_folder(tmp_path):
    unpack(zipped(tmp_path / "a.zip", {"set/a": b"1"}), tmp_path / "out")
    unpack(zipped(tmp_path / "b.zip", {"set/b": b"2"}), tmp_path / "out")
    assert found(tmp_path / "out") == {"set/a": b"1", "set/b": b"2"}


def test_nothing_is_replaced(tmp_path):
    unpack(zipped(tmp_path / "a.zip", {"set/a": b"1"}), tmp_path / "out")
    refused(zipped(tmp_path / "b.zip", {"set/a": b"2"}), r"out/set/a is in the way: move it")
    assert found(tmp_path / "out") == {"set/a": b"1"}


def test_a_collision_at_the_second_file_leaves_the_first_where_it_was(tmp_path):
    path = zipped(tmp_path / "b.zip", {"a": b"1", "set/b": b"2", "set/c": b"3"})
    (tmp_path / "out/set").mkdir(parents=True)
    (tmp_path / "out/set/c").symlink_to(tmp_path / "nowhere")
    refused(path, r"out/set/c is in the way")
    assert sorted(p.name for p in (tmp_path / "out").rglob("*")) == ["c", "set"]
    (tmp_path / "out/set/c").unlink()
    unpack(path, tmp_path / "out")
    assert found(tmp_path / "out") == {"a": b"1", "set/b": b"2", "set/c": b"3"}


def test_a_move_that_the_disk_refuses_takes_back_those_before_it(tmp_path, monkeypatch):
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        folder.mkdir()
    for name in "abc":
        (source / name).touch()
    rename = Path.rename

    def full(self, place):
        if place == target / "c":
            raise OSError(28, "No space left on device")
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"):
        archive.merge(source, target)
    assert sorted(p.name for p in source.iterdir()) == ["a", "b", "c"]
    assert list(target.iterdir()) == []


# -- members that would land elsewhere
OUTSIDE = ["/evil", "../evil", "set/../../evil", "..", "C:/evil", "c:evil", "..\\evil", "\\\\host\\share\\evil", "//host/evil"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_path_traversal_and_absolute_names(tmp_path, ending, name):
    refused(packed(tmp_path / f"x{ending}", {"good": b"1", name: b"evil"}), r"its member '.*' would land outside: refused")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        out.addfile(info)
    refused(tmp_path / "x.tar", r"its member 'link' is a link or a device: refused")


def test_a_file_through_a_link(tmp_path):
    """The classic: a link to a folder elsewhere, then a file below the link."""
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        link = tarfile.TarInfo("set")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        out.addfile(link)
        out.addfile(tarfile.TarInfo("set/evil"))
    refused(tmp_path / "x.tar", "'set' is a link")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip(tmp_path, mode):
    info = zipfile.ZipInfo("link")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr(info, "/etc/passwd")
    refused(tmp_path / "x.zip", r"its member 'link' is a link or a device: refused")


def test_modes_and_owners_are_dropped(tmp_path):
    unpack(tarred(tmp_path / "x.tar", {"a": b"1"}, mode=0o4777, uid=12345), tmp_path / "out")
    about = (tmp_path / "out" / "a").stat()
    assert about.st_uid == os.getuid()
    assert not about.st_mode & (stat.S_ISUID | stat.S_IXUSR)


# -- bombs
@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_bomb_by_ratio(tmp_path, ending):
    path = packed(tmp_path / f"x{ending}", {"zeros": bytes(3 << 20)})
    assert path.stat().st_size < 10_000
    refused(path, r"bytes unfold to far more than pictures do: refused", Limits(free=1 << 20))


def test_a_bomb_of_a_hundred_megabytes_under_the_usual_limits(tmp_path):
    refused(zipped(tmp_path / "x.zip", {"zeros": bytes(100 << 20)}), r"bytes unfold to far more than pictures do: refused")


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_a_bomb_by_size(tmp_path, ending):
    files = {f"{i}": os.urandom(1000) for i in range(20)}
    refused(packed(tmp_path / f"x{ending}", files), "unfold to far more", Limits(size=15_000))
    unpack(tmp_path / f"x{ending}", tmp_path / "fits", Limits(size=20_000))


def test_a_bomb_of_members_that_overlap(tmp_path):
    """Many names for one and the same compressed megabyte: what counts is what comes out."""
    path = zipped(tmp_path / "x.zip", {"a": bytes(1 << 20)})
    with zipfile.ZipFile(path, "a") as out:
        first = out.infolist()[0]
        for i in range(100):
            again = zipfile.ZipInfo(f"a{i}")
            for key in ("compress_type", "CRC", "compress_size", "file_size", "header_offset", "flag_bits"):
                setattr(again, key, getattr(first, key))
            out.filelist.append(again)
        out._didModify = True
    refused(path, "unfold to far more|differ|[Oo]verlap")


def test_a_bomb_of_empty_files(tmp_path):
    refused(zipped(tmp_path / "x.zip", {str(i): b"" for i in range(30)}), "more than 20 members", Limits(files=20))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_bomb_in_a_long_name(tmp_path, kind):
    """Such headers are read into memory whole, before anyone sees a member."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 80 << 20
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as out:
        out.addfile(info, io.BytesIO(bytes(info.size)))
    refused(tmp_path / "x.tar.gz", "a header of 83,886,080 bytes: refused")


# -- damage
@pytest.mark.parametrize("ending", archive.ENDINGS)
def test_half_an_archive(tmp_path, ending):
    path = packed(tmp_path / f"x{ending}", {"a": os.urandom(200_000), "b": os.urandom(200_000)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "cannot unpack")


@pytest.mark.parametrize("ending", archive.ENDINGS)
@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", bytes(2000)])
def test_no_archive_at_all(tmp_path, ending, content):
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    if content and not any(content) and ending == ".tar":
        unpack(path, tmp_path / "out")  # two blocks of zeros: an empty archive
        assert found(tmp_path / "out") == {}
        return
    refused(path, "cannot unpack")


def test_flipped_bytes_in_zip(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a": os.urandom(5000)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[1000] ^= 255
    path.write_bytes(content)
    refused(path, "cannot unpack .*CRC")


def test_a_password(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)
    refused(path, "cannot unpack .*password required|encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_a_name_twice(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("a", b"1")
            out.writestr("a", b"2")
    else:
        with tarfile.open(path, "w") as out:
            for content in (b"1", b"2"):
                info = tarfile.TarInfo("a")
                info.size = 1
                out.addfile(info, io.BytesIO(content))
    refused(path, "cannot unpack .*File exists")
