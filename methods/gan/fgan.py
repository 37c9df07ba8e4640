"""f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization.

Nowozin, Cseke, Tomioka. NIPS 2016, arXiv:1606.00709.

| paper                                                         | here                                    |
|---------------------------------------------------------------|-----------------------------------------|
| Tables 1, 2, 5, 6: f, its conjugate, the output activation    | `_divergences`                          |
| Eq. 6 and 7, F = E_P g_f(V(x)) - E_Q f*(g_f(V(x)))            | `losses`                                |
| Algorithm 1, the single-step method                           | `train`                                 |
| Sec. 3.2, the generator maximises E_Q g_f(V(x)) instead       | `surrogate=true`                        |

Both networks step at once, on the gradients of one forward pass. `divergence`: kl, reverse_kl, pearson, neyman, hellinger, jeffrey, js,
js_weighted (with `pi`), gan, tv, alpha (with `alpha`). The logged critic is -F: its negative is a lower bound of the divergence.
Departures: networks are the task's. Total variation is known not to train from a common start: its activation saturates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.method import Logs, Samples, param
from bench.offers import GenerationTask
from methods.gan._divergences import DIVERGENCES, Divergence, alpha_divergence, weighted_jensen_shannon
from methods.two_player import GANHP, TwoPlayer


class FGAN(TwoPlayer):
    """A generator that descends the variational bound of any f-divergence."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GANHP):
        """The paper's values for MNIST."""

        steps: int = param(20_000, "ours; Sec. 4.1 trains for an hour")
        batch_size: int = param(4096, "Sec. 4.1")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "Sec. 4.1")
        divergence: str = param("kl", "Table 1: D_f(P || Q) to descend")
        alpha: float = param(0.5, "Table 5: order, where the divergence is `alpha`")
        pi: float = param(0.5, "Table 5: weight of the data, where the divergence is `js_weighted`")
        surrogate: bool = param(False, "Sec. 3.2: the generator's alternative objective")

    hp: HP

    @override
    def build(self, task: GenerationTask) -> None:
        super().build(task)
        self.divergence = self._chosen()

    @override
    def losses(self, batch: Samples) -> tuple[Tensor, Tensor]:
        """-F and the generator's F (its part that depends on it), from one pass through both networks."""
        d = self.divergence
        v_real, v_fake = self.D(batch.x), self.D(self.fake(len(batch)))
        conjugate = d.composed(v_fake).mean()
        return conjugate - d.activation(v_real).mean(), -d.activation(v_fake).mean() if self.hp.surrogate else -conjugate

    @override
    def train(self, data: Iterator[Samples]) -> Iterator[Logs]:
        """Algorithm 1."""
        while self.t < self.hp.steps:
            self.anneal()
            critic, generator = self.losses(next(data))
            for opt, loss in ((self.opt_d, critic), (self.opt_g, generator)):
                opt.zero_grad()
                loss.backward(inputs=[p for group in opt.param_groups for p in group["params"]], retain_graph=loss is critic)
            self.opt_d.step()
            self.opt_g.step()
            self.t += 1
            yield {"critic": critic.detach(), "generator": generator.detach()}

    def _chosen(self) -> Divergence:
        h = self.hp
        if h.divergence == "alpha":
            return alpha_divergence(h.alpha)
        if h.divergence == "js_weighted":
            return weighted_jensen_shannon(h.pi)
        if h.divergence not in DIVERGENCES:
            raise UsageError(f"fgan: unknown divergence {h.divergence!r}; known: {', '.join([*DIVERGENCES, 'js_weighted', 'alpha'])}")
        return DIVERGENCES[h.divergence]
