"""ganbench's command line: parses, calls bench, prints. Heavy imports wait until a command needs them, so `--help` is instant."""

from __future__ import annotations

import contextlib
import errno
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer


def stranger() -> str:
    """What is wrong with our packages: another of the same name is found, or lies in the same folder; empty where nothing is."""
    for name in ("bench", "datasets", "methods", "reports"):
        ours, spec = Path(__file__).resolve().parent / name, find_spec(name)
        found = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or []]
        if found != [ours]:
            told = f"the package {name!r} that Python finds is {f'at {found[0]}' if found else 'nowhere'}, ours at {ours}"
            return f"{told}: use an environment without the other (python3 -m venv .venv), or run `python {ours.parent / 'runner.py'}`"
        with contextlib.suppress(metadata.PackageNotFoundError):
            other = metadata.distribution(name)
            if Path(str(other.locate_file(name))).resolve() == ours:
                both = f"ours and that of {name} {other.version} lie in one folder, {ours}, and have overwritten each other"
                return f"the package {name!r}: {both}: `pip uninstall ganbench {name}`, then install each into an environment of its own"
    return ""


if complaint := stranger():
    print(f"error: {complaint}", file=sys.stderr)
    sys.exit(2)

import bench  # noqa: E402, F401  (first: it sets the environment that libraries read when they are imported)
from bench.commands.arguments import (  # noqa: E402
    ForTask,
    Out,
    Plugins,
    Root,
    RunOptions,
    Source,
    To,
    Uri,
    checked_paths,
    takes_options,
)
from bench.commands.use_arguments import ApplyOptions, ScoreOptions  # noqa: E402
from bench.errors import Unavailable, UsageError  # noqa: E402
from bench.text import accept_any_text, brief, one_line  # noqa: E402

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help="Train and score published methods.")
_MANY = ("--methods", "--set", "--plugin", "--metrics", "--name")  # options that take every value up to the next option


@app.callback(invoke_without_command=True)
@takes_options(RunOptions)
def run(ctx: typer.Context, options: RunOptions) -> None:
    """Train and score every method of a suite, log to MLflow, render the report. With a command, do that instead."""
    if ctx.invoked_subcommand:
        return
    if not options.suite:
        raise UsageError("nothing to do: give --suite NAME (see `runner.py list`), or a command (see --help)")
    from bench.commands.run import run_suite

    raise typer.Exit(run_suite(options))


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, plugin: Plugins = None) -> None:
    """Methods, suites, tasks, metrics, data sets, detectors, optimizers, losses, initialisers."""
    from bench.commands import catalog

    catalog.print_list(as_json, plugin or [])


@app.command()
def show(spec: str, plugin: Plugins = None) -> None:
    """A method or part: paper, equations, hyper-parameters with their sections, departures, published numbers."""
    from bench.commands import catalog

    catalog.print_part(spec, plugin or [])


@app.command()
def report(
    suite: Annotated[str, typer.Option(help="The suite to report on.")],
    tier: Annotated[str | None, typer.Option(help="The tier (default: the newest on record).")] = None,
    latex: Annotated[
        Path | None, typer.Option(help="Also put LaTeX tables and PDF figures into this folder.", callback=checked_paths)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing there; exit with 1 where a cell printed there is not what the store holds.")
    ] = False,
    out: Out = Path("runs"),
    tracking_uri: Uri = None,
) -> None:
    """Rebuild tables and page from the store."""
    from bench.commands.report import report_suite

    raise typer.Exit(report_suite(suite, tier, out, tracking_uri, latex, check))


@app.command()
@takes_options(ScoreOptions)
def score(ctx: typer.Context, options: ScoreOptions) -> None:
    """Score what exists already: restored pictures beside their truth (by their names, never by order), samples beside real ones.
    With --task also saliency maps, CT slices, detections and label maps.
    """
    from bench.commands import score as scoring

    raise typer.Exit(scoring.score(options))


@app.command()
def compare(
    a: Annotated[
        str, typer.Argument(metavar="RUN_OR_SPEC", help="A trial's id or its beginning, an MLflow run's, or with --suite a label.")
    ],
    b: Annotated[str, typer.Argument(metavar="RUN_OR_SPEC", help="The same.")],
    suite: Annotated[str | None, typer.Option(help="Where the labels stand; `workload/label` where it has several tables.")] = None,
    tier: Annotated[str | None, typer.Option(help="Of the rows (default: the newest on record).")] = None,
    out: Out = Path("runs"),
    tracking_uri: Uri = None,
) -> None:
    """Two runs or rows: paired difference, interval, test, effect size, and what differs between them."""
    from bench.commands import compare as comparison

    comparison.print_comparison(a, b, suite, tier, out, tracking_uri)


@app.command()
def diagnose(
    trial: Annotated[str, typer.Argument(metavar="RUN", help="A trial's id or an MLflow run's id, on record.")],
    samples: Annotated[int | None, typer.Option(help="Real samples in the batch (default: the trial's batch size).")] = None,
    data_root: Root = None,
    out: Out = Path("runs"),
    tracking_uri: Uri = None,
    plugin: Plugins = None,
) -> None:
    """The dynamics of a trained GAN at its recorded weights: gradient norms, leading eigenvalues, rotation, the largest stable step."""
    from bench.commands import diagnose as diagnosis

    diagnosis.print_diagnosis(trial, samples, data_root, out, tracking_uri, plugin or [])


