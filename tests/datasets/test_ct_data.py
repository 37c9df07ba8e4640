"""Phantoms, low dose, DICOM slices and Mayo's pairs."""

import math
import os
import re
import sys
from pathlib import Path

import pytest
import torch

from bench.errors import Unavailable, UsageError
from bench.operators import ct
from datasets.degrade.low_dose import LowDose
from datasets.dicom import DICOM
from datasets.ellipses import Ellipses, _draw
from datasets.mayo import Mayo
from datasets.reading.dicom import read_slice

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


# -- phantoms
def test_phantoms_are_fixed_distinct_and_inside_the_disc():
    source = Ellipses(size=48, train=4, validation=2, test=2)
    splits = {split: source.open(None, split) for split in ("train", "validation", "test")}
    pictures = [p for s in splits.values() for p in s]
    assert [len(s) for s in splits.values()] == [4, 2, 2]
    assert len({p.name for p in pictures}) == len({s.fingerprint for s in splits.values()}) + 5 == 8
    assert len({tuple(p.target.flatten().tolist()) for p in pictures}) == 8
    assert torch.equal(source.open(None, "test")[1].target, splits["test"][1].target)
    for p in pictures:
        assert p.target.shape == (1, 48, 48)
        hu = ct.to_hu(p.target[0])
        torch.testing.assert_close(hu[~ct.inscribed_disc(48)], torch.full_like(hu[~ct.inscribed_disc(48)], -1000), atol=1e-2, rtol=0)
        assert 0.15 < ((hu > -160) & (hu < 240)).float().mean() < 0.7  # tissue
        assert hu.max() > 300  # bone
    assert Ellipses(size=48, train=5).open(None, "train").fingerprint != splits["train"].fingerprint


@pytest.mark.oracle("dataset", "ellipses")
def test_ellipses_cover_their_area_and_lie_over_what_was_drawn_before():
    size, (a, b) = 200, (0.5, 0.3)
    rows = torch.tensor([[0.1, -0.2, a, b, 0.4, 0.0], [0.1, -0.2, 0.2, 0.2, 0.0, 1000.0]], dtype=torch.float64)
    hu = ct.to_hu(_draw(rows, size)[0].double())
    share = math.pi * 0.2**2 / 4
    assert ((hu + 1000) / 1000).sum() / size**2 == pytest.approx(math.pi * a * b / 4 + share, rel=2e-3)
    centre = (round((1 - 0.2) * size / 2), round((1 + 0.1) * size / 2))
    assert hu[centre] == pytest.approx(1000, abs=1e-2)


@pytest.mark.parametrize("options", [{"size": 8}, {"test": 0}])
def test_impossible_phantoms(options):
    with pytest.raises(ValueError, match="size must be >= 16"):
        Ellipses(**options)


# -- low dose
@pytest.fixture(scope="module")
def phantom():
    return Ellipses(size=48).open(None, "test")[0].target[None]


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_many_photons_leave_nothing_to_restore(phantom, beam):
    dose = LowDose(photons=1e9, electronic=0.0, views=90, beam=beam)
    sinogram = dose.scan(phantom, rng())
    torch.testing.assert_close(sinogram, dose.scanner.project(ct.attenuation(phantom)), atol=2e-3, rtol=0)
    assert sinogram.max() > 3  # a belly lets one photon of e^3 through
    x = dose.reconstruct(sinogram, 48)
    assert (x - phantom).abs().mean() < 0.006  # edges of a pixel


def test_the_noise_is_that_of_counts():
    """Of I = photons e^-p counts the logarithm has variance 1 / I + electronic^2 / I^2, to first order."""
    dose = LowDose(photons=2e4, electronic=40.0, views=30, field=100.0)
    x = torch.full((8, 1, 32, 32), 0.25) * ct.inscribed_disc(32)
    clean, seen = dose.scanner.project(ct.attenuation(x)), dose.scan(x, rng())
    counts = 2e4 * (-clean).exp()
    z = (seen - clean) / (1 / counts + 40.0**2 / counts**2).sqrt()
    assert z.mean().abs() < 0.06
    assert z.std().item() == pytest.approx(1, abs=0.05)


