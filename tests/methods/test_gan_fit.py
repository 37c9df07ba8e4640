"""f-GAN's Gaussian fit (Sec. 2.4 of the paper) with the method as it stands: minutes."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bench import registry
from bench.method import Samples

OPTIMA = {  # divergence, mu, sigma at the best Gaussian, by quadrature
    "kl": (0.2831, 1.0100, 1.8307), "reverse_kl": (0.2482, 1.5781, 1.6312), "js": (0.1281, 1.3068, 1.7540),
    "pearson": (0.6458, 0.5737, 1.9273), "gan": (-1.2582, 1.3068, 1.7540), "hellinger": (0.1347, 1.3129, 1.7326),
    "jeffrey": (0.5708, 1.3216, 1.7029),
}  # fmt: skip


def _strata(n, rng=None):
    """One uniform number in each n-th of (0, 1): batches with the right distribution and less noise."""
    return ((torch.arange(n) + torch.rand(n, generator=rng)) / n).clamp(1e-6, 1 - 1e-6)[:, None]


def _mixture(rng):
    """0.33 N(-1, var 0.065) + 0.67 N(2, var 2), without end."""
    while True:
        u = _strata(512, rng)
        low, high = torch.special.ndtri(u / 0.33), torch.special.ndtri((u - 0.33) / 0.67)
        yield Samples(torch.where(u < 0.33, math.sqrt(0.065) * low - 1, math.sqrt(2) * high + 2))


def _task():
    def generator():
        G = nn.Linear(1, 1)
        nn.init.ones_(G.weight)  # sigma
        nn.init.zeros_(G.bias)  # mu
        return G

    def critic():
        return nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    return SimpleNamespace(device=torch.device("cpu"), shape=(1,), z_dim=1, generator=generator, critic=critic)


def _clip(opt, params, bound):
    def hook(*_):
        nn.utils.clip_grad_norm_(params, bound)

    opt.register_step_pre_hook(hook)


@pytest.mark.slow
@pytest.mark.parametrize("divergence", OPTIMA)
def test_the_learned_gaussian_is_the_best_one(divergence):
    torch.manual_seed(0)
    m = registry.make(
        "method",
        f'fgan[divergence={divergence},batch_size=512,steps=4000,optimizer="adam[lr=5e-3,betas=(0.5,0.999)]",'
        'schedule="linear_decay[start=0.5,end=0.04]"]',
    )(_task())
    m.z = lambda n: torch.special.ndtri(_strata(n))
    for network, opt, bound in ((m.D, m.opt_d, 10.0), (m.G, m.opt_g, 1.0)):
        _clip(opt, list(network.parameters()), bound)
    trace = []
    for log in m.train(_mixture(torch.Generator().manual_seed(0))):
        if m.t > 3000:
            trace.append(torch.stack([-log["critic"], m.G.bias.detach()[0], m.G.weight.detach()[0, 0].abs()]))
    bound, mu, sigma = torch.stack(trace).mean(0).tolist()
    best, best_mu, best_sigma = OPTIMA[divergence]
    assert mu == pytest.approx(best_mu, abs=0.03)
    assert sigma == pytest.approx(best_sigma, abs=0.03)
    assert best - 0.03 < bound < best + 0.01
