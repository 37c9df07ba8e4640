"""Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising.

Zhang, Zuo, Chen, Meng, Zhang. IEEE TIP 26(7), 2017, arXiv:1608.03981.

| paper                                            | here                       |
|--------------------------------------------------|----------------------------|
| Fig. 1, convolutions with batch norm and ReLU    | `_dncnn.DnCNNNetwork`      |
| Eq. 1, the residual y - x, squared, over 2 N     | `_dncnn.residual_loss`     |
| x = y - R(y)                                     | `restore`                  |

DnCNN-S is trained at the level it is tested at: 17 layers. DnCNN-B is blind: `layers=20`, on a task with `train_sigma=blind` and `crop=50`.
`weights=FILE` is a released network, judged as it is: KAIR's dncnn_*.pth and SaoYan's net.pth are known, whose norms are merged into the
convolutions, and the weights of this bench's own trials. Depth, width and channels are the file's.
Departures: Adam at 1e-3, then 1e-4, as in the authors' code (the text: SGD from 0.1 to 1e-4); gains of batch norm start at 1 (the code:
drawn like weights); He's deviation of each layer's own fan-in, 0.47 in the first (the code: that of the middle layers, 0.059, in all of
them), which costs the first thousands of updates; crops are drawn anew for every update instead of once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.method import Batch, Logs, Method, param
from bench.offers import Capability, RestorationTask
from methods.procedures import regress
from methods.released import ReleasedHP, fill, open_released
from methods.restoration._dncnn import DnCNNHP, DnCNNNetwork, denoise, residual_loss


class DnCNN(Method[RestorationTask]):
    """Regression of the noise."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"paired"})
    toy: ClassVar[dict[str, Any]] = {"layers": 3, "width": 4}

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(DnCNNHP, ReleasedHP):
        """See `_dncnn.DnCNNHP`."""

        norm: bool = param(True, "Sec. III-A: batch norm; without it convolutions have biases, as where norms were merged into them")

    hp: HP

    @override
    def build(self, task: RestorationTask) -> None:
        released = open_released(self, self.hp.weights, channels=task.channels)
        self.G = DnCNNNetwork(task.channels, self.hp.layers, self.hp.width, self.hp.norm)
        if released:
            fill(self, released)
        self.opt = self.optimizer(self.G)

    def loss(self, batch: Batch) -> Tensor:
        """Eq. 1."""
        return residual_loss(self.G, batch.observed, batch.truth)

    @override
    def train(self, data: Iterator[Batch]) -> Iterator[Logs]:
        yield from regress(self, data, self.loss, self.hp.steps)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], any size."""
        return denoise(self.G, batch)
