"""`onecycle predict --engine ray`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from onecycle.cli.paths import check_writable
from onecycle.errors import DataError
from onecycle.imports import without_collecting


class Engine(StrEnum):
    """What predicts, besides this process."""

    RAY = "ray"


def predict_with_ray(bundle: Path, inputs: list[str], out: Path | None) -> None:
    """Predict with Ray Data, and tell where the predictions are."""
    if out is None:
        raise DataError("--engine ray needs --out.", "where to write.", "pass --out predictions.parquet, or a folder.")
    check_writable(out.parent)
    with without_collecting():
        from onecycle.ship.bulk_prediction import predict_on_cluster

    result = predict_on_cluster(bundle, inputs, out)
    typer.echo(f"{result.predicted:,} predictions and {result.failed:,} errors written to {result.path}")
    if result.failed:
        raise typer.Exit(2)
