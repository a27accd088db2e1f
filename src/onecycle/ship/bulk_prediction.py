"""Prediction of many files on a cluster, by Ray Data: a model in each worker, a row for each item."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from onecycle.bundle.replace import part_path
from onecycle.errors import DataError, ModelError
from onecycle.ship.bulk_inputs import find_inputs, opened
from onecycle.ship.model import Model, answers_table, find_bundle, load_model

# Of so many inputs the first that can be read is predicted before the cluster is asked for anything.
TRIED = 20
BATCHES_A_BLOCK = 8
# Columns of a CSV file besides the prediction's and the probabilities.
SURE = ("confidence", "unfamiliar", "unfamiliarity")


@dataclass(frozen=True)
class BulkResult:
    """What a prediction in bulk has written.

    Attributes:
        path: The file, or the folder of Parquet files.
        predicted: Items with a prediction.
        failed: Items without: their row has an error instead.
    """

    path: Path
    predicted: int
    failed: int


def predict_on_cluster(
    bundle: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    batch_size: int = 32,
    workers: int | None = None,
) -> BulkResult:
    """Predict many files with Ray Data, and write a row for each: its number, its name, the prediction, or an error.

    Ray is started on this machine unless the program, or the environment variable RAY_ADDRESS, names a cluster. The
    bundle is sent to the workers; files must have the same path on every machine, or an address such as s3://.

    Args:
        bundle: What `Learner.export` wrote.
        inputs: Files, globs, folders, or addresses of these; see `find_inputs`.
        out: A name with the suffix .csv or .parquet becomes one file, in the order of the inputs; any other a folder,
            on a disk that all machines share, into which each worker writes Parquet files.
        batch_size: Items a batch.
        workers: How many workers hold a model; None takes one a GPU, or where there are none, all processors but one.
    Raises:
        ModelError: Ray is not installed.
        DataError: There is nothing to predict, nothing can be read, or `out` exists.
    Example:
        >>> result = predict_on_cluster("planet.onecycle", ["s3://tiles/2019"], "tags.parquet")  # doctest: +SKIP
        >>> result.predicted, result.failed  # doctest: +SKIP
        (61191, 0)
    """
    _import_ray()
    path = _checked(Path(out))
    model = load_model(bundle, device="cpu")
    items = find_inputs([str(given) for given in inputs], model.modality)
    return predict_items(bundle, model, items, path, batch_size=batch_size, workers=workers)


def predict_items(
    bundle: str | Path,
    model: Model,
    items: Sequence[str],
    out: Path,
    *,
    batch_size: int = 32,
    workers: int | None = None,
) -> BulkResult:
    """Predict items that are found already; the rest is as for `predict_on_cluster`.

    Args:
        bundle: What is sent to the workers.
        model: The same model, here.
        items: Paths, addresses, or texts.
        out: Where to write.
        batch_size: Items a batch.
        workers: How many workers hold a model.
    """
    ray = _import_ray()
    path = _checked(out)
    bundle = find_bundle(bundle)
    schema = _schema(model, items, csv=path.suffix == ".csv")
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    blocks = [
        pa.table({"row": range(start, min(start + size, len(items))), "item": items[start : start + size]})
        for size in [batch_size * BATCHES_A_BLOCK]
        for start in range(0, len(items), size)
    ]
    predicted = ray.data.from_arrow(blocks).map_batches(
        _Worker,
        fn_constructor_args=(ray.put(_files_of(Path(bundle))), schema),
        batch_size=batch_size,
        batch_format="pyarrow",
        **_workers(ray, workers, len(blocks)),
    )
    return _write(predicted, path, schema)


class _Worker:
    """Holds a model on one of the cluster's machines."""

    def __init__(self, files: Any, schema: pa.Schema) -> None:
        import ray

        held = ray.get(files) if isinstance(files, ray.ObjectRef) else files
        with tempfile.TemporaryDirectory() as folder:
            for name, content in held.items():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).write_bytes(content)
            self.model = load_model(Path(folder) / next(iter(held)).partition("/")[0])
        self.schema = schema

    def __call__(self, batch: pa.Table) -> pa.Table:
        return predict_rows(self.model, batch, self.schema)


