"""Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.errors import Unavailable
from bench.figure import Bars, Line, Mark, Panel, Points
from bench.method import Batch
from bench.metric import ImageMetric
from datasets.reading.files import bundled
from datasets.reading.pixels import read_image
from methods.networks.image_nets import UNet
from methods.networks.srresnet import Generator

PAPER = Paper(
    title="Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
    authors="Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi",
    venue="CVPR 2017",
    year=2017,
    arxiv="1609.04802",
    lesson="A network works on the small picture and only its last layers enlarge it: r^2 channels become one of r times the height and "
    "width. Trained for squared error alone it draws the mean of all pictures that would explain what it sees, which is blurred; an "
    "adversarial loss makes it choose one of them.\n\n"
    "Its tables also show what a number owes to its protocol. They hold the luma of digital television, a shaved border, and a video "
    "codec's SSIM; other lumas move the PSNR by 1.3 dB, other windows the SSIM by .01 and more, on the very same pictures.",
)

_FOUR = ("bicubic", "nearest")


@claim(
    place="Sec. 2.1, after Shi et al. 2016",
    statement="The sub-pixel layer moves channel c r^2 + i r + j to row i and column j of each r x r block of channel c.",
    predicted="y[c, r h + i, r w + j] = x[c r^2 + i r + j, h, w]",
    how="the output of `UNet`, less its input, where the layer before its shuffle is a bias of 0 ... 11 a channel",
    tolerance=1e-6,
)
def sub_pixel_layer() -> Finding:
    """From channels to pixels."""
    net, x = UNet(3, width=2), torch.rand(1, 3, 8, 8)
    net.leave.bias = torch.nn.Parameter(torch.arange(12.0))
    y = (net(x) - x)[0].detach()
    places = [(c, i, j) for c in range(3) for i in range(2) for j in range(2)]
    cases = {f"c = {c}, i = {i}, j = {j}": (4.0 * c + 2 * i + j, float(y[c, 4 + i, 2 + j])) for c, i, j in places}
    predicted, found = zip(*cases.values())
    marks: list[Mark] = [
        Line(x=range(12), y=predicted, label="c r^2 + i r + j", theory=True),
        Points(x=range(12), y=found, label="measured"),
    ]
    return Finding(cases, [Panel(marks=marks, x="place in the block, by channel", y="channel it came from")])


@claim(
    place="Sec. 3.2",
    statement="PSNR on the luma of digital television (16 to 235 of 255) is higher than on full-range luma by a constant.",
    predicted="20 log10(255 / 219) = 1.322 dB",
    how="`psnr[channel=y601]` less `psnr[channel=y601_full]`, nothing rounded, of a photo under noise, a blur and a shift in brightness",
    tolerance=1e-4,
)
def luma_offset() -> Finding:
    """Decibels for free."""
    x = _photo()
    spoilt = {"noise": x + 0.05 * torch.randn(x.shape), "blur": _blurred(x), "brightness": x * 0.9}
    offset = 20 * math.log10(255 / 219)
    psnr = {c: _metric(f"psnr[channel={c},quantize=none]") for c in ("y601", "y601_full", "rgb")}
    found = {name: {channel: float(metric(y, x)) for channel, metric in psnr.items()} for name, y in spoilt.items()}
    bars = [Bars(names=list(spoilt), y=[row[channel] for row in found.values()], label=channel) for channel in psnr]
    return Finding({name: (offset, row["y601"] - row["y601_full"]) for name, row in found.items()}, [Panel(marks=bars, y="PSNR, dB")])


@claim(
    place="Sec. 3.2",
    statement="SSIM is a family: each convention is another number on the same two pictures.",
    predicted="scikit-image's numbers under the same conventions",
    how="`ssim` of a photo under a blur of 9 pixels: window and covariance; colours, border and daala's in the figure",
    tolerance=1e-9,
)
def similarity_conventions() -> Finding:
    """One pair of pictures, many numbers."""
    from skimage.metrics import structural_similarity

    x = _photo()
    y, x = ((image.double() * 255).round() / 255 for image in (_blurred(x), x))
    a, b = (image[0].permute(1, 2, 0).numpy() for image in (y, x))
    gaussian = {"gaussian_weights": True, "sigma": 1.5}
    conventions = {
        "Gaussian window": ("ssim", {**gaussian, "use_sample_covariance": False}),
        "Gaussian, sample covariance": ("ssim[cov=sample]", gaussian),
        "uniform window": ("ssim[window=uniform7,cov=sample]", {}),
    }
    cases = {
        name: (float(structural_similarity(a, b, data_range=1.0, channel_axis=-1, **options)), float(_metric(spec)(y, x)))
        for name, (spec, options) in conventions.items()
    }
    others = {"padded with zeros": "ssim[boundary=zero]", "on luma": "ssim[channel=y601_uint8]", "daala, on luma": "ssim_daala"}
    found = {**{name: pair[1] for name, pair in cases.items()}, **{name: float(_metric(spec)(y, x)) for name, spec in others.items()}}
    usual, *rest = found.values()
    return Finding(
        cases, [Panel(marks=[Bars(names=list(found)[1:], y=[value - usual for value in rest])], y="SSIM less that of the Gaussian window")]
    )


@claim(
    place="Table 2, Set5",
    statement="Enlarged four times, Set5 has a PSNR of 28.43 dB (bicubic) and 26.26 dB (nearest).",
    predicted="the table's numbers",
    how="`psnr[channel=y601_uint8,border=4]` of the methods `bicubic` and `nearest`, mean over the five pictures",
    tolerance=0.02,
)
def psnr_of_interpolation() -> Finding:
    """Published rows, decibels."""
    return _table({"bicubic": 28.43, "nearest": 26.26}, "psnr[channel=y601_uint8,border=4]", {}, "PSNR, dB")


@claim(
    place="Table 2, Set5",
    statement="Enlarged 4 x, Set5 has an SSIM of 0.8211 (bicubic) and 0.7552 (nearest): by daala; the usual SSIM is 0.01 lower or more.",
    predicted="the table's numbers",
    how="`ssim_daala[border=4]` of the same; the usual `ssim` beside it in the figure",
    tolerance=0.0015,
)
def ssim_of_interpolation() -> Finding:
    """Published rows, similarity."""
    return _table({"bicubic": 0.8211, "nearest": 0.7552}, "ssim_daala[border=4]", {"usual": "ssim[channel=y601_uint8,border=4]"}, "SSIM")


@claim(
    place="Fig. 4",
    statement="The generator has 1.55 million parameters.",
    predicted="the sum over its layers: 9 x 9 at both ends, 33 of 3 x 3 with batch norms, two sub-pixel ones, and a slope a PReLU",
    how="parameters of the network of `srresnet` and `srgan`",
)
def parameters() -> Finding:
    """The network, layer by layer."""
    ends, wide, norm = (81 * 3 + 1) * 64 + (81 * 64 + 1) * 3, (9 * 64 + 1) * 64, 2 * 64
    expected = ends + 1 + 16 * (2 * (wide + norm) + 1) + wide + norm + 2 * ((9 * 64 + 1) * 256 + 1)
    found = sum(p.numel() for p in Generator(scale=4).parameters())
    bars = [Bars(names=["generator"], y=[expected], label="by layers", theory=True), Bars(names=["generator"], y=[found], label="built")]
    return Finding({"": (float(expected), float(found))}, [Panel(marks=bars, y="parameters")])


def _metric(spec: str) -> ImageMetric:
    metric: ImageMetric = registry.make("metric", spec)
    return metric


def _photo() -> Tensor:
    """1 x 3 x 200 x 200."""
    return read_image(bundled("skimage/data/astronaut.png"))[None, :, :200, 100:300]


def _blurred(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(x, (4, 4, 0, 0), mode="reflect"), (1, 9), stride=1)


def _table(rows: dict[str, float], spec: str, others: dict[str, str], unit: str) -> Finding:
    """Means over Set5 beside a row of the table, and the same of other metrics for the figure."""
    pairs = _set5()
    found = {
        name: [sum(float(_metric(metric)(_enlarged(small, row), large)) for small, large in pairs) / len(pairs) for row in rows]
        for name, metric in {"measured": spec, **others}.items()
    }
    bars = [Bars(names=list(rows), y=y, label=name) for name, y in found.items()]
    published = Bars(names=list(rows), y=rows.values(), label="published", theory=True)
    return Finding({row: (rows[row], m) for row, m in zip(rows, found["measured"])}, [Panel(marks=[published, *bars], y=unit)])


def _enlarged(small: Tensor, how: str) -> Tensor:
    enlarged: Tensor = registry.make("method", how)(SimpleNamespace(scale=4)).restore(Batch(small))
    return enlarged


def _set5() -> list[tuple[Tensor, Tensor]]:
    """(small, large) pictures, 1 x 3 x H x W.

    Raises:
        Unavailable: the data folder, or Set5 in it, is absent.
    """
    root = os.environ.get("GANBENCH_DATA")
    if not root or not (large := sorted(Path(root, "set5_x4").glob("img_*_SRF_4_HR.png"))):
        raise Unavailable("Set5 not found: expected set5_x4/img_*_SRF_4_HR.png and _LR.png below GANBENCH_DATA")
    return [(read_image(Path(str(file).replace("_HR", "_LR")))[None], read_image(file)[None]) for file in large]
