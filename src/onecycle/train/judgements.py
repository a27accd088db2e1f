"""What people said about items, sorted by what can be learned from it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from onecycle.data.bunch import DataBunch
from onecycle.data.categories import ClassTarget
from onecycle.data.corrected import name_of
from onecycle.data.judged import UNKNOWN_LABEL, Said, Source, Word, nothing_to_learn, read_said, whole_path
from onecycle.data.label_values import label_of, tags_of
from onecycle.train.same_content import find_same

HELD_BACK = 5
"""One of so many judged answers is never trained on."""


@dataclass(frozen=True)
class Judgement:
    """An item whose right label is known.

    Attributes:
        key: Identifies its content, or where it is among the data.
        item: The file, or the name among the training items.
        label: As the target encodes it.
        corrected: Whether the answer, or the label until now, was wrong.
        row: Its row among the training items; None for a new item.
        source: "journal" or "corrections".
    """

    key: str
    item: str
    label: Any
    corrected: bool
    row: int | None = None
    source: str = ""

    @property
    def held_back(self) -> bool:
        """Whether it measures what is learned, and is never trained on: the same ones each time."""
        return int(hashlib.sha256(self.key.encode()).hexdigest()[:8], 16) % HELD_BACK == 0


@dataclass
class Judgements:
    """What people said.

    Attributes:
        items: What is learned from, or measures it, by key.
        removed: Rows of training items that are left out.
        valid: The right label of validation items, by row; None for those that are left out.
        unused: Why others are neither: how many of each.
        left_out: What is not trained on although it was understood: removed items, and validation items.
        first: When the first was judged, ISO 8601.
        last: When the last was.
    """

    items: list[Judgement] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    valid: dict[int, Any] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""

    def to_learn(self) -> list[Judgement]:
        """Return what is trained on."""
        return [one for one in self.items if not one.held_back]

    def held_back(self) -> list[Judgement]:
        """Return what measures the learning."""
        return [one for one in self.items if one.held_back]

    def used(self, *, confirmed: bool, doubted: Sequence[str] = ()) -> dict[str, dict[str, int]]:
        """Return how many items of each source are trained on and held back; those that are doubted are neither."""
        used: dict[str, dict[str, int]] = {}
        for one in self.items:
            counts = used.setdefault(one.source, {"trained on": 0, "held back": 0})
            taken = confirmed or one.corrected or one.held_back
            counts["held back" if one.held_back else "trained on"] += taken and one.item not in doubted
        return used


def read_judgements(source: Source | Sequence[Source], bunch: DataBunch) -> Judgements:
    """Sort what people said by what can be learned from it; of several words on one item the last one counts.

    Args:
        source: A journal; or corrections, of items of the bunch or of files; or several of them.
        bunch: The data that the model was trained on.
    Raises:
        DataError: There is nothing to learn from.
    """
    said = [read_said(one) for one in (source if isinstance(source, Sequence) else [source])]
    found = Judgements()
    assert isinstance(bunch.target, ClassTarget)
    for one in said:
        found.unused.update(one.unused)
    words = _last_words(said, bunch)
    for kind, word, places in words:
        if (judgement := _sorted(word, places, bunch, found)) is not None:
            found.items.append(replace(judgement, source=kind))
    found.items = sorted(_known(found.items, bunch.target, found.unused), key=lambda one: one.key)
    if times := [word.time for _, word, _ in words if word.time]:
        found.first, found.last = min(times), max(times)
    if not found.to_learn():
        held = Counter({"held back to measure on": len(found.items)} if found.items else {})
        raise nothing_to_learn(found.unused + found.left_out + held)
    return found


MEASURED_ON = "validation items: measured on, not trained on"
REMOVED_VALID = "removed from the validation set"
Places = dict[str, list[int]]
"""The rows of each split that an item is at."""


def _last_words(said: Sequence[Said], bunch: DataBunch) -> list[tuple[str, Word, Places]]:
    """Return the last word on each item, with its source, and where the item is among the data."""
    rows_of = {split: _rows(bunch, split) for split in ("train", "valid", "test")}
    named = [(one.kind, word, _by_name(word, rows_of)) for one in said for word in one.words]
    same = find_same({whole_path(word.item) for _, word, places in named if not places}, bunch)
    last: dict[Any, tuple[str, Word, Places]] = {}
    for kind, word, places in sorted(named, key=lambda each: each[1].time):
        if not places:
            for split, row in same.get(whole_path(word.item), ()):
                places.setdefault(split, []).append(row)
        first = next(((split, places[split][0]) for split in ("valid", "test", "train") if split in places), None)
        last[first or whole_path(word.item)] = (kind, word, places)
    return list(last.values())


def _by_name(word: Word, rows_of: dict[str, tuple[dict[str, int], Path | None]]) -> Places:
    found = {split: rows.get(name_of(word.item, root)) for split, (rows, root) in rows_of.items()}
    return {split: [row] for split, row in found.items() if row is not None}


def _sorted(word: Word, places: Places, bunch: DataBunch, found: Judgements) -> Judgement | None:
    """Note what was said of an item; return it where it is one to learn from."""
    assert isinstance(bunch.target, ClassTarget)
    item, decision = word.item, word.decision
    if "valid" in places:
        label = _known_label(word.label, bunch.target, found.unused)
        is_unknown = label is None and word.label is not None
        if not is_unknown:
            found.left_out[REMOVED_VALID if decision == "remove" else MEASURED_ON] += 1
        if decision == "remove" or word.label is not None:
            found.valid |= dict.fromkeys(places["valid"], label)
        found.removed += places.get("train", [])  # a copy of it
        return None
    if "test" in places:
        found.unused["in the test set"] += 1
        return None
    if "train" in places:
        row, *copies = places["train"]
        if decision == "remove":
            found.removed += places["train"]
            found.left_out["removed from the training items"] += 1
            return None
        if word.label is None:
            return None  # kept as it is
        found.removed += copies
        name = bunch.train.dataset.rows.names_at(np.array([row]))[0]
        return Judgement(name, name, word.label, decision == "relabel", row)
    if word.label is None or word.label == "":
        found.unused["of other items, without a label"] += 1
    elif not Path(item).is_file():
        found.unused["of items that are not found"] += 1
    else:
        return Judgement(word.key, item, word.label, decision == "relabel")
    return None


def _rows(bunch: DataBunch, split: str) -> tuple[dict[str, int], Path | None]:
    if split == "test" and bunch.test is None:
        return {}, None
    rows = bunch.loader(split).dataset.rows
    return {name: row for row, name in enumerate(rows.names())}, rows.root


def _known(items: Iterable[Judgement], target: Any, unused: Counter[str]) -> Iterator[Judgement]:
    """Yield the items with their labels as the target encodes them, without those of other labels."""
    for one in items:
        if (label := _known_label(one.label, target, unused)) is not None:
            yield replace(one, label=label)


def new_classes(source: Source, bunch: DataBunch) -> Counter[str]:
    """Return the labels of a source that the data does not have, and how many items have each."""
    target = bunch.target
    assert isinstance(target, ClassTarget)
    labels = [as_label(word.label, target) for word in read_said(source).words if word.label is not None]
    names = (name for label in labels for name in (label if isinstance(label, list) else [label]))
    return Counter(name for name in names if name not in target.position)


def _known_label(label: Any, target: ClassTarget, unused: Counter[str]) -> Any:
    """Return a label as the target encodes it; None, and count it, where the target does not have it."""
    if label is None:
        return None
    label = as_label(label, target)
    other = [name for name in (label if isinstance(label, list) else [label]) if name not in target.position]
    if other:
        unused[f"with the label {other[0]!r}, {UNKNOWN_LABEL}"] += 1
    return None if other else label


def as_label(label: Any, target: ClassTarget) -> Any:
    """Return a label of a journal or of corrections as the target encodes it.

    Example:
        >>> as_label("small brown", MultiCategory(("brown", "small")))
        ['small', 'brown']
    """
    if target.kind != "multi_category":
        return label_of(label)
    if not isinstance(label, str):
        return list(label)
    if label.startswith("["):
        return [str(tag) for tag in json.loads(label)]
    if label in target.position:
        return [label]
    ways = [tags_of(label, delimiter) for delimiter in (" ", ",", ";", "|")]
    return next((tags for tags in ways if all(tag in target.position for tag in tags)), [label])
