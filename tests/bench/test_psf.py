import numpy as np
import pytest
import scipy.ndimage
import torch

from bench.errors import UsageError
from bench.operators.psf import convolve, correlate, crop, pad, psf_to_otf

SCIPY_MODE = {"reflect": "mirror", "replicate": "nearest", "circular": "wrap", "constant": "constant"}


ROUNDING = 32 * torch.finfo(torch.float32).eps
"""Of a Fourier transform of 4000 numbers in [0, 1] and back: about a unit in the last place for each of its 24 stages."""


def images_and_kernels(k, n=3, size=(40, 47)):
    rng = torch.Generator().manual_seed(k)
    psf = torch.rand(n, k, k, generator=rng)
    return torch.rand(n, 2, *size, generator=rng), psf / psf.sum((1, 2), keepdim=True)


@pytest.mark.parametrize("k", [1, 3, 11, 13, 25])  # on both sides of the switch from direct to Fourier
@pytest.mark.parametrize("boundary", SCIPY_MODE)
def test_convolve_is_scipys_image_by_image(k, boundary):
    images, psf = images_and_kernels(k)
    want = np.stack(
        [
            [scipy.ndimage.convolve(c, h, mode=SCIPY_MODE[boundary]) for c in x]
            for x, h in zip(images.double().numpy(), psf.double().numpy())
        ]
    )
    np.testing.assert_allclose(convolve(images, psf, boundary).numpy(), want, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("k", [5, 21])
def test_an_impulse_becomes_the_kernel(k):
    _, psf = images_and_kernels(k)
    impulse = torch.zeros(3, 1, 47, 47)
    impulse[..., 23, 23] = 1
    torch.testing.assert_close(crop(convolve(impulse, psf), 23 - k // 2)[:, 0], psf, atol=1e-6, rtol=0)


@pytest.mark.parametrize("boundary", ["circular", "constant"])
@pytest.mark.parametrize("k", [5, 21])
def test_correlate_is_the_adjoint(k, boundary):
    x, psf = images_and_kernels(k)
    y = torch.rand_like(x)
    left, right = (convolve(x, psf, boundary) * y).sum(), (x * correlate(y, psf, boundary)).sum()
    torch.testing.assert_close(left, right)


def test_one_kernel_serves_all():
    images, psf = images_and_kernels(5)
    torch.testing.assert_close(convolve(images, psf[:1]), convolve(images, psf[:1].expand(3, -1, -1)))


@pytest.mark.parametrize("k", [1, 5, 21])
def test_otf_is_circular_convolution(k):
    images, psf = images_and_kernels(k)
    size = tuple(images.shape[-2:])
    got = torch.fft.irfft2(torch.fft.rfft2(images) * psf_to_otf(psf, size).unsqueeze(1), s=size)
    torch.testing.assert_close(got, convolve(images, psf, "circular"), atol=ROUNDING, rtol=0)


def test_crop_undoes_pad():
    images, _ = images_and_kernels(1)
    assert torch.equal(crop(pad(images, 7), 7), images)
    assert torch.equal(crop(pad(images, 0), 0), images)
    np.testing.assert_array_equal(pad(images, 7).numpy(), np.pad(images.numpy(), ((0, 0), (0, 0), (7, 7), (7, 7)), mode="reflect"))


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 5, 3), (2, 5, 5), (5, 5)])
def test_kernels_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(UsageError, match="cannot convolve images"):
        convolve(torch.rand(3, 1, 20, 20), torch.rand(shape))


def test_a_kernel_too_large_for_the_picture_is_refused():
    with pytest.raises(UsageError, match="cannot be padded by 8"):
        convolve(torch.rand(1, 1, 8, 20), torch.rand(1, 17, 17))
    with pytest.raises(UsageError, match="does not fit"):
        psf_to_otf(torch.rand(1, 17, 17), (16, 20))
