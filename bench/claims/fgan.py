"""f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization."""

from __future__ import annotations

import math

import torch
from torch import nn

from bench.claim import Finding, Paper, claim
from bench.claims import _divergences as table
from bench.claims._divergences import DEFINITIONS, GRID, MIXTURE, OPTIONS, normal
from bench.claims._tools import play, quantiles
from bench.figure import Bars, Line, Panel, Points
from bench.method import Samples

PAPER = Paper(
    title="f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
    authors="Nowozin, Cseke, Tomioka",
    venue="NIPS 2016",
    year=2016,
    arxiv="1606.00709",
    lesson="A convex function f with f(1) = 0 makes a divergence, D_f(P || Q) = E_Q f(p / q). Its conjugate f* turns that into a game: "
    "whatever a critic T says, E_P T - E_Q f*(T) stays below the divergence, and reaches it at T = f'(p / q). So the best critic's score "
    "estimates the divergence, and a generator that descends it descends the divergence. The GAN of 2014 is one row of this table.\n\n"
    "Where the model cannot match the data the choice of f decides what it gives up: Pearson and KL cover all of P, reverse KL and Neyman "
    "keep to a mode.",
)

P, Q = (torch.tensor(shares, dtype=torch.float64) for shares in ([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.2, 0.5]))


@claim(
    place="Sec. 2.2, Tables 2 and 6",
    statement="The conjugate f*(t) is the supremum over u > 0 of u t - f(u).",
    predicted="the supremum by search over u, where the formula misses it most; for Pearson from t = -2, below which no T* lies",
    how="f and f* of each row of `fgan`, at 61 values of its output activation",
    tolerance=1e-6,
)
def conjugates() -> Finding:
    """Each row's f* against brute force."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for name in OPTIONS:
        r = table.row(name)
        t = r.activation(torch.linspace(-6, 6, 61, dtype=torch.float64))
        t = t[t >= -2] if name == "Pearson" else t
        best, formula = table.supremum(r.f, t), r.conjugate(t)
        cases[name] = table.worst(best, formula)
        if name in ("KL", "reverse KL", "Pearson", "JS"):
            shown = (t > -3) & (t < 2)
            marks += [Line(x=t[shown], y=best[shown], theory=True), Points(x=t[shown], y=formula[shown], label=name)]
    return Finding(cases, [Panel(marks=marks, x="t", y="f*(t)")])


@claim(
    place="Sec. 2.4, Table 2",
    statement="The output activation g_f maps any number into the domain of f*, whose upper end is the limit of f(u) / u.",
    predicted="f(u) / u at u = 1e14, infinite where it still grows",
    how="g_f of each row of `fgan` at v = infinity; total variation, where f is not smooth, too",
    tolerance=1e-5,
)
def activations_fill_the_domain() -> Finding:
    """The upper end of dom f*."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    v = torch.linspace(-1, 5, 61, dtype=torch.float64)
    u = torch.tensor([1e12, 1e14], dtype=torch.float64)
    for name in OPTIONS:
        r = table.row(name)
        before, end = (r.f(u) / u).tolist()
        top = math.inf if end - before > 1 else end
        cases[name] = (top, r.activation(torch.tensor(math.inf)).item())
        if name in ("KL", "reverse KL", "Hellinger", "JS"):
            marks += [Line(x=v, y=r.activation(v), label=name), Line(x=[-1, 5], y=[top, top], theory=True)]
    return Finding(cases, [Panel(marks=marks, x="v", y="g_f(v)")])


@claim(
    place="Table 1",
    statement="Each f generates the divergence that bears its name.",
    predicted="closed forms for N(0, 1) and N(1, 1), such as e - 1 for both chi-squares; for mixtures with Q the definitions by quadrature",
    how="E_Q f(p / q) with f of each row of `fgan`, by quadrature",
    tolerance=1e-7,
    deviation="Table 1 defines the Jensen-Shannon divergence with a half; its f, which is what trains, generates twice that",
)
def divergences_of_gaussians() -> Finding:
    """D_f(N(0, 1) || N(1, 1))."""
    x = torch.linspace(-11.5, 12.5, 24_001, dtype=torch.float64)
    p, q = normal(x, 0, 1), normal(x, 1, 1)
    known = {name: float(torch.trapezoid(DEFINITIONS[name](p, q), x)) for name in ("JS", "JS, pi = 0.3", "GAN")} | {
        "TV": math.erf(1 / math.sqrt(8)), "KL": 0.5, "reverse KL": 0.5, "Jeffrey": 1.0, "Pearson": math.e - 1, "Neyman": math.e - 1,
        "Hellinger": 2 - 2 * math.exp(-1 / 8), "alpha = 0.5": 4 - 4 * math.exp(-1 / 8), "alpha = 2": (math.e - 1) / 2,
    }  # fmt: skip
    cases = {name: (known[name], float(torch.trapezoid(q * table.row(name).f(p / q), x))) for name in OPTIONS}
    return Finding(cases, [table.bars(cases, "D_f(N(0, 1) || N(1, 1))")])


