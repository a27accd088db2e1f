"""`onecycle train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onecycle.cli.command_options import read_options, takes_shell_options
from onecycle.cli.training import train_and_report
from onecycle.imports import without_collecting
from onecycle.recipes.options import FineTuneOptions

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder of images or texts, or a CSV file of texts. Folders train/ and valid/ in it are the splits; "
        "without them a random fifth validates.",
    ),
]


@takes_shell_options(FineTuneOptions)
def train(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the model, its history and pictures. Default: runs/NAME of the data."),
    ] = None,
    **options: Any,
) -> None:
    """Train a model on a folder of images or texts. Prints the Python code that it runs."""
    chosen = read_options(FineTuneOptions, options)
    with without_collecting():
        from onecycle.recipes.task import build_pipeline, prepare
    pipeline = build_pipeline(data, chosen)
    typer.echo(f"{pipeline}\n")
    train_and_report(prepare(pipeline), pipeline, out or Path("runs") / data.resolve().name)
