"""Every registered part of every kind, and every suite, holds the contract of its kind. (Methods: test_methods.py.)"""

import json

import numpy as np
import pytest
from PIL import Image

from bench import registry
from bench.conformance import contracts
from bench.errors import Unavailable
from bench.suites import read

INSTEAD = {  # of the part as it stands: smaller, or told what a task would tell it
    ("metric", "geometry_score"): ["geometry_score[repeats=3]"],
    ("metric", "modes"): ["modes[centres=((0,0),(1,1)),std=0.1]"],
    ("task", "boxes"): ["boxes[truth='FILES/boxes.json']"],
    ("task", "labels"): ["labels[truth='FILES/labels']"],
    ("task", "maps"): ["maps[truth='FILES/labels']"],
    ("task", "pictures"): ["pictures[truth=FOLDER]"],
    ("task", "slices"): ["slices[truth='FILES/slices']"],
    ("dataset", "photo_labels"): ['photo_labels[of="folder[path=FOLDER]"]'],
    ("dataset", "folder"): ["folder[path=FOLDER,split=test]"],
    ("dataset", "images"): ["images[path=FOLDER,size=16]"],
    ("dataset", "folder_pair"): ["folder_pair[path=FOLDER]"],
    ("dataset", "folder_unpaired"): ["folder_unpaired[path=FOLDER]"],
}
BESIDE = {  # the part as it stands
    ("metric", "ssim"): ["ssim[window=uniform7,boundary=reflect,cov=sample]"],
    ("metric", "psnr"): ["psnr[channel=y601,border=4]"],
    ("metric", "prdc"): ["prdc[net=pixels]"],
    ("content", "perceptual"): ["perceptual[net=random_vgg19]"],
    ("content", "vgg22"): ["vgg22[net=random_vgg19]"],
    ("content", "vgg54"): ["vgg54[net=random_vgg19]"],
    ("schedule", "warmup"): ["warmup[then=cosine]"],
    ("optimizer", "sgdm"): ["sgdm[momentum=0.5,weight_decay=0.01]"],
    ("optimizer", "swats"): ["swats[scope=tensor,rtol=0.1]"],
    ("degradation", "gaussian"): ["gaussian[sigma=(0,55),clip=true]"],
}


def specs():
    """(kind, spec) of everything."""
    parts = [(kind, name) for kind in registry.FOLDERS if kind != "method" for name in registry.names(kind)]
    several = [(part[0], spec) for part in parts for spec in INSTEAD.get(part, [part[1]]) + BESIDE.get(part, [])]
    return several + [(contracts.SUITE, name) for name in read.suite_names()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures in the layouts that folders of users have."""
    root = tmp_path_factory.mktemp("pictures")
    for side in ("", "A", "B", "trainA", "trainB", "valA", "valB", "testA", "testB"):
        for part in ("train", "val", "test", ""):
            (root / side / part).mkdir(parents=True, exist_ok=True)
            for i in range(4):
                Image.effect_noise((40, 40), 60).convert("RGB").save(root / side / part / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What other code may be compared with."""
    root = tmp_path_factory.mktemp("files")
    for part in ("labels", "slices"):
        (root / part).mkdir()
    Image.fromarray(np.eye(24, dtype=np.uint8)).save(root / "labels" / "0.png")
    np.save(root / "slices" / "0.npy", np.eye(24))
    image = {"id": 1, "file_name": "0.jpg", "width": 24, "height": 24}
    note = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 0}
    truth = {"images": [image], "annotations": [note], "categories": [{"id": 1, "name": "cat"}]}
    (root / "boxes.json").write_text(json.dumps(truth))
    return root


@pytest.mark.parametrize(("kind", "spec"), specs(), ids=lambda value: value)
def test_contract(kind, spec, folder, files):
    spec = spec.replace("FOLDER", str(folder)).replace("FILES", str(files))
    absent = ""
    for title, check in contracts.checks_of(kind, spec).items():
        try:
            check(spec)
        except Unavailable as error:
            absent = f"{title}: {error}"
    if absent:
        pytest.skip(absent)


def test_every_kind_has_a_contract():
    for kind in registry.FOLDERS:
        assert contracts.checks_of(kind, registry.names(kind)[0])
