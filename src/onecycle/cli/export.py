"""`onecycle export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onecycle.cli.command_options import read_options
from onecycle.cli.outputs import check_new
from onecycle.cli.run_folder import OPTIONS, RunFolder
from onecycle.cli.run_items import pipeline_of_run
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.data.rows import Rows


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model, or the folder of a run.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="What to write: a name that ends in .onnx or .pt2.")],
    items: Annotated[
        Path | None,
        typer.Option(help="Files on which both are compared. Default: those that the run was validated on; "
                     "of a single model, some that are drawn."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:  # fmt: skip
    """Write a model for another runtime, once it is proved that it predicts the same there."""
    check_new(out, "pass another FILE", overwrite=overwrite)
    rows = validation_items(model) if items is None and (model / OPTIONS).is_file() else None
    from onecycle.ship.exports.check_items import items_given
    from onecycle.ship.model import load_model

    loaded = load_model(model, device="cpu")
    held_back = None if rows is None else items_given(rows, loaded.modality, loaded.target, "validation items")
    loaded.export(out, items=held_back or items)


def validation_items(run: Path) -> Rows:
    """Return the items that a run was validated on, as far as they are there; print what has changed since."""
    data, options = RunFolder(run).read_options()
    from onecycle.recipes.task import build_pipeline

    pipeline = build_pipeline(data, read_options(FineTuneOptions, options))
    now = pipeline.label(pipeline.find_items())
    as_before = pipeline_of_run(pipeline, run, now)
    rows: Rows = (now if as_before is pipeline else as_before.label(as_before.find_items())).valid
    return rows