@claim(
    place="Sec. 2.2, Eq. 5; Table 2",
    statement="Maximising the bound over critics finds T* = f'(p / q); where p = q that is f'(1), the threshold between real and fake.",
    predicted="the derivative in p of the divergence's definition, at the atom of four where it is missed most; f'(1) of Table 2",
    how="g_f of a free score an atom, after L-BFGS on the critic's loss of `fgan`; not TV, whose T* only infinite scores reach",
    tolerance=1e-5,
)
def optimal_critic() -> Finding:
    """T* by training."""
    at_one = {"KL": 1.0, "reverse KL": -1.0, "GAN": -math.log(2)}  # else 0
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    u = torch.linspace(0.19, 4.1, 80, dtype=torch.float64)
    for name in table.SMOOTH:
        best, (_, t) = table.slope(name, P, Q), table.best_critic(name, P, Q)
        cases |= {name: table.worst(best, t), f"{name}, p = q": (at_one.get(name, 0.0), float(t[2]))}
        if name in ("KL", "reverse KL", "Pearson", "JS"):
            marks += [Line(x=u, y=table.slope(name, u, torch.ones_like(u)), theory=True), Points(x=P / Q, y=t, label=name)]
    return Finding(cases, [Panel(marks=marks, x="p / q", y="T")])


@claim(
    place="Sec. 2.2, Eq. 4",
    statement="The best critic's score is the divergence itself.",
    predicted="D_f of two distributions on four atoms, by its definition",
    how="minus the critic's loss of `fgan` after L-BFGS on a free score an atom",
    tolerance=1e-8,
)
def tight_bound() -> Finding:
    """F at T*."""
    cases = {name: (float(DEFINITIONS[name](P, Q).sum()), table.best_critic(name, P, Q)[0]) for name in table.SMOOTH}
    return Finding(cases, [table.bars(cases, "F")])


@claim(
    place="Sec. 2.2, Eq. 4",
    statement="Whatever the critic, E_P T - E_Q f*(T) is a lower bound of the divergence.",
    predicted="no more than D_f of N(0, 1) and N(1, 1), by quadrature of its definition",
    how="the greatest of minus the critic's loss of `fgan` over 41 slopes b of critics V = a + b log p / q, on 20,000 quantiles",
    tolerance=1e-3,
    relation="<=",
)
def lower_bound() -> Finding:
    """F along a line of critics."""
    p, q = normal(GRID, 0, 1), normal(GRID, 1, 1)
    real, fake, slopes = Samples(quantiles(20_000)[:, None]), quantiles(20_000, 1)[:, None], torch.linspace(0, 2, 41).tolist()
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for name, offset in {"KL": 1, "reverse KL": 0, "Hellinger": 0, "JS": 0}.items():
        scores = [-play(table.spec(name), nn.Linear(1, 1), table.tilted(offset, b), fake=fake).losses(real)[0].item() for b in slopes]
        value = float(torch.trapezoid(DEFINITIONS[name](p, q), GRID))
        cases[name] = (value, max(scores))
        shown = [s if s > -0.4 else math.nan for s in scores]
        marks += [Line(x=slopes, y=shown, label=name), Line(x=[0, 2], y=[value, value], theory=True)]
    return Finding(cases, [Panel(marks=marks, x="b", y="E_P T - E_Q f*(T)")])


@claim(
    place="Thm. 1",
    statement="Near a saddle point where F is convex in the generator and concave in the critic, both by at least delta, Algorithm 1 with "
    "step delta / L converges geometrically: J = |grad F|^2 / 2 shrinks by 1 - delta^2 / L an update.",
    predicted="J(0) / 2^t: here delta = L = 1/2, and J's curvature is L in every direction, so the rate is attained",
    how="`train` of `fgan[divergence=pearson]`, SGD with rate 1, V = (1 - x^2) / 2 + w x, data -1 and 1, generator z + theta of the same z",
    tolerance=0.01,
    relative=True,
)
def single_step_method() -> Finding:
    """Geometric convergence."""
    found = table.approach(16)
    expected = [found[0] / 2**t for t in range(len(found))]
    panel = Panel(marks=[Line(x=range(17), y=expected, theory=True), Points(x=range(17), y=found)], x="update t", y="J", log="y")
    return Finding({f"t = {t}": (expected[t], found[t]) for t in (1, 4, 16)}, [panel])


