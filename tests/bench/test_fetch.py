"""`runner.py weights fetch` and `data fetch`: the published file arrives in its place, or there is one line and nothing else."""

import dataclasses
import functools
import gzip
import hashlib
import io
import json
import re
import struct
import zipfile

import pytest
import torch
from _server import Server

import runner
from bench import registry
from bench.commands import fetch
from bench.dataset import DataSource
from bench.errors import UsageError
from bench.external import weights
from bench.external.download import Rules, download
from bench.external.fingerprint import git_blob

TENSORS = {"w": torch.arange(1000.0)}


@pytest.fixture
def server(monkeypatch):
    """A publisher on this machine; plain http to it is allowed."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetch, "download", functools.partial(download, rules=Rules(local=True, pause=0.0, tries=2)))
    server = Server()
    yield server
    server.close()


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name, folder in {"GANBENCH_WEIGHTS": "weights", "GANBENCH_DATA": "data", "TORCH_HOME": "torch"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def told(capsys):
    """The one line of complaint."""
    complaint = capsys.readouterr().err
    assert re.fullmatch(r"error: [^\n]+\n", complaint), complaint
    return complaint


# -- weights
@pytest.fixture
def thing(server, root, monkeypatch):
    """A weight `thing` at the publisher's; its manifest entry."""
    out = io.BytesIO()
    torch.save(TENSORS, out)
    server.files["/thing.pth"] = out.getvalue()
    digest = hashlib.sha256(out.getvalue()).hexdigest()[:8]
    entry = weights.Weight(id="thing", filename="thing.pth", url=f"{server.root}/thing.pth", sha256=digest, licence="BSD", used_by=())
    monkeypatch.setattr(weights, "manifest", lambda: {"thing": entry})
    return entry


def test_weights_are_fetched_once(thing, server, capsys):
    assert runner.main(["weights", "fetch", "thing"]) == 0
    assert torch.equal(weights.load_state_dict("thing")["w"], TENSORS["w"])
    assert re.search(rf"weights/thing\.pth, prefix verified \(8 of [^)]*\), sha256 {thing.sha256}\w+\n$", capsys.readouterr().out)
    assert runner.main(["weights", "fetch", "thing"]) == 0
    assert "is here, prefix verified (8 of the 64 digits of its sha256 are published)\n" in capsys.readouterr().out
    assert len(server.asked) == 1


def test_a_whole_digest_is_verified(thing, capsys, monkeypatch):
    assert runner.main(["weights", "fetch", "thing"]) == 0
    whole = dataclasses.replace(thing, sha256=weights.sha256("thing"))
    monkeypatch.setattr(weights, "manifest", lambda: {"thing": whole})
    capsys.readouterr()
    assert runner.main(["weights", "fetch", "thing"]) == 0
    assert "is here, verified\n" in capsys.readouterr().out


def test_a_file_that_is_not_the_published_one_is_replaced(thing, capsys):
    place = weights.folders()[0] / "thing.pth"
    place.parent.mkdir()
    place.write_bytes(b"half a file")
    assert runner.main(["weights", "fetch", "thing"]) == 0
    assert torch.equal(weights.load_state_dict("thing")["w"], TENSORS["w"])


def test_weights_with_a_wrong_hash_are_not_kept(thing, server, capsys):
    server.files["/thing.pth"] = b"something else"
    assert runner.main(["weights", "fetch", "thing"]) == 2
    assert "not the published file, thrown away" in told(capsys)
    assert list(weights.folders()[0].iterdir()) == []


# -- of a git tree: known by the id that git gives the file, kept under a name of its own
@pytest.fixture
def blob(server, root, monkeypatch):
    """A weight `blob` that lies in a git tree as net.pth, among others of that name."""
    content = thing_bytes()
    server.files["/owner/repository/commit/net.pth"] = content
    git_blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    url = f"{server.root}/owner/repository/commit/net.pth"
    entry = weights.Weight(id="blob", filename="owner_net.pth", url=url, git_blob=git_blob, licence="MIT", used_by=())
    monkeypatch.setattr(weights, "manifest", lambda: {"blob": entry})
    return entry


def thing_bytes():
    out = io.BytesIO()
    torch.save(TENSORS, out)
    return out.getvalue()


def test_weights_of_a_git_tree_are_verified_by_their_blob(blob, server, capsys):
    assert runner.main(["weights", "fetch", "blob"]) == 0
    assert re.search(r"weights/owner_net\.pth, verified by its git blob, sha256 \w{64}\n$", capsys.readouterr().out)
    assert torch.equal(weights.load_state_dict("blob")["w"], TENSORS["w"])
    assert runner.main(["weights", "fetch", "blob"]) == 0
    assert "is here, verified by its git blob\n" in capsys.readouterr().out
    assert len(server.asked) == 1


