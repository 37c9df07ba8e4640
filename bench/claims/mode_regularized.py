"""Mode Regularized Generative Adversarial Networks."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import Known, TableCritic, atoms, evenly, minimise, play, rate
from bench.figure import Bars, Line, Mark, Panel, Points
from bench.method import Samples

PAPER = Paper(
    title="Mode Regularized Generative Adversarial Networks",
    authors="Che, Li, Jacob, Bengio, Li",
    venue="ICLR 2017",
    year=2017,
    arxiv="1612.02136",
    lesson="A generator learns from the samples that it draws, so a mode that it hardly draws teaches it hardly anything. An encoder "
    "changes that: every real sample, encoded and generated again, gives a gradient right at its mode, from its distance to the original "
    "and from the critic's view of it. MDGAN splits the work: one critic brings reconstructions onto the data, another spreads samples "
    "over the reconstructions.\n\n"
    "The MODE score adds to the Inception score a price for classes in wrong proportion. With the truth put into both of its terms, as it "
    "is sometimes quoted, it falls back to the Inception score.",
)


@claim(
    place="Sec. 3.2, Reg-GAN",
    statement="The encoder's loss draws reconstructions towards what the critic calls real, the more the less it calls them so.",
    predicted="slope -l (1 - sigmoid(s)) in the score s of a reconstruction",
    how="the gradient of `reg_gan`'s encoder loss (l = lambda2 = 0.4) and of `mdgan`'s manifold loss (l = 0.01), reconstruction perfect",
    tolerance=1e-12,
    deviation="the paper prints + lambda2 log D into a loss that is minimised, which would drive reconstructions away; here - lambda2",
)
def encoder_sign() -> Finding:
    """Towards the data."""
    scores, panels = torch.linspace(-8, 8, 33, dtype=torch.float64), []
    cases: dict[str, tuple[float, float]] = {}
    for name, loss, weight in (("reg_gan[lambda1=0,lambda2=0.4]", "encoder_loss", 0.4), ("mdgan[lam=0.01]", "manifold_loss", 0.01)):
        score, same = Known(lambda x: x[:, 0]), [Known(lambda x: x) for _ in range(2)]
        m, x = play(name, same[0], [score, same[1], score]), scores[:, None].clone().requires_grad_()
        slopes = torch.autograd.grad(getattr(m, loss)(Samples(x)), x)[0][:, 0] * len(x)
        expected = -weight / (1 + scores.exp())
        cases |= {f"{name.partition('[')[0]}, s = {scores[k]:g}": (float(expected[k]), float(slopes[k])) for k in (0, 8, 16, 24, 32)}
        marks: list[Mark] = [
            Line(x=scores, y=expected, label="-l (1 - sigmoid(s))", theory=True),
            Points(x=scores, y=slopes, label="measured"),
        ]
        panels.append(Panel(marks=marks, x="score of a reconstruction", y="slope", title=name))
    return Finding(cases, panels)


@claim(
    place="Sec. 3.1",
    statement="A mode drawn with a small chance e gives the generator a gradient of size e; the encoder adds one free of e.",
    predicted="-(e + l2 / 2) (1 - sigmoid(w y)) w + l1 (y - x) in the place y of that mode, data half at x, critic D = w y",
    how="the gradient of the generator's loss of `reg_gan`, G(z) one of two places by the sign of z, E(x) the sign of x; 1,000 latents",
    tolerance=1e-9,
)
def missed_modes() -> Finding:
    """Where no sample falls."""
    w, x, y, shares, cases = 1.5, 2.0, 0.5, (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0), {}
    for l1, l2 in ((0.0, 0.0), (0.2, 0.4)):
        for share in shares:
            pull = w / (1 + math.exp(w * y))
            slope = _slope_at_a_mode(f"reg_gan[lambda1={l1},lambda2={l2}]", share, w, x, y)
            cases[f"e = {share:g}" + (", with encoder" if l2 else "")] = (-(share + l2 / 2) * pull + l1 * (y - x), slope)
    alone, encoded = list(cases.values())[: len(shares)], list(cases.values())[len(shares) :]
    marks: list[Mark] = []
    for label, pairs in (("lambda 0, 0", alone), ("lambda 0.2, 0.4", encoded)):
        predicted, measured = zip(*pairs)
        marks += [Line(x=shares, y=predicted, label=label, theory=True), Points(x=shares, y=measured, label=f"{label}, measured")]
    return Finding(cases, [Panel(marks=marks, x="share of samples at the mode", y="slope in its place")])


@claim(
    place="Sec. 3.3, Alg. 1",
    statement="MDGAN's first critic tells data from reconstructions, its second reconstructions from samples.",
    predicted="p / (p + r) and r / (r + q) at each of four atoms",
    how="the manifold critic's and the critic's loss of `mdgan`, free scores, by L-BFGS; 1,000 each of data, reconstructions, samples",
    tolerance=1e-5,
)
def two_critics() -> Finding:
    """First the manifold, then its mass."""
    p, r, q = (torch.tensor(v, dtype=torch.float64) for v in ([0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.2, 0.5]))
    tables: list[nn.Module] = [TableCritic(torch.zeros(4, dtype=torch.float64)) for _ in range(3)]
    m = play("mdgan", nn.Linear(1, 1), [tables[0], nn.Linear(1, 1), tables[2]], fake=atoms(q, 1000))
    m.reconstruct = lambda x: atoms(r, 1000)
    panels, names = [], [f"atom {k}" for k in range(4)]
    cases: dict[str, tuple[float, float]] = {}
    for title, critic, loss, best in (
        ("p / (p + r)", m.M, m.manifold_critic_loss, p / (p + r)),
        ("r / (r + q)", m.D, m.critic_loss, r / (r + q)),
    ):
        minimise(functools.partial(loss, Samples(atoms(p, 1000))), critic.parameters())
        found = critic.scores.detach().sigmoid()
        cases |= {f"{title}, atom {k}": (float(best[k]), float(found[k])) for k in range(4)}
        panels.append(
            Panel(marks=[Bars(names=names, y=best, label=title, theory=True), Bars(names=names, y=found, label="trained")], y="critic")
        )
    return Finding(cases, panels)


@claim(
    place="Sec. 4, MODE score",
    statement="The MODE score falls below the Inception score where classes are missing, and is K only where all are there as in the data.",
    predicted="certain samples on k of K = 10 classes, evenly: k^2 / K if the data has all evenly, k if it has the same k; 1 for noise",
    how="`mode_score` and `class_score` with a classifier that is told its logits, 900 fakes and reals",
    tolerance=1e-6,
)
def missing_classes() -> Finding:
    """Missing modes cost twice."""
    shares = (1, 2, 3, 5, 6, 9, 10)
    cases = {f"{k} classes of 10": (k * k / 10, rate("mode_score", evenly(k), evenly(10))) for k in shares}
    cases |= {f"{k} classes of {k}": (float(k), rate("mode_score", evenly(k), evenly(k))) for k in (1, 3, 10)}
    cases["noise"] = (1.0, rate("mode_score", torch.zeros(900, 10), evenly(10)))
    predicted, measured = zip(*list(cases.values())[: len(shares)])
    marks: list[Mark] = [
        Line(x=shares, y=predicted, label="k^2 / 10", theory=True),
        Points(x=shares, y=measured, label="MODE score"),
        Points(x=shares, y=[rate("class_score", evenly(k), evenly(10)) for k in shares], label="Inception score"),
    ]
    return Finding(cases, [Panel(marks=marks, x="classes k that samples fall on", y="score")])


@claim(
    place="Sec. 4, MODE score",
    statement="With the data's p* in both terms, exp(E KL(p(y|x) || p*) - KL(p(y) || p*)), the score is the Inception score, whatever p*.",
    predicted="that form, and exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*)), written out with PyTorch's divergence",
    how="`class_score` against the first, `mode_score` against the second, on 500 fakes, 400 reals, random logits of 7 classes, one raised",
    tolerance=1e-9,
    relative=True,
    deviation="the paper has p(y) in the first term; surveys quote the form with p* in both, which cannot see what it was made to see",
)
def quoted_form() -> Finding:
    """An identity that makes a metric blind."""
    cases, tilts = {}, (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    plain, real = (2 * torch.randn(900, 7, dtype=torch.float64)).split([500, 400])
    for tilt in tilts:
        fake = plain + tilt * F.one_hot(torch.tensor(0), 7)
        each, mean, truth = fake.log_softmax(1), fake.softmax(1).mean(0).log(), real.softmax(1).mean(0).log()
        wrong = _kl(mean[None], truth)
        cases[f"p* in both, tilt {tilt:g}"] = (float((_kl(each, truth) - wrong).exp()), rate("class_score", fake, real))
        cases[f"p(y) in the first, tilt {tilt:g}"] = (float((_kl(each, mean) - wrong).exp()), rate("mode_score", fake, real))
    both, first = list(cases.values())[::2], list(cases.values())[1::2]
    marks: list[Mark] = [
        Line(x=tilts, y=[a for a, _ in both], label="p* in both", theory=True),
        Points(x=tilts, y=[b for _, b in both], label="Inception score"),
        Line(x=tilts, y=[a for a, _ in first], label="p(y) in the first", theory=True),
        Points(x=tilts, y=[b for _, b in first], label="MODE score"),
    ]
    return Finding(cases, [Panel(marks=marks, x="preference of the fakes for one class", y="score")])


def _slope_at_a_mode(spec: str, share: float, w: float, x: float, y: float) -> float:
    """The slope of the generator's loss in the place y of a mode that holds that share of 1,000 samples.

    The critic is D = w y; half of the data lies at -x, half at x.
    """
    places = nn.Parameter(torch.tensor([-1.0, y], dtype=torch.float64))
    m = play(spec, Known(lambda z: places[(z[:, 0] > 0).long()][:, None]), [Known(lambda v: w * v[:, 0]), Known(lambda v: v[:, 0].sign())])
    m.z = lambda n: torch.where(torch.arange(1000) < 1000 * share, 1.0, -1.0)[:, None]
    loss = m.generator_loss(Samples(torch.tensor([[-x], [x]], dtype=torch.float64)))
    return float(torch.autograd.grad(loss, places)[0][1])


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The mean over rows of KL(p || q)."""
    return F.kl_div(log_q.expand_as(log_p), log_p, reduction="batchmean", log_target=True)
