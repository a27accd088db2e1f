"""`onecycle export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onecycle.cli.command_options import read_options
from onecycle.cli.opened_run import prepare_run
from onecycle.cli.outputs import check_new
from onecycle.cli.run_folder import OPTIONS, RunFolder
from onecycle.cli.run_items import pipeline_of_run
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.data.rows import Rows
    from onecycle.ship.exports.check_items import CheckItems
    from onecycle.ship.model import Model


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model, or the folder of a run.")],
    out: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What to write: a name in .onnx, .pt2 or .xml; with --web a folder."),
    ],
    items: Annotated[
        Path | None,
        typer.Option(help="Files on which both are compared. Default: those that the run was validated on; "
                     "of a single model, some that are drawn."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32; fp16 for half the size; or int8 for a quarter of it, of the folder of a run.")
    ] = "fp32",
    tolerance: Annotated[
        float | None,
        typer.Option(help="How much predictions may differ; of int8, how many points a metric may fall by "
                     "(0.5 without it)."),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Write a page that classifies images in the browser, without a server.")
    ] = False,
    runtime_files: Annotated[
        Path | None,
        typer.Option(help="For --web: what npm pack onnxruntime-web downloaded, or the folder of that package."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:  # fmt: skip
    """Write a model for another runtime, once it is proved that it predicts the same there."""
    check_new(out, "pass another FILE", overwrite=overwrite)
    options: dict[str, Any] = {"items": items, "web": web, "runtime_files": runtime_files, "tolerance": tolerance}
    if precision != "fp32":
        options["precision"] = precision
    from onecycle.ship.model import load_model

    loaded = load_model(model, device="cpu")
    if items is None and (model / OPTIONS).is_file():
        options |= _items_to_measure(model) if precision == "int8" else {"items": _items_to_compare(model, loaded)}
    loaded.export(out, **{name: value for name, value in options.items() if value is not None and value is not False})


def _items_to_measure(run: Path) -> dict[str, Any]:
    """Return the items that a run was trained and validated on, as rows, and its metrics."""
    learner, _ = prepare_run(run)
    labelled = learner.data.labelled
    return {"items": labelled.valid, "training_items": labelled.train, "metrics": learner.state.metrics}


def _items_to_compare(run: Path, model: Model) -> CheckItems:
    """Return the items that a run was validated on, as far as files are compared on them."""
    from onecycle.ship.exports.check_items import items_given

    return items_given(validation_items(run), model.modality, model.target, "validation items")


def validation_items(run: Path) -> Rows:
    """Return the items that a run was validated on, as far as they are there; print what has changed since."""
    from onecycle.recipes.task import build_pipeline

    data, options = RunFolder(run).read_options()
    pipeline = build_pipeline(data, read_options(FineTuneOptions, options))
    now = pipeline.label(pipeline.find_items())
    as_before = pipeline_of_run(pipeline, run, now)
    rows: Rows = (now if as_before is pipeline else as_before.label(as_before.find_items())).valid
    return rows
