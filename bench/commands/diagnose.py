"""`runner.py diagnose`: the dynamics of a two-player game on record, at its last weights."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench import registry
from bench.analysis.game_dynamics import Game, Spectrum
from bench.errors import UsageError
from bench.inference.load import rebuild, without_weights
from bench.method import Samples
from bench.spec import parse
from bench.store import lookup
from bench.store.record import TrialRecord
from bench.task import mix
from bench.text import open_console
from methods.two_player import TwoPlayer

_SHOWN = 4  # eigenvalues of each kind
_BATCH_SEED = 1801  # of the real samples that the game is looked at with


def print_diagnosis(run: str, samples: int | None, root: Path | None, out: Path, tracking_uri: str | None, plugins: Sequence[Path]) -> None:
    """Gradient norms, leading eigenvalues, rotation, whether simultaneous gradient descent would converge, and with which steps.

    On the CPU in float64, at the weights on record; an optimiser's memory, which is not there, is as it was before training.

    Args:
        run: a trial's id (or its unambiguous beginning) or an MLflow run's.
        samples: in the real batch; None: the trial's batch size.
        root: folder of data sets.
        out: output folder of the trial.
        tracking_uri: the store (default: MLFLOW_TRACKING_URI, else the one in `out`).
        plugins: files with methods or parts.

    Raises:
        UsageError: no such run on record, it has no weights, or its method is no two-player game.
    """
    if samples is not None and samples < 2:
        raise UsageError(f"--samples {samples}: give at least 2")
    for plugin in plugins:
        registry.load_plugin(plugin)
    with tempfile.TemporaryDirectory() as scratch:
        record = lookup.find(run, out, tracking_uri, Path(scratch))
        method = _rebuild(record, lookup.weights(run, out, tracking_uri, Path(scratch)), root)
    n = samples or method.hp.batch_size
    task: Any = method.task
    batch = task.batch(n, torch.Generator().manual_seed(mix(_BATCH_SEED)))
    game = Game(method, Samples(batch.x.double(), batch.labels))
    console = open_console()
    about = f"suite {record.suite}, tier {record.tier}, seed {record.seed}: update {method.t}, {n} real samples"
    console.print(f"{record.label}, {about}")
    _print(console, game, game.spectrum())


def _rebuild(record: TrialRecord, weights: Path | None, root: Path | None) -> TwoPlayer:
    """The method at its recorded weights, in float64."""
    cls = registry.find("method", parse(record.spec).name)
    if not (inspect.isclass(cls) and issubclass(cls, TwoPlayer)):
        raise UsageError(
            f"{record.label} is no game of two players (a TwoPlayer of methods/two_player.py): there are no dynamics to diagnose"
        )
    if weights is None:
        raise without_weights(record)
    method: Any = rebuild(record, weights, root, torch.device("cpu"))
    for network in method.modules().values():
        network.double()
    for key, value in vars(method).items():
        if isinstance(value, Tensor) and value.is_floating_point():
            setattr(method, key, value.double())
    return method  # type: ignore[no-any-return]


def _print(console: Console, game: Game, s: Spectrum) -> None:
    def line(title: str, text: str) -> None:
        console.print(f"{title:12} {text}")

    (critic, generator), (d, g) = game.sizes, game.gradient_norms
    line("weights", f"critic {critic}, generator {generator}")
    line("gradients", f"norm {d:.4g} of the critic's, {g:.4g} of the generator's")
    some = f"the leading {len(s.eigenvalues)} of {critic + generator}"
    line("eigenvalues", f"all {len(s.eigenvalues)}, of which {len(s.eigenvalues) - len(s.moving)} are zero" if s.exact else some)
    upper = s.moving[s.moving.imag >= 0]  # one of each conjugate pair; the rightmost first
    turning = upper[upper.imag > 1e-9 * upper.abs()]
    console.print(_table({"rightmost": upper[:_SHOWN], "fastest turn": turning[turning.imag.argsort(descending=True)][:_SHOWN]}))
    share = "" if s.antisymmetry is None else f"; {s.antisymmetry:.0%} of the Jacobian is antisymmetric"
    line("rotation", f"|Im| / |eigenvalue|: median {float(s.rotation.median()):.3f}{share}")
    converges = f"would converge here, were it an equilibrium, with steps h < {s.largest_step:.4g}"
    leaves = f"would not converge here, whatever its step: the largest real part is {float(s.moving.real.max()):+.4g}"
    line("verdict", f"simultaneous gradient descent {converges if s.attracts else leaves}")


def _table(groups: dict[str, Tensor]) -> Table:
    table = Table("", "eigenvalue", "rotation", "stable for h <", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title, values in groups.items():
        for i, value in enumerate(values.tolist()):
            pair = f" ± {value.imag:.4g}i" if value.imag > 1e-9 * abs(value) else ""
            step = f"{-2 * value.real / abs(value) ** 2:.4g}" if value.real < 0 else "–"
            table.add_row(f"{title if i == 0 else '':12}", f"{value.real:+.4g}{pair}", f"{value.imag / abs(value):.3f}", step)
    return table
