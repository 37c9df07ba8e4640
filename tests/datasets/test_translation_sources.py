"""Pairs and domains: layouts, splits, what is derived from photographs."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.dataset import SPLITS
from bench.errors import Unavailable, UsageError
from datasets.coco_masks import CocoMasks
from datasets.facades import Facades
from datasets.folder_pair import FolderPair
from datasets.folder_unpaired import FolderUnpaired
from datasets.photo_edges import PhotoEdges
from datasets.photo_grey import PhotoGrey
from datasets.photo_labels import _TERMS, PhotoLabels

DATA = os.environ.get("GANBENCH_DATA")
real = pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")


def paint(path, *colours, side=8):
    """Squares of plain colours from left to right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.concatenate([np.full((side, side, 3), c, np.uint8) for c in colours], axis=1)
    Image.fromarray(array).save(path)


@pytest.mark.oracle("dataset", "facades")
def test_halves_of_one_picture(tmp_path):
    for i in range(20):
        paint(tmp_path / "facades/train" / f"{i:02}.png", (255, 0, 0), (0, 0, 255))
    paint(tmp_path / "facades/test/1.png", (255, 0, 0), (0, 0, 255))
    assert [Facades().count(tmp_path, split) for split in SPLITS] == [18, 2, 1]
    assert Facades().open(tmp_path, "validation").names == ["18", "19"]
    picture = Facades().open(tmp_path, "test")[0]
    assert picture.observed.shape == picture.target.shape == (3, 8, 8)
    assert picture.observed[:, 0, 0].tolist() == [1, 0, 0]  # A: the left half
    assert picture.target[:, 0, 0].tolist() == [0, 0, 1]
    paint(tmp_path / "facades/val/v.png", (255, 0, 0), (0, 0, 255))
    assert [Facades().count(tmp_path, split) for split in SPLITS] == [20, 1, 1]


@pytest.mark.oracle("dataset", "folder_pair")
def test_pairs_in_two_folders(tmp_path):
    for split in ("train", "val", "test"):
        paint(tmp_path / "mine/A" / split / "x.png", (255, 0, 0))
        paint(tmp_path / "mine/B" / split / "x.png", (0, 255, 0))
    for source, root in (
        (FolderPair(path="mine"), tmp_path),
        (FolderPair(path=str(tmp_path / "mine")), None),
        (FolderPair(), tmp_path / "mine"),
    ):
        assert [source.count(root, split) for split in SPLITS] == [1, 1, 1]
        picture = source.open(root, "test")[0]
        assert (picture.observed[:, 0, 0].tolist(), picture.target[:, 0, 0].tolist()) == ([1, 0, 0], [0, 1, 0])
    (tmp_path / "mine/B/test/x.png").unlink()
    with pytest.raises(UsageError, match=r"B/test/x\.png"):
        FolderPair().open(tmp_path / "mine", "test")
    paint(tmp_path / "mine/B/test/x.png", (0, 255, 0), side=9)
    with pytest.raises(UsageError, match="two sides differ in size"):
        FolderPair().open(tmp_path / "mine", "test")[0]


def test_folders_without_pairs_are_refused(tmp_path):
    with pytest.raises(Unavailable, match="no folder given"):
        FolderPair().find(None)
    with pytest.raises(UsageError, match="is not a folder"):
        FolderPair(path="nowhere").find(tmp_path)
    with pytest.raises(UsageError, match="no pairs in"):
        FolderPair().open(tmp_path, "test")
    with pytest.raises(UsageError, match="no pictures of domain B"):
        FolderUnpaired(domain="B").open(tmp_path, "train")


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_a_share(share):
    for source in (FolderPair, FolderUnpaired):
        with pytest.raises(ValueError, match="held_out"):
            source(held_out=share)


@pytest.mark.oracle("dataset", "folder_unpaired")
def test_two_domains(tmp_path):
    for domain, n in (("A", 10), ("B", 20)):
        for i in range(n):
            paint(tmp_path / f"horse2zebra/train{domain}/{i:02}.png", (i, 0, 0))
        paint(tmp_path / f"horse2zebra/test{domain}/0.png", (ord(domain), 0, 0))
    sources = [FolderUnpaired(path="horse2zebra", domain=d) for d in "AB"]
    assert [[s.count(tmp_path, split) for split in SPLITS] for s in sources] == [[9, 1, 1], [18, 2, 1]]
    assert [round(s.open(tmp_path, "test")[0].target[0, 0, 0].item() * 255) for s in sources] == [65, 66]


@pytest.mark.oracle("dataset", "photo_grey")
def test_grey_is_the_luma_of_the_photograph():
    picture = PhotoGrey().open(None, "validation")[0]
    image = Image.fromarray((picture.target * 255).round().byte().permute(1, 2, 0).numpy()).convert("L")
    luma = torch.from_numpy(np.array(image)).float() / 255
    assert (picture.observed[0] - luma).abs().max() <= 0.5 / 255 + 1e-4  # PIL rounds
    assert torch.equal(picture.observed[0], picture.observed[2])


