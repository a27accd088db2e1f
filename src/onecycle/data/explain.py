"""Follows one item through every stage, and reports what came in and what went out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from onecycle.data.dataset import Dataset
from onecycle.data.seeding import seeded
from onecycle.errors import counted

LONGEST = 110


def explain_item(dataset: Dataset, index: int, batch_size: int) -> str:
    """Return a line or two a stage for the training item at `index`."""
    modality, target = dataset.modality, dataset.target
    sample = dataset[index]
    batch = dataset.collate([sample])
    augmented = modality.prepare(batch, target, seeded(0))
    plain_dataset = Dataset(dataset.rows, modality, target, training=False)
    plain = modality.prepare(plain_dataset.collate([plain_dataset[index]]), target, None)
    label, how = dataset.label(index), modality.describe()
    steps = modality.steps(dataset.item(index), sample.input)
    shown = _shortened(f"{label!r}")
    one, many = "(1, ", f"({batch_size}, "
    stages: list[tuple[str, list[str]]] = [
        ("item", [f"{dataset.name(index)!r}, row {index} of {len(dataset):,}"]),
        ("label", [shown]),
        ("read (in a worker)", [how.read, *steps, f"-> {_described(sample.input)}"]),
        (f"encoded by {type(target).__name__}", [f"{shown} -> {_described(sample.target)}"]),
        ("batch", [f"{counted(batch_size, 'item')} stacked -> {_described(batch.inputs).replace(one, many)}"]),
        ("on the device, training", [how.training, f"-> {_described(augmented.inputs).replace(one, many)}"]),
        ("on the device, prediction", [how.model, f"-> {_described(plain.inputs).replace(one, many)}"]),
    ]
    if sample.target is not None:
        encoded = target.collate([sample.target])
        back = target.decode(target.to_probabilities(encoded)[0], sample.geometry)
        stages.append(
            ("decoded again", [_described(back) if isinstance(back, np.ndarray) else _shortened(f"{back!r}")])
        )
    return "\n".join(f"{number}. {title}: " + "\n     ".join(lines) for number, (title, lines) in enumerate(stages, 1))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _described(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, np.ndarray):
        value = torch.tensor(value)  # a copy: it may be a view of what must not be written to
    if not isinstance(value, Tensor):
        return f"{type(value).__name__} {value!r}"
    dtype = str(value.dtype).removeprefix("torch.")
    if value.numel() <= 32 and value.ndim <= 1:
        return f"{dtype} {value.tolist()}"
    low, high = value.min().item(), value.max().item()
    return f"{dtype}, {tuple(value.shape)}, from {low:g} to {high:g}"
