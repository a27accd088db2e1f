"""`onecycle predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onecycle.cli.bulk import Engine, predict_with_ray
from onecycle.cli.paths import check_writable, expand_inputs
from onecycle.imports import without_collecting

if TYPE_CHECKING:
    from onecycle.inference.predictions import Predictions
    from onecycle.ship.model import Model


def predict(
    bundle: Annotated[Path, typer.Argument(metavar="MODEL", help="Model that train or Learner.export wrote.")],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Files, or folders of them. For texts also the texts themselves."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="CSV file for the predictions, or for masks a folder of PNG files. Default: print them."),
    ] = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="For masks of large images: predict tile by tile, each at the model's size.")
    ] = False,
    scale: Annotated[float, typer.Option(help="With --tiles: resize images by this factor first.")] = 1.0,
    engine: Annotated[
        Engine | None,
        typer.Option(help="ray: on a cluster, with Ray Data. Then --out is a folder, or ends with .csv or .parquet."),
    ] = None,
) -> None:
    """Predict labels of images or texts."""
    if engine is Engine.RAY:
        predict_with_ray(bundle, inputs, out)
        return
    with without_collecting():
        from onecycle.ship.model import load_model, predict_files

    if out is not None:
        check_writable(out.parent)
    model = load_model(bundle)
    items = expand_inputs(inputs, model.modality)
    predictions, errors = predict_files(model, items, tile_scale=scale if tiles else None)
    if out is None:
        _print(predictions, model)
    else:
        _write(predictions, model, out)
    for error in errors:
        typer.echo(f"{error}\n", err=True)
    if errors:
        raise typer.Exit(2)


def _print(predictions: Predictions, model: Model) -> None:
    for row in predictions.table.to_pylist():
        confidence = f"\t{row['confidence']:.3f}" if "confidence" in row else ""
        typer.echo(f"{row['item']}\t{model.target.caption(row['prediction'])}{confidence}")


def _write(predictions: Predictions, model: Model, out: Path) -> None:
    if model.target.kind == "mask":
        written = predictions.save_masks(out)
        typer.echo(f"{len(written):,} masks written to {out}/")
    else:
        predictions.to_csv(out, label=None if model.target.kind == "multi_category" else "label")
        typer.echo(f"{len(predictions):,} predictions written to {out}")
