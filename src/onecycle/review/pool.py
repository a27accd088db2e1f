"""New items, whose labels a person says: they go into the journal, as what is judged while a model is in use."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from onecycle.data.contents import Contents
from onecycle.data.rows import CONTENT, Rows
from onecycle.review.cards import Item
from onecycle.review.decisions import Choice
from onecycle.review.journal import Journal, same_label

_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}")


class PoolJudgements:
    """Writes decisions about new items into a journal.

    Args:
        journal: The journal.
        model: The SHA-256 of the model that predicted their labels.
    """

    def __init__(self, journal: Journal, model: str) -> None:
        self.journal, self.model = journal, model
        self._judged: set[str] = set()

    def judge(self, item: Item, choice: Choice, label: Any) -> tuple[str, str]:
        """Write down what the label is; one that cannot be used is kept as one of which nobody could tell."""
        content = content_of(item.dataset.rows, item.row)
        suffix = ".txt" if item.dataset.modality.reads_text_directly else PurePath(item.name).suffix.lower()
        prediction = self.journal.record(
            content, name=item.name, suffix=suffix if _SUFFIX.fullmatch(suffix) else "", model=self.model,
            predicted=item.predicted, probabilities=item.probabilities,
        )  # fmt: skip
        if choice == "remove":
            self.journal.judge(prediction, "unknown")
        elif choice == "keep" or same_label(label, item.predicted):
            self.journal.judge(prediction, "right")
        else:
            self.journal.judge(prediction, "wrong", label)
        self._judged.add(item.key)
        return prediction, item.key

    def take_back(self, judged: tuple[str, str]) -> None:
        prediction, key = judged
        self.journal.judge(prediction, "undo")
        self._judged.discard(key)

    def knows(self, item: Item) -> bool:
        return item.key in self._judged


def not_yet_judged(rows: Rows, journal: Journal) -> Rows:
    """Return the new items that nobody has judged, whatever they were called then."""
    judged = {Path(path).stem for path in journal.corrections()["path"].to_pylist()}
    if not judged:
        return rows
    new = [row for row in range(len(rows)) if hashlib.sha256(content_of(rows, row)).hexdigest() not in judged]
    return rows.take(np.array(new, np.int64))


def content_of(rows: Rows, row: int) -> bytes:
    """Return the bytes of an item's file; of a text, its UTF-8."""
    source = rows.input(row)
    if isinstance(source, Contents):
        return source.data
    if CONTENT in rows.table.column_names or rows.root is None:
        return str(source).encode()
    return Path(source).read_bytes()
