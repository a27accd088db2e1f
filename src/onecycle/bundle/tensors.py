"""The safetensors format, read and written one tensor at a time, so that no second copy of the weights is in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor

from onecycle.bundle.layout import LARGEST_HEADER
from onecycle.bundle.span import Span
from onecycle.bundle.strict_json import parse_json

# In the order in which safetensors writes them. Those that an old torch lacks are left out.
_NAMES = {
    "U64": "uint64", "I64": "int64", "F64": "float64", "C64": "complex64", "F32": "float32", "U32": "uint32",
    "I32": "int32", "BF16": "bfloat16", "F16": "float16", "U16": "uint16", "I16": "int16",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
DTYPES: dict[str, torch.dtype] = {name: getattr(torch, of) for name, of in _NAMES.items() if hasattr(torch, of)}
_CODES = {dtype: name for name, dtype in DTYPES.items()}
_RANKS = {name: rank for rank, name in enumerate(DTYPES)}
MOST_DIMENSIONS = 16


def differing_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Return the names that only one of two models has, or else those whose shapes differ.

    Example:
        >>> differing_tensors({"weight": torch.zeros(2, 3)}, {"weight": torch.zeros(3, 2)})
        ['weight']
    """
    return sorted(one.keys() ^ other.keys()) or [name for name in one if one[name].shape != other[name].shape]


def make_header(tensors: Mapping[str, Tensor]) -> tuple[bytes, list[str]]:
    """Return the start of a safetensors file, and the names of the tensors in the order in which they follow.

    Raises:
        ValueError: The format has no such tensors, or there are too many.
    """
    other = [name for name, tensor in tensors.items() if tensor.dtype not in _CODES or tensor.layout != torch.strided]
    if other:
        raise ValueError(f"{other[0]} is a tensor of {tensors[other[0]].dtype}, {tensors[other[0]].layout}")
    names = sorted(tensors, key=lambda name: (_RANKS[_CODES[tensors[name].dtype]], name))
    described, end = {}, 0
    for name in names:
        start, end = end, end + tensors[name].nbytes
        code, shape = _CODES[tensors[name].dtype], list(tensors[name].shape)
        described[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise ValueError(f"the names and shapes of {len(tensors):,} tensors take {len(text):,} bytes")
    return len(text).to_bytes(8, "little") + text, names


def write_tensors(tensors: Mapping[str, Tensor], header: bytes, names: list[str], write: Callable[[Any], Any]) -> None:
    """Write a header of `make_header` and what follows it; tensors on other devices come over one at a time."""
    write(header)
    for name in names:
        plain = tensors[name].detach().cpu().resolve_conj().resolve_neg().contiguous()
        write(_memory(plain))


def read_tensors(span: Span) -> dict[str, Tensor]:
    """Return the tensors, each in memory of its own.

    Raises:
        ValueError: It is not the safetensors format, or its header and its size disagree.
    """
    length = int.from_bytes(span.read(0, min(8, span.size)), "little")
    if not 2 <= length <= min(span.size - 8, LARGEST_HEADER):
        raise ValueError(f"a header of {length:,} bytes in {span.size:,}")
    header = parse_json(span.read(8, length))
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    header.pop("__metadata__", None)
    span.file.seek(span.start + 8 + length)
    tensors: dict[str, Tensor] = {}
    for name, dtype, shape in _checked(header, span.size - 8 - length):
        tensors[name] = _read_tensor(span.file, dtype, shape, name)
    return tensors


def _checked(header: dict[str, Any], size: int) -> list[tuple[str, torch.dtype, list[int]]]:
    """Return names, types and shapes in the order of their bytes, once these have been found to fill the file."""
    tensors, ranges = [], []
    for name, entry in header.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"the entry of {name}")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ValueError(f"the type of {name}")
        if not _are_sizes(shape) or len(shape) > MOST_DIMENSIONS or not _are_sizes(offsets) or len(offsets) != 2:
            raise ValueError(f"the shape or place of {name}")
        if offsets[1] - offsets[0] != math.prod(shape) * DTYPES[dtype].itemsize or max(shape, default=0) >= 2**63:
            raise ValueError(f"the size of {name}")
        tensors.append((name, DTYPES[dtype], shape))
        ranges.append((offsets[0], offsets[1]))
    order = sorted(range(len(ranges)), key=ranges.__getitem__)
    ends = [0, *(ranges[place][1] for place in order)]
    if [ranges[place][0] for place in order] != ends[:-1] or ends[-1] != size:
        raise ValueError("its tensors do not fill the file")
    return [tensors[place] for place in order]


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _read_tensor(file: BinaryIO, dtype: torch.dtype, shape: list[int], name: str) -> Tensor:
    tensor = torch.empty(shape, dtype=dtype)
    memory = _memory(tensor)
    if len(memory) and file.readinto(memory) != len(memory):  # type: ignore[attr-defined]
        raise ValueError(f"{name} is cut short")
    if dtype == torch.bool and tensor.numel() and int(tensor.view(torch.uint8).max()) > 1:
        raise ValueError(f"{name} holds bytes that are neither true nor false")
    return tensor


def _memory(tensor: Tensor) -> memoryview:
    """Return the bytes of a contiguous tensor on the CPU, without a copy."""
    if not tensor.numel():
        return memoryview(b"")
    array: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(array)
