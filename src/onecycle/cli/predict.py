"""`onecycle predict`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.bulk import Engine, predict_with_ray
from onecycle.cli.inputs import TableOptions, find_inputs
from onecycle.cli.outputs import check_out, print_predictions, tell_of_sets, tell_of_unfamiliar, write_all
from onecycle.cli.paths import check_writable
from onecycle.cli.shell_words import shell_advice
from onecycle.errors import DataError
from onecycle.imports import without_collecting


def predict(
    bundle: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model that train or Learner.export wrote, or the folder of a run.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders of them, or a CSV file with an item in each row. For texts also the texts themselves.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the predictions: .csv, .json, .jsonl or .parquet; for masks a folder of PNG files. Default: "
            "print them."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")] = False,
    column: Annotated[
        str | None, typer.Option(help="Column of a CSV file with the items. Default: found by its values.")
    ] = None,
    separator: Annotated[str | None, typer.Option(help="Text between fields of a CSV file. Default: found.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Character encoding of a CSV file. Default: detected.")] = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="For masks of large images: predict tile by tile, each at the model's size.")
    ] = False,
    scale: Annotated[float, typer.Option(help="With --tiles: resize images by this factor first.")] = 1.0,
    sets: Annotated[
        float | None,
        typer.Option(
            help="For one class an item: tell the classes too that hold the right one in this share of all cases, such "
            "as 0.9."
        ),
    ] = None,
    engine: Annotated[
        Engine | None,
        typer.Option(help="ray: on a cluster, with Ray Data. Then a folder as --out gets Parquet files."),
    ] = None,
) -> None:
    """Predict labels of images or texts."""
    if engine is Engine.RAY:
        for option in ["--tiles"] * tiles + ["--sets"] * (sets is not None):
            raise DataError(
                f"{option} with --engine ray.", "one of them.", f"leave --engine out, or predict without {option}."
            )
        predict_with_ray(bundle, inputs, out, TableOptions(column, separator, encoding), overwrite=overwrite)
        return
    with without_collecting():
        from onecycle.ship.model import load_model, predict_files

    if out is not None:
        check_writable(out.parent)
    model = load_model(bundle)
    if sets is not None:
        tell_of_sets(model, sets)
    if out is not None:
        check_out(out, model.target.kind, overwrite=overwrite)
    items, header = find_inputs(inputs, model.modality, TableOptions(column, separator, encoding))
    numbers = [str(number) for number in range(len(items))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few held-back items, which is told above
        predictions, errors = predict_files(
            model, [each.item for each in items], names=numbers, tile_scale=scale if tiles else None, sets=sets
        )
    read = [int(number) for number in predictions.table["item"].to_pylist()]
    if out is None:
        print_predictions(predictions, [items[number].name for number in read])
    elif read or not errors:
        write_all(predictions, out, items, header, read)
    tell_of_unfamiliar(predictions, [items[number].name for number in read])
    for error in errors:
        typer.echo(f"{shell_advice(error, is_training=False)}\n", err=True)
    if errors:
        raise typer.Exit(2)
