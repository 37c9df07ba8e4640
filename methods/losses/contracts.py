"""What losses are. All are minimised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor, nn

from methods.penalties import Critic

ContentLoss = Callable[[Tensor, Tensor], Tensor]
"""Output and target, N x C x H x W, [-1, 1] -> a scalar."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialLoss:
    """The pair of losses of a game between a critic and a generator. Options are dataclass fields.

    D returns raw scores (logits), one a sample or a map of them, averaged over both.
    """

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss.

        Args:
            D: the critic; conditional games bind the condition.
            real: real samples, N x ....
            fake: generated samples, M x ..., detached unless the caller differentiates through them.

        Returns:
            A scalar.
        """
        raise NotImplementedError

    def generator(self, D: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """The generator's loss.

        Args:
            D: as in `critic`.
            fake: generated samples with their graph, M x ....
            real: the real samples that the critic saw beside them, N x ...; games that do not compare the two leave it unused.

        Returns:
            A scalar.
        """
        raise NotImplementedError

    def constrain(self, D: nn.Module) -> None:
        """Bring the critic back into its allowed set, after each critic step; nothing by default."""