def test_another_file_at_the_address_of_a_blob_is_not_kept(blob, server, capsys):
    server.files["/owner/repository/commit/net.pth"] += b"more"
    assert runner.main(["weights", "fetch", "blob"]) == 2
    assert re.search(rf"its git blob is \w{{40}}, expected {blob.git_blob}: not the published file, thrown away", told(capsys))
    assert list(weights.folders()[0].iterdir()) == []


def test_another_file_under_the_name_of_a_blob_is_refused(blob, root):
    place = weights.folders()[0] / "owner_net.pth"
    place.parent.mkdir()
    place.write_bytes(b"something else")
    with pytest.raises(UsageError, match="is not the published file: its git blob is"):
        weights.resolve("blob")


def test_a_blob_is_what_git_says(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


@pytest.mark.parametrize("name", ["deblurgan", "keras_deblurgan", "ssinyu_red_cnn", "kair_dncnn_25", "saoyan_dncnn_25"])
def test_released_networks_in_git_trees_can_be_fetched_by_name(name):
    assert weights.manifest()[name].direct


def test_weights_without_an_address_name_the_page(root, capsys):
    for name in ("fastestdet", "squeezenet1_0"):
        assert runner.main(["weights", "fetch", name]) == 2
        assert re.search(
            rf"has no address of its own: get it from https://github\.com/\S+ and put it into {weights.folders()[0]}", told(capsys)
        )


def test_unknown_weights(root, capsys):
    assert runner.main(["weights", "fetch", "resnet"]) == 2
    assert re.search(r"unknown weights 'resnet'; known: .*vgg19", told(capsys))


def test_the_lists_say_what_can_be_fetched(root, capsys):
    assert runner.main(["weights"]) == 0
    fetched = re.findall(r"run `runner\.py weights fetch (\w+)`", capsys.readouterr().out)
    without = {"fastestdet", "squeezenet1_0", "salgan", "deblurgan_wild"} | {
        w for w in weights.manifest() if w.startswith(("twhui", "yjn870"))
    }
    assert set(fetched) == set(weights.manifest()) - without
    assert runner.main(["data"]) == 0
    assert set(re.findall(r"run `runner\.py data fetch (\w+)`", capsys.readouterr().out)) == set(fetch.remotes())


# -- data sets
def test_the_remotes_are_of_known_sources_over_https():
    for name, files in fetch.remotes().items():
        part = registry.find("dataset", name)
        assert issubclass(part, DataSource)
        assert len({remote.filename for remote in files}) == len(files)
        for remote in files:
            assert remote.url.startswith("https://")
            assert "{" not in remote.url
            assert re.fullmatch(r"[0-9a-f]{64}|", remote.sha256)
            assert ".." not in remote.into
    assert [r.url for r in fetch.remotes()["facades"]] == [registry.find("dataset", "facades").origin]
    assert fetch.remotes()["mnist"][0].url.startswith(registry.find("dataset", "mnist").origin)


def idx(*shape):
    return gzip.compress(bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + bytes(int(torch.tensor(shape).prod())))


@pytest.fixture
def mnist(server, monkeypatch):
    """MNIST with ten pictures a part at the publisher's."""
    files = {
        f"{part}-{kind}-ubyte.gz": idx(*shape)
        for part in ("train", "t10k")
        for kind, shape in (("images-idx3", (10, 28, 28)), ("labels-idx1", (10,)))
    }
    server.files |= {f"/{name}": content for name, content in files.items()}
    remotes = [
        fetch.Remote(url=f"{server.root}/{name}", sha256=hashlib.sha256(content).hexdigest() if "train" in name else "", into="mnist")
        for name, content in files.items()
    ]
    monkeypatch.setattr(fetch, "remotes", lambda: {"mnist": remotes})
    return files


def test_a_data_set_is_fetched_once_and_is_read(mnist, server, root, capsys):
    assert runner.main(["data", "fetch", "mnist"]) == 0
    assert f"{root / 'mnist'}; its sha256 stand in" in capsys.readouterr().out
    assert len(registry.make("dataset", "mnist").open(root, "test")) == 10
    assert sorted(p.name for p in root.iterdir()) == ["fetched.json", "mnist"]
    recorded = json.loads((root / "fetched.json").read_text())
    assert recorded == {f"{server.root}/{name}": hashlib.sha256(content).hexdigest() for name, content in mnist.items()}
    assert runner.main(["data", "fetch", "mnist", "--data-root", str(root)]) == 0
    assert f"{root / 'mnist'} is here" in capsys.readouterr().out
    assert len(server.asked) == len(mnist)


def test_the_data_root_may_stand_before_or_after(mnist, root, tmp_path, monkeypatch):
    monkeypatch.delenv("GANBENCH_DATA")
    assert runner.main(["data", "--data-root", str(tmp_path / "a"), "fetch", "mnist"]) == 0
    assert runner.main(["data", "fetch", "mnist", "--data-root", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a/mnist").is_dir()
    assert (tmp_path / "b/mnist").is_dir()


def test_what_came_is_not_fetched_again_after_a_failure(mnist, server, root, capsys):
    gone = server.files.pop("/t10k-labels-idx1-ubyte.gz")
    assert runner.main(["data", "fetch", "mnist"]) == 2
    assert "404" in told(capsys)
    assert not (root / "mnist").exists()
    server.files["/t10k-labels-idx1-ubyte.gz"] = gone
    assert runner.main(["data", "fetch", "mnist"]) == 0
    assert len(server.asked) == len(mnist) + 1


def test_a_hash_recorded_at_the_first_fetch_is_compared_from_then_on(mnist, server, root, capsys):
    assert runner.main(["data", "fetch", "mnist"]) == 0
    (root / "mnist").rename(root / "elsewhere")
    server.files["/t10k-labels-idx1-ubyte.gz"] = idx(11)
    capsys.readouterr()
    assert runner.main(["data", "fetch", "mnist"]) == 2
    assert "not the published file" in told(capsys)


def test_a_damaged_record_is_named(mnist, root, capsys):
    (root / "fetched.json").write_text("{")
    assert runner.main(["data", "fetch", "mnist"]) == 2
    assert f"cannot read {root / 'fetched.json'}" in told(capsys)


@pytest.fixture
def facades(server, monkeypatch):
    """A data set that is an archive; `facades(names)` says what is in it."""
    monkeypatch.setattr(fetch, "remotes", lambda: {"facades": [fetch.Remote(url=f"{server.root}/facades.zip", sha256="", into=".")]})

    def holds(*names):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for name in names:
                file.writestr(name, b"")
        server.files["/facades.zip"] = out.getvalue()

    return holds


def test_an_archive_is_unpacked_into_place(facades, root, capsys):
    facades("facades/test/1.jpg", "facades/train/1.jpg")
    assert runner.main(["data", "fetch", "facades"]) == 0
    assert (root / "facades/test/1.jpg").is_file()
    assert sorted(p.name for p in root.iterdir()) == ["facades", "fetched.json"]


def test_what_is_in_the_way_leaves_the_data_root_as_it_was_and_the_next_call_goes_on(facades, root, capsys):
    facades("facades/test/1.jpg", "readme")
    (root / "readme").touch()
    assert runner.main(["data", "fetch", "facades"]) == 2
    assert "readme is in the way" in told(capsys)
    assert not (root / "facades").exists()
    (root / "readme").unlink()
    assert runner.main(["data", "fetch", "facades"]) == 0
    assert (root / "facades/test/1.jpg").is_file()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["facades/test/1.jpg", "../evil"], "would land outside: refused"),
        (["facades/test/1.jpg", "/evil"], "would land outside: refused"),
        (["other/1.jpg"], "is not laid out as facades/"),
        (["facades/train/1.jpg"], "is not laid out as facades/"),
        ([], "is not laid out as facades/"),
    ],
)
def test_an_archive_that_is_not_the_data_set(facades, root, capsys, names, says):
    facades(*names)
    assert runner.main(["data", "fetch", "facades"]) == 2
    assert says in told(capsys)
    assert [p.name for p in root.iterdir()] == [".fetching-facades"]
    assert not (root.parent / "evil").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gopro"], r"data set 'gopro' cannot be fetched: get it from https://\S+ \(GOPRO_Large\), put it below \S+ as GOPRO_Large/"),
        (["celeba"], "cannot be fetched: get it from https://mmlab"),
        (["goproo"], r"unknown dataset 'goproo'; known: .*gopro"),
        (["photos"], None),
        (["folder"], None),
    ],
)
def test_data_that_cannot_be_fetched(words, says, root, capsys):
    code = runner.main(["data", "fetch", *words])
    if says is None:
        assert code == 0
        assert " is here" in capsys.readouterr().out
    else:
        assert code == 2
        assert re.search(says, told(capsys))


def test_without_a_data_root(monkeypatch, capsys):
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    assert runner.main(["data", "fetch", "mnist"]) == 2
    assert "give --data-root or GANBENCH_DATA" in told(capsys)
