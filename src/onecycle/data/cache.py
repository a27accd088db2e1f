"""Keeps what was read: decode once, train many epochs. One tensor in memory, or one file mapped into it."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from torch import Tensor

from onecycle.data.batch import BadItem, Batch
from onecycle.data.cache_file import (
    CacheContent,
    DamagedCacheError,
    Part,
    cache_name,
    checksum,
    part_file,
    read_cache_file,
)
from onecycle.data.cache_home import cache_home
from onecycle.data.dataset import Dataset
from onecycle.data.item_tensors import ItemTensors
from onecycle.data.nested import take
from onecycle.data.progress import progress
from onecycle.errors import DataError, users_level
from onecycle.processes import processes_on_this_machine

CacheMode = Literal["auto", "memory", "disk"] | None


class Cache:
    """The read inputs of one dataset, in a uint8 tensor of shape (items, *shape).

    Args:
        shape: Shape of every input.
        folder: Keep the tensor in a file here, shared by runs on the same files; None keeps it in memory.
    """

    def __init__(self, shape: tuple[int, ...], folder: Path | None = None) -> None:
        self.shape, self.folder = shape, folder
        self.inputs: Tensor | None = None
        self.targets: Any = None
        self.geometries: Tensor | None = None
        self.bad: dict[int, BadItem] = {}
        self._dataset: Dataset | None = None
        self._path, self._checksums = Path(), torch.empty(0)
        self._items: ItemTensors | None = None
        self._unchecked: Tensor | None = None  # which items of a file were not yet compared with their checksum
        self._partial: _Partial | None = None  # what is known where some items only were asked for

    def full(self, dataset: Dataset, rows: Tensor | None = None) -> Cache:
        """Read what is still to be read of `dataset`, in threads (decoding releases the interpreter).

        Args:
            dataset: The items.
            rows: Which of them are needed; None needs all. A file is always written as a whole.
        """
        if self.inputs is None or self._partial is not None:
            self._dataset, self._items = dataset, None
            self._fill(dataset, rows)
        return self

    def batch(self, rows: Tensor, device: torch.device | None = None) -> Batch:
        """Return the items at `rows` as a batch.

        Args:
            rows: Row numbers.
            device: Where it is needed; it is there already if all items fit.
        """
        assert self.inputs is not None, "call full() first"
        if self._unchecked is not None:
            self._check(rows, self._unchecked)
        bad = [self.bad[row] for row in rows.tolist() if row in self.bad] if self.bad else []
        if bad:
            rows = rows[[row not in self.bad for row in rows.tolist()]]
        if self._items is None or self._items.inputs is not self.inputs:
            self._items = ItemTensors(self.inputs, self.targets)
        inputs, targets = self._items.take(rows, device)
        return Batch(inputs, targets, rows, bad, take(self.geometries, rows))

    @torch.inference_mode(False)  # what is kept must outlive the caller's inference mode
    def _fill(self, dataset: Dataset, rows: Tensor | None = None) -> None:
        shape = (len(dataset), *self.shape)
        if self.folder is None:
            partial = self._partial or _Partial(len(dataset))
            inputs = torch.empty(shape, dtype=torch.uint8) if self.inputs is None else self.inputs
            self._read(dataset, inputs, partial, partial.missing(rows))
            self.inputs, self._partial = inputs, partial if len(partial.missing(None)) else None
            return
        path = self.folder / cache_name(dataset, shape)
        if self._load(dataset, path, shape):
            return
        with part_file(path, shape) as (part, handle):
            if not self._load(dataset, path, shape):  # another process may have filled it meanwhile
                self._write(dataset, Part(path, part, handle, shape))

    def _write(self, dataset: Dataset, part: Part) -> None:
        """Read every item into a file; one that cannot be read is tried again by the next run, so none is left then."""
        read = _Partial(len(dataset))
        self._read(dataset, part.inputs, read, read.missing(None))
        if self.bad:
            self.inputs = part.inputs
            return
        unknown = torch.empty(0)
        stacked = torch.stack([unknown if geometry is None else geometry for geometry in read.geometries])
        self._take(part.path, part.finish(stacked, torch.tensor(read.checksums)))

    def _load(self, dataset: Dataset, path: Path, shape: tuple[int, ...]) -> bool:
        """Take what an earlier run wrote, if there is such a file; one that is damaged is removed, with a warning."""
        try:
            content = read_cache_file(path, shape)
        except DamagedCacheError as why:
            _remove(path, str(why))
            return False
        except OSError:
            return False
        self._encode(dataset, content.geometries)
        self._take(path, content)
        return True

    def _take(self, path: Path, content: CacheContent) -> None:
        self._path, self.inputs, self._checksums = path, content.inputs, content.checksums
        self._unchecked = torch.ones(len(content.inputs), dtype=torch.bool)

    def _check(self, rows: Tensor, unchecked: Tensor) -> None:
        """Compare with their checksums what is used for the first time; read everything again where one differs."""
        assert self._dataset is not None
        assert self.inputs is not None
        for row in rows[unchecked[rows]].tolist():
            if checksum(self.inputs[row]) != self._checksums[row]:
                _remove(self._path, f"{self._dataset.name(row)} has changed")
                self._unchecked = None
                return self._fill(self._dataset)
        unchecked[rows] = False
        return None

    def _read(self, dataset: Dataset, inputs: Tensor, known: _Partial, rows: Tensor) -> None:
        """Read the items at `rows` into `inputs`, and add to what is known."""

        def read(index: int) -> None:
            sample = dataset.fetch(index)
            if isinstance(sample, BadItem):
                known.bad[index] = sample
                return
            inputs[index] = _checked(torch.as_tensor(sample.input), dataset)
            known.targets[index], known.geometries[index] = sample.target, sample.geometry
            known.checksums[index] = checksum(inputs[index]) if self.folder is not None else 0

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = pool.map(read, rows.tolist())
            description = f"reading {'training' if dataset.training else 'validation'} items"
            for _ in progress(done, description, len(rows)):
                pass
        known.read[rows] = True
        self.targets, self.geometries = _collated(known.targets, dataset), _stacked(known.geometries)
        self.bad = known.bad

    def _encode(self, dataset: Dataset, held: Tensor) -> None:
        """Encode labels anew for inputs that are in the file; labels are cheap, and may have changed."""
        geometries = [geometry if geometry.numel() else None for geometry in held]
        targets: list[Any] = [None] * len(dataset)
        self.bad = {}
        for index, geometry in enumerate(geometries):
            try:
                targets[index] = _encoded(dataset, index, geometry)
            except DataError as error:
                self.bad[index] = BadItem(index, error)
        self.targets, self.geometries = _collated(targets, dataset), _stacked(geometries)


class _Partial:
    """What is known of the items read so far besides their inputs, by row; None and 0 where nothing is."""

    def __init__(self, count: int) -> None:
        self.read = torch.zeros(count, dtype=torch.bool)
        self.targets: list[Any] = [None] * count
        self.geometries: list[Tensor | None] = [None] * count
        self.checksums = [0] * count
        self.bad: dict[int, BadItem] = {}

    def missing(self, rows: Tensor | None) -> Tensor:
        """Return the rows that were not read yet, of some or of all."""
        return (~self.read).nonzero().flatten() if rows is None else rows[~self.read[rows]]


def _remove(path: Path, why: str) -> None:
    warnings.warn(f"The cache {path} is damaged ({why}): all items are read again.", stacklevel=users_level())
    path.unlink(missing_ok=True)


def cache_for(mode: CacheMode, shape: tuple[int, ...] | None, count: int) -> Cache | None:
    """Return the cache that `mode` asks for; "auto" keeps items in memory where they take little of what is free."""
    if mode is None:
        return None
    if shape is None:
        if mode == "auto":
            return None
        raise DataError(f"cache={mode!r}, but the inputs differ in shape.", "inputs of one shape.", "pass cache=None.")
    if mode == "disk":
        return Cache(shape, cache_home())
    needed = count * int(torch.Size(shape).numel()) * processes_on_this_machine()  # each has a cache of its own
    fits = needed <= min(psutil.virtual_memory().available // 4, 4 * 2**30)
    return Cache(shape) if mode == "memory" or fits else None


def _checked(input: Tensor, dataset: Dataset) -> Tensor:
    if input.dtype != torch.uint8:
        raise DataError(
            f"{type(dataset.modality).__name__} reads {input.dtype}, which a cache does not hold.",
            "uint8 inputs where item_shape() returns a shape.",
            "pass cache=None, return None from item_shape(), or convert inputs in prepare().",
        )
    return input


def _encoded(dataset: Dataset, index: int, geometry: Tensor | None) -> Any:
    label = dataset.label(index)
    if label is None:
        return None
    return dataset.modality.encode(label, dataset.target, geometry, training=dataset.training)


def _collated(targets: list[Any], dataset: Dataset) -> Any:
    """Collate encoded labels; an item that could not be read gets another one's, and is never asked for."""
    known = next((target for target in targets if target is not None), None)
    if known is None:
        return None
    return dataset.target.collate([known if target is None else target for target in targets])


def _stacked(rows: list[Tensor | None]) -> Tensor | None:
    """Stack what is known, with zeros where an item could not be read; None where nothing is."""
    known = [row for row in rows if row is not None]
    if not known:
        return None
    blank = torch.zeros_like(known[0])
    return torch.stack([blank if row is None else row for row in rows])
