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
import safetensors.torch
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
        self.frames: Tensor | None = None
        self.bad: dict[int, BadItem] = {}

    def full(self, dataset: ItemDataset) -> Cache:
        """Read all of `dataset` if that is still to be done, in threads (decoding releases the interpreter)."""
        if self.inputs is not None:
            return self
        inputs, path = self._allocate(dataset)
        kept = path is not None and _finished(path).is_file()
        targets: list[Tensor | None] = [None] * len(dataset)
        frames: list[Tensor | None] = [None] * len(dataset)

        def read(index: int) -> None:
            sample = dataset.fetch(index)
            if isinstance(sample, BadItem):
                self.bad[index] = sample
            else:
                inputs[index] = torch.as_tensor(sample.input)
                targets[index], frames[index] = sample.target, sample.frame

        if kept:  # the inputs are in the file; labels are cheap, and may have changed
            assert path is not None
            held = safetensors.torch.load_file(_finished(path))["frames"]
            frames = [frame if frame.numel() else None for frame in held]
            for index, frame in enumerate(frames):
                try:
                    targets[index] = _encoded(dataset, index, frame)
                except DataError as error:
                    self.bad[index] = BadItem(index, error)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                rows = pool.map(read, range(len(dataset)))
                description = f"reading {'training' if dataset.training else 'plain'} items"
                for _ in progress(rows, description, len(dataset)):
                    pass
            if path is not None and not self.bad:
                blank = torch.empty(0)  # of inputs that have no frame
                stacked = torch.stack([blank if frame is None else frame for frame in frames])
                partial = path.with_suffix(f".{os.getpid()}")
                safetensors.torch.save_file({"frames": stacked}, partial)
                os.replace(partial, _finished(path))  # never there half written, whoever else looks
        self.targets, self.frames = _stacked(targets), _stacked(frames)
        self.inputs = inputs
        return self

    def batch(self, rows: Tensor) -> Batch:
        """Return the items at `rows` as a batch."""
        assert self.inputs is not None, "call full() first"
        bad = [self.bad[row] for row in rows.tolist() if row in self.bad] if self.bad else []
        if bad:
            rows = rows[[row not in self.bad for row in rows.tolist()]]
        targets, frames = (None if held is None else held[rows] for held in (self.targets, self.frames))
        return Batch(self.inputs[rows], targets, rows, bad, frames)

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


def _encoded(dataset: ItemDataset, index: int, frame: Tensor | None) -> Tensor | None:
    label = dataset.label(index)
    if label is None:
        return None
    return dataset.modality.encode(label, dataset.target, frame, training=dataset.training)


def _stacked(rows: list[Tensor | None]) -> Tensor | None:
    """Stack what is known, with zeros where an item could not be read; None where nothing is."""
    known = [row for row in rows if row is not None]
    if not known:
        return None
    blank = torch.zeros_like(known[0])
    return torch.stack([blank if row is None else row for row in rows])


def _fingerprint(dataset: ItemDataset, shape: tuple[int, ...]) -> str:
    """Name the file after all that decides its content: how items are read, which they are, when they changed."""
    digest = hashlib.sha256(json.dumps([dataset.modality.to_config(), dataset.training, shape]).encode())
    for name in dataset.part.names():
        path = dataset.part.locate(name)
        changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
        digest.update(f"{path}\0{changed}\0".encode())
    return digest.hexdigest()[:32]


def _finished(path: Path) -> Path:
    return path.with_suffix(".frames")