@pytest.mark.oracle("dataset", "photo_edges")
def test_edges_are_drawn_where_the_photograph_changes(tmp_path):
    paint(tmp_path / "test.png", (0, 0, 0), (200, 200, 200), side=24)
    source = PhotoEdges(of=f'folder[path="{tmp_path}",split=test]')
    drawing = source.open(None, "test")[0].observed
    assert drawing.shape == (3, 24, 48)
    lines = (drawing[0] == 0).nonzero()
    assert set(lines[:, 1].tolist()) <= {23, 24}
    assert len(set(lines[:, 0].tolist())) >= 18  # away from the border: an unbroken line
    assert set(drawing.unique().tolist()) == {0.0, 1.0}
    assert source.count(None, "test") == 1
    assert PhotoEdges(high=9.0, of=source.of).open(None, "test")[0].observed.min() == 1


def test_derived_pairs_have_the_splits_of_their_photographs():
    assert [PhotoEdges().count(None, split) for split in SPLITS] == [6, 1, 6]
    assert PhotoGrey().open(None, "test").fingerprint == PhotoEdges().open(None, "test").fingerprint  # what differs is code and options
    with pytest.raises(ValueError, match="low <= high"):
        PhotoEdges(low=0.5)
    with pytest.raises(UsageError, match="ring"):
        PhotoGrey(of="ring").open(None, "test")


@pytest.mark.oracle("dataset", "coco_masks")
def test_masks_get_the_colours_of_pascal(tmp_path):
    folder = tmp_path / "coco_val128"
    paint(folder / "images/a.jpg", (9, 9, 9), side=4)
    (folder / "semantic_masks").mkdir()
    ids = np.array([[0, 1, 2, 15], [20, 21, 255, 0]] * 2, np.uint8)
    Image.fromarray(ids).save(folder / "semantic_masks/a.png")
    (picture,) = [p for split in SPLITS for p in CocoMasks().open(tmp_path, split)]
    found = (picture.observed * 255).round().int().permute(1, 2, 0)
    published = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        21: (128, 64, 128),
        255: (224, 224, 192),
    }
    assert [tuple(c) for c in found[:2].reshape(-1, 3).tolist()] == [published[int(i)] for i in ids[:2].ravel()]
    Image.fromarray(ids[:, :2].copy()).save(folder / "semantic_masks/a.png")
    with pytest.raises(UsageError, match="of the photo's size"):
        [p for split in SPLITS for p in CocoMasks().open(tmp_path, split)]


@real
def test_real_facades():
    assert [len(Facades().open(Path(DATA), split)) for split in SPLITS] == [144, 16, 40]
    picture = Facades().open(Path(DATA), "test")[0]
    assert picture.target.shape == picture.observed.shape == (3, 256, 256)
    assert picture.target[2].mean() > picture.target[0].mean() + 0.3  # labels are blue nearly everywhere


@real
def test_real_masks():
    assert sum(CocoMasks().count(Path(DATA), split) for split in SPLITS) == 100
    picture = CocoMasks().open(Path(DATA), "validation")[0]
    assert picture.target.shape == picture.observed.shape


@pytest.mark.oracle("dataset", "photo_labels")
def test_labels_are_the_nearest_colour_terms_of_regions():
    x = torch.zeros(3, 40, 60)
    x[:, :, :30] = torch.tensor([0.95, 0.97, 0.93]).view(3, 1, 1)  # white
    x[:, :, 30:] = torch.tensor([0.20, 0.33, 0.70]).view(3, 1, 1)  # blue
    x += 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    labels = PhotoLabels().derive(x.clamp(0, 1))
    assert (labels[:, 5, 5] * 255).round().tolist() == [0, 128, 255]
    assert (labels[:, 5, 55] * 255).round().tolist() == [255, 160, 0]
    assert len(labels.flatten(1).unique(dim=1).T) == 2
    read = registry.make("segmenter", "palette")(labels[None])
    assert read[0, 5, 5] != read[0, 5, 55]


@pytest.mark.parametrize("term", _TERMS)
def test_a_plain_picture_bears_the_mark_of_its_colour_term(term):
    colour, mark = _TERMS[term]
    labels = PhotoLabels().derive((torch.tensor(colour) / 255).view(3, 1, 1).expand(3, 40, 60))
    assert (labels * 255).round().flatten(1).unique(dim=1).T.tolist() == [list(mark)]


def test_what_makes_regions_coarser():
    def regions(x, **options):
        return PhotoLabels(**options).derive(x).flatten(1).unique(dim=1).shape[1]

    white = torch.full((3, 40, 60), 0.97)
    spot, halves = white.clone(), white.clone()
    spot[:, 10:16, 10:16], halves[:, :, 30:] = 0.0, 0.5
    dots = torch.where(torch.rand(1, 40, 60, generator=torch.Generator().manual_seed(0)) < 0.5, 0.0, white)
    assert [regions(spot, smooth=0.0, least=n) for n in (36, 37)] == [2, 1]
    assert [regions(halves, scale=s) for s in (100.0, 1e6)] == [2, 1]
    assert [regions(dots, smooth=s, least=1) for s in (0.0, 10.0)] == [2, 1]


def test_every_photo_has_several_labels():
    picture = PhotoLabels().open(None, "test")[0]
    assert picture.observed.shape == picture.target.shape
    shown = picture.observed.flatten(1).unique(dim=1)
    assert 3 <= shown.shape[1] <= 11
    assert torch.equal(picture.observed, PhotoLabels().open(None, "test")[0].observed)
    with pytest.raises(ValueError, match="scale must be positive"):
        PhotoLabels(scale=0)