def test_a_seed_is_a_scan_and_starved_rays_stay_finite(phantom):
    dose = LowDose(photons=20.0, views=12)
    assert torch.equal(dose.scan(phantom, rng(1)), dose.scan(phantom, rng(1)))
    assert not torch.equal(dose.scan(phantom, rng(1)), dose.scan(phantom, rng(2)))
    assert dose.scan(phantom, rng()).max() <= math.log(20.0) + 1e-6
    x = dose.reconstruct(dose.scan(phantom, rng()), 48)
    assert x.isfinite().all()
    assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (1, 1, 32, 40), (1, 32, 32)])
def test_a_scan_wants_square_slices(shape):
    with pytest.raises(UsageError, match="square slices of one channel"):
        LowDose().scan(torch.zeros(shape), rng())


@pytest.mark.parametrize("options", [{"photons": 1.0}, {"electronic": -1.0}, {"views": 0}, {"field": 0.0}])
def test_impossible_doses(options):
    with pytest.raises(ValueError, match="photons must be > 1"):
        LowDose(**options)


# -- DICOM
def write_slice(path: Path, stored, patient="A", slope=1, intercept=-1024, modality="CT", rescale=True, **other):
    """A CT slice, written by pydicom."""
    pydicom = pytest.importorskip("pydicom")
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = pydicom.uid.CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = pydicom.uid.generate_uid()
    header.Modality, header.PatientID = modality, patient
    header.Rows, header.Columns = stored.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 1
    if rescale:
        header.RescaleSlope, header.RescaleIntercept = slope, intercept
    for tag, value in other.items():
        setattr(header, tag, value)
    header.PixelData = stored.to(torch.int16).numpy().tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def ramp(size=8, low=-1024, high=3000):
    return torch.linspace(low, high, size * size).round().reshape(size, size)


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (1, 0), (2, -100)])
def test_slope_and_intercept_make_hu_and_padding_is_clipped(tmp_path, slope, intercept):
    hu = ramp()
    hu[0, 0] = -3024 if intercept == -1024 else hu[0, 0]
    stored = ((hu - intercept) / slope).round()
    x = read_slice(write_slice(tmp_path / "a.dcm", stored, slope=slope, intercept=intercept))
    assert x.shape == (1, 8, 8)
    assert x.dtype == torch.float32
    torch.testing.assert_close(ct.to_hu(x[0]), (stored * slope + intercept).clamp(-1024, 3072), atol=1e-3, rtol=0)


@pytest.mark.oracle("dataset", "dicom")
def test_a_folder_is_split_by_patient(tmp_path):
    for patient in range(12):
        for i in range(3):
            write_slice(tmp_path / f"p{patient}" / f"{patient}-{i}.{'IMA' if i else 'dcm'}", ramp() + patient, patient=f"P{patient}")
    source = DICOM(path=str(tmp_path))
    splits = [source.open(None, split) for split in ("train", "validation", "test")]
    assert sum(len(s) for s in splits) == 36
    of = [{name.split("/")[0] for name in s.names} for s in splits]
    assert sum(len(p) for p in of) == len(set.union(*of)) == 12  # nobody is in two
    assert sum(map(bool, of)) > 1
    everything = DICOM(path=str(tmp_path), split="test", size=4).open(None, "test")
    assert len(everything) == 36
    assert everything[0].target.shape == (1, 4, 4)
    torch.testing.assert_close(everything[0].target.mean(), DICOM(path=str(tmp_path), split="test").open(None, "test")[0].target.mean())


