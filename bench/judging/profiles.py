"""Which PSNR and SSIM a paper or benchmark means: named pairs of metric specs."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from bench.errors import Unavailable, UsageError
from bench.metric import ImageMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """Specs of the two metrics as the source computes them."""

    psnr: str
    ssim: str
    source: str


PROFILES: dict[str, Profile] = {
    "default": Profile(psnr="psnr", ssim="ssim", source="RGB, 8 bits, whole image; SSIM as in Wang et al. 2004"),
    "gopro_rgb": Profile(psnr="psnr", ssim="ssim", source="GoPro tables since Nah et al. (DeepDeblur-PyTorch): RGB, one MSE"),
    "deblurgan": Profile(psnr="psnr[quantize=trunc]", ssim="cw_ssim[quantize=trunc]", source="released DeblurGAN and DeblurGAN-v2 scripts"),
    "kohler": Profile(
        psnr="psnr[channel=y601_full,quantize=none]",
        ssim="ms_ssim_wavelet[quantize=none]",
        source="Koehler et al. 2012: rounded, then fitted to each frame by the task, the best counts",
    ),
    "srgan_daala": Profile(psnr="psnr[border=4,channel=y601_uint8]", ssim="ssim_daala[border=4]", source="SRGAN Table 2: 8-bit Y"),
    "sr_y4_wang": Profile(
        psnr="psnr[border=4,channel=y601]",
        ssim="ssim[border=4,channel=y601]",
        source="x4 tables since (BasicSR): Y not rounded",
    ),
    "sr_y4_uint8": Profile(
        psnr="psnr[border=4,channel=y601_uint8]",
        ssim="ssim[border=4,channel=y601_uint8]",
        source="x4 tables of MATLAB code (SelfExSR and before): Y of 8 bits for both",
    ),
    "srgan_rgb": Profile(psnr="psnr[quantize=none]", ssim="ssim[boundary=zero,quantize=none]", source="leftthomas' SRGAN: RGB floats"),
    "bsd68": Profile(psnr="psnr[channel=gray]", ssim="ssim[channel=gray]", source="gray denoising tables (DnCNN): 8-bit output"),
    "ct_window": Profile(psnr="psnr_hu", ssim="ssim_hu", source="WGAN-VGG (SSinyu): clipped to -160..240 HU, data range 400, floats"),
}


EVERY = "all"
"""In place of a profile: PSNR and SSIM of all of them."""


def every_convention() -> dict[str, str]:
    """Column -> spec of each PSNR and SSIM of a profile for photographs, once."""
    specs = [spec for p in PROFILES.values() for spec in (p.psnr, p.ssim) if not spec.endswith("_hu")]
    return {spec: spec for spec in specs}


def specs_of(metrics: tuple[str, ...], name: str) -> dict[str, str]:
    """Column -> spec: "psnr" and "ssim" as the profile means them, or as each of them does. Raises like `profile`."""
    if name == EVERY:
        return {column: column for column in metrics if column not in ("psnr", "ssim")} | every_convention()
    convention = profile(name)
    return {column: {"psnr": convention.psnr, "ssim": convention.ssim}.get(column, column) for column in metrics}


def require_size(metric: ImageMetric, x: Tensor, name: str = "") -> None:
    """Raise Unavailable where a metric cannot be computed on a picture (1 x C x H x W), which most often is too small."""
    try:
        metric(x, x)
    except UsageError as error:
        raise Unavailable(f"{name}: {error}" if name else str(error)) from error


def profile(name: str) -> Profile:
    """A profile by name.

    Raises:
        UsageError: no such profile; the message names the known ones.
    """
    if name not in PROFILES:
        raise UsageError(f"unknown profile {name!r}; known: {', '.join(PROFILES)}, {EVERY}")
    return PROFILES[name]