@claim(
    place="Sec. 2.5, Table 3",
    statement="The Gaussian closest to a mixture depends on the divergence.",
    predicted="the least divergence by its definition, and the Gaussian's mean and standard deviation",
    how="the same from E_P f'(p / q) - E_Q f*(f'(p / q)) of the rows of `fgan`; quadrature; P = 0.33 N(-1, 0.065) + 0.67 N(2, 2)",
    tolerance=1e-5,
)
def best_gaussians() -> Finding:
    """The table of nine divergences."""
    cases: dict[str, tuple[float, float]] = {}
    marks = [Line(x=GRID[900:2300:5], y=MIXTURE[900:2300:5], label="P", theory=True)]
    for name in [n for n in OPTIONS if "=" not in n]:
        best = table.best_gaussian(table.defined(name))
        found = table.best_gaussian(table.variational(name))
        cases |= {f"{name}: {what}": (b, f) for what, b, f in zip(("D", "mean", "std"), best, found)}
        if name in ("Pearson", "KL", "JS", "Neyman"):
            marks.append(Line(x=GRID[900:2300:5], y=normal(GRID, *found[1:])[900:2300:5], label=name))
    return Finding(cases, [Panel(marks=marks, x="x", y="density")])


@claim(
    place="Sec. 2.5, Table 3",
    statement="From Pearson over KL, JS, Jeffrey and reverse KL to Neyman the fit moves from covering all of P to its greater mode, at 2.",
    predicted="at least the mean of the divergence before it",
    how="the mean of the best Gaussian, as in Table 3",
    relation=">=",
)
def from_mean_to_mode() -> Finding:
    """The order of divergences."""
    names = ["Pearson", "KL", "JS", "Jeffrey", "reverse KL", "Neyman"]
    means = [table.best_gaussian(table.variational(name))[1] for name in names]
    cases = {name: (before, mean) for name, before, mean in zip(names[1:], means, means[1:])}
    return Finding(cases, [Panel(marks=[Bars(names=names, y=means)], y="mean of the best Gaussian")])


@claim(
    place="Sec. 2.5, Table 3",
    statement="Algorithm 1 learns that Gaussian, and its F then estimates the divergence.",
    predicted="the least divergence by its definition, and the Gaussian's mean and standard deviation",
    how="`fgan`, critic 1-64-64-1 tanh, 1,500 updates of Adam 5e-3 decayed, stratified batches of 256; mean of the last 400 updates",
    tolerance=0.02,
    cost="slow",
)
def learned_gaussians() -> Finding:
    """The fit by training."""
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for name in ("KL", "reverse KL", "JS", "Pearson", "GAN"):
        best = table.best_gaussian(table.defined(name))
        path = table.learned_gaussian(name)  # updates x (F, mean, std)
        cases |= {f"{name}: {what}": (b, float(f)) for what, b, f in zip(("F", "mean", "std"), best, path[-400:].mean(0))}
        marks += [Line(x=path[::10, 1], y=path[::10, 2], label=name), Points(x=[best[1]], y=[best[2]], theory=True)]
    return Finding(cases, [Panel(marks=marks, x="mean", y="standard deviation")])


@claim(
    place="Sec. 2.4 and 3.2",
    statement="The GAN's row is the game of 2014: with g_f(v) = log sigmoid(v) F is E log D + E log(1 - D).",
    predicted="losses and gradients of `gan`, where they differ most; with the surrogate objective those of its non-saturating form",
    how="losses of `fgan[divergence=gan]` and their gradients, on the same networks, 256 real and 256 fake points",
    tolerance=1e-12,
)
def game_of_2014() -> Finding:
    """One row against another method."""
    G, D = nn.Linear(2, 2).double(), nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    z, real = torch.randn(256, 2, dtype=torch.float64), Samples(torch.randn(256, 2, dtype=torch.float64))
    cases: dict[str, tuple[float, float]] = {}
    marks: list[Line | Points] = []
    for form, surrogate in (("saturating", False), ("nonsaturating", True)):
        ours, theirs = play(f"fgan[divergence=gan,surrogate={surrogate}]", G, D), play(f"gan[adversarial={form}]", G, D)
        ours.z = theirs.z = lambda n: z
        both = zip(("critic", "generator"), (theirs.critic_loss(real), theirs.generator_loss(real)), ours.losses(real), (D, G))
        for player, expected, found, network in both:
            cases[f"{form}: {player}"] = (expected.item(), found.item())
            a, b = table.gradient(expected, network), table.gradient(found, network)
            cases[f"{form}: {player}'s gradient"] = table.worst(a, b)
            marks += [Line(x=[a.min(), a.max()], y=[a.min(), a.max()], theory=True), Points(x=a, y=b, label=f"{form}, {player}")]
    return Finding(cases, [Panel(marks=marks, x="gradient of `gan`", y="gradient of `fgan`")])
