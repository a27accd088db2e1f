"""A journal as files that other programs read: one Parquet file, or a CSV file beside the inputs."""

from __future__ import annotations

import csv
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from onecycle.errors import DataError, some

TABLE, INPUTS, CONTENT, PARQUET = "journal.csv", "inputs", "content", ".parquet"
# The suffix of a name that whoever reads it takes for a file's.
_FILE = re.compile(r"\.[A-Za-z]{2,5}")
# The name of a kept input. What an export names is a path on this machine only if it is one of these.
_INPUT = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{62}(\.[a-z0-9]{1,10})?")
_ROWS_AT_ONCE = 256


def write_events(events: pa.Table, inputs: Path, path: Path) -> Path:
    """Write a journal's events and its inputs to a new Parquet file, or to a new folder.

    Raises:
        DataError: The name is of another kind of file; there is something at `path`, or no space left; or an
            input is missing.
    """
    if path.suffix != PARQUET and _FILE.fullmatch(path.suffix):
        raise DataError(
            f"The journal cannot be exported to {path}: it would be a folder of that name.",
            "a file whose name ends in .parquet, or the name of a folder.",
            f"pass {path.with_suffix(PARQUET).name!r}, or {path.stem!r} for a folder with a CSV file and the inputs.",
        )  # fmt: skip
    if path.exists():
        raise DataError(f"{path} exists.", "a file or folder that is new.", "pass another name, or delete it first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        (_write_parquet if path.suffix == PARQUET else _write_folder)(events, inputs, part)
        os.replace(part, path)
    except OSError as error:
        raise DataError(
            f"The journal cannot be exported to {path}: {error}.", f"every input in {inputs}, and space on the disk.",
            "restore what is missing there, or pass a path on another disk.",
        ) from error  # fmt: skip
    finally:
        part.unlink(missing_ok=True) if part.is_file() else shutil.rmtree(part, ignore_errors=True)
    return path


def _write_parquet(events: pa.Table, inputs: Path, path: Path) -> None:
    schema = events.schema.append(pa.field(CONTENT, pa.binary()))
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(events), _ROWS_AT_ONCE):
            rows = events.slice(start, _ROWS_AT_ONCE)
            contents = [(inputs / key).read_bytes() for key in rows["input"].to_pylist()]
            writer.write_table(rows.append_column(schema.field(CONTENT), pa.array(contents, pa.binary())))


def _write_folder(events: pa.Table, inputs: Path, folder: Path) -> None:
    folder.mkdir()
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, events.column_names)
        writer.writeheader()
        writer.writerows(events.to_pylist())
    for key in sorted(set(events["input"].to_pylist())):
        (folder / INPUTS / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(inputs / key, folder / INPUTS / key)


def read_events(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each event of an exported journal, with the content of its input.

    Raises:
        DataError: It is no export of a journal.
    """
    if not path.exists():
        raise DataError(
            f"No such file or folder: {path}.", "what Journal.export() wrote, or the folder of a journal.",
            "check the path.",
        )  # fmt: skip
    if path.is_dir() and not (path / TABLE).is_file():
        raise not_an_export(path, f"it has no {TABLE}")
    try:
        for event, content in _from_folder(path) if path.is_dir() else _from_parquet(path):
            if not _INPUT.fullmatch(event["input"]):
                raise not_an_export(path, f"{event['input'][:80]!r} is no name of an input")
            yield event, content() if callable(content) else content
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise not_an_export(path, f"{type(error).__name__}: {error}") from error


def _from_folder(folder: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            event = {name: value or None for name, value in row.items()}
            yield event, (folder / INPUTS / str(event["input"])).read_bytes


def _from_parquet(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    try:
        opened = parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise not_an_export(path, "it is no Parquet file") from error
    with opened as file:
        if lacking := [name for name in ("prediction", "input", CONTENT) if name not in file.schema_arrow.names]:
            raise not_an_export(path, f"it has no column {some(lacking)}")
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield row, row.pop(CONTENT)


def not_an_export(path: str | Path, why: str) -> DataError:
    """Return the error for what cannot be merged into a journal."""
    return DataError(
        f"{path} cannot be merged into the journal: {why}.", "what Journal.export() wrote.", "export it again."
    )