def test_what_is_no_ct_slice_is_named(tmp_path):
    good = write_slice(tmp_path / "good.dcm", ramp())
    cases = {
        "broken.dcm": "cannot read the CT slice .*broken",
        "mr.dcm": "its modality is MR, not CT",
        "raw.dcm": "it states no RescaleSlope",
        "empty_slope.dcm": "it has an empty RescaleSlope",
        "empty_intercept.dcm": "it has an empty RescaleIntercept",
        "two.dcm": r"it has \[1.*2.*\] as its RescaleSlope",
        "zero.dcm": "its RescaleSlope is 0",
        "whose.dcm": "its modality is .*, not CT",
        "rows.dcm": "cannot read the CT slice .*rows",
    }
    (tmp_path / "broken.dcm").write_bytes(good.read_bytes()[:300])
    write_slice(tmp_path / "mr.dcm", ramp(), modality="MR")
    write_slice(tmp_path / "raw.dcm", ramp(), rescale=False)
    write_slice(tmp_path / "empty_slope.dcm", ramp(), slope=None)
    write_slice(tmp_path / "empty_intercept.dcm", ramp(), intercept=None)
    write_slice(tmp_path / "two.dcm", ramp(), slope=[1, 2])
    write_slice(tmp_path / "zero.dcm", ramp(), slope=0)
    write_slice(tmp_path / "whose.dcm", ramp(), modality=None)
    write_slice(tmp_path / "rows.dcm", ramp(), Rows=None)
    for name, message in cases.items():
        with pytest.raises(UsageError, match=message) as caught:
            read_slice(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(UsageError, match="on_corrupt=skip"):
        DICOM(path=str(tmp_path), split="test").open(None, "test")
    kept = DICOM(path=str(tmp_path), split="test", on_corrupt="skip").open(None, "test")
    assert kept.names == ["good.dcm"]
    assert sorted(re.search(r"\w+\.dcm", line)[0] for line in kept.skipped) == sorted(cases)
    with pytest.raises(UsageError, match=r"is 8 x 8: give size=8 or less"):
        DICOM(size=9).read(good)
    with pytest.raises(UsageError, match=r"no \.dcm or \.IMA files"):
        DICOM(path=str(tmp_path / "mr.dcm" / "..")).entries(tmp_path.parent / "nothing", "test")


@pytest.mark.parametrize("tag", ["PatientID", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "WindowCenter"])
def test_any_tag_may_be_there_and_empty(tmp_path, tag):
    """The slice is read as without the tag, or refused in one line and left out where that is wanted."""
    write_slice(tmp_path / "good.dcm", ramp())
    write_slice(tmp_path / "odd.dcm", ramp(), **{tag: None})
    kept = [DICOM(path=str(tmp_path), on_corrupt="skip").open(None, split) for split in ("train", "validation", "test")]
    names = [name for pictures in kept for name in pictures.names]
    assert sorted(names + [re.search(r"\w+\.dcm", line)[0] for pictures in kept for line in pictures.skipped]) == ["good.dcm", "odd.dcm"]
    assert all(picture.target.shape == (1, 8, 8) for pictures in kept for picture in pictures)


def test_slices_without_the_ending_are_named(tmp_path):
    write_slice(tmp_path / "a.dcm", ramp())
    write_slice(tmp_path / "disc" / "IM0001", ramp())
    (tmp_path / "README").write_text("no slice")
    opened = DICOM(path=str(tmp_path), split="test").open(None, "test")
    assert opened.names == ["a.dcm"]
    assert [line.partition(" is left out")[0] for line in opened.skipped] == [str(tmp_path / "disc" / "IM0001")]
    (tmp_path / "a.dcm").unlink()
    with pytest.raises(UsageError, match=r"no \.dcm or \.IMA files .* but 1 DICOM files without such an ending"):
        DICOM(path=str(tmp_path), split="test").open(None, "test")


def test_linked_folders_of_slices_count_once(tmp_path):
    write_slice(tmp_path / "own" / "a.dcm", ramp())
    write_slice(tmp_path / "far" / "b.dcm", ramp() + 1)
    write_slice(tmp_path / "own" / ".hidden" / "c.dcm", ramp() + 2)
    for name, to in {"far": tmp_path / "far", "again": tmp_path / "far", "up": tmp_path}.items():
        (tmp_path / "own" / name).symlink_to(to)
    (tmp_path / "own" / "twin.dcm").symlink_to("a.dcm")
    assert DICOM(path=str(tmp_path / "own"), split="test").open(None, "test").names == ["a.dcm", "again/b.dcm"]


def test_without_pydicom_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (tmp_path / "a.dcm").touch()
    for use in (
        lambda: DICOM(path=str(tmp_path)).open(None, "test"),
        lambda: Mayo().entries(tmp_path, "test"),
        lambda: read_slice(tmp_path / "a.dcm"),
    ):
        with pytest.raises(Unavailable, match=r"^reading DICOM needs pydicom: pip install 'ganbench\[ct\]'$"):
            use()


# -- Mayo
@pytest.mark.oracle("dataset", "mayo")
@pytest.mark.parametrize("nested", [True, False])
def test_mayos_pairs_in_either_layout(tmp_path, nested):
    root = tmp_path / "AAPM-Mayo-CT-Challenge"
    for patient in ("L067", "L333", "L506"):
        for i in range(2):
            for dose, shift in (("full", 0), ("quarter", 9)):
                folder = root / patient / f"{dose}_3mm" if nested else root / f"{dose}_3mm" / patient / f"{dose}_3mm"
                write_slice(
                    folder / f"{patient}_{dose[0].upper()}D_3_1.CT.0001.{i:04d}.2015.12.22.IMA",
                    ramp(low=0) + shift + i,
                    patient=patient,
                )
    source = Mayo()
    assert {split: source.open(tmp_path, split).names for split in ("train", "validation", "test")} == {
        "train": ["L067/0000", "L067/0001"],
        "validation": ["L333/0000", "L333/0001"],
        "test": ["L506/0000", "L506/0001"],
    }
    pair = source.open(tmp_path, "test")[1]
    torch.testing.assert_close(ct.to_hu(pair.observed) - ct.to_hu(pair.target), torch.full((1, 8, 8), 9.0), atol=1e-2, rtol=0)
    with pytest.raises(UsageError, match="no slices of 1mm"):
        Mayo(thickness="1mm").open(tmp_path, "test")
    twin = next(root.rglob("L506_FD*.0000.2015*"))
    twin.with_suffix(".dcm").write_bytes(twin.read_bytes())
    with pytest.raises(UsageError, match=r"0000\.2015.*IMA and .*dcm stand for the same picture|dcm and .*IMA stand for the same picture"):
        source.open(tmp_path, "test")
    twin.with_suffix(".dcm").unlink()
    next(root.rglob("L333_QD*.0001.2015*")).unlink()
    next(root.rglob("L333_FD*.0000.2015*")).unlink()  # as many of either dose, but not the same ones
    with pytest.raises(UsageError, match=r"slice 0 of patient L333 .* lacks one of the two doses"):
        source.open(tmp_path, "test")


# -- real slices
@real
def test_a_small_real_slice():
    pytest.importorskip("pydicom")
    x = read_slice(Path(DATA) / "ct_small" / "CT_small.dcm")
    assert x.shape == (1, 128, 128)
    hu = ct.to_hu(x)
    assert (round(hu.min().item()), round(hu.max().item())) == (-896, 1167)


@real
def test_real_slices_have_air_and_tissue_where_they_should():
    pytest.importorskip("pydicom")
    slices = DICOM(split="test", size=64).open(Path(DATA), "test")
    assert len(slices) == 16
    for picture in slices:
        hu = ct.to_hu(picture.target)
        assert hu.min() >= -1024
        assert 0.03 < ((hu > -160) & (hu < 240)).float().mean() < 0.9, picture.name  # also of the file whose intercept is 0
    patients = [
        {name for name in DICOM().open(Path(DATA), split).names if "ID_0003" in name or "ID_0006" in name}
        for split in ("train", "validation", "test")
    ]
    assert sorted(len(p) for p in patients) == [0, 0, 2]  # one patient, one slice twice
