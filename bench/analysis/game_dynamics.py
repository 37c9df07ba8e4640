"""The dynamics of a two-player game at its present weights: both gradients, the Jacobian's spectrum, how much of the motion is rotation.

Both players move at once along x <- x + h v(x): x holds the critic's weights and then the generator's, v is minus the gradient of each
player's own loss (The Numerics of GANs, arXiv:1705.10461). Near an equilibrium the eigenvalues of the Jacobian v' decide.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.errors import UsageError
from bench.method import Samples
from methods.two_player import TwoPlayer

EXACT = 1000  # weights up to which all eigenvalues are computed: seconds


class Game:
    """A method at its present weights, on a fixed batch under fixed random numbers. It leaves the method as it was.

    Attributes:
        sizes: how many weights the critic and the generator train.
        field: v, critic first: n, n = sum(sizes).
    """

    def __init__(self, method: TwoPlayer, batch: Samples, seed: int = 0) -> None:
        """Take both players' gradients, with their graphs.

        Args:
            method: any registered two-player method; a player's weights are those that its optimiser holds.
            batch: real samples, of the weights' dtype and device.
            seed: of latents, noise and interpolations.

        Raises:
            UsageError: the method is no game of two players, or its gradients are not finite.
        """
        if not isinstance(method, TwoPlayer):
            raise UsageError(f"{type(method).__name__} is no game of two players: a generator and a critic, trained at the same time")
        players = [[p for group in opt.param_groups for p in group["params"]] for opt in (method.opt_d, method.opt_g)]
        with _undisturbed(method, seed, players[0][0].dtype), _Attached():
            both = [torch.autograd.grad(*pair, create_graph=True, materialize_grads=True) for pair in zip(method.losses(batch), players)]
        self.sizes = (sum(p.numel() for p in players[0]), sum(p.numel() for p in players[1]))
        self.field = -torch.cat([g.flatten() for slopes in both for g in slopes])
        if not self.field.isfinite().all():
            raise UsageError("the players' gradients are not finite at these weights: training has blown up")
        self._weights = [p for player in players for p in player]

    @property
    def gradient_norms(self) -> tuple[float, float]:
        """Lengths of the critic's and of the generator's part of the field."""
        critic, generator = self.field.detach().split(self.sizes)
        return float(critic.norm()), float(generator.norm())

    def pull(self, u: Tensor) -> Tensor:
        """J^T u, J = v', at the price of one backward pass: n.

        Raises:
            UsageError: torch cannot differentiate a layer often enough.
        """
        if not self.field.requires_grad:
            return torch.zeros_like(u)  # gradients that do not depend on the weights
        try:
            slopes = torch.autograd.grad(self.field, self._weights, u, retain_graph=True, materialize_grads=True)
        except RuntimeError as error:
            raise UsageError(f"the game has gradients but no spectrum: {str(error).splitlines()[0]}") from error
        return torch.cat([g.flatten() for g in slopes])

    def jacobian(self) -> Tensor:
        """J = v', row i the gradient of v_i: n x n, by n backward passes."""
        return torch.stack([self.pull(row) for row in torch.eye(len(self.field), dtype=self.field.dtype, device=self.field.device)])

    def spectrum(self, *, exact: bool | None = None, leading: int = 6) -> Spectrum:
        """The eigenvalues of J.

        Args:
            exact: all of them from the whole Jacobian, or the leading ones by Krylov's method; None: by size (`EXACT`).
            leading: how many of largest modulus, largest real part and largest imaginary part each, where not exact.

        Raises:
            UsageError: no derivative, or the search for leading eigenvalues fails.
        """
        n, skew = len(self.field), None
        if exact if exact is not None else n <= EXACT:
            jacobian = self.jacobian().double().cpu()
            skew = float((jacobian - jacobian.T).square().sum() / 4 / jacobian.square().sum())
            values = torch.linalg.eigvals(jacobian)
        elif n < 3 * leading:
            raise UsageError(f"a game of {n} weights is too small for Krylov's method: leave out exact=False")
        else:
            values = torch.from_numpy(_krylov(self, leading))
        values = values[torch.from_numpy(np.lexsort((values.imag.abs(), -values.real.round(decimals=12))))]
        rounding = torch.finfo(self.field.dtype).eps ** 0.5  # what that of a double eigenvalue amounts to
        return Spectrum(values, len(values) == n, skew, rounding * float(values.abs().max()))


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of J = v', complex128, the rightmost first: all of them, or the leading ones where `exact` is false.

    `antisymmetry` is the share |(J - J^T) / 2|^2 / |J|^2 (Frobenius): 0 in a potential game, such as one minimisation; 1 in a Hamiltonian
    game, which only rotates (the two parts are those of Balduzzi et al., arXiv:1802.05642; taking their share is ours). None where J is not
    exact.
    """

    eigenvalues: Tensor
    exact: bool
    antisymmetry: float | None
    zero: float  # what is smaller counts as zero

    @property
    def moving(self) -> Tensor:
        """The eigenvalues but those that are zero: flat directions, along which nothing moves (networks have many)."""
        return self.eigenvalues[self.eigenvalues.abs() > self.zero]

    @property
    def rotation(self) -> Tensor:
        """|Im| / |lambda| of the moving ones (ours): 0 straight towards or away, 1 in circles."""
        return self.moving.imag.abs() / self.moving.abs()

    @property
    def attracts(self) -> bool:
        """Whether simultaneous descent with small steps converges here if v = 0: every moving eigenvalue has a negative real part."""
        return len(self.moving) > 0 and bool((self.moving.real < -self.zero).all())

    @property
    def largest_step(self) -> float:
        """The h below which |1 + h lambda| < 1 for all that move, 2 / (|Re| (1 + (Im / Re)^2)); 0 where there is none, arXiv:1705.10461."""
        return float((-2 * self.moving.real / self.moving.abs().square()).min()) if self.attracts else 0.0


def spectrum(method: TwoPlayer, batch: Samples, *, seed: int = 0, exact: bool | None = None, leading: int = 6) -> Spectrum:
    """The spectrum of a method's game at its present weights: see `Game` and `Game.spectrum` for the arguments."""
    return Game(method, batch, seed).spectrum(exact=exact, leading=leading)


