"""Tiles without seams: what they give is what the whole picture gives, wherever the method's reach fits into what they share."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from _used import loaded
from torch import nn

from bench.errors import UsageError
from bench.evaluation import evaluation_mode
from bench.inference import tiles
from bench.inference.files import Picture
from bench.inference.restorer import Restorer
from bench.inference.tiles import Span, Tiling
from bench.registry import ROOT


def pasted(run, x, tiling):
    """The picture that tiles give, and the sides that were asked for."""
    asked = []

    def cut(rows, columns):
        asked.append((rows.stop - rows.start, columns.stop - columns.start))
        return x[..., rows.start : rows.stop, columns.start : columns.stop]

    return torch.cat(list(tiles.bands(run, cut, *x.shape[-2:], tiling)), 1), asked


@pytest.mark.parametrize("length", [1, 31, 160, 161, 200, 256, 333, 1000])
@pytest.mark.parametrize(("reach", "overlap"), [(None, 64), (10, 64), (32, 64), (0, 32)])
def test_weights_of_tiles_add_up_to_one(length, reach, overlap):
    tiling = Tiling(160, overlap, reach)
    along = tiles.spans(length, tiling)
    total = torch.zeros(2 * length)
    for i, (start, stop) in enumerate(along):
        total[2 * start : 2 * stop] += tiles._ramp(i, along, tiling, 2)
    assert total.sub(1).abs().max() < 1e-6
    assert all(span.start % tiles.ALIGN == 0 for span in along)
    assert along[-1].stop == length


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("dncnn", 3),
        ("dncnn[layers=9]", 9),
        ("unet", 62),
        ("red_cnn", 20),
        ("srresnet", 10),
        ("srcnn", 2),
        ("median", 2),
        ("bicubic", 2),
        ("identity", 0),
    ],
)
def test_tiles_are_equal_to_the_whole(name, reach):
    restorer = Restorer(loaded(name))
    x = torch.rand(1, 3, 330, 301, generator=torch.Generator().manual_seed(0))
    with evaluation_mode(restorer.method):
        tiling = tiles.plan(tiles.reach(restorer._run, 3), 96, None)
        assert tiling.reach == reach
        assert tiling.exact
        made, asked = pasted(restorer._run, x, tiling)
        assert (made - restorer._run(x)[0]).abs().max() < 1e-5
    if tiling.cuts(330, 301):
        assert max(max(sides) for sides in asked) <= tiling.tile < 330
        assert len(asked) == len(tiles.spans(330, tiling)) * len(tiles.spans(301, tiling))


def test_a_margin_that_is_too_small_leaves_traces_and_is_told():
    picture = Picture(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
    whole, _ = Restorer(loaded("unet"), tile=0).restore(picture)
    near, notes = Restorer(loaded("unet"), tile=96, overlap=32).restore(picture)
    assert np.abs(near.astype(int) - whole).max() >= 1
    assert notes == ("its reach is 62 pixels, so an overlap of 32 leaves traces: give --overlap 124, or none",)


@pytest.mark.parametrize("name", ["deblurgan", "wavelet_bayes", "blind_motion"])
def test_what_looks_at_whole_pictures_has_no_reach_and_is_told(name):
    restorer = Restorer(loaded(name), tile=96)
    levels, notes = restorer.restore(Picture(np.full((300, 300, 3), 100, np.uint8)))
    assert restorer.tilings == [Tiling(256, 128, None)]
    assert len(notes) == 1
    assert "--tile 0" in notes[0]
    _, notes = Restorer(loaded(name), tile=0).restore(Picture(levels))
    assert notes == ()


def test_blending_has_no_seam_where_there_is_no_reach():
    """Tiles of another brightness each go over into one another."""
    made, asked = pasted(lambda x: torch.full_like(x, len(seen.append(0) or seen) % 2), torch.zeros(1, 1, 64, 400), Tiling(128, 64, None))
    assert len(asked) == 6
    assert made.diff(dim=-1).abs().max() < 0.04


seen = []


def test_an_overlap_wants_room():
    with pytest.raises(UsageError, match="an overlap of 96 pixels is more than half of tiles of 160: give a smaller --overlap"):
        tiles.plan(3, 130, 70)


def test_wide_networks_get_small_tiles():
    def side(width):
        net = nn.Conv2d(3, width, 1)
        return tiles.tile_for({"G": net}, lambda x: net(x)[:, :3], 3, 64 * 2**20)

    with torch.no_grad():
        assert side(8) > side(64) > side(512) == tiles._SMALLEST
        assert side(64) ** 2 * 64 * 4 <= 64 * 2**20


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (65, 66)])
def test_sides_that_a_network_does_not_take_are_padded(size):
    class Halves:
        """Fails on odd and on small sides, as networks without padding of their own do."""

        needs, device = frozenset(), "cpu"

        def modules(self):
            return {}

        def restore(self, batch):
            x = batch.observed
            if min(x.shape[-2:]) < 16:
                raise RuntimeError("too small")
            return torch.pixel_shuffle(torch.pixel_unshuffle(x, 4), 4)

    item = loaded("identity")
    restorer = Restorer(type(item)(Halves(), item.origin))
    x = torch.rand(1, 3, *size)
    assert torch.equal(restorer._run(x), x)


def test_a_band_needs_no_more_than_its_rows():
    bands = list(tiles.bands(lambda x: x, lambda r, c: torch.ones(1, 1, r.stop - r.start, c.stop - c.start), 500, 300, Tiling(128, 32, 0)))
    assert [band.shape[1] for band in bands] == [96, 96, 96, 96, 116]
    assert Span(0, 128) in tiles.spans(500, Tiling(128, 32, 0))


LARGE = """
import resource
import sys
from pathlib import Path
import numpy as np
from bench.conformance import checks
from bench.inference.files import Found, write_png
from bench.inference.load import Loaded, Origin
from bench.inference.pictures import restore_all
from bench.inference.restorer import Restorer
from bench.spec import parse
folder = Path(sys.argv[1])
write_png(folder / "large.png", np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8))
item = Loaded(checks.make("unet", width=24), Origin(label="unet", spec=parse("unet"), task="toy"))
(done,) = restore_all(Restorer(item), [Found(folder / "large.png", Path("made"))], folder, side_by_side=False)
assert not done.error and not done.notes, done
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_picture_of_twelve_million_pixels_stays_below_two_gib(tmp_path):
    done = subprocess.run([sys.executable, "-c", LARGE, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < 2 * 2**30