@app.command()
@takes_options(ApplyOptions)
def apply(ctx: typer.Context, options: ApplyOptions) -> None:
    """Use a method on pictures of your own, at any size and depth; or draw samples of a generator."""
    from bench.commands import apply as application

    raise typer.Exit(application.apply(options))


@app.command()
def export(
    name: Source,
    kind: Annotated[str, typer.Option("--format", help="onnx, torch (a program of torch.export) or safetensors (weights).")] = "onnx",
    to: To = ...,  # type: ignore[assignment]
    task: ForTask = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    data_root: Root = None,
    out: Out = Path("runs"),
    tracking_uri: Uri = None,
    plugin: Plugins = None,
) -> None:
    """A trained network as a file for other programs, checked against the method, with a page that says what it is."""
    from bench.commands import export as exporting

    exporting.export(name, kind, to, task, overwrite, data_root, out, tracking_uri, plugin or [])


@app.command()
def doctor(data_root: Root = None, out: Out = Path("runs"), tracking_uri: Uri = None) -> None:
    """Python, torch, GPU, memory, threads, weights found, data found, store reachable."""
    from bench.commands import doctor as checks

    raise typer.Exit(checks.print_report(data_root, out, tracking_uri))


@app.command()
def sync(out: Out = Path("runs"), tracking_uri: Uri = None) -> None:
    """Put results that wait in the output folder into the store: those of a time when it did not answer, or all into another one."""
    from bench.commands import upkeep

    raise typer.Exit(upkeep.sync(out, tracking_uri))


@app.command()
def rebuild(out: Out = Path("runs")) -> None:
    """Make the database in the output folder anew from its run directories; the old one moves aside."""
    from bench.commands import upkeep

    raise typer.Exit(upkeep.rebuild(out))


data_app = typer.Typer(help="Which data sets are found, and how to get the others.")
weights_app = typer.Typer(help="Which pretrained weights are found, and how to get the others.")
app.add_typer(data_app, name="data")
app.add_typer(weights_app, name="weights")


@data_app.callback(invoke_without_command=True)
def data(ctx: typer.Context, data_root: Root = None) -> None:
    """Which data sets are found, and how to get the others."""
    if ctx.invoked_subcommand:
        ctx.obj = data_root
        return
    from bench.commands import doctor as checks

    checks.print_data(data_root)


@data_app.command("fetch")
def fetch_data(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="A data set (see `runner.py data`).")], data_root: Root = None
) -> None:
    """Download a data set below the data root: resumed where it broke off, verified, unpacked safely."""
    from bench.commands import fetch

    fetch.data(name, data_root or ctx.obj)


@weights_app.callback(invoke_without_command=True)
def weights(ctx: typer.Context) -> None:
    """Which pretrained weights are found, and how to get the others."""
    if ctx.invoked_subcommand:
        return
    from bench.commands import doctor as checks

    checks.print_weights()


@weights_app.command("fetch")
def fetch_weights(name: Annotated[str, typer.Argument(help="Weights (see `runner.py weights`).")]) -> None:
    """Download weights from their publisher: resumed where it broke off, verified."""
    from bench.commands import fetch

    fetch.weights(name)


@app.command()
def check(
    part: Annotated[
        str, typer.Argument(metavar="FILE_OR_NAME", help="A .py file, a suite's .toml file, a name, or a spec such as unet[width=8].")
    ],
    data_root: Root = None,
    device: Annotated[str, typer.Option(help="Where methods train and parts compute: cpu, cuda, cuda:1 or mps.")] = "cpu",
) -> None:
    """Hold a method, a metric, a data set, a loss, any other part, or a suite, to the contract of its kind."""
    from bench.commands.options import resolve_device
    from bench.conformance import contracts

    raise typer.Exit(contracts.print_check(part, data_root, resolve_device(device)))


def main(argv: list[str] | None = None) -> int:
    """Run a command; errors of the user's making are one line on standard error."""
    accept_any_text()
    try:
        app(spread(sys.argv[1:] if argv is None else argv), prog_name="runner.py")
    except SystemExit as done:  # how typer ends, its own usage errors (2) included
        return int(done.code or 0)
    except (UsageError, Unavailable) as error:
        print(f"error: {brief(one_line(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: no space left for {error.filename or 'a file'}: free some, then give the same command again", file=sys.stderr)
        return 2
    return 0


def spread(argv: list[str]) -> list[str]:
    """`--methods a b` -> `--methods a --methods b`, for the options that take many values."""
    out: list[str] = []
    many = ""
    for word in argv:
        if word.startswith("--"):
            many = word if word in _MANY else ""
        elif many and out[-1] != many:
            out.append(many)
        out.append(word)
    return out


if __name__ == "__main__":
    sys.exit(main())
