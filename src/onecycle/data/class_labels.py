"""Numbers of classes as their names, where Hugging Face writes these into a table's schema, or the user says them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from onecycle.errors import DataError, some

FIX = "pass all classes= in the order of their numbers."


def features(schema: pa.Schema) -> Mapping[str, Any]:
    """Return what Hugging Face says of each column in a schema's metadata; nothing where it says nothing."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def class_names(feature: Any) -> list[str] | None:
    """Return the names of a column's classes, in the order of their numbers."""
    names = feature.get("names") if feature_type(feature) == "ClassLabel" else None
    return [str(name) for name in names] if isinstance(names, list) else None


def feature_type(feature: Any) -> Any:
    """Return what Hugging Face calls a column, such as "Image" or "ClassLabel"."""
    return feature.get("_type") if isinstance(feature, dict) else None


def with_class_names(table: pa.Table) -> pa.Table:
    """Return a table whose columns of class numbers, and of lists of them, hold the names that its schema says.

    Raises:
        DataError: A number has no name.
    """
    fix = "correct the names in the schema, or leave them out: table.replace_schema_metadata(None)."
    for place, field in enumerate(table.schema):
        feature = features(table.schema).get(field.name)
        if pa.types.is_integer(field.type) and (names := class_names(feature)):
            named = named_labels(table[field.name], field.name, names, fix)
        elif (
            is_list(field.type)
            and pa.types.is_integer(field.type.value_type)
            and (names := class_names(inner_feature(feature)))
        ):
            if not pa.types.is_integer(field.type.value_type):
                continue
            named = _named_lists(table[field.name], field.name, names, fix)
        else:
            continue
        table = table.set_column(place, field.name, named)
    return table


def named_labels(column: pa.ChunkedArray, label: str, names: Sequence[str] | None, fix: str = FIX) -> pa.ChunkedArray:
    """Return labels as texts, the numbers of classes as their names; -1, with which Hugging Face says none, as null.

    Args:
        column: The labels.
        label: The column's name.
        names: The classes' names; None leaves the numbers.
        fix: What to do where a number has no name.
    Raises:
        DataError: They are no texts or numbers, or a number has no name.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_floating(kind):
        return column
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)):
        raise DataError(f"Column {label!r} is {column.type}.", "texts or numbers.", "name another column as label=.")
    texts = column.cast(pa.string())
    if names is None:
        return texts
    numbers = {str(number): name for number, name in enumerate(names)} | {name: name for name in names} | {"-1": None}
    encoded = texts.dictionary_encode().unify_dictionaries()
    values = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    if unknown := [value for value in values if value not in numbers]:
        raise DataError(
            f"Column {label!r} holds {some(unknown)}.",
            f"numbers from 0 to {len(names) - 1}, of the classes {some(names, 12)}, or these.",
            fix,
        )
    mapped = pa.array([numbers[value] for value in values], pa.string())
    return pa.chunked_array([mapped.take(chunk.indices) for chunk in encoded.chunks], pa.string())


def _named_lists(column: pa.ChunkedArray, label: str, names: Sequence[str], fix: str) -> pa.ChunkedArray:
    lists = column.to_pylist()
    flat = pa.chunked_array([pa.array([number for tags in lists for number in tags or ()], pa.int64())])
    named = iter(named_labels(flat, label, names, fix).to_pylist())
    found = [None if tags is None else [next(named) for _ in tags] for tags in lists]
    return pa.chunked_array([pa.array(found, pa.list_(pa.string()))])


def inner_feature(feature: Any) -> Any:
    """Return what a list holds; older versions wrote the list itself."""
    if isinstance(feature, list):
        return feature[0] if len(feature) == 1 else None
    return feature.get("feature") if isinstance(feature, dict) else None


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def holds_records(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds structs (dicts), or lists of them: several values with names."""
    return holds_records(kind.value_type) if is_list(kind) else bool(pa.types.is_struct(kind) or pa.types.is_map(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def check_no_records(column: str, kind: pa.DataType) -> None:
    """Refuse a column of structs, such as the boxes of detection data, whose fields would become classes.

    Raises:
        DataError: It holds structs, or lists of them.
    """
    if holds_records(kind):
        raise DataError(
            f"Column {column!r} holds structs (dicts), which are no labels: {kind}.",
            "a column with the name of the class in each row, or with a list of names for tags.",
            "write the names into a column of their own, and pass it as column=. Of detection data the boxes are not "
            "learned from a table.",
        )
