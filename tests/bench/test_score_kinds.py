"""Saliency maps and CT slices that exist already are scored beside their truth."""

import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from _scored import records_of, refusal, score, table_of
from PIL import Image

import runner
from bench import registry

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")


def write(folder, **pictures):
    """Gray pictures of 8 bits as PNG, or under the name with an ending of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, x in pictures.items():
        Image.fromarray(np.asarray(x, dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


def blob(y, x, size=(24, 32)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return 250 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 40)


def points(*where, size=(24, 32)):
    marks = np.zeros(size)
    marks[tuple(np.transpose(where))] = 1
    return marks


def levels(file):
    return torch.from_numpy(np.array(Image.open(file), dtype=np.float32))


@pytest.fixture
def scene(tmp_path):
    """Predicted maps, densities, fixations and masks of three pictures."""
    centres = {"a": (6, 8), "b": (12, 20), "c": (18, 10)}
    return {
        "maps": write(tmp_path / "maps", **{n: blob(y + 2, x, (24, 32)) for n, (y, x) in centres.items()}),
        "truth": write(tmp_path / "truth", **{n: blob(y, x) for n, (y, x) in centres.items()}),
        "fixations": write(tmp_path / "fixations", **{n: points((y, x), (y + 1, x - 1)) for n, (y, x) in centres.items()}),
        "masks": write(tmp_path / "masks", **{n: 255 * (blob(y, x) > 100) for n, (y, x) in centres.items()}),
    }


# -- saliency
def test_maps_are_scored_as_the_metrics_score_them(scene, out, capsys):
    options = ["--truth", scene["truth"], "--fixations", scene["fixations"], "--masks", scene["masks"]]
    assert score(scene["maps"], *options, "--task", "saliency", out=out) == 0
    table = table_of(out).set_index("image")
    assert list(table.index) == ["a", "b", "c"]
    read = {kind: {file.stem: levels(file) for file in folder.iterdir()} for kind, folder in scene.items()}
    for name in "abc":
        found = read["maps"][name][None, None] / 255
        density = (read["truth"][name] / read["truth"][name].max())[None, None]
        marks, mask = (read[kind][name][None, None] for kind in ("fixations", "masks"))
        expected = {"cc": density, "kl": density, "sim": density, "mae": density, "nss": marks, "auc_judd": marks, "f_beta": mask / 255}
        for metric, truth in expected.items():
            assert table[metric][name] == pytest.approx(float(registry.make("metric", metric)(found, truth)), abs=1e-6), metric
    assert {"auc_borji", "shuffled_auc"} <= set(table.columns)
    assert "unavailable" not in capsys.readouterr().out


def test_what_the_truth_does_not_have_is_left_out_with_the_reason(scene, out, capsys):
    assert score(scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=out) == 0
    said = capsys.readouterr().out
    assert "nss, auc_judd, auc_borji, shuffled_auc: unavailable: no fixations are given" in said
    assert "f_beta: unavailable: no masks are given" in said
    assert set(table_of(out).columns) == {"row", "image", "cc", "kl", "sim", "mae"}


def test_masks_alone_are_a_truth_and_the_perfect_map_has_no_error(scene, out):
    assert score(scene["masks"], "--masks", scene["masks"], "--task", "saliency", "--name", "perfect", out=out) == 0
    final = records_of(out)["perfect"].final
    assert (final["mae"], final["f_beta"]) == (0, 1)
    assert final["cc"] == pytest.approx(1)


def test_a_picture_without_truth_is_named_and_counts_nowhere(scene, out, capsys):
    write(scene["truth"], b=np.zeros((24, 32)))
    assert score(scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=out) == 0
    assert list(table_of(out)["image"]) == ["a", "c"]
    assert "1 of 3 pictures have no truth" in capsys.readouterr().out


def test_fixations_in_a_jpeg_have_no_rings(tmp_path):
    from datasets.reading.saliency import read_fixations

    x = np.zeros((32, 32), dtype=np.uint8)
    x[10, 12] = x[20, 5] = 255
    for ending in ("png", "jpg"):
        Image.fromarray(x).save(tmp_path / f"a.{ending}", **({"quality": 95} if ending == "jpg" else {}))
        assert (np.asarray(Image.open(tmp_path / f"a.{ending}")) > 0).sum() > (2 if ending == "jpg" else 1)
        assert read_fixations(tmp_path / f"a.{ending}")[0].nonzero().tolist() == [[10, 12], [20, 5]]


def test_maps_that_do_not_belong_to_the_truth_are_refused_in_a_line(scene, out, capsys, tmp_path):
    words = ["--truth", scene["truth"], "--task", "saliency"]
    assert "lacks 3 of the pictures" in refusal(capsys, write(tmp_path / "else", z=blob(1, 1)), *words, out=out)
    small = write(tmp_path / "small", **dict.fromkeys("abc", blob(3, 3, (12, 16))))
    assert "16 x 12 pixels, the true picture a is 32 x 24" in refusal(capsys, small, *words, out=out)
    assert "say what the maps are compared with" in refusal(capsys, scene["maps"], "--task", "saliency", out=out)
    assert "--fixations is of --task saliency" in refusal(capsys, scene["maps"], *words[:2], "--fixations", scene["fixations"], out=out)
    assert "unknown --task 'sound'; known: pictures" in refusal(capsys, scene["maps"], "--task", "sound", out=out)


def test_fixations_that_lack_a_picture_or_have_another_size_are_an_error(scene, out, capsys):
    words = [scene["maps"], "--truth", scene["truth"], "--fixations", scene["fixations"], "--task", "saliency"]
    (scene["fixations"] / "a.png").unlink()
    assert "lacks 1 of the 3 pictures" in refusal(capsys, *words, out=out)
    write(scene["fixations"], a=np.ones((5, 5)))
    assert "the fixations of a are 5 x 5 pixels, its density 32 x 24" in refusal(capsys, *words, out=out)


def test_broken_maps_fail_in_a_line(scene, out, capsys, tmp_path):
    whole = (scene["maps"] / "b.png").read_bytes()
    (scene["maps"] / "b.png").write_bytes(whole[: len(whole) // 2])
    assert score(scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=out) in (1, 2)
    said = capsys.readouterr()
    assert "cannot read the image" in said.out + said.err
    assert "Traceback" not in said.out + said.err
    (scene["maps"] / "b.png").write_bytes(b"no picture")
    assert "cannot read the image" in refusal(capsys, scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=tmp_path / "new")


@real
@pytest.mark.slow
def test_published_predictions_have_the_published_error(out):
    folder = Path(DATA) / "sod_saliency"
    words = ["--masks", folder / "gt", "--task", "saliency", "--metrics", "mae", "f_beta"]
    assert score(folder / "pred_DSS", *words, out=out) == 0
    assert records_of(out)["pred_DSS"].final["mae"] == pytest.approx(0.1213, abs=5e-4)
    assert len(table_of(out)) == 300


# -- CT
def slices(folder, *names, error=0.0, side=40):
    folder.mkdir(parents=True, exist_ok=True)
    base = np.random.default_rng(0).uniform(-100, 200, (side, side))
    for i, name in enumerate(names):
        np.save(folder / f"{name}.npy", (base + i + error).astype(np.float32))
    return folder


def test_slices_have_the_closed_form_of_a_constant_error(tmp_path, out):
    truth, mine = slices(tmp_path / "truth", "a", "b"), slices(tmp_path / "mine", "a", "b", error=20)
    assert score(mine, "--truth", truth, "--task", "ct", out=out) == 0
    final = records_of(out)["mine"].final
    assert final["rmse_hu"] == pytest.approx(20, abs=1e-3)
    assert final["psnr_hu"] == pytest.approx(20 * math.log10(400 / 20), abs=1e-3)
    assert final["psnr_hu[window=full]"] == pytest.approx(20 * math.log10(4096 / 20), abs=1e-3)
    assert 0 < final["ssim_hu"] < final["ssim_hu[window=full]"] < 1
    assert len(list(out.glob("score_*/trials/*/judgements/*/gallery/*.json"))) == 2


def write_dicom(path, hu, **tags):
    """A slice with slope 2 and intercept -1024."""
    pydicom = pytest.importorskip("pydicom")
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = pydicom.uid.CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[path.name])
    header.Modality, header.RescaleSlope, header.RescaleIntercept = "CT", 2, -1024
    header.Rows, header.Columns = hu.shape
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit = 15
    header.PixelData = ((hu + 1024) / 2).astype(np.uint16).tobytes()
    for name, value in tags.items():
        setattr(header, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)


def test_dicom_on_one_side_and_arrays_on_the_other(tmp_path, out):
    hu = 2.0 * np.random.default_rng(1).integers(-40, 100, (40, 40))
    write_dicom(tmp_path / "truth" / "p1" / "s.IMA", hu)
    (tmp_path / "mine" / "p1").mkdir(parents=True)
    np.save(tmp_path / "mine" / "p1" / "s.npy", (hu + 8).astype(np.int16))
    assert score(tmp_path / "mine", "--truth", tmp_path / "truth", "--task", "ct", out=out) == 0
    assert records_of(out)["mine"].final["rmse_hu"] == pytest.approx(8, abs=1e-3)
    assert list(table_of(out)["image"]) == ["p1/s"]


class Evil:
    def __reduce__(self):
        return (Path("/tmp/ran-from-a-slice").touch, ())


def test_slices_that_are_none_are_refused_in_a_line(tmp_path, out, capsys):
    truth, words = slices(tmp_path / "truth", "a"), ["--truth", tmp_path / "truth", "--task", "ct"]
    assert truth.is_dir()
    mine = slices(tmp_path / "mine", "a", side=30)
    assert "is 30 x 30 pixels, the true picture a is 40 x 40" in refusal(capsys, mine, *words, out=out)
    np.save(mine / "a.npy", np.zeros((3, 40, 40)))
    assert "holds 3 x 40 x 40 values of float64, not one slice" in refusal(capsys, mine, *words, out=out)
    np.save(mine / "a.npy", np.array([[Evil()]], dtype=object), allow_pickle=True)
    assert "nothing in it was run" in refusal(capsys, mine, *words, out=out)
    (mine / "a.npy").write_bytes(pickle.dumps(Evil()))
    assert "nothing in it was run" in refusal(capsys, mine, *words, out=out)
    assert not Path("/tmp/ran-from-a-slice").exists()
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (900000, 900000), }".ljust(117) + b"\n"
    (mine / "a.npy").write_bytes(header)
    assert "cannot read the CT slice" in refusal(capsys, mine, *words, out=out)
    assert "say where the true slices are" in refusal(capsys, mine, "--task", "ct", out=out)


def test_a_slice_that_is_not_finite_has_no_score_and_a_truth_must_be(tmp_path, out, capsys):
    truth, mine = slices(tmp_path / "truth", "a", "b"), slices(tmp_path / "mine", "a", "b")
    np.save(mine / "a.npy", np.full((40, 40), np.nan))
    assert score(mine, "--truth", truth, "--task", "ct", "--metrics", "rmse_hu", out=out) == 0
    assert table_of(out).set_index("image")["rmse_hu"].isna().to_dict() == {"a": True, "b": False}
    np.save(truth / "b.npy", np.full((40, 40), np.nan))
    capsys.readouterr()
    assert score(mine, "--truth", truth, "--task", "ct", out=out) in (1, 2)
    said = capsys.readouterr()
    assert "the true slice" in said.out + said.err


# -- what all kinds share
def test_missing_maps_are_counted_and_said(scene, out, capsys):
    (scene["maps"] / "b.png").unlink()
    words = [scene["maps"], "--truth", scene["truth"], "--fixations", scene["fixations"], "--task", "saliency"]
    assert "lacks 1 of the pictures" in refusal(capsys, *words, out=out)
    assert score(*words, "--allow-missing", out=out) == 0
    assert "1 of 3 true pictures have no restored one: b" in capsys.readouterr().out
    assert list(table_of(out)["image"]) == ["a", "c"]


def test_pipes_and_links_that_lead_nowhere_are_refused_not_waited_for(scene, out, capsys, tmp_path):
    (scene["maps"] / "b.png").unlink()
    os.mkfifo(scene["maps"] / "b.png")
    assert "a pipe, a socket or a device" in refusal(capsys, scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=out)
    (scene["maps"] / "b.png").unlink()
    (scene["maps"] / "b.png").symlink_to(tmp_path / "nowhere.png")
    assert "which is not there" in refusal(capsys, scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=out)
    os.mkfifo(pipe := tmp_path / "boxes.json")
    assert "a pipe, a socket or a device" in refusal(capsys, pipe, "--truth", pipe, "--task", "detection", out=out)


def test_two_sets_stand_in_one_table_and_compare(scene, out, capsys):
    words = ["--truth", scene["truth"], "--task", "saliency", "--metrics", "cc", "mae"]
    assert score(scene["maps"], scene["truth"], *words, "--name", "mine", "perfect", out=out) == 0
    assert capsys.readouterr().out.index("perfect  ") > 0
    (suite,) = out.glob("score_*.toml")
    assert runner.main(["compare", "mine", "perfect", "--suite", str(suite), "--out", str(out)]) == 0
    assert "cc" in capsys.readouterr().out


def test_other_methods_are_told_what_the_task_wants(scene, out, capsys):
    assert score(scene["maps"], "--truth", scene["truth"], "--task", "saliency", out=out) == 0
    (file,) = out.glob("score_*.toml")
    file.write_text(file.read_text().replace("methods = [", 'methods = ["identity", '))
    capsys.readouterr()
    assert runner.main(["--suite", str(file), "--tier", "quick", "--out", str(out)]) != 0
    said = capsys.readouterr()
    assert "make them one size" in said.out + said.err