def _krylov(game: Game, k: int) -> np.ndarray[tuple[int], np.dtype[np.complex128]]:
    """Eigenvalues of J^T, which are those of J, by ARPACK; those that did not converge are left out."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

    def pull(u: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return game.pull(torch.from_numpy(u.reshape(-1)).to(game.field)).double().cpu().numpy()

    n = len(game.field)
    operator, start, found = LinearOperator((n, n), matvec=pull, dtype=np.float64), np.random.default_rng(0).normal(size=n), []
    for which in ("LM", "LR", "LI"):
        try:
            found.append(eigs(operator, k, which=which, v0=start, return_eigenvectors=False))
        except ArpackNoConvergence as error:
            found.append(error.eigenvalues)
    if not sum(map(len, found)):
        raise UsageError("Krylov's method found no eigenvalue: give exact=True, or more leading ones")
    values = np.concatenate([value for each in found for value in (each, each.conj())])
    near = np.abs(values[:, None] - values) <= 1e-6 * np.abs(values).max()
    return values[np.triu(near, 1).sum(0) == 0]  # the three searches overlap


class _Attached(TorchFunctionMode):
    """Keeps what derivatives of v need. A loss detaches what its player's step holds fixed, while v depends on both players' weights; and
    torch's batch norm has no third derivative (in older versions a wrong one), its definition has.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _INSTEAD.get(func, func)(*args, **(kwargs or {}))


def _batch_norm(x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float) -> Tensor:
    """`F.batch_norm` that leaves the running statistics as they are."""
    if training:
        axes = [i for i in range(x.dim()) if i != 1]
        mean, var = x.mean(axes), x.var(axes, correction=0)
    mean, var, weight, bias = (v if v is None else v.reshape(-1, *[1] * (x.dim() - 2)) for v in (mean, var, weight, bias))
    y = (x - mean) * (var + eps).rsqrt()
    return y if weight is None else y * weight + bias


_INSTEAD = {Tensor.detach: lambda x: x.view_as(x), F.batch_norm: _batch_norm}


@contextlib.contextmanager
def _undisturbed(method: TwoPlayer, seed: int, dtype: torch.dtype) -> Iterator[None]:
    """Random numbers of `dtype` from `seed`; afterwards they, and running statistics, are as they were."""
    buffers = [(b, b.clone()) for network in method.modules().values() for b in network.buffers()]
    default = torch.get_default_dtype()
    with torch.random.fork_rng([method.device] if method.device.type == "cuda" else []):
        torch.manual_seed(seed)
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
            for b, before in buffers:
                b.data.copy_(before)
