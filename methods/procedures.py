"""The training loops that papers share; compose them with `yield from`.

All state lives on the method (`m.t`, networks, optimisers), so a run stopped at any yield resumes exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from bench.errors import UsageError

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from bench.method import Logs, Method

Constrain = Callable[[nn.Module], None]


class Game(Protocol):
    """A method with a critic and a generator, as the loops of this file use it."""

    t: int

    @property
    def hp(self) -> Any:
        """Hyper-parameters, `steps` among them."""

    @property
    def D(self) -> nn.Module:
        """The critic."""

    @property
    def opt_d(self) -> Optimizer:
        """Descends the critic's loss."""

    @property
    def opt_g(self) -> Optimizer:
        """Descends the generator's loss."""

    def anneal(self) -> None:
        """Set every learning rate for update `t`."""


def descend(opt: Optimizer, loss: Tensor) -> Tensor:
    """One step of `opt` down `loss`; gradients are computed for the parameters of `opt` only.

    Args:
        opt: the optimiser; whatever else the loss depends on (the critic, in a generator's step) is held fixed.
        loss: a scalar with its graph.

    Returns:
        The loss, detached.
    """
    opt.zero_grad()
    loss.backward(inputs=[p for group in opt.param_groups for p in group["params"]])
    opt.step()
    return loss.detach()


def clip_gradients(opt: Optimizer, longest: float) -> None:
    """Before every step of `opt` shorten the gradient of all its parameters together to at most `longest`.

    Raises:
        UsageError: `longest` is not positive: nothing would be trained.
    """
    if not longest > 0:
        raise UsageError(f"clip, the longest gradient, must be positive, not {longest}")
    params = [p for group in opt.param_groups for p in group["params"]]

    def shorten(*_: Any) -> None:
        nn.utils.clip_grad_norm_(params, longest)

    opt.register_step_pre_hook(shorten)


def regress(m: Method, data: Iterator[Any], loss: Callable[[Any], Tensor], steps: int, opt: Optimizer | None = None) -> Iterator[Logs]:
    """Plain supervised training until update `steps` (counted from the start of the run).

    Args:
        m: the method; `m.opt` descends unless `opt` is given.
        data: a stream that never ends.
        loss: batch -> scalar.
        steps: the update at which this stage ends; `m.hp.steps` where it is the only one.
        opt: another optimiser, for a stage of a longer recipe.
    """
    while m.t < steps:
        m.anneal()
        value = descend(opt or m.opt, loss(next(data)))
        m.t += 1
        yield {"loss": value}


def alternate(
    m: Game,
    data: Iterator[Any],
    critic_loss: Callable[[Any], Tensor],
    generator_loss: Callable[[Any], Tensor],
    n_critic: int | Callable[[int], int] = 1,
    constrain: Constrain | None = None,
    steps: int | None = None,
) -> Iterator[Logs]:
    """Algorithm 1 of GAN (arXiv:1406.2661) and WGAN-GP (arXiv:1704.00028): each of the `n_critic` critic steps sees a fresh batch.

    Args:
        m: the method; `m.opt_d` descends the critic's loss, `m.opt_g` the generator's, until `m.hp.steps`.
        data: a stream that never ends.
        critic_loss: batch -> scalar; it draws its own fakes.
        generator_loss: the last of those batches -> scalar.
        n_critic: critic steps an update, or a function of the update's number (0, 1, ...) that tells them.
        constrain: called with `m.D` after each critic step (weight clipping).
        steps: the update at which this stage ends; None: `m.hp.steps`.
    """
    while m.t < (m.hp.steps if steps is None else steps):
        m.anneal()
        for _ in range(n_critic(m.t) if callable(n_critic) else n_critic):
            batch = next(data)
            d = _critic_step(m, critic_loss(batch), constrain)
        g = descend(m.opt_g, generator_loss(batch))
        m.t += 1
        yield {"critic": d, "generator": g}


def alternate_on_batch(
    m: Game,
    data: Iterator[Any],
    fake: Callable[[Any], Tensor],
    critic_loss: Callable[[Any, Tensor], Tensor],
    generator_loss: Callable[[Any, Tensor], Tensor],
    n_critic: int = 1,
    constrain: Constrain | None = None,
) -> Iterator[Logs]:
    """As conditional GANs are trained: one batch and one generator pass an update, shared by all critic steps and the generator's.

    Args:
        m: the method; `m.opt_d` descends the critic's loss, `m.opt_g` the generator's, until `m.hp.steps`.
        data: a stream that never ends.
        fake: batch -> the generator's output, with its graph.
        critic_loss: batch, detached fake -> scalar.
        generator_loss: batch, fake -> scalar.
        n_critic: critic steps an update, all on the same batch.
        constrain: called with `m.D` after each critic step (weight clipping).
    """
    while m.t < m.hp.steps:
        m.anneal()
        batch = next(data)
        y = fake(batch)
        for _ in range(n_critic):
            d = _critic_step(m, critic_loss(batch, y.detach()), constrain)
        g = descend(m.opt_g, generator_loss(batch, y))
        m.t += 1
        yield {"critic": d, "generator": g}


def _critic_step(m: Game, loss: Tensor, constrain: Constrain | None) -> Tensor:
    value = descend(m.opt_d, loss)
    if constrain:
        constrain(m.D)
    return value
