"""Values of a batch, whatever they are made of.

A value is a tensor whose first dimension counts the items, a list with one entry per item, or a dict or tuple of such
values. An object with its own `to(device)` and `__getitem__` works as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def move(value: Any, device: torch.device) -> Any:
    """Return `value` on `device`. To a GPU it is copied from pinned memory, while the program goes on.

    Example:
        >>> move([torch.zeros(2, 4), torch.zeros(1, 4)], torch.device("cpu"))[1].shape
        torch.Size([1, 4])
    """
    if isinstance(value, Tensor):
        if device.type == "cuda":
            value = pin(value)  # from other memory the copy waits for all that the GPU was given
        elif device.type == "mps" and value.dtype == torch.float64:
            value = value.float()  # MPS has no numbers of 64 bits
        # On other devices nothing keeps the memory until such a copy is complete.
        return value.to(device, non_blocking=device.type == "cuda")
    if hasattr(value, "to"):
        return value.to(device)
    return _rebuilt(value, lambda part: move(part, device))


def pin(value: Any) -> Any:
    """Return `value` with its tensors in pinned memory, from which a GPU copies while the program goes on."""
    if isinstance(value, Tensor):
        # Only dense memory can be pinned, in which each number has a place of its own.
        dense = value.device.type == "cpu" and value.layout == torch.strided and 0 not in value.stride()
        return value.pin_memory() if dense else value
    return value.pin_memory() if hasattr(value, "pin_memory") else _rebuilt(value, pin)


def take(value: Any, rows: Tensor | slice) -> Any:
    """Return the items of `value` at `rows`.

    Args:
        value: See the module.
        rows: Positions, int64, (n,), or a slice.
    Example:
        >>> take({"boxes": [1, 2, 3], "scores": torch.tensor([0.1, 0.2, 0.3])}, slice(0, 2))
        {'boxes': [1, 2], 'scores': tensor([0.1000, 0.2000])}
    """
    if isinstance(value, list):
        return value[rows] if isinstance(rows, slice) else [value[row] for row in rows.tolist()]
    if isinstance(value, dict | tuple):
        return _rebuilt(value, lambda part: take(part, rows))
    if isinstance(value, Tensor) and isinstance(rows, Tensor):
        return gather(value, move(rows, value.device))
    return None if value is None else value[rows]


def gather(value: Tensor, rows: Tensor, *, pinned: bool = False) -> Tensor:
    """Return the items of `value` at `rows`, several times as fast as by an index.

    Args:
        value: (items, ...).
        rows: Positions, int64, (n,), on the device of `value`.
        pinned: Write them into pinned memory, which PyTorch keeps and uses again once a GPU has copied from it.
    """
    if not pinned:
        return value.index_select(0, rows)
    out = torch.empty((len(rows), *value.shape[1:]), dtype=value.dtype, pin_memory=True)
    return torch.index_select(value, 0, rows, out=out)


def join(values: list[Any]) -> Any:
    """Return one value with the items of all `values`, in their order; the inverse of `take` with slices."""
    first = values[0]
    if len(values) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(values)
    if isinstance(first, list):
        return [item for value in values for item in value]
    if isinstance(first, dict):
        return {key: join([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return _same_tuple(first, [join(list(fields)) for fields in zip(*values, strict=True)])
    raise TypeError(f"Cannot join {type(first).__name__}; a batch holds tensors, lists, dicts and tuples.")


def to_float32(value: Any) -> Any:
    """Return `value` with its floating-point tensors in 32 bits."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    return _rebuilt(value, to_float32)


def detach(value: Any) -> Any:
    """Return `value` without its history of gradients."""
    return value.detach() if isinstance(value, Tensor) else _rebuilt(value, detach)


def tensors_in(value: Any) -> list[Tensor]:
    """Return all tensors of a value."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def _rebuilt(value: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [function(part) for part in value]
    if isinstance(value, dict):
        return {key: function(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return _same_tuple(value, [function(part) for part in value])
    return value


def _same_tuple(like: tuple[Any, ...], parts: list[Any]) -> Any:
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
