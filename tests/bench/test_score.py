"""What exists already is scored: matched by names, under stated conventions, in one table with what was trained."""

import io
import math
import pickle
import unicodedata
import zipfile

import numpy as np
import pandas as pd
import pytest
from _scored import records_of, score, table_of
from PIL import Image

import runner
from bench import registry
from bench.errors import UsageError
from bench.store.mlflow_store import Store
from datasets.reading.matching import match_pictures
from datasets.reading.outputs import Outputs, named_files, read_picture, stem_of
from datasets.reading.sets_in_files import count_samples, read_samples


def pictures(folder, *names, level=100, size=(32, 24), seed=0):
    """Colour pictures around a level; PNG unless the name says else."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 40, (size[1], size[0], 3))
    for name in names:
        (file := folder / (name if "." in name else f"{name}.png")).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((base + level).astype(np.uint8)).save(file)
    return folder


def test_closed_form_of_a_constant_error(tmp_path, out, capsys):
    truth, mine = pictures(tmp_path / "truth", "a", "deep/b"), pictures(tmp_path / "mine", "a.bmp", level=110)
    pictures(mine, "deep/b", level=105)
    assert score(mine, "--truth", truth, "--metrics", "psnr", "l1", out=out) == 0
    found = table_of(out).set_index("image")
    assert found["psnr"]["a"] == pytest.approx(20 * math.log10(255 / 10), abs=1e-9)
    assert found["psnr"]["deep/b"] == pytest.approx(20 * math.log10(255 / 5), abs=1e-9)
    assert "scored, trained elsewhere" in capsys.readouterr().out
    assert pd.read_parquet(next(out.glob("score_*/report/per_image.parquet"))).equals(table_of(out))


def test_a_folder_stands_beside_the_row_that_made_it(tmp_path, out, capsys):
    """The same pictures, the same numbers to the last digit; the two share letters and cannot be told apart."""
    suite = ["--suite", "denoise", "--tier", "smoke", "--out", str(out), "--set", "metrics=('psnr','ssim','gmsd')"]
    assert runner.main([*suite, "--methods", "median", "--save-outputs"]) == 0
    (saved,) = out.glob("denoise/trials/*/judgements/*/outputs")
    assert runner.main([*suite, "--methods", "median", f"outputs[path='{saved}',name=mine]"]) == 0
    said = capsys.readouterr().out
    assert said.count("median, seed 0") == 1, "saving its outputs was no reason to judge it again"
    store = Store("denoise", out)
    median, mine = sorted(store.read(store.trials()), key=lambda r: r.label == "mine")
    pd.testing.assert_frame_equal(median.per_image.reset_index(drop=True), mine.per_image.reset_index(drop=True))
    assert (mine.final, mine.tags["origin"]) == (median.final, "scored, trained elsewhere")
    assert mine.training_facts["file.path"]
    assert {"ms_per_image", "parameters"} <= median.costs.keys() - mine.costs.keys()
    page = (out / "denoise" / "report" / "leaderboard.csv").read_text()
    assert page.count(",a,") >= 4
    assert runner.main(["compare", "median", "mine", "--suite", "denoise", "--out", str(out)]) == 0
    assert "cannot be told apart" in capsys.readouterr().out


def test_later_results_join_the_table_and_changed_files_are_judged_again(tmp_path, out, capsys):
    truth, one, other = (pictures(tmp_path / name, "a", "b", level=level) for name, level in (("truth", 90), ("one", 95), ("other", 100)))
    options = ["--truth", truth, "--metrics", "psnr"]
    assert [score(one, *options, out=out), score(other, *options, out=out)] == [0, 0]
    assert set(table_of(out)["row"]) == {"one", "other"}
    capsys.readouterr()
    assert score(other, *options, out=out) == 0
    assert "on record already" in capsys.readouterr().out
    pictures(other, "a", level=91)
    assert score(other, *options, out=out) == 0
    found = table_of(out).set_index(["row", "image"])["psnr"]
    assert found["other", "a"] == pytest.approx(20 * math.log10(255), abs=1e-9)


def test_every_convention_side_by_side(tmp_path, out, capsys):
    rng = np.random.default_rng(1)
    truth, mine = tmp_path / "truth", tmp_path / "mine"
    for folder, noise in ((truth, 0), (mine, 12)):
        folder.mkdir()
        x = np.random.default_rng(0).integers(30, 220, (192, 192, 3)) + rng.normal(0, noise or 1e-9, (192, 192, 3))
        Image.fromarray(x.clip(0, 255).round().astype(np.uint8)).save(folder / "a.png")
    assert score(mine, "--truth", truth, "--profile", "all", "--metrics", "psnr", "ssim", out=out) == 0
    said = capsys.readouterr().out
    lines = {words[1]: words for line in said.splitlines() if (words := line.split()) and words[0] == "mine" and len(words) > 4}
    assert lines.keys() == {
        "default", "gopro_rgb", "deblurgan", "kohler", "srgan_daala", "sr_y4_wang", "sr_y4_uint8", "srgan_rgb", "bsd68",
    }  # fmt: skip
    assert float(lines["default"][2]) < float(lines["sr_y4_wang"][2]) - 1  # luma averages the noise of three channels
    x, y = (np.asarray(Image.open(folder / "a.png")).astype(float) for folder in (truth, mine))
    assert float(lines["default"][2]) == pytest.approx(10 * math.log10(255**2 / np.mean((x - y) ** 2)), abs=0.006)
    assert len({words[3] for words in lines.values()}) >= 7  # as many numbers called SSIM


# -- what belongs together
def test_names_match_by_path_without_ending_and_pattern(tmp_path):
    folder = pictures(tmp_path, "s/a_restored", "b_restored.bmp", "c")
    assert set(named_files(folder, "{}_restored")) == {"s/a", "b"}
    assert [stem_of(name) for name in ("a.png", "v1.2/a.b", "x.JPG")] == ["a", "v1.2/a.b", "x"]
    for bad in ("restored", "{}{}"):
        with pytest.raises(UsageError, match=r"write \{\} once"):
            named_files(folder, bad)
    with pytest.raises(UsageError, match=r"none of the 3 files in .* is called sharp_"):
        named_files(folder, "sharp_{}")


def test_two_files_for_one_picture_are_refused_and_links_count_once(tmp_path):
    folder = pictures(tmp_path / "a", "x.png", "y.png")
    (folder / "z.png").symlink_to(folder / "x.png")
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    assert set(named_files(folder)) == {"x", "y", "gone"}
    with pytest.raises(UsageError, match=r"gone\.png: it is a link to .*nothing\.png, which is not there"):
        Outputs(folder, "{}", lambda file, name: read_picture(file, 3))("gone")
    pictures(folder, "x.bmp")
    with pytest.raises(UsageError, match="stand for the same picture"):
        named_files(folder)


def test_one_file_serves_one_picture(tmp_path):
    read = Outputs(pictures(tmp_path, "a"), "{}", lambda file, name: read_picture(file, 3))
    read("a.png")
    with pytest.raises(UsageError, match=r"would serve two pictures, a\.png and a\.jpg"):
        read("a.jpg")
    with pytest.raises(UsageError, match=r"has no file b@0,64 for the picture b@0,64.*give --set tile=0"):
        read("b@0,64")


def test_leftovers_on_either_side_are_listed_and_refused(tmp_path):
    truth, mine = pictures(tmp_path / "truth", *"abc"), pictures(tmp_path / "mine", "a", "d")
    with pytest.raises(UsageError, match=r"lacks 2 of the pictures of .*: b, c; .* has 1 that .* has not: d; rename them, give --match"):
        match_pictures([mine], truth, "{}", allow_missing=False)
    assert match_pictures([mine], truth, "{}", allow_missing=True) == ["b", "c"]
    with pytest.raises(UsageError, match="is called as one in"):
        match_pictures([pictures(tmp_path / "none", "z")], truth, "{}", allow_missing=True)


def test_what_is_left_out_is_said(tmp_path, out, capsys):
    truth, mine = pictures(tmp_path / "truth", *"abc"), pictures(tmp_path / "mine", "a", "b", level=104)
    assert score(mine, "--truth", truth, "--metrics", "psnr", "--allow-missing", out=out) == 0
    assert "files left out: 1 of 3 true pictures have no restored one: c" in capsys.readouterr().out.replace("\n", " ")
    assert set(table_of(out)["image"]) == {"a", "b"}


def test_sizes_that_differ_are_named(tmp_path):
    truth, mine = pictures(tmp_path / "truth", "a", "b"), pictures(tmp_path / "mine", "a")
    pictures(mine, "b", size=(30, 24))
    with pytest.raises(UsageError, match=r"b\.png is 30 x 24 pixels, the true picture b is 32 x 24: make them one size"):
        match_pictures([mine], truth, "{}", allow_missing=False)


def test_sizes_are_those_that_are_seen(tmp_path, out):
    """A camera that was held upright writes a lying picture and a tag."""
    truth, mine = pictures(tmp_path / "truth", "a", size=(24, 32)), pictures(tmp_path / "mine", "a", size=(24, 32))
    lying = Image.open(truth / "a.png").transpose(Image.Transpose.ROTATE_90)
    tag = Image.Exif()
    tag[0x0112] = 6
    lying.save(mine / "a.png", exif=tag)
    assert score(mine, "--truth", truth, "--metrics", "psnr", out=out) == 0
    assert table_of(out)["psnr"].tolist() == [math.inf]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["{mine}"], "say where the true pictures are"),
        (["{mine}", "--truth", "{none}"], "is not a folder"),
        (["{none}", "--truth", "{truth}"], "does not exist"),
        (["{mine}", "--truth", "{truth}", "--profile", "gopro"], "unknown profile 'gopro'; known: default, "),
        (["{mine}", "--truth", "{truth}", "--metrics", "psmr"], "unknown metric 'psmr'"),
        (["{mine}", "--truth", "{truth}", "--task", "mesh"], "unknown --task 'mesh'; known: pictures, samples"),
        (["{mine}", "{mine}", "--truth", "{truth}"], "mine is given twice"),
        (["{mine}", "--real", "nosuch/dir"], "--real nosuch/dir: no such folder or file, and no data set of that name"),
        (["{mine}", "--truth", "{truth}", "--name", "a", "b"], "2 names for 1 sets"),
        (["{broken}", "--truth", "{truth}"], "cannot read the image"),
        (["{truth}/a.png", "--truth", "{truth}"], "is a folder"),
    ],
)
def test_bad_input_is_one_line(tmp_path, out, capsys, words, complaint):
    folders = {name: pictures(tmp_path / name, "a") for name in ("mine", "truth", "broken")} | {"none": tmp_path / "none"}
    (folders["broken"] / "a.png").write_bytes((folders["mine"] / "a.png").read_bytes()[:60])
    assert score(*(word.format(**folders) for word in words), out=out) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert complaint in said


def test_a_single_pair_of_files(tmp_path, out):
    truth, mine = pictures(tmp_path / "t", "sharp"), pictures(tmp_path / "m", "restored", level=101)
    assert score(mine / "restored.png", "--truth", truth / "sharp.png", "--metrics", "psnr", out=out) == 0
    assert table_of(out)["psnr"].tolist() == [pytest.approx(20 * math.log10(255), abs=1e-9)]


def test_gray_truth_is_compared_in_one_channel(tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (20, 20), dtype=np.uint8)
    Image.fromarray(x).convert("RGB").save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", 1).shape == (1, 20, 20)
    pictures(tmp_path, "colour")
    with pytest.raises(UsageError, match="has colour, the picture that it belongs to has not"):
        read_picture(tmp_path / "colour.png", 1)
    Image.fromarray(x.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert float(read_picture(tmp_path / "deep.png", 1).sub(read_picture(tmp_path / "a.png", 1)).abs().max()) < 1e-7


def test_what_cannot_be_computed_does_not_rank(tmp_path, out, capsys, monkeypatch):
    monkeypatch.setenv("GANBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("GANBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    truth, mine = pictures(tmp_path / "truth", "a"), pictures(tmp_path / "mine", "a", level=103)
    assert score(mine, "--truth", truth, "--metrics", "lpips,psnr", out=out) == 0
    assert "lpips: unavailable: weights" in capsys.readouterr().out.replace("\n", " ")
    assert "psnr" in table_of(out)


def test_a_picture_that_is_too_small_for_a_metric_costs_that_metric(tmp_path, out, capsys):
    truth, mine = (pictures(tmp_path / name, "tiny", size=(1, 1), level=level) for name, level in (("truth", 90), ("mine", 95)))
    assert score(mine, "--truth", truth, "--metrics", "ssim", "psnr", out=out) == 0
    assert "ssim: unavailable: tiny: images of 1x1" in capsys.readouterr().out.replace("\n", " ")
    assert table_of(out)["psnr"].tolist() == [pytest.approx(20 * math.log10(255 / 5), abs=1e-9)]


def test_other_settings_make_another_table(tmp_path, out):
    truth, mine = pictures(tmp_path / "truth", "a"), pictures(tmp_path / "mine", "a", level=103)
    assert [score(mine, "--truth", truth, "--metrics", *names, out=out) for names in (["psnr"], ["psnr", "l1"])] == [0, 0]
    assert len(list(out.glob("score_truth_*/report/index.html"))) == 2


def test_alpha_and_depth_are_said(tmp_path, out, capsys):
    truth, mine = pictures(tmp_path / "truth", "a"), pictures(tmp_path / "mine", "a")
    Image.open(mine / "a.png").convert("RGBA").save(mine / "a.png")
    assert score(mine, "--truth", truth, "--metrics", "psnr", out=out) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "mine: alpha is dropped (1 of 1 pictures)" in said
    assert "no image has a finite score in mine" in said


def test_accents_match_however_they_are_written(tmp_path):
    folder = pictures(tmp_path, unicodedata.normalize("NFD", "é"))
    assert set(named_files(folder)) == {"é"}
    assert Outputs(folder, "{}", lambda file, name: read_picture(file, 3))(unicodedata.normalize("NFD", "é.png")).shape == (3, 24, 32)


def test_a_row_without_files_fails_and_the_others_go_on(tmp_path, out, capsys):
    folder = pictures(tmp_path / "other", "z")
    words = ["--suite", "denoise", "--tier", "smoke", "--out", str(out), "--set", "metrics=('psnr',)"]
    assert runner.main([*words, "--methods", f"outputs[path='{folder}',name=mine]", "identity"]) == 1
    said = capsys.readouterr().out
    assert "has no file" in said
    assert "identity" in said.partition("PSNR")[2]


# -- sets of samples
@pytest.fixture
def sets(tmp_path):
    """The same eight gray pictures as a folder, an archive and arrays."""
    x = np.random.default_rng(0).integers(0, 256, (8, 16, 16), dtype=np.uint8)
    (folder := tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for i, one in enumerate(x):
            Image.fromarray(one).save(folder / f"{i}.png")
            archive.write(folder / f"{i}.png", f"deep/{i}.png")
    np.save(tmp_path / "x.npy", x[:, None])
    np.savez(tmp_path / "last.npz", x[..., None])
    np.save(tmp_path / "floats.npy", x[:, None].astype(np.float32) / 255)
    return [tmp_path / name for name in ("folder", "all.zip", "x.npy", "last.npz", "floats.npy")]


def test_sets_are_read_alike_from_all_forms(sets):
    first, *others = [read_samples(path, (1, 16, 16), 100) for path in sets]
    assert all(abs(first - other).max() == 0 for other in others)
    assert [count_samples(path) for path in sets] == [8] * 5
    assert read_samples(sets[2], (1, 16, 16), 4).equal(first[::2])  # evenly spread


@pytest.mark.oracle("dataset", "sample_files")
def test_the_data_set_of_files_is_what_lies_in_them(sets):
    x = np.load(sets[2])
    for path in sets:
        found = registry.make("dataset", f"sample_files[path='{path}']").open(None, "test")
        assert np.array_equal(found.x.numpy(), x)


def test_samples_beside_real_ones(sets, tmp_path, out):
    np.save(tmp_path / "real.npy", np.random.default_rng(1).integers(0, 256, (12, 1, 16, 16), dtype=np.uint8))
    words = ["--real", tmp_path / "real.npy", "--metrics", "sliced_wasserstein", "prdc"]
    assert score(sets[0], sets[1], sets[2], *words, out=out) == 0
    records = records_of(out)
    assert records.keys() == {"folder", "all", "x"}
    assert len({tuple(sorted(r.final.items())) for r in records.values()}) == 1
    assert {card["protocol"]["real"] for r in records.values() for card in (r.cards["sliced_wasserstein"],)} == {12}


class _Bomb:
    def __reduce__(self):
        return (print, ("boom",))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda p: np.save(p, np.array([_Bomb()], dtype=object), allow_pickle=True), "nothing in it was run"),
        (lambda p: p.write_bytes(pickle.dumps(_Bomb())), "nothing in it was run"),
        (lambda p: p.write_bytes(b"\x93NUMPY\x01\x00half"), "nothing in it was run"),
        (lambda p: np.save(p, np.zeros((4, 1, 8, 8), np.uint8)), "4 x 1 x 8 x 8 of uint8, the real samples are n x 1 x 16 x 16"),
        (lambda p: np.save(p, np.full((4, 1, 16, 16), -1.0)), "values from -1 to -1: write 8 bits"),
        (lambda p: np.save(p, np.full((4, 1, 16, 16), "a")), "the real samples are"),
        (lambda p: np.save(p, np.full((4, 1, 16, 16), np.nan)), "not finite"),
    ],
)
def test_hostile_arrays(tmp_path, capsys, make, complaint):
    make(file := tmp_path / "x.npy")
    with pytest.raises(UsageError) as caught:
        read_samples(file, (1, 16, 16), 10)
    assert complaint in str(caught.value)
    assert "boom" not in capsys.readouterr().out


def test_hostile_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(80 << 20))
    with pytest.raises(UsageError, match="unfolds to more than a small picture: refused"):
        read_samples(tmp_path / "bomb.zip", (1, 16, 16), 10)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("arr_0.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 1, 16, 16)})
    with pytest.raises(UsageError, match=r"cannot read the array|unfolds to"):
        read_samples(tmp_path / "bomb.npz", (1, 16, 16), 10)
    (tmp_path / "half.zip").write_bytes((tmp_path / "bomb.zip").read_bytes()[:-30])
    with pytest.raises(UsageError, match=r"cannot read .*half.zip"):
        read_samples(tmp_path / "half.zip", (1, 16, 16), 10)
    data = io.BytesIO()
    np.savez(data, a=np.zeros(1), b=np.zeros(1))
    (tmp_path / "two.npz").write_bytes(data.getvalue())
    with pytest.raises(UsageError, match=r"holds 2 arrays \(a, b\)"):
        read_samples(tmp_path / "two.npz", (1, 16, 16), 10)


def test_too_few_samples_for_a_suite_are_told_before_anything_is_scored(sets, out, capsys):
    words = ["--suite", "generate", "--tier", "smoke", "--out", str(out), "--methods", f"samples[path='{sets[2]}']"]
    assert runner.main(words) == 2
    assert "holds 8 samples, the task draws" in capsys.readouterr().err
