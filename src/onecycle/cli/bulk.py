"""`onecycle predict --engine ray`: the same inputs and outputs, predicted on a cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from onecycle.cli.inputs import Input, TableOptions, find_inputs
from onecycle.cli.outputs import FILES, check_out, write_all
from onecycle.cli.paths import check_writable
from onecycle.errors import DataError, counted
from onecycle.imports import without_collecting

if TYPE_CHECKING:
    from onecycle.inference.predictions import Predictions
    from onecycle.ship.model import Model


class Engine(StrEnum):
    """What predicts, besides this process."""

    RAY = "ray"


def predict_with_ray(bundle: Path, given: list[str], out: Path | None, table: TableOptions, *, overwrite: bool) -> None:
    """Predict with Ray Data, and tell where the predictions are.

    Files are those of prediction without Ray; a folder gets Parquet files, which the workers write side by side.
    """
    if out is None:
        raise DataError("--engine ray needs --out.", "where to write.", "pass --out predictions.parquet, or a folder.")
    check_writable(out.parent)
    with without_collecting():
        from onecycle.ship.bulk_prediction import predict_items
        from onecycle.ship.model import load_model

    model = load_model(bundle, device="cpu")
    in_parts = out.suffix.lower() not in FILES and model.target.kind != "mask"
    if not in_parts:
        check_out(out, model.target.kind, overwrite=overwrite)
    inputs, header = _inputs(given, model, table)
    items = [str(each.item) for each in inputs]
    if in_parts:
        result = predict_items(bundle, model, items, out)
        typer.echo(
            f"{counted(result.predicted, 'prediction')} and {counted(result.failed, 'error')} written to {result.path}/"
        )
        if result.failed:
            raise typer.Exit(2)
        return
    with tempfile.TemporaryDirectory() as folder:
        predict_items(bundle, model, items, Path(folder) / "rows.parquet")
        predictions, read, errors = _read_rows(Path(folder) / "rows.parquet", model)
    write_all(predictions, out, inputs, header, read)
    for error in errors:
        typer.echo(error, err=True)
    if errors:
        raise typer.Exit(2)


def _inputs(given: list[str], model: Model, table: TableOptions) -> tuple[list[Input], str]:
    """Return the items that are meant: as without Ray, and what lies at addresses or matches a glob."""
    from onecycle.ship.bulk_inputs import find_inputs as find_many
    from onecycle.ship.bulk_inputs import is_address, is_glob

    inputs: list[Input] = []
    header = "image_name"
    for text in given:
        if is_address(text) or (is_glob(text) and not model.modality.reads_text_directly):
            inputs += [Input(name, name, True) for name in find_many([text], model.modality)]
        else:
            found, header = find_inputs([text], model.modality, table)
            if any(callable(one.item) for one in found):
                raise DataError(
                    f"{text} with --engine ray: its images are inside Parquet files.", "images in files of their own.",
                    "leave --engine out, or write the images to a folder.",
                )  # fmt: skip
            inputs += found
    return inputs, header


def _read_rows(path: Path, model: Model) -> tuple[Predictions, Sequence[int], list[str]]:
    """Return the predictions, the numbers of their items, and why others have none."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from onecycle.inference.predictions import Predictions

    rows: Any = pq.read_table(path)
    failed = rows.filter(pc.is_valid(rows["error"]))
    rows = rows.filter(pc.is_null(rows["error"]))
    predictions = Predictions(rows.drop_columns(["row", "error"]), model.target)
    return predictions, rows["row"].to_pylist(), failed["error"].to_pylist()
