"""Which pictures of a data set share what they were taken from: frames of a video, slices of a patient, scenes on a photo."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.dataset import SPLITS
from datasets.photos import Photos
from datasets.reading.files import Entry, FileSource

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")


def paint(path, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)).convert(mode).save(path)


def groups(spec, root, split="test"):
    return {picture.name: picture.group for picture in registry.make("dataset", spec).open(root, split)}


def test_frames_of_gopro_belong_to_their_video(tmp_path):
    for sequence in ("GOPR0384_11_00", "GOPR0384_11_05", "GOPR0385_11_01", "mine_1_2"):
        for kind in ("blur_gamma", "sharp"):
            paint(tmp_path / "GOPRO_Large/test" / sequence / kind / "000001.png")
    assert groups("gopro", tmp_path) == {
        "GOPR0384_11_00/000001": "GOPR0384", "GOPR0384_11_05/000001": "GOPR0384",
        "GOPR0385_11_01/000001": "GOPR0385", "mine_1_2/000001": "mine_1_2",
    }  # fmt: skip


def test_pairs_of_gopro_that_lie_flat_stand_alone(tmp_path):
    for name in ("Flower", "Istanbul"):
        paint(tmp_path / f"gopro_pairs/{name}_blur1.png")
        paint(tmp_path / f"gopro_pairs/{name}_sharp1.png")
    assert groups("gopro", tmp_path) == {"Flower": "", "Istanbul": ""}


def test_pictures_of_levin_belong_to_what_was_shaken_eight_times(tmp_path):
    for picture in (5, 6):
        paint(tmp_path / f"levin/gt/im{picture}.png", "L")
        for kernel in (1, 2):
            kernels = tmp_path / f"levin/gt/kernel{kernel}.png"
            Image.fromarray(np.eye(5, dtype=np.uint8) * 50).save(kernels)
            paint(tmp_path / f"levin/im{picture}_kernel{kernel}_img.png", "L")
    assert groups("levin", tmp_path) == {f"im{i}_kernel{k}": f"im{i}" for i in (5, 6) for k in (1, 2)}


def test_pictures_of_kohler_belong_to_what_was_shaken_twelve_times(tmp_path):
    for name in ("1_1", "1_12", "2_1"):
        paint(tmp_path / f"kohler/BlurryImages/Blurry{name}.png")
        paint(tmp_path / f"kohler/x/GroundTruth{name}_1.png")
    assert groups("kohler", tmp_path) == {"1_1": "1", "1_12": "1", "2_1": "2"}


def write_slice(path, **header):
    pydicom = pytest.importorskip("pydicom")
    written = pydicom.Dataset()
    written.file_meta = pydicom.dataset.FileMetaDataset()
    written.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    written.file_meta.MediaStorageSOPClassUID = written.SOPClassUID = pydicom.uid.CTImageStorage
    written.file_meta.MediaStorageSOPInstanceUID = written.SOPInstanceUID = pydicom.uid.generate_uid()
    for tag, value in {
        "Modality": "CT",
        "RescaleSlope": 1,
        "RescaleIntercept": 0,
        "Rows": 8,
        "Columns": 8,
        "SamplesPerPixel": 1,
        **header,
    }.items():
        setattr(written, tag, value)
    written.PhotometricInterpretation, written.BitsAllocated, written.BitsStored = "MONOCHROME2", 16, 16
    written.HighBit, written.PixelRepresentation, written.PixelData = 15, 1, bytes(128)
    path.parent.mkdir(parents=True, exist_ok=True)
    written.save_as(path, enforce_file_format=True)


def test_slices_belong_to_their_patient_or_study_or_series(tmp_path):
    study, series = "1.2.3", "1.2.4"
    write_slice(tmp_path / "a1.dcm", PatientID="A", StudyInstanceUID="9.1")
    write_slice(tmp_path / "a2.dcm", PatientID="A", StudyInstanceUID="9.2")
    write_slice(tmp_path / "b1.dcm", PatientID="", StudyInstanceUID=study)
    write_slice(tmp_path / "b2.dcm", StudyInstanceUID=study, SeriesInstanceUID="1.9")
    write_slice(tmp_path / "c1.dcm", SeriesInstanceUID=series)
    write_slice(tmp_path / "d1.dcm")
    expected = {"a1.dcm": "A", "a2.dcm": "A", "b1.dcm": study, "b2.dcm": study, "c1.dcm": series, "d1.dcm": "d1"}
    assert groups(f"dicom[path={tmp_path},split=test]", None) == expected
    of_split = [set(groups(f"dicom[path={tmp_path}]", None, split).values()) for split in SPLITS]
    assert sum(map(len, of_split)) == len(set.union(*of_split)) == 4  # nobody is in two splits


@real
def test_two_of_sixteen_real_slices_are_of_one_patient():
    pytest.importorskip("pydicom")
    found = groups("dicom[split=test,size=32]", Path(DATA))
    assert {group: n for group, n in Counter(found.values()).items() if n > 1} == {"TCGA-17-Z054": 2}


def test_slices_of_mayo_belong_to_their_patient(tmp_path):
    for patient in ("L067", "L333", "L506"):
        for dose in ("full", "quarter"):
            for i in range(2):
                write_slice(tmp_path / f"mayo/{patient}/{dose}_3mm/{i}.IMA")
    assert groups("mayo", tmp_path) == {"L506/0000": "L506", "L506/0001": "L506"}


@real
@pytest.mark.parametrize(("spec", "owner"), [("coil20", "obj{}"), ("orl", "s{}")])
def test_views_of_one_thing_or_person_share_it(spec, owner):
    found = registry.make("dataset", spec).open(Path(DATA), "test")
    assert list(found.groups) == [owner.format(label + 1) for label in found.labels.tolist()]


@pytest.mark.parametrize("spec", ["digit_scenes[train=40,validation=20,test=60]", "popout[train=40,validation=20,test=60]"])
def test_scenes_belong_to_the_photo_that_they_stand_on_and_no_photo_is_in_two_splits(spec):
    photos = {split: {picture.name: picture.target for picture in Photos().open(None, split)} for split in SPLITS}
    for split in SPLITS:
        found = groups(spec, None, split)
        assert set(found.values()) == set(photos[split])  # every photo serves, none of another split


def test_a_scene_shows_the_photo_that_it_names():
    photos = {picture.name: picture.target for picture in Photos().open(None, "test")}
    for scene in registry.make("dataset", "digit_scenes[test=5]").open(None, "test"):
        free = torch.ones(128, 128, dtype=torch.bool)
        for x0, y0, x1, y1 in scene.boxes.int().tolist():
            free[max(y0 - 6, 0) : y1 + 6, max(x0 - 6, 0) : x1 + 6] = False
        y, x = free.nonzero()[0].tolist()  # a row of pixels without ink
        assert free[y, x : x + 20].all()
        strip, photo = scene.target[0, y, x : x + 20], photos[scene.group][0]
        assert ((photo.unfold(1, 20, 1) - strip).abs().amax(2) < 1e-6).any(), scene.name


@pytest.mark.parametrize("spec", ["photos", "photo_grey", "ellipses[test=3,size=64]"])
def test_what_stands_alone_has_no_other_unit(spec):
    assert set(groups(spec, None).values()) == {""}


def test_a_folder_of_frames_is_one_unit_in_one_split_where_that_is_asked_for(tmp_path):
    frames = [f"video{v}/{i}.png" for v in range(12) for i in range(3)]
    for name in [*frames, "lone.png"]:
        paint(tmp_path / name)
    by_split = [groups(f"folder[path={tmp_path},group=folder]", None, split) for split in SPLITS]
    found = {name: group for split in by_split for name, group in split.items()}
    assert found == {f: f.partition("/")[0] for f in frames} | {"lone.png": ""}
    videos = [set(found.values()) - {""} for found in by_split]
    assert sum(map(len, videos)) == len(set.union(*videos)) == 12  # no video is in two splits
    assert sum(map(bool, videos)) > 1
    assert set(groups(f"folder[path={tmp_path},split=test]", None).values()) == {""}


def test_what_is_derived_keeps_the_unit():
    of_scenes = groups('photo_grey[of="digit_scenes[test=6]"]', None)
    assert of_scenes == groups("digit_scenes[test=6]", None)


def test_a_unit_is_shown_and_stored_like_a_name(tmp_path):
    """A folder's name may hold bytes that no file of scores could."""

    class Odd(FileSource):
        folders = ("odd",)

        def entries(self, folder, split):
            return [Entry("a\nb", (folder / "a.png",), "line\nbreak\udcff")]

    paint(tmp_path / "odd/a.png")
    (picture,) = Odd().open(tmp_path, "test")
    picture.group.encode()
    assert "\n" not in picture.group


@real
def test_levin_shook_four_pictures():
    assert Counter(groups("levin", Path(DATA)).values()) == {f"im{i}": 8 for i in (1, 2, 3, 4)}
