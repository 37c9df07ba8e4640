"""Flow matching: noise follows straight lines to samples, and a network learns their velocity.

Lipman, Chen, Ben-Hamu, Nickel, Le. Flow Matching for Generative Modeling. ICLR 2023, arXiv:2210.02747.
Tong, Fatras, Malkin, Huguet, Zhang, Rector-Brooks, Wolf, Bengio. Improving and Generalizing Flow-Based Generative Models with Minibatch
Optimal Transport. TMLR 2024, arXiv:2302.00482.

| paper                                                          | here          |
|----------------------------------------------------------------|---------------|
| Lipman Eq. 22, sigma = 0: x_t = (1 - t) x_0 + t x_1            | `loss`        |
| Lipman Eq. 23: E |v(x_t, t) - (x_1 - x_0)|^2                   | `loss`        |
| Tong Sec. 3.2.3: x_0 and x_1 paired by optimal transport       | `_pair`       |
| dx/dt = v(x, t) from noise at t = 0 to samples at t = 1        | `flow`        |

Values are those of atong01/conditional-flow-matching for CIFAR-10 ([code]); numbers of equations and sections are recalled.
Departures: the U-Net has one block a level and one attention; the equation is solved by Euler's method of `sampling` steps alone.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import param
from methods.flows._flow import Flow, FlowHP


class FlowMatching(Flow):
    """Conditional flow matching along straight lines."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(FlowHP):
        """The values of the code."""

        pairing: Literal["independent", "transport"] = param(
            "independent", "of noise with samples: as they come, or by optimal transport within a batch, found on the CPU (Tong Sec. 3.2.3)"
        )
        sampling: int = param(100, "[code] Euler steps from noise to a sample")

        @override
        def __post_init__(self) -> None:
            super().__post_init__()
            if self.sampling < 1:
                raise ValueError(f"sampling must be >= 1, not {self.sampling}")

    hp: HP

    @override
    def loss(self, x: Tensor) -> Tensor:
        """Eq. 23 at times drawn uniformly, one a sample."""
        x_0 = torch.randn_like(x)
        if self.hp.pairing == "transport":
            x_0 = _pair(x_0, x)
        t = torch.rand(len(x), device=x.device)
        along = t.view(-1, *[1] * (x.dim() - 1))
        v = self.G((1 - along) * x_0 + along * x, t)
        return (v - (x - x_0)).square().mean()

    @override
    def flow(self, z: Tensor) -> Tensor:
        for i in range(self.hp.sampling):
            t = torch.full((len(z),), i / self.hp.sampling, device=z.device)
            z = z + self.G(z, t) / self.hp.sampling
        return z


def _pair(x_0: Tensor, x_1: Tensor) -> Tensor:
    """The rows of x_0 in the order in which they lie nearest to those of x_1: the assignment of least squared distance, exact.

    Both are N x shape. It is found on the CPU, so a GPU waits in every update.
    """
    from scipy.optimize import linear_sum_assignment

    cost = torch.cdist(x_0.flatten(1), x_1.flatten(1)).square()
    columns = linear_sum_assignment(cost.T.cpu().numpy())[1]
    return x_0[torch.from_numpy(columns).to(x_0.device)]
