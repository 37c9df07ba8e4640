"""The options of the commands that use what exists: `runner.py score` and `apply`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.arguments import PLUGIN, Device, ForTask, Out, Root, Source, To, Uri, checked_paths


def _place(text: str) -> typer.models.OptionInfo:
    """An option that is a path."""
    return typer.Option(help=text, callback=checked_paths)  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The options of `runner.py score`, as given: each field is one."""

    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Folders (or files) of what is scored, a row each.")]
    truth: Annotated[Path | None, _place("Folder (or file) of the true ones.")] = None
    observed: Annotated[Path | None, _place("Folder (or file) of what was restored, to be shown.")] = None
    fixations: Annotated[Path | None, _place("Of saliency: folder of fixations, as points.")] = None
    masks: Annotated[Path | None, _place("Of saliency: folder of objects' masks.")] = None
    images: Annotated[Path | None, _place("Of detection: folder of the pictures that YOLO's labels are about.")] = None
    classes: Annotated[int | None, typer.Option(min=1, help="Of segmentation: how many (default: as the truth shows).")] = None
    ignore: Annotated[
        int | None, typer.Option(help="Of segmentation: the label of pixels that do not count (default: 255); -1: all count.")
    ] = None
    real: Annotated[str, typer.Option(help="Of samples: a folder, .zip, .npy or .npz of real ones, or a data set.")] = ""
    task: Annotated[
        str, typer.Option(help="pictures, samples (default: by --truth or --real), saliency, ct, detection or segmentation.")
    ] = ""
    profile: Annotated[str, typer.Option(help="Whose PSNR and SSIM, such as gopro_rgb; all: each convention.")] = "default"
    metrics: Annotated[list[str], typer.Option(help="In place of the usual; the first ranks.")] = dataclasses.field(default_factory=list)
    names: Annotated[list[str], typer.Option("--name", help="What the rows are called (default: as the folders).")] = dataclasses.field(
        default_factory=list
    )
    match: Annotated[str, typer.Option(help="How a restored file is called, such as '{}_restored'; {} stands for the true one's name.")] = (
        "{}"
    )
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Leave out what has no partner; it is counted and said.")] = False
    device: Device = "auto"
    data_root: Root = None
    out: Out = Path("runs")
    tracking_uri: Uri = None
    plugins: Annotated[list[Path], PLUGIN] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApplyOptions:
    """The options of `runner.py apply`, as given: each field is one."""

    name: Source
    inputs: Annotated[list[Path], typer.Argument(metavar="[INPUT]...", help="Pictures, or folders of them.", callback=checked_paths)] = (
        dataclasses.field(default_factory=list)
    )
    to: To
    task: ForTask = ""
    samples: Annotated[int | None, typer.Option(help="Of a generator: how many to draw; they and a grid of them are the files.")] = None
    seed: Annotated[int, typer.Option(help="Of samples, and of methods that draw random numbers to restore.")] = 0
    tile: Annotated[int | None, typer.Option(help="Side of tiles, pixels; 0: whole pictures (default: as memory allows).")] = None
    overlap: Annotated[int | None, typer.Option(help="Pixels that neighbouring tiles share (default: as the method's reach asks).")] = None
    sigma: Annotated[float, typer.Option(help="Level of the noise on 0 .. 255, for filters that are told it; 0: they estimate it.")] = 0.0
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="Also input | output, in TO_side_by_side.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False
    device: Device = "auto"
    data_root: Root = None
    out: Out = Path("runs")
    tracking_uri: Uri = None
    plugins: Annotated[list[Path], PLUGIN] = dataclasses.field(default_factory=list)
