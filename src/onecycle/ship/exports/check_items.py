"""The items that an exported file is compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onecycle.data.batch import Batch
from onecycle.data.dataset import Dataset
from onecycle.data.modality import Modality
from onecycle.data.nested import join, take
from onecycle.data.new_items import NewItems, rows_of
from onecycle.data.plain import LoaderBunch
from onecycle.data.seeding import seeded
from onecycle.data.split_names import items_of
from onecycle.data.target import Target
from onecycle.errors import DataError, ModelError
from onecycle.inference.show_results import spread_rows
from onecycle.text.texts import Texts
from onecycle.train.state import TrainState
from onecycle.vision.images import Images

MOST_ITEMS = 200
MOST_BYTES = 2**28
"""Bytes of the items that are held at once; of larger ones there are fewer."""

DRAWN_ITEMS = 56


@dataclass(frozen=True)
class CheckItems:
    """Items as they were read, and what they were read from.

    Attributes:
        what: What they are, in a word for people, such as "validation items".
        names: Their names.
        inputs: As a batch, (items, ...).
        sources: What each was read from, for other readers to read as well; none where that is not known.
    """

    what: str
    names: Sequence[str]
    inputs: Any
    sources: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.names)


def items_of_learner(state: TrainState, split: str = "valid", count: int = MOST_ITEMS) -> CheckItems:
    """Return items of a learner's split, spread over it: of "valid", or of the items that its epochs are watched on.

    Raises:
        DataError: None can be read.
    """
    data = state.data
    seen = split == "train" or not data.validates  # after split_none(), training items are watched
    what = items_of("train" if seen else split)
    if isinstance(data, LoaderBunch) or not data.random_access:
        return _first_items(state, split, count, what)
    dataset = data.watched if split == "valid" else data.dataset_of(data.train.dataset.rows)
    return items_of_dataset(dataset, what, count)


def items_given(items: NewItems, modality: Modality, target: Target, what: str = "given items") -> CheckItems:
    """Return items that a user named; `what` says what they are.

    Raises:
        DataError: None can be read.
    """
    return items_of_dataset(Dataset(rows_of(items, modality), modality, target, training=False), what, MOST_ITEMS)


def items_of_dataset(dataset: Dataset, what: str, count: int) -> CheckItems:
    """Return items of a dataset, spread over it.

    Args:
        dataset: Reads items as at prediction.
        what: See `CheckItems`.
        count: How many, unless they are large.
    Raises:
        DataError: None can be read.
    """
    shape = dataset.modality.item_shape(training=False)
    most = MOST_BYTES // max(int(np.prod(shape)), 1) if shape else count
    rows = spread_rows(len(dataset), max(min(count, most), 1))
    batch = dataset.collate([dataset.fetch(row) for row in rows])
    if not len(batch):
        error = batch.bad[0].error
        error.can_skip = False  # only training can leave items out
        raise error
    read = batch.index.tolist()
    return CheckItems(
        what, [dataset.name(row) for row in read], batch.inputs, [dataset.item(row) for row in read]
    )  # fmt: skip


def _first_items(state: TrainState, split: str, count: int, what: str) -> CheckItems:
    """Return the first items of what can only be read in order."""
    parts: list[Batch] = []
    for batch in state.data.loader(split).share() if split == "valid" else state.data.train.epoch(0):
        parts.append(batch)
        if sum(map(len, parts)) >= count:
            break
    if not parts:
        raise DataError("There are no validation items.", "one item or more.", "pass a loader for validation.")
    inputs = parts[0].inputs if isinstance(state.data.modality, Texts) else join([part.inputs for part in parts])
    length = min(len(parts[0]) if inputs is parts[0].inputs else sum(map(len, parts)), count)
    return CheckItems(what, [f"item {number}" for number in range(length)], take(inputs, slice(0, length)))


def drawn_items(modality: Modality, count: int = DRAWN_ITEMS) -> CheckItems:
    """Return items that are drawn at random, where there is no data: soft shapes with noise, or tokens.

    Raises:
        ModelError: Nobody knows what such items look like.
    """
    generator = seeded(0)
    names = [f"drawn item {number}" for number in range(count)]
    if isinstance(modality, Images):
        return CheckItems("drawn items", names, _drawn_images(modality.size, count, generator))
    if isinstance(modality, Texts):
        return CheckItems("drawn items", names, _drawn_texts(modality, count, generator))
    raise ModelError(
        f"There are no items to compare on, and items of {modality.kind} cannot be drawn.", "some items.",
        "pass items=, a list of files or of arrays, or export from the learner.",
    )  # fmt: skip


def _drawn_images(size: tuple[int, int], count: int, generator: torch.Generator) -> Tensor:
    soft = torch.rand(count, 3, 5, 5, generator=generator)
    shapes = torch.nn.functional.interpolate(soft, size, mode="bicubic")
    noise = torch.rand(shapes.shape, generator=generator)
    return ((shapes + noise * 0.2) * 220).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _drawn_texts(modality: Texts, count: int, generator: torch.Generator) -> Tensor:
    tokenizer = modality.tokenizer
    usable = [
        token for token in range(tokenizer.embedding_rows) if token not in {*tokenizer.special_ids, tokenizer.pad}
    ]
    longest = modality.max_length - len(tokenizer.prefix) - len(tokenizer.suffix)
    texts = []
    for number in range(count):
        length = 1 + number * (longest - 1) // max(count - 1, 1)
        places = torch.randint(len(usable), (length,), generator=generator).tolist()
        text = [*tokenizer.prefix, *(usable[place] for place in places), *tokenizer.suffix]
        texts.append(np.array(text, np.int32))
    return modality.collate(texts)
