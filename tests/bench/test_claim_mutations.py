"""Claims guard the code: each deliberate breakage of a method, loss, penalty, initialiser or metric turns a claim red."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from bench import claim as claims
from bench.metrics import mode_score
from methods import elbo, penalties
from methods.gan import (
    _divergences,
    fgan,
    gradient_regularized_gan,
    historical_averaging_gan,
    infogan,
    instance_noise_gan,
    minibatch_discrimination_gan,
    mix_gan,
    r3gan,
    reg_gan,
    unrolled_gan,
    virtual_batchnorm_gan,
)
from methods.inits import lsuv
from methods.losses.adversarial import nonsaturating, relativistic_pairing, saturating, wgan, wgan_gp
from methods.vae import linear_vae, vae

CLAIMS = {c.id: c for chapter in claims.chapters() for c in chapter.claims}


def _squared_norm(D, x):
    """A gradient norm whose root was forgotten."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def _cut_norm(D, x):
    """A gradient norm without `create_graph`."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x)
    return (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()


def _wgan_gp_halved(loss, D, real, fake):
    return D(fake).mean() - D(real).mean() + loss.gp / 2 * penalties.gradient_penalty(D, real, fake)


def _regularised(power, graph):
    def generator_loss(m, batch):
        v = -m.adversarial.critic(m.D, batch.x, m.fake(len(batch)))
        gradients = torch.autograd.grad(v, list(m.D.parameters()), create_graph=graph, retain_graph=True)
        return v + m.hp.eta * torch.stack([g.square().sum() for g in gradients]).sum() ** power

    return generator_loss


def _plus_log_d(m, batch):
    """Reg-GAN's encoder term as printed, with the wrong sign."""
    y = m.G(m.E(batch.x).reshape(len(batch), -1))
    return m.hp.lambda1 * F.mse_loss(y, batch.x) - m.hp.lambda2 * m.adversarial.generator(m.D, y, batch.x)


_unroll, _information = unrolled_gan.UnrolledGAN.unroll, infogan.InfoGAN.information
_BREAKAGES = [
    ("gan/generator_gradients", saturating.Saturating, "generator", lambda loss, D, y: F.softplus(D(y)).mean()),
    ("gan/descent_finds_the_data", saturating.Saturating, "generator", lambda loss, D, y: F.softplus(D(y)).mean()),
    ("gan/optimal_critic", nonsaturating.NonSaturating, "critic", lambda loss, D, x, y: F.softplus(D(y)).mean()),
    ("gan/value_under_the_best_critic", nonsaturating.NonSaturating, "critic",
     lambda loss, D, x, y: (F.softplus(-D(x)) + F.softplus(D(y))).mean() / 2),
    ("wgan/clipping_sets_the_scale", wgan.WGAN, "constrain", lambda loss, D: None),
    ("wgan/gradient_of_the_distance", wgan.WGAN, "generator", lambda loss, D, y: D(y).mean()),
    ("wgan_gp/penalty_of_a_linear_critic", penalties, "gradient_norm", _squared_norm),
    ("wgan_gp/price_of_a_soft_constraint", penalties, "gradient_norm", _cut_norm),
    ("wgan_gp/price_of_a_soft_constraint", wgan_gp.WGANGP, "critic", _wgan_gp_halved),
    ("principled_methods/noise_gives_a_gradient", instance_noise_gan.InstanceNoiseGAN, "noisy", lambda m, x: m.D(x)),
    ("gradient_descent_is_locally_stable/regularised_eigenvalues", gradient_regularized_gan.GradientRegularizedGAN, "generator_loss",
     _regularised(0.5, True)),
    ("gradient_descent_is_locally_stable/regularised_eigenvalues", gradient_regularized_gan.GradientRegularizedGAN, "generator_loss",
     _regularised(1, False)),
    ("r3gan/eigenvalues", r3gan.R3GAN, "penalty", lambda m, x: 2 * penalties.zero_centred_penalty(m.D, x)),
    ("r3gan/eigenvalues", relativistic_pairing.RelativisticPairing, "generator", lambda loss, D, y, x: F.softplus(D(y) - D(x)).mean()),
    ("unrolled_gan/looking_ahead_damps", unrolled_gan.UnrolledGAN, "unroll", lambda m, x, y: _unroll(m, x, y.detach())),
    ("mode_regularized/encoder_sign", reg_gan.RegGAN, "encoder_loss", _plus_log_d),
    ("mode_regularized/quoted_form", mode_score.ModeScore, "compare", lambda metric, fake, real: {"mode_score": 1.0}),
    ("improved_techniques/historical_averaging", historical_averaging_gan.HistoricalAveragingGAN, "drift",
     lambda m, network, average: 0.0 * m.hp.weight),
    ("improved_techniques/minibatch_features", minibatch_discrimination_gan._Minibatch, "closeness",
     lambda layer, m: torch.exp(-torch.cdist(m, m))),
    ("improved_techniques/virtual_batch_norm", virtual_batchnorm_gan._VirtualBatchNorm, "_mixed", lambda layer, own, reference: own),
    ("generalization_and_equilibrium/entropy_gradient", mix_gan._Mixture, "entropy", lambda mixture: -(mixture.weights + 1e-6).log().sum()),
    ("infogan/gap", infogan.InfoGAN, "information", lambda m, q, z: _information(m, q, z) - math.log(m.hp.categories)),
    ("fgan/single_step_method", fgan.FGAN, "losses", lambda m, batch: (lambda c, g: (c, -g))(*fgan_losses(m, batch))),
    ("vae/closed_kl", elbo, "kl", lambda mean, log_variance: (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)),
    ("linear_vae/best_bound_is_pca", linear_vae, "kl",
     lambda mean, log_variance: (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)),
    ("lsuv/unit_variance", lsuv.LSUV, "fit", lambda init, layers, forward: None),
]  # fmt: skip
fgan_losses = fgan.FGAN.losses


@pytest.mark.parametrize(("name", "owner", "attribute", "broken"), _BREAKAGES, ids=[f"{i}-{b[0]}" for i, b in enumerate(_BREAKAGES)])
def test_a_breakage_turns_its_claim_red(name, owner, attribute, broken, monkeypatch):
    monkeypatch.setattr(owner, attribute, broken)
    if owner is elbo:
        monkeypatch.setattr(vae, "kl", broken)
    assert CLAIMS[name].check().verdict == "fails"


@pytest.mark.parametrize(
    ("name", "divergence", "changes"),
    [
        ("fgan/conjugates", "kl", {"conjugate": lambda t: t.exp()}),
        ("fgan/tight_bound", "kl", {"composed": lambda v: v.exp()}),
        ("fgan/activations_fill_the_domain", "reverse_kl", {"activation": lambda v: -v.exp()}),
        ("fgan/game_of_2014", "gan", {"composed": lambda v: F.softplus(-v)}),
        ("fgan/best_gaussians", "pearson", {"slope": lambda u: u - 1}),
    ],
)
def test_a_wrong_row_of_the_table_of_divergences_turns_its_claim_red(name, divergence, changes, monkeypatch):
    row = _divergences.DIVERGENCES[divergence]
    monkeypatch.setitem(_divergences.DIVERGENCES, divergence, dataclasses.replace(row, **changes))
    assert CLAIMS[name].check().verdict == "fails"
