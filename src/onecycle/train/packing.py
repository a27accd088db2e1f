"""Nested state as JSON and tensors, which is how a checkpoint holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

TENSOR, TUPLE, ROWS = "#tensor", "#tuple", "#rows"


def pack(state: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return nested state as JSON; its tensors are put into `tensors`, under names that begin with `name`.

    Args:
        state: Dicts with texts or whole numbers as keys, lists, tuples, tensors, numbers, texts, booleans and None.
        name: Where in the checkpoint it belongs.
        tensors: Gets the tensors.
    Raises:
        TypeError: There is something else in it.

    Example:
        >>> import torch
        >>> tensors = {}
        >>> pack({"best": torch.ones(2), "wait": 3}, "early_stopping", tensors)
        {'best': {'#tensor': 'early_stopping.best'}, 'wait': 3}
        >>> list(tensors)
        ['early_stopping.best']
    """
    if state is None or isinstance(state, str | bool | int | float):
        return state
    if isinstance(state, Tensor):
        tensors[name] = state
        return {TENSOR: name}
    if isinstance(state, tuple):
        return {TUPLE: pack(list(state), name, tensors)}
    if isinstance(state, list):
        return [pack(value, f"{name}.{place}", tensors) for place, value in enumerate(state)]
    if isinstance(state, Mapping) and all(isinstance(key, str) for key in state):
        return {key: pack(value, f"{name}.{key}", tensors) for key, value in state.items()}
    if isinstance(state, Mapping) and all(isinstance(key, int) for key in state):
        return {ROWS: {str(key): pack(value, f"{name}.{key}", tensors) for key, value in state.items()}}
    raise TypeError(f"{name} is of type {type(state).__name__}")


def unpack(packed: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the state that `pack` made JSON of; its tensors are those in `tensors`, not copies."""
    if isinstance(packed, list):
        return [unpack(value, tensors) for value in packed]
    if not isinstance(packed, dict):
        return packed
    if TENSOR in packed:
        return tensors[packed[TENSOR]]
    if TUPLE in packed:
        return tuple(unpack(packed[TUPLE], tensors))
    if ROWS in packed:
        return {int(key): unpack(value, tensors) for key, value in packed[ROWS].items()}
    return {key: unpack(value, tensors) for key, value in packed.items()}
