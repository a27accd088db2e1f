"""What people said about items, sorted by what can be learned from it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from onecycle.data.bunch import DataBunch
from onecycle.data.categories import ClassTarget
from onecycle.data.corrected import name_of
from onecycle.data.corrections import Corrections
from onecycle.data.label_values import label_of, tags_of
from onecycle.errors import DataError

HELD_BACK = 5
"""One of so many judged answers is never trained on."""


class JudgedAnswers(Protocol):
    """A journal of a model in use."""

    def corrections(self) -> pa.Table:
        """Return the last word on each input that was judged."""

    def events(self) -> pa.Table:
        """Return every judgement."""


@dataclass(frozen=True)
class Judgement:
    """An item whose right label is known.

    Attributes:
        key: Identifies its content, or where it is among the data.
        item: The file, or the name among the training items.
        label: As the target encodes it.
        corrected: Whether the answer, or the label until now, was wrong.
        row: Its row among the training items; None for a new item.
    """

    key: str
    item: str
    label: Any
    corrected: bool
    row: int | None = None

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
        first: When the first was judged, ISO 8601.
        last: When the last was.
    """

    items: list[Judgement] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    valid: dict[int, Any] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""

    def to_learn(self) -> list[Judgement]:
        """Return what is trained on."""
        return [one for one in self.items if not one.held_back]

    def held_back(self) -> list[Judgement]:
        """Return what measures the learning."""
        return [one for one in self.items if one.held_back]


def read_judgements(source: Corrections | JudgedAnswers, bunch: DataBunch) -> Judgements:
    """Sort what people said by what can be learned from it.

    Args:
        source: A journal; or corrections, of items of the bunch or of files.
        bunch: The data that the model was trained on.
    Raises:
        DataError: There is nothing to learn from.
    """
    found = Judgements()
    times = _from_table(source, bunch, found) if isinstance(source, Corrections) else _from_journal(source, found)
    found.items = sorted(_known(found.items, bunch.target, found.unused), key=lambda one: one.key)
    if times:
        found.first, found.last = min(times), max(times)
    if not found.to_learn():
        said = ", ".join(f"{count:,} {why}" for why, count in found.unused.items())
        raise DataError(
            "There is nothing to learn from" + (f": {said}." if said else ", since nothing was judged."),
            "answers that are judged as right, or corrected with the right label; every fifth is only measured on.",
            "judge more answers: say what is right where one is wrong, and confirm some that are right.",
        )
    return found


def _from_journal(journal: JudgedAnswers, found: Judgements) -> list[str]:
    times = []
    for row in journal.corrections().to_pylist():
        if row["verdict"] == "unknown":
            found.unused["of which nobody could tell"] += 1
        elif row["label"] is None:
            found.unused["wrong, without a word on what is right"] += 1
        else:
            times.append(row["time"])
            found.items.append(Judgement(Path(row["path"]).stem, row["path"], row["label"], row["verdict"] == "wrong"))
    _count_undone(journal.events()["verdict"], found)
    return times


def _from_table(corrections: Corrections, bunch: DataBunch, found: Judgements) -> list[str]:
    rows_of = {split: _rows(bunch, split) for split in ("train", "valid", "test")}
    times = []
    for said in corrections.standing().to_pylist():
        times.append(said["time"])
        places = {split: rows.get(name_of(said["item"], root)) for split, (rows, root) in rows_of.items()}
        item, decision, label = said["item"], said["decision"], said["label"]
        if (row := places["train"]) is not None:
            if decision == "remove":
                found.removed.append(row)
            elif decision == "relabel":
                found.items.append(Judgement(item, item, label, True, row))
        elif (row := places["valid"]) is not None:
            if decision != "keep":
                found.valid[row] = None if decision == "remove" else label
        elif places["test"] is not None:
            found.unused["in the test set"] += 1
        elif decision == "remove" or not label:
            found.unused["of other items, without a label"] += 1
        elif not Path(item).is_file():
            found.unused["of items that are not found"] += 1
        else:
            found.items.append(Judgement(item, item, label, decision == "relabel"))
    for row, label in found.valid.items():
        assert isinstance(bunch.target, ClassTarget)
        found.valid[row] = None if label is None else as_label(label, bunch.target)
    _count_undone(corrections.table["decision"], found)
    return times


def _rows(bunch: DataBunch, split: str) -> tuple[dict[str, int], Path | None]:
    if split == "test" and bunch.test is None:
        return {}, None
    rows = bunch.loader(split).dataset.rows
    return {name: row for row, name in enumerate(rows.names())}, rows.root


def _count_undone(said: pa.ChunkedArray, found: Judgements) -> None:
    if undone := said.to_pylist().count("undo"):
        found.unused["taken back"] += undone


def _known(items: Iterable[Judgement], target: Any, unused: Counter[str]) -> Iterator[Judgement]:
    """Yield the items with their labels as the target encodes them, without those of other labels."""
    for one in items:
        label = as_label(one.label, target)
        names = label if isinstance(label, list) else [label]
        if all(name in target.position for name in names):
            yield Judgement(one.key, one.item, label, one.corrected, one.row)
        else:
            other = next(name for name in names if name not in target.position)
            unused[f"with the label {other!r}, which the model does not have"] += 1


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
