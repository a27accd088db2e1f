"""What an exported file says of itself: one JSON text in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onecycle.errors import BundleError, some

KEY = "onecycle"
"""The name of the description among the metadata of a file."""

SCHEMA = 1
MOST_BYTES = 2**28

# What every description has, and its type.
_SECTIONS: dict[str, type] = {
    "schema": int, "onecycle": str, "target": dict, "modality": dict, "input": dict, "output": str, "card": dict,
    "proof": dict,
}  # fmt: skip


def read_description(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the description among a file's metadata.

    Args:
        metadata: Texts by name.
        name: What the file is called in errors.
    Raises:
        BundleError: There is none, it is of a newer version, or a part is missing.
    Example:
        >>> read_description({}, "x.onnx")
        Traceback (most recent call last):
        onecycle.errors.BundleError: x.onnx does not say how its inputs are read, and what its outputs mean.
        Expected a file that export() of onecycle wrote.
        Fix: export it again, with learner.export("model.onnx").
    """
    text = metadata.get(KEY, "")
    try:
        found = json.loads(text) if 0 < len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _not_ours(f"{name} does not say how its inputs are read, and what its outputs mean.")
    schema = found.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(
            f"{name} has schema {schema}, of a newer version of onecycle.",
            f"schema {SCHEMA} or older, which this version reads.", "pip install --upgrade onecycle",
        )  # fmt: skip
    if absent := [key for key, kind in _SECTIONS.items() if not isinstance(found.get(key), kind)]:
        raise _not_ours(f"{name} does not describe its {some(absent)}.")
    return found


def _not_ours(what: str) -> BundleError:
    return BundleError(
        what, "a file that export() of onecycle wrote.", 'export it again, with learner.export("model.onnx").'
    )
