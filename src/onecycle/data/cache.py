"""Keeps what was read: decode once, train many epochs. One tensor in memory, or one file mapped into it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
import torch
from torch import Tensor

from onecycle.data.modality import BadItem, Batch
from onecycle.data.progress import progress
from onecycle.errors import DataError

if TYPE_CHECKING:
    from onecycle.data.dataset import ItemDataset

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
        self.targets: Tensor | None = None
        self.bad: dict[int, BadItem] = {}

    def full(self, dataset: ItemDataset) -> Cache:
        """Read all of `dataset` if that is still to be done, in threads (decoding releases the interpreter)."""
        if self.inputs is not None:
            return self
        inputs, path = self._allocate(dataset)
        kept = path is not None and _finished(path).is_file()
        targets: list[Tensor | None] = [None] * len(dataset)

        def read(index: int) -> None:
            sample = dataset.fetch(index)
            if isinstance(sample, BadItem):
                self.bad[index] = sample
            else:
                inputs[index] = torch.as_tensor(sample.input)
                targets[index] = sample.target

        if kept:  # the inputs are in the file; labels are cheap, and may have changed
            targets = [_encoded(dataset, index) for index in range(len(dataset))]
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                rows = pool.map(read, range(len(dataset)))
                description = f"reading {'training' if dataset.training else 'plain'} items"
                for _ in progress(rows, description, len(dataset)):
                    pass
            if path is not None and not self.bad:
                _finished(path).touch()
        known = [target for target in targets if target is not None]
        if known:
            blank = torch.zeros_like(known[0])
            self.targets = torch.stack([blank if target is None else target for target in targets])
        self.inputs = inputs
        return self

    def batch(self, rows: Tensor) -> Batch:
        """Return the items at `rows` as a batch."""
        assert self.inputs is not None, "call full() first"
        bad = [self.bad[row] for row in rows.tolist() if row in self.bad] if self.bad else []
        if bad:
            rows = rows[[row not in self.bad for row in rows.tolist()]]
        return Batch(self.inputs[rows], None if self.targets is None else self.targets[rows], rows, bad)

    def _allocate(self, dataset: ItemDataset) -> tuple[Tensor, Path | None]:
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


def _encoded(dataset: ItemDataset, index: int) -> Tensor | None:
    label = dataset.label(index)
    return None if label is None else dataset.target.encode(label)


def _fingerprint(dataset: ItemDataset, shape: tuple[int, ...]) -> str:
    """Name the file after all that decides its content: how items are read, which they are, when they changed."""
    digest = hashlib.sha256(json.dumps([dataset.modality.to_config(), dataset.training, shape]).encode())
    for name in dataset.part.names():
        path = dataset.part.locate(name)
        changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        digest.update(f"{path}\0{changed}\0".encode())
    return digest.hexdigest()[:32]


def _finished(path: Path) -> Path:
    return path.with_suffix(".finished")
