"""Improved Training of Generative Adversarial Networks Using Representative Features."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from bench.claim import Finding, Paper, claim
from bench.claims._tools import play
from bench.figure import Bars, Line, Panel
from bench.method import Samples
from methods.networks.backbones import Critic, MLPGenerator, conv_critic, mlp_critic

PAPER = Paper(
    title="Improved Training of Generative Adversarial Networks Using Representative Features",
    authors="Bang, Shim",
    venue="ICML 2018",
    year=2018,
    arxiv="1801.09195",
    lesson="A critic keeps only what tells today's samples from data and forgets the rest, and what it forgets the generator may drop. "
    "The encoder of an autoencoder, trained on real data alone, must represent all of it. RFGAN fixes that encoder and shows its features "
    "to the critic beside the critic's own: no game can make it forget them, yet their gradient reaches the generator.",
)


@claim(
    place="Sec. 3.2",
    statement="Once the autoencoder is trained the encoder stays as it is, while the critic's own features go on learning.",
    predicted="no change of the encoder's weights, or of its batch statistics, over the game",
    how="`rf_gan` on a two-dimensional Gaussian, 20 updates of the autoencoder, 20 of the game: the largest change since update 20",
)
def fixed_encoder() -> Finding:
    """What the game cannot touch."""
    encoder = Critic(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU()), 8, outputs=2)
    networks: list[nn.Module] = [MLPGenerator(2, (2,), (8,)) for _ in range(2)]
    m = play('rf_gan[steps=40,pretrain=0.5,optimizer="adam[lr=1e-2]"]', networks, [encoder, mlp_critic((2,), (8,))], shape=(2,), z_dim=2)
    data = (Samples(torch.randn(32, 2) + 1) for _ in itertools.count())
    parts: dict[str, list[Tensor]] = {
        "encoder": [*encoder.parameters()],
        "its batch statistics": [b for b in encoder.buffers() if b.dim()],
        "critic": [*m.D.critic.parameters()],
    }
    paths = {name: [_flat(tensors)] for name, tensors in parts.items()}
    for _ in m.train(data):
        for name, tensors in parts.items():
            paths[name].append(_flat(tensors))
    since = {name: [float((v - path[20]).abs().max()) for v in path[20:]] for name, path in paths.items()}
    cases = {name: (0.0, max(since[name])) for name in ("encoder", "its batch statistics")}
    cases["critic stood still"] = (0.0, float(paths["critic"][-1].equal(paths["critic"][20])))
    cases["encoder stood still before"] = (0.0, float(paths["encoder"][20].equal(paths["encoder"][0])))
    marks = [Line(x=range(41), y=[(v - path[0]).norm() for v in path], label=name) for name, path in paths.items()]
    return Finding(cases, [Panel(marks=marks, x="update", y="distance from the start")])


@claim(
    place="Sec. 3.2",
    statement="The critic judges both kinds of features at once, and the gradient of both reaches the generator.",
    predicted="A' u + B' w in the sample, for linear encoder A, linear critic B and a head (u, w); a fixed encoder's part stays whatever w",
    how="the gradient of the critic of `rf_gan` by a sample, after the encoder is fixed, three dimensions",
    tolerance=1e-12,
)
def gradient_of_both() -> Finding:
    """Fixed, not deaf."""
    m, (A, B) = _linear(), (torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64))
    m.D.encoder.body.weight.data, m.D.critic.body.weight.data = A, B
    m.freeze()
    panels = []
    cases: dict[str, tuple[float, float]] = {}
    for name, share in (("both", 1.0), ("without the critic's own", 0.0)):
        head = torch.cat([torch.randn(4, dtype=torch.float64), share * torch.randn(5, dtype=torch.float64)])
        m.D.critic.head.weight.data = head[None]
        x = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
        expected, found = A.T @ head[:4] + B.T @ head[4:], torch.autograd.grad(m.D(x).sum(), x)[0][0]
        cases |= {f"{name}: {k}": (float(expected[k]), float(found[k])) for k in range(3)}
        names = ["x_0", "x_1", "x_2"]
        marks = [Bars(names=names, y=expected, label="A' u + B' w", theory=True), Bars(names=names, y=found, label="measured")]
        panels.append(Panel(marks=marks, y="derivative of the score", title=name))
    return Finding(cases, panels)


@claim(
    place="Sec. 3.2, Fig. 1",
    statement="Without the encoder's half of the head the critic is the plain one.",
    predicted="the losses of `gan` with the same critic, and its gradient in the critic's features",
    how="the critic's and the generator's loss of `rf_gan` with that half 0, 16 real and 16 fake pictures of 16 x 16",
    tolerance=1e-9,
)
def plain_without_the_encoder() -> Finding:
    """One added idea, and no other."""
    real, fake = (torch.rand(16, 1, 16, 16, dtype=torch.float64) for _ in range(2))
    critics = [conv_critic((1, 16, 16), ndf=8).double() for _ in range(2)]
    plain = play("gan", nn.Linear(1, 1), critics[1], fake=fake)
    slopes = [
        float(plain.critic_loss(Samples(real)).detach()),
        float(plain.generator_loss(Samples(real)).detach()),
        *_slopes(plain, critics[1], real),
    ]
    head = critics[1].head
    assert isinstance(head, nn.Linear)
    m = play("rf_gan", [nn.Linear(1, 1), nn.Linear(1, 1)], [*critics], fake=fake)
    m.D.critic.head = nn.Linear(2 * critics[1].features, 1, dtype=torch.float64)
    m.D.critic.head.weight.data = torch.cat([torch.zeros_like(head.weight), head.weight], 1).detach()  # the encoder's half comes first
    m.D.critic.head.bias.data = head.bias.detach()
    found = [float(m.critic_loss(Samples(real)).detach()), float(m.generator_loss(Samples(real)).detach()), *_slopes(m, critics[1], real)]
    names = ["critic's loss", "generator's loss", "gradient of layer 1", "gradient of layer 2"]
    cases = {name: (a, b) for name, a, b in zip(names, slopes, found)}
    short = ["critic", "generator", "layer 1", "layer 2"]
    marks = [Bars(names=short, y=slopes, label="gan", theory=True), Bars(names=short, y=found, label="rf_gan")]
    return Finding(cases, [Panel(marks=marks, y="loss or norm of a gradient")])


@claim(
    place="Sec. 4, 64 x 64 networks",
    statement="The head reads the last maps of both bodies, 4 x 4 x 512 each.",
    predicted="2 * 4 * 4 * 512 inputs",
    how="the head of `rf_gan`'s critic over two convolutional bodies of 64, 128, 256 and 512 channels, 64 x 64 pixels",
)
def size_of_the_head() -> Finding:
    """Sixteen thousand numbers."""
    with torch.device("meta"):
        bodies: list[Any] = [conv_critic((3, 64, 64), ndf=64) for _ in range(2)]
        features = [critic.represent(torch.empty(1, 3, 64, 64)).shape[1] for critic in bodies]
        m = play("rf_gan", [nn.Linear(1, 1), nn.Linear(1, 1)], [*bodies])
    cases = {
        "inputs of the head": (2.0 * 4 * 4 * 512, float(m.D.critic.head.in_features)),
        "features": (2.0 * 4 * 4 * 512, float(sum(features))),
    }
    marks = [Bars(names=list(cases), y=[a for a, _ in cases.values()], label="2 * 4 * 4 * 512", theory=True)]
    return Finding(cases, [Panel(marks=[*marks, Bars(names=list(cases), y=[b for _, b in cases.values()], label="here")], y="numbers")])


def _linear() -> Any:
    """`rf_gan` with linear bodies: an encoder of 4 features and a critic of 5, of 3 dimensions."""
    bodies = [Critic(nn.Linear(3, n, bias=False), n) for n in (4, 5)]
    m = play("rf_gan", [nn.Linear(3, 3), nn.Linear(3, 3)], [*bodies], shape=(3,), z_dim=3)
    m.D.double()
    return m


def _slopes(m: Any, critic: Critic, real: Tensor) -> list[float]:
    """Norms of the gradient of the critic's loss by the weights of the first two layers."""
    weights = [p for p in critic.body.parameters() if p.dim() == 4][:2]
    return [float(g.norm()) for g in torch.autograd.grad(m.critic_loss(Samples(real)), weights)]


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.detach().flatten().double() for t in tensors])
