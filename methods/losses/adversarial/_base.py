"""What an adversarial loss is. All are minimised; D returns raw scores (logits), one a sample or a map, averaged over both."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from methods.penalties import Critic


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialLoss:
    """The pair of losses of a game between a critic and a generator. Options are dataclass fields."""

    def critic(self, D: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss on real and (detached) fake samples, N x ...; a scalar."""
        raise NotImplementedError

    def generator(self, D: Critic, fake: Tensor) -> Tensor:
        """The generator's loss on its fakes, N x ...; a scalar."""
        raise NotImplementedError

    def constrain(self, D: nn.Module) -> None:
        """Bring the critic back into its allowed set, after each critic step; nothing by default."""
