"""`runner.py apply`: names, depths and colours are kept, what cannot be done is one line, nothing is overwritten or half-written."""

import os

import numpy as np
import pytest
import torch
from _used import loaded
from PIL import Image
from safetensors.torch import save_file

from bench.commands import apply as command
from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.inference import samples
from bench.inference.files import Picture, find_pictures, read_picture, write_png
from bench.inference.load import load
from bench.inference.restorer import Restorer
from bench.method import Batch
from methods.restoration._dncnn import DnCNNNetwork
from runner import main

NOISE = np.random.default_rng(0)


def picture(path, mode="RGB", size=(24, 20)):
    """A picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    levels = NOISE.integers(0, 256, (size[1], size[0], bands), np.uint8)
    Image.fromarray(levels[..., 0] if bands == 1 else levels, mode).save(path)
    return levels


def levels(path):
    return np.asarray(Image.open(path))


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- names, colours, depths
def test_names_of_nested_folders_are_kept(tmp_path, capsys):
    made = {name: picture(tmp_path / "in" / name) for name in ("a.png", "deep/er/b.PNG", "deep/ü c.bmp")}
    picture(tmp_path / "one.tif")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / "phone.heic").write_text("not read")
    assert main(["apply", "identity", str(tmp_path / "in"), str(tmp_path / "one.tif"), "--to", str(tmp_path / "out")]) == 0
    assert written(tmp_path / "out") == ["a.png", "deep/er/b.png", "deep/ü c.png", "one.png"]
    assert np.array_equal(levels(tmp_path / "out/deep/er/b.png"), made["deep/er/b.PNG"])
    out = capsys.readouterr().out
    assert "phone.heic is left out: files of this ending are not read" in out
    assert "4 of 4 pictures restored by identity" in out


@pytest.mark.parametrize(("mode", "kept", "note"), [("L", 1, ""), ("RGB", 3, ""), ("RGBA", 3, "alpha"), ("LA", 1, "alpha")])
def test_gray_and_colour_are_kept_and_alpha_is_told(tmp_path, capsys, mode, kept, note):
    before = picture(tmp_path / "x.png", mode)
    assert main(["apply", "identity", str(tmp_path / "x.png"), "--to", str(tmp_path / "out")]) == 0
    after = levels(tmp_path / "out/x.png").reshape(20, 24, -1)
    assert np.array_equal(after, before[..., :kept])
    assert ("its alpha is dropped (1 of 1 pictures)" in capsys.readouterr().out) == bool(note)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_kept_to_the_level(tmp_path, channels):
    before = NOISE.integers(0, 65536, (20, 24, channels), np.uint16)
    write_png(tmp_path / "x.png", before)
    assert np.array_equal(read_picture(tmp_path / "x.png").levels, before)
    assert main(["apply", "identity", str(tmp_path / "x.png"), "--to", str(tmp_path / "out"), "--tile", "0"]) == 0
    after = read_picture(tmp_path / "out/x.png").levels
    assert after.dtype == np.uint16
    assert np.array_equal(after, before)


def test_sixteen_bits_that_pillow_reads_in_eight_are_told(tmp_path):
    deep = NOISE.integers(0, 65536, (5, 6, 3), np.uint16)
    (tmp_path / "x.ppm").write_bytes(b"P6\n# a comment\n6 5\n65535\n" + deep.astype(">u2").tobytes())
    found = read_picture(tmp_path / "x.ppm")
    assert found.levels.dtype == np.uint8
    assert found.notes == ("its 16 bits are read as 8: a PNG keeps them",)


def test_a_method_for_gray_restores_colours_one_by_one(tmp_path, capsys):
    torch.manual_seed(0)
    network = DnCNNNetwork(1, 3, 4, norm=False)
    save_file({f"G.{k}": v for k, v in network.state_dict().items()}, tmp_path / "net.safetensors")
    before = picture(tmp_path / "x.png")
    spec = f"dncnn[weights={tmp_path / 'net.safetensors'},layers=3,width=4,norm=False]"
    assert main(["apply", spec, str(tmp_path / "x.png"), "--to", str(tmp_path / "out")]) == 0
    assert "each colour was restored by itself" in capsys.readouterr().out
    x = torch.from_numpy(before).permute(2, 0, 1)[:, None] / 255
    with torch.no_grad():
        expected = ((x - network(x)).clamp(0, 1)[:, 0] * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(levels(tmp_path / "out/x.png") - expected).max() <= 1


def test_a_method_for_colour_keeps_gray(tmp_path):
    made, notes = Restorer(loaded("srresnet")).restore(Picture(NOISE.integers(0, 256, (20, 24, 1), np.uint8)))
    assert made.shape == (40, 48, 1)
    assert "R = G = B" in notes[0]


def test_enlarged_pictures_stand_beside_their_inputs(tmp_path):
    before = picture(tmp_path / "x.png")
    words = ["apply", "nearest", str(tmp_path / "x.png"), "--to", str(tmp_path / "out"), "--side-by-side", "--task", "sr[scale=3]"]
    assert main(words) == 0
    large = before.repeat(3, 0).repeat(3, 1)
    assert np.array_equal(levels(tmp_path / "out/x.png"), large)
    assert np.array_equal(levels(tmp_path / "out_side_by_side/x.png"), np.concatenate([large, large], 1))
    assert written(tmp_path / "out") == ["x.png"]


# -- trials, chance
def test_a_trial_restores_as_its_weights_do(ran, tmp_path):
    bench, records, _ = ran
    record = next(r for r in records if r.label == "unet")
    before = picture(tmp_path / "x.png", size=(40, 33))
    assert main(["apply", record.trial_id[:6], str(tmp_path / "x.png"), "--to", str(tmp_path / "out"), "--out", str(bench.out)]) == 0
    method = load(record.trial_id, bench.out)
    with evaluation_mode(method):
        y = method.restore(Batch(torch.from_numpy(before).permute(2, 0, 1)[None] / 255))[0]
    assert np.array_equal(levels(tmp_path / "out/x.png"), (y * 255).round().permute(1, 2, 0).byte().numpy())
    assert not np.array_equal(levels(tmp_path / "out/x.png"), before)


def test_chance_has_a_seed_and_a_picture_its_own():
    one, other = (Picture(NOISE.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(2))

    def restored(seed, *pictures):
        restorer = Restorer(loaded("pix2pix"), seed=seed)
        return [restorer.restore(shown, name)[0] for shown, name in pictures]

    (alone,) = restored(0, (one, "one"))
    _, second = restored(0, (other, "other"), (one, "one"))
    (another,) = restored(1, (one, "one"))
    (renamed,) = restored(0, (one, "two"))
    assert np.array_equal(alone, second)
    assert not np.array_equal(alone, another)
    assert not np.array_equal(alone, renamed)


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    Restorer(loaded_once).restore(Picture(np.zeros((16, 16, 3), np.uint8)))
    assert torch.equal(torch.rand(1), expected)


loaded_once = loaded("dncnn")


# -- samples
@pytest.fixture
def generator(monkeypatch):
    monkeypatch.setattr(command, "load_with_origin", lambda *_: loaded("dcgan"))


def test_samples_and_their_grid(generator, tmp_path, capsys):
    words = ["apply", "gan", "--samples", "5", "--seed", "3", "--to"]
    assert main([*words, str(tmp_path / "a")]) == 0
    assert main([*words, str(tmp_path / "b")]) == 0
    assert written(tmp_path / "a") == ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png", "grid.png"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in written(tmp_path / "a"))
    assert levels(tmp_path / "a/0000.png").shape == (16, 16)
    assert levels(tmp_path / "a/grid.png").shape == (2 * 33 - 1, 3 * 33 - 1, 3)
    assert main([*words[:4], "--seed", "4", "--to", str(tmp_path / "c")]) == 0
    assert (tmp_path / "c/0000.png").read_bytes() != (tmp_path / "a/0000.png").read_bytes()
    assert "5 samples of dcgan, seed 3, in" in capsys.readouterr().out
    assert main([*words, str(tmp_path / "a")]) == 2
    assert "are there already" in capsys.readouterr().err


def test_points_become_an_array(tmp_path):
    x = torch.rand(7, 2)
    assert samples.write(x, tmp_path) == [tmp_path / "samples.npy"]
    assert np.array_equal(np.load(tmp_path / "samples.npy"), x.numpy())


# -- hostile input
def test_what_cannot_be_read_is_a_line_each_and_the_others_go_on(tmp_path, capsys):
    folder = tmp_path / "in"
    picture(folder / "good.png")
    (folder / "broken.png").write_bytes((folder / "good.png").read_bytes()[:60])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").touch()
    (folder / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "twin.png").symlink_to(folder / "good.png")
    os.mkfifo(folder / "pipe.png")
    Image.new("1", (20000, 20000)).save(folder / "huge.png")
    assert main(["apply", "identity", str(folder), "--to", str(tmp_path / "out")]) == 1
    streams = capsys.readouterr()
    assert streams.err == ""
    told = [line for line in streams.out.splitlines() if line.startswith("left out: ")]
    assert len(told) == 6
    for name, why in (
        ("broken", ""),
        ("text", "not an image"),
        ("empty", ""),
        ("lost", "which is not there"),
        ("pipe", "a pipe"),
        ("huge", "limit"),
    ):
        (line,) = [line for line in told if f"{name}." in line]
        assert why in line
    assert "twin.png is left out: it is a link to" in streams.out
    assert "1 of 7 pictures restored" in streams.out
    assert written(tmp_path / "out") == ["good.png"]


def test_nothing_is_overwritten_unasked(tmp_path, capsys):
    picture(tmp_path / "x.png")
    words = ["apply", "identity", str(tmp_path), "--to", str(tmp_path / "out"), "--side-by-side"]
    assert main(words) == 0
    (tmp_path / "out/x.png").write_text("mine")
    assert main(words) == 2
    assert (tmp_path / "out/x.png").read_text() == "mine"
    assert "2 of the files are there already" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0  # what lies in --to is no input
    assert written(tmp_path / "out") == ["x.png"]
    assert levels(tmp_path / "out/x.png").shape == (20, 24, 3)


def test_two_pictures_of_one_name_are_refused(tmp_path):
    for name in ("a.png", "A.bmp"):
        picture(tmp_path / name)
    with pytest.raises(UsageError, match=r"would both become a\.png: rename one"):
        find_pictures([tmp_path], [tmp_path / "out"])


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match=r"cannot write .*x\.png: No space left on device"):
        write_png(tmp_path / "x.png", np.zeros((4, 4, 1), np.uint8))
    assert written(tmp_path) == []


def test_results_without_numbers_are_told(tmp_path):
    item = loaded("identity")
    item.method.restore = lambda batch: batch.observed * float("nan")
    with pytest.raises(UsageError, match="the result holds values that are no numbers"):
        Restorer(item).restore(Picture(np.zeros((20, 20, 3), np.uint8)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("wiener PICTURE", "wiener needs the blur kernel (psf), which a picture does not bring"),
        ("fbp_hann PICTURE", "fbp_hann needs the sinogram, which a picture does not bring"),
        ("unet PICTURE", "unet is not trained: give the id of a trial"),
        ("dncnn PICTURE", "dncnn is not trained: give the id of a trial or weights=FILE"),
        ("wgan --samples 3", "wgan is not trained"),
        ("median --samples 3", "median draws no samples: give it pictures"),
        ("median", "give pictures or folders to restore, or --samples N"),
        ("median PICTURE --samples 3", "one of the two"),
        ("median nowhere.png", "no picture and no folder nowhere.png"),
        ("median EMPTY", "no pictures in"),
        ("unknown PICTURE", "'unknown' is neither a trial's id (16 hex digits, or the first 4 or more) nor a method"),
        ("unknown[a=1] PICTURE", "unknown method 'unknown'"),
        ("0123456789abcdef PICTURE", "nothing on record below"),
        ("0123456789abcdef PICTURE --task sr", "is for specs"),
        ("median PICTURE --tile -1", "numbers of pixels from 0 on"),
        ("median PICTURE --tile 0 --overlap 3", "--tile 0 restores whole pictures"),
        ("median PICTURE --sigma -1", "must not be negative"),
        ("median PICTURE --task nonsense", "unknown task 'nonsense'"),
        ("median PICTURE --task sr", "median needs paired, which the task does not offer"),
        ("descent PICTURE", "no usual task is for descent"),
        ("dncnn[weights=gone.pth] PICTURE", "no weights at gone.pth"),
    ],
)
def test_what_is_wrong_is_one_line(words, says, tmp_path, capsys):
    picture(tmp_path / "x.png")
    (tmp_path / "empty").mkdir()
    given = [{"PICTURE": str(tmp_path / "x.png"), "EMPTY": str(tmp_path / "empty")}.get(word, word) for word in words.split()]
    assert main(["apply", *given, "--to", str(tmp_path / "out"), "--out", str(tmp_path / "runs")]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_untuned_filters_say_what_they_use(tmp_path, capsys):
    picture(tmp_path / "x.png")
    assert main(["apply", "median", str(tmp_path / "x.png"), "--to", str(tmp_path / "out")]) == 0
    assert "note: median is not tuned: it uses size=5" in capsys.readouterr().out
