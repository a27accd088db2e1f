"""Keeps what was read: decode once, train many epochs. One tensor in memory, or one file mapped into it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import psutil
import safetensors.torch
import torch
from torch import Tensor

from onecycle.data.batch import BadItem, Batch
from onecycle.data.dataset import Dataset
from onecycle.data.nested import take
from onecycle.data.progress import progress
from onecycle.errors import DataError

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

    def full(self, dataset: Dataset) -> Cache:
        """Read all of `dataset` if that is still to be done, in threads (decoding releases the interpreter)."""
        if self.inputs is None:
            with torch.inference_mode(False):  # what is kept must outlive the caller's inference mode
                self._fill(dataset)
        return self

    def _fill(self, dataset: Dataset) -> None:
        inputs, path = self._allocate(dataset)
        if path is not None and _finished(path).is_file():
            targets, geometries = self._encode(dataset, path)
        else:
            targets, geometries = self._read(dataset, inputs)
            if path is not None and not self.bad:
                _write_geometries(path, geometries)
        self.targets = _collated(targets, dataset)
        self.geometries = _stacked(geometries)
        self.inputs = inputs

    def _read(self, dataset: Dataset, inputs: Tensor) -> tuple[list[Any], list[Tensor | None]]:
        """Read every item into `inputs`; return the encoded labels and geometries, None where unknown."""
        targets: list[Any] = [None] * len(dataset)
        geometries: list[Tensor | None] = [None] * len(dataset)

        def read(index: int) -> None:
            sample = dataset.fetch(index)
            if isinstance(sample, BadItem):
                self.bad[index] = sample
            else:
                inputs[index] = _checked(torch.as_tensor(sample.input), dataset)
                targets[index], geometries[index] = sample.target, sample.geometry

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rows = pool.map(read, range(len(dataset)))
            description = f"reading {'training' if dataset.training else 'validation'} items"
            for _ in progress(rows, description, len(dataset)):
                pass
        return targets, geometries

    def _encode(self, dataset: Dataset, path: Path) -> tuple[list[Any], list[Tensor | None]]:
        """Encode labels anew for inputs that are in the file; labels are cheap, and may have changed."""
        held = safetensors.torch.load_file(_finished(path))["geometries"]
        geometries = [geometry if geometry.numel() else None for geometry in held]
        targets: list[Any] = [None] * len(dataset)
        for index, geometry in enumerate(geometries):
            try:
                targets[index] = _encoded(dataset, index, geometry)
            except DataError as error:
                self.bad[index] = BadItem(index, error)
        return targets, geometries

    def batch(self, rows: Tensor) -> Batch:
        """Return the items at `rows` as a batch."""
        assert self.inputs is not None, "call full() first"
        bad = [self.bad[row] for row in rows.tolist() if row in self.bad] if self.bad else []
        if bad:
            rows = rows[[row not in self.bad for row in rows.tolist()]]
        return Batch(self.inputs[rows], take(self.targets, rows), rows, bad, take(self.geometries, rows))

    def _allocate(self, dataset: Dataset) -> tuple[Tensor, Path | None]:
        shape = (len(dataset), *self.shape)
        if self.folder is None:
            return torch.empty(shape, dtype=torch.uint8), None
        path = self.folder / f"{_fingerprint(dataset, shape)}.uint8"
        count = int(torch.Size(shape).numel())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The file is made with holes in it: a disk that fills up later would end the process, not raise.
            if not path.exists() and shutil.disk_usage(self.folder).free < count:
                raise OSError(errno.ENOSPC, "No space left on device")
            flat = torch.from_file(str(path), shared=True, size=count, dtype=torch.uint8)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"Cannot keep {count / 2**20:,.0f} MB in {self.folder}: {error}.",
                "a folder with room to write.",
                'set the environment variable ONECYCLE_CACHE to another folder, or pass cache="memory" or None.',
            ) from error
        return flat.view(shape), path


def cache_for(mode: CacheMode, shape: tuple[int, ...] | None, count: int) -> Cache | None:
    """Return the cache that `mode` asks for; "auto" keeps items in memory where they take little of what is free."""
    if mode is None:
        return None
    if shape is None:
        if mode == "auto":
            return None
        raise DataError(f"cache={mode!r}, but the inputs differ in shape.", "inputs of one shape.", "pass cache=None.")
    if mode == "disk":
        home = os.environ.get("ONECYCLE_CACHE") or Path.home() / ".cache" / "onecycle"
        return Cache(shape, Path(home))
    needed = count * int(torch.Size(shape).numel())
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


def _write_geometries(path: Path, geometries: list[Tensor | None]) -> None:
    """Write what marks a file of inputs as complete: never there half written, whoever else reads."""
    unknown = torch.empty(0)
    stacked = torch.stack([unknown if geometry is None else geometry for geometry in geometries])
    partial = path.with_suffix(f".{os.getpid()}")
    safetensors.torch.save_file({"geometries": stacked}, partial)
    os.replace(partial, _finished(path))


def _stacked(rows: list[Tensor | None]) -> Tensor | None:
    """Stack what is known, with zeros where an item could not be read; None where nothing is."""
    known = [row for row in rows if row is not None]
    if not known:
        return None
    blank = torch.zeros_like(known[0])
    return torch.stack([blank if row is None else row for row in rows])


def _fingerprint(dataset: Dataset, shape: tuple[int, ...]) -> str:
    """Name the file after all that decides its content: how items are read, which they are, when they changed."""
    digest = hashlib.sha256(json.dumps([dataset.modality.to_config(), dataset.training, shape]).encode())
    for name in dataset.rows.names():
        path = dataset.rows.locate(name)
        changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        digest.update(f"{path}\0{changed}\0".encode())
    return digest.hexdigest()[:32]


def _finished(path: Path) -> Path:
    return path.with_suffix(".geometries")