def predict_rows(model: Model, batch: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the rows of a batch, (row, item), with predictions; those that cannot be read with an error."""
    samples, rows, errors = [], [], {}
    for row, item in zip(batch["row"].to_pylist(), batch["item"].to_pylist(), strict=True):
        try:
            with opened(item) as there:
                samples.append(model.read(there))
            rows.append((row, item))
        except DataError as error:
            errors[row] = (item, error.what)
    parts = [_failed(errors, schema)]
    if samples:
        parts.append(_predicted(model, samples, rows, schema))
    return pa.concat_tables(parts).sort_by("row").combine_chunks()


def _predicted(model: Model, samples: Any, rows: Sequence[tuple[int, str]], schema: pa.Schema) -> pa.Table:
    numbers, names = zip(*rows, strict=True)
    table = _table(model, samples, names, csv="prediction" not in schema.names)
    table = table.add_column(0, "row", pa.array(numbers, pa.int64()))
    return table.append_column("error", pa.nulls(len(rows), pa.string())).cast(schema)


def _table(model: Model, samples: Any, names: Sequence[str], *, csv: bool) -> pa.Table:
    """Return predictions as a table; for CSV each in cells, as competitions ask for them."""
    table = answers_table(model, names, samples).table
    if not csv:
        return table
    cells = [model.target.cells(prediction) for prediction in table["prediction"].to_pylist()]
    flat = {name: pa.array([row[name] for row in cells]) for name in cells[0]}
    if any(pa.types.is_binary(column.type) for column in flat.values()) or model.target.kind == "mask":
        raise DataError(
            "Masks do not fit into a CSV file.", "a folder or a .parquet file.", "pass another name, such as masks/."
        )
    kept = [name for name in table.column_names if name in SURE or name.startswith("p(")]
    return pa.table({"item": table["item"], **flat, **{name: table[name] for name in kept}})


def _failed(errors: dict[int, tuple[str, str]], schema: pa.Schema) -> pa.Table:
    columns: dict[str, Any] = {
        "row": list(errors), "item": [item for item, _ in errors.values()], "error": [why for _, why in errors.values()]
    }  # fmt: skip
    return pa.table(
        [pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(errors), field.type)
         for field in schema], schema=schema,
    )  # fmt: skip


def _schema(model: Model, items: Sequence[str], *, csv: bool) -> pa.Schema:
    """Return the columns of the result, from the first item that can be read."""
    why = ""
    for item in items[:TRIED]:
        try:
            with opened(item) as there:
                sample = model.read(there)
        except DataError as error:
            why = error.what
            continue
        table = _table(model, [sample], [item], csv=csv)
        return pa.schema([pa.field("row", pa.int64()), *table.schema, pa.field("error", pa.string())])
    raise DataError(
        f"None of the first {min(TRIED, len(items))} of {len(items):,} inputs can be read: {why}",
        f"what the model reads: {model.modality.describe().model}.",
        "check what the inputs are; files that cannot be read are left out further on, and told in the column error.",
    )


def _write(predicted: Any, path: Path, schema: pa.Schema) -> BulkResult:
    if path.suffix in (".csv", ".parquet"):
        return _write_file(predicted, path, schema)
    # Writing shares the one processor that is not a worker's.
    predicted.write_parquet(str(path.absolute()), ray_remote_args={"num_cpus": 0.25})
    from pyarrow import dataset

    errors = dataset.dataset(path, format="parquet").to_table(columns=["error"])["error"]
    return BulkResult(path, errors.null_count, len(errors) - errors.null_count)


def _write_file(predicted: Any, path: Path, schema: pa.Schema) -> BulkResult:
    """Write one file, batch by batch in order; it has its name only when it is complete."""
    import ray

    context = ray.data.DataContext.get_current()
    before, context.execution_options.preserve_order = context.execution_options.preserve_order, True
    part, count, failed = part_path(path), 0, 0
    try:
        with ExitStack() as stack:
            writer = stack.enter_context(_writer(part, path.suffix, schema))
            for batch in _batches(predicted):
                table = batch.cast(schema)
                writer.write_table(table)
                count, failed = count + len(table), failed + len(table) - table["error"].null_count
        os.replace(part, path)
    finally:
        context.execution_options.preserve_order = before
        part.unlink(missing_ok=True)
    return BulkResult(path, count - failed, failed)


def _batches(predicted: Any) -> Iterator[pa.Table]:
    yield from predicted.iter_batches(batch_size=None, batch_format="pyarrow")


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    from pyarrow import csv, parquet

    return csv.CSVWriter(path, schema) if suffix == ".csv" else parquet.ParquetWriter(path, schema)


def _workers(ray: Any, workers: int | None, blocks: int) -> dict[str, Any]:
    """Return how many workers there are, and what each of them takes of the cluster."""
    resources = ray.cluster_resources()
    gpus, processors = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    count = min(workers or gpus or max(processors - 1, 1), max(blocks, 1))
    needs = {"num_gpus": min(1.0, gpus / count)} if gpus else {"num_cpus": min(1.0, (processors - 0.5) / count)}
    return {"compute": ray.data.ActorPoolStrategy(size=count), **needs}


def _files_of(bundle: Path) -> dict[str, bytes]:
    """Return the files of a bundle by name, which begin with its own."""
    if bundle.is_file():
        return {bundle.name: bundle.read_bytes()}
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    return {f"{bundle.name}/{path.relative_to(bundle).as_posix()}": path.read_bytes() for path in files}


def _checked(out: Path) -> Path:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataError(f"{out} exists.", "a file or folder that is new.", "pass another name, or delete it first.")
    if not out.suffix:
        return out
    if out.suffix not in (".csv", ".parquet"):
        raise DataError(f"Predictions are not written as {out.suffix}.", "a folder, .csv or .parquet.", "rename it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _import_ray() -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise ModelError(
            f"Ray Data is not installed: {error}.", "the extra `ray`.", "pip install 'onecycle[ray]'."
        ) from None
    return ray
