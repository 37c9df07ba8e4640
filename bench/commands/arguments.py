"""Arguments that several commands share, and the options of a run. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from bench.text import path_of

_O = TypeVar("_O")


def checked_paths(given: Path | list[Path] | None) -> Path | list[Path] | None:
    """A callback of typer: paths as given. Raises UsageError where one can stand in no URL or database."""
    return [path_of(path) for path in given] if isinstance(given, list) else given and path_of(given)


Root = Annotated[
    Path | None, typer.Option(help="Folder of data sets (default: GANBENCH_DATA).", envvar="GANBENCH_DATA", callback=checked_paths)
]
Out = Annotated[Path, typer.Option(help="Where results go.", callback=checked_paths)]
Uri = Annotated[str | None, typer.Option(help="MLflow server or database (default: MLFLOW_TRACKING_URI, else OUT/mlflow.db).")]
PLUGIN = typer.Option("--plugin", help="Files with methods or parts of your own.", callback=checked_paths)
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="TRIAL_OR_SPEC", help="A recorded trial's id or its beginning, or a spec such as median or 'dncnn[weights=net.pth]'."
    ),
]
To = Annotated[Path, typer.Option(help="Folder for what is made.", callback=checked_paths)]
ForTask = Annotated[str, typer.Option("--task", help="Of a spec: the task that it is for, such as 'sr[scale=3]' (default: one that fits).")]
Plugins = Annotated[list[Path] | None, PLUGIN]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `runner.py --suite`, as given: each field is one."""

    suite: Annotated[str, typer.Option(help="A suite's name (see `list`), or a TOML file.", show_default=False)] = ""
    tier: Annotated[str | None, typer.Option(help="smoke, quick (default without a GPU), standard (default with one) or paper.")] = None
    methods: Annotated[
        list[str],
        typer.Option(
            help="Specs to run instead of the suite's own, such as 'unet[width=32]'; of a grid, rows; of the claims, papers or names."
        ),
    ] = dataclasses.field(default_factory=list)
    seeds: Annotated[str | None, typer.Option(help="How many (3), or which (0,4,7).")] = None
    overrides: Annotated[
        list[str], typer.Option("--set", help="key=value for the task or for methods that have it; method.key=value for one.")
    ] = dataclasses.field(default_factory=list)
    device: Device = "auto"
    data_root: Root = None
    out: Out = Path("runs")
    tracking_uri: Uri = None
    deterministic: Annotated[bool, typer.Option("--deterministic", help="The same bits on CUDA too; slower.")] = False
    precision: Annotated[
        str | None, typer.Option(help="Of networks in training: fp32, tf32 (default on CUDA: convolutions) or bf16; judging is float32.")
    ] = None
    channels_last: Annotated[
        bool | None,
        typer.Option("--channels-last/--no-channels-last", help="Train with pictures as N x H x W x C in memory.", show_default=False),
    ] = None
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Train with networks compiled by torch.compile.", show_default=False)
    ] = None
    cuda_graphs: Annotated[
        bool | None,
        typer.Option(
            "--cuda-graphs/--no-cuda-graphs",
            help="Launch each update as one CUDA graph where it can be recorded: for small networks.",
            show_default=False,
        ),
    ] = None
    fresh: Annotated[bool, typer.Option("--fresh", help="Train again what is on record.")] = False
    max_seconds: Annotated[float | None, typer.Option(help="Cap on the training time of one trial; recorded.")] = None
    on_oom: Annotated[
        str,
        typer.Option(
            help="Out of GPU memory: fail, or halve: again on half the batch, gradients accumulated over twice as many; recorded."
        ),
    ] = "fail"
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at once on this machine, through Ray.")] = None
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on, such as 10.0.0.1:6379, or auto.")] = None
    ranks: Annotated[int, typer.Option(min=1, help="Processes that share each trial, a GPU each, on parts of its batches.")] = 1
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a trial (default: torch's; with --workers its share).")] = None
    checkpoints: Annotated[
        str | None,
        typer.Option(help="Copy checkpoints to a folder or URL (s3://, gs://, ...): the nodes of a cluster need no common disk then."),
    ] = None
    keep_weights: Annotated[
        str,
        typer.Option(
            help="Of every training: both (the last, and the best on validation), last or none; what is kept can be judged again."
        ),
    ] = "both"
    save_outputs: Annotated[
        bool, typer.Option("--save-outputs", help="Keep all that is restored or drawn while judging, beside the judgement.")
    ] = False
    strict_environment: Annotated[
        bool, typer.Option("--strict-environment", help="Another version of torch, another GPU, ... trains again; else it is only marked.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before more than 10,000 trials.")] = False
    plugins: Annotated[list[Path], PLUGIN] = dataclasses.field(default_factory=list)


def takes_options(options: type[_O]) -> Callable[[Callable[[typer.Context, _O], None]], Callable[..., None]]:
    """Decorate a command of typer, which reads options from signatures: this one gets the fields of a dataclass."""
    hints = {"ctx": typer.Context, **typing.get_type_hints(options, include_extras=True)}
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(options)  # type: ignore[arg-type]
    made = {f.name: f.default_factory() for f in fields if f.default_factory is not dataclasses.MISSING}
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING} | made

    def decorate(command: Callable[[typer.Context, _O], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_options(ctx: typer.Context, **given: Any) -> None:
            command(ctx, options(**given))

        kind, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
        parameters = [inspect.Parameter(name, kind, default=defaults.get(name, empty), annotation=hint) for name, hint in hints.items()]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = hints
        return with_options

    return decorate
