"""Walks one item through every stage, and tells what came in and what went out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from onecycle.data.dataset import ItemDataset, seeded


def explain_item(dataset: ItemDataset, index: int, batch_size: int) -> str:
    """Return a line or two a stage for the training item at `index`."""
    modality, target = dataset.modality, dataset.target
    sample = dataset[index]
    batch = dataset.collate([sample])
    augmented = modality.prepare(batch, target, seeded(0))
    plain_dataset = ItemDataset(dataset.part, modality, target, training=False)
    plain = modality.prepare(plain_dataset.collate([plain_dataset[index]]), target, None)
    label, how = dataset.label(index), modality.describe()
    one, many = "(1, ", f"({batch_size}, "
    steps: list[tuple[str, list[str]]] = [
        ("item", [f"{dataset.name(index)!r}, row {index} of {len(dataset):,}"]),
        ("label", [f"{label!r}"]),
        ("read (in a worker)", [how.read, f"-> {_described(sample.input)}"]),
        (f"encoded by {type(target).__name__}", [f"{label!r} -> {_described(sample.target)}"]),
        ("batch", [f"{batch_size} items stacked -> {_described(batch.inputs).replace(one, many)}"]),
        ("on the device, training", [how.training, f"-> {_described(augmented.inputs).replace(one, many)}"]),
        ("on the device, prediction", [how.model, f"-> {_described(plain.inputs).replace(one, many)}"]),
    ]
    if sample.target is not None:
        back = target.decode(target.soften(sample.target[None])[0], sample.frame)
        steps.append(("decoded again", [_described(back) if isinstance(back, np.ndarray) else f"{back!r}"]))
    return "\n".join(f"{number}. {title}: " + "\n     ".join(lines) for number, (title, lines) in enumerate(steps, 1))


def _described(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if not isinstance(value, Tensor):
        return f"{type(value).__name__} {value!r}"
    dtype = str(value.dtype).removeprefix("torch.")
    if value.numel() <= 32 and value.ndim <= 1:
        return f"{dtype} {value.tolist()}"
    low, high = value.min().item(), value.max().item()
    return f"{dtype}, {tuple(value.shape)}, from {low:g} to {high:g}"
