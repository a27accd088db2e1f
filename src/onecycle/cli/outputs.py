"""Prints predictions, or writes them to a file: CSV, JSON or Parquet, for masks PNG files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onecycle.cli.inputs import Input
from onecycle.errors import DataError, counted, some

if TYPE_CHECKING:
    from onecycle.inference.predictions import Predictions
    from onecycle.inference.predictor import Predictor

FILES = (".csv", ".json", ".jsonl", ".parquet")


def check_out(out: Path, kind: str, *, overwrite: bool) -> None:
    """Check, before anything is predicted, that predictions of a kind can be written.

    Raises:
        DataError: The suffix is unknown, or something would be overwritten.
    """
    suffix = out.suffix.lower()
    if kind == "mask":
        if suffix in FILES:
            raise DataError(f"--out {out} for masks.", "a folder for PNG files.", "pass --out masks.")
    elif suffix not in FILES:
        raise DataError(
            f"--out {out} has the suffix {suffix!r}.", f"one of: {', '.join(FILES)}.", f"pass --out {out.stem}.csv."
        )
    if out.is_dir() if kind != "mask" else out.is_file():
        raise DataError(f"{out} is a {'file' if kind == 'mask' else 'folder'}.", "a new name.", "pass another --out.")
    check_new(out, "pass another --out", overwrite=overwrite)


def check_new(out: Path, otherwise: str, *, overwrite: bool) -> None:
    """Check that nothing would be overwritten, unless that is asked for.

    Args:
        out: What will be written.
        otherwise: What to do instead, for the error.
        overwrite: Whether --overwrite is given.
    Raises:
        DataError: There is a file, or a folder that is not empty.
    """
    if (out.is_file() or (out.is_dir() and any(out.iterdir()))) and not overwrite:
        raise DataError(f"{out} exists.", "a new file or folder.", f"{otherwise}, or add --overwrite.")


def names_in_table(inputs: Sequence[Input]) -> list[str]:
    """Return what items are called in a table: files by their names, with folders where these are needed to tell them
    apart; texts and the rows of a table as they are.
    """
    from onecycle.inference.item_names import short_names

    files = [number for number, each in enumerate(inputs) if each.is_file]
    short = dict(zip(files, short_names([inputs[number].name for number in files], suffix=True), strict=True))
    return [short.get(number, each.name) for number, each in enumerate(inputs)]


def write_all(predictions: Predictions, out: Path, inputs: Sequence[Input], header: str, read: Sequence[int]) -> None:
    """Write predictions as their kind is written, and tell where: masks into a folder, others into a table.

    Args:
        predictions: Of the inputs that could be read.
        out: The file, or the folder.
        inputs: All inputs.
        header: What the column of their names is called.
        read: The number of the input of each prediction.
    """
    if predictions.target.kind == "mask":
        write_masks(predictions, out, [inputs[number].name for number in read])
    else:
        write_predictions(predictions, out, names_in_table(inputs), header, read)
        typer.echo(f"{counted(len(predictions), 'prediction')} written to {out}")


def tell_of_sets(model: Predictor, coverage: float) -> None:
    """Tell what sets promise, before anything is predicted.

    Raises:
        ModelError: The model has nothing to make them from.
        DataError: `coverage` is no share.
    """
    from onecycle.inference.calibration import few_for_sets, fewest_for_sets

    items = model.check_sets(coverage)
    few = few_for_sets(items, coverage) or ""
    promise = f"Sets have the right class in {coverage:.0%} of cases on average, not for each class."
    typer.echo(few if items < fewest_for_sets(coverage) else f"{promise} {few}".strip(), err=True)


def tell_of_unfamiliar(predictions: Predictions, names: Sequence[str]) -> None:
    """Tell which inputs are unlike the training items, where the model can tell: their labels are guesses."""
    if "unfamiliar" not in predictions.table.column_names:
        return
    far = [name for name, flag in zip(names, predictions.table["unfamiliar"].to_pylist(), strict=True) if flag]
    if far:
        which = f"{len(far):,} of {counted(len(names), 'input')} {'is' if len(far) == 1 else 'are'}"
        typer.echo(f"{which} unlike the training items: {some(far, 5)}", err=True)


def print_predictions(predictions: Predictions, names: Sequence[str]) -> None:
    """Print a line for each item: its name, the prediction and the probability; of tags that of each."""
    target = predictions.target
    for name, row in zip(names, predictions.table.to_pylist(), strict=True):
        if target.kind == "multi_category":
            tags = [f"{tag} {row[f'p({tag})']:.3f}" for tag in row["prediction"]]
            typer.echo(f"{name}\t{', '.join(tags) or target.caption(())}")
        else:
            confidence = f"\t{row['confidence']:.3f}" if "confidence" in row else ""
            chosen = f"\t{{{', '.join(row['set'])}}}" if "set" in row else ""
            typer.echo(f"{name}\t{target.caption(row['prediction'])}{confidence}{chosen}")


def write_predictions(
    predictions: Predictions, out: Path, names: Sequence[str], header: str, read: Sequence[int]
) -> None:
    """Write predictions to a file, a row for each item in the order of the inputs.

    Args:
        predictions: The predictions of the items that could be read.
        out: The file; its suffix decides the format.
        names: The names of all items.
        header: What the column of names is called.
        read: The positions among `names` of the items that could be read; the rows of others are empty.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".csv":
        label = None if predictions.target.kind == "multi_category" else "label"
        predictions.to_csv(out, name=header, label=label, names=[names[place] for place in read], how_sure=True)
        _insert_empty(out, names, read)
        return
    places = {place: number for number, place in enumerate(read)}
    table = predictions.table.drop_columns(["item"]).take(pa.array(map(places.get, range(len(names))), pa.int64()))
    table = table.add_column(0, header, pa.array(names, pa.string()))
    if out.suffix.lower() == ".parquet":
        pq.write_table(table, out)
        return
    rows = table.to_pylist()
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    whole = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    out.write_text(lines if out.suffix.lower() == ".jsonl" else whole, encoding="utf-8")


def write_masks(predictions: Predictions, folder: Path, names: Sequence[str]) -> None:
    """Write a PNG for each mask, named after its image, and mark the folder as ours, so that no training takes it for
    data.
    """
    from onecycle.data.own_output import MARKER
    from onecycle.inference.predictions import Predictions

    position = predictions.table.column_names.index("item")
    named = predictions.table.set_column(position, "item", [list(names)])
    written = Predictions(named, predictions.target).save_masks(folder)
    (folder / MARKER).touch()
    typer.echo(f"{counted(len(written), 'mask')} written to {folder}/")


def _insert_empty(out: Path, names: Sequence[str], read: Sequence[int]) -> None:
    """Give the items that could not be read a row without a prediction, so that rows are those of the inputs."""
    if len(read) == len(names):
        return
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    held = dict(zip(read, rows, strict=True))
    with out.open("w", newline="", encoding="utf-8") as file:
        empty = [""] * (len(header) - 1)
        csv.writer(file).writerows([header, *(held.get(place, [name, *empty]) for place, name in enumerate(names))])
