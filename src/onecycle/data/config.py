"""Frozen dataclasses as JSON and back: the default of every target and modality."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def json_fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON can hold them: tuples become lists."""
    if not is_dataclass(value):
        return {}
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.init}


def fields_from_json(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that `json_fields` described: lists become tuples."""
    return {name: _frozen(value) for name, value in config.items() if name != "kind"}


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
