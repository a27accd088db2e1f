"""What people said about items, as journals and corrections keep it, before it is known what the items are."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from onecycle.data.corrections import Corrections
from onecycle.errors import DataError, counted


class JudgedAnswers(Protocol):
    """A journal of a model in use."""

    def corrections(self) -> pa.Table:
        """Return the last word on each input that was judged."""

    def events(self) -> pa.Table:
        """Return every judgement."""


Source = Corrections | JudgedAnswers


@dataclass(frozen=True)
class Word:
    """The last word on an item.

    Attributes:
        item: The file, or the name that the data has for it.
        decision: "keep", "relabel" or "remove".
        label: What is right, of tags also none; None where nothing was said of it.
        time: When it was said, ISO 8601.
        key: Identifies the item's content, or where it is among the data.
    """

    item: str
    decision: str
    label: Any
    time: str
    key: str


@dataclass
class Said:
    """All that a source says.

    Attributes:
        kind: "journal" or "corrections".
        words: The last word on each item, as far as it says what is right.
        unused: Why others are left out: how many of each.
    """

    kind: str
    words: list[Word] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)

    @property
    def record(self) -> dict[str, Any]:
        """What a version's card says of it; two that are equal say the same."""
        times = [word.time for word in self.words if word.time]
        content = [{**asdict(word), "item": ""} for word in sorted(self.words, key=lambda word: (word.key, word.time))]
        return {
            "source": self.kind, "items": len(self.words), "first": min(times, default=""),
            "last": max(times, default=""), "sha256": hashlib.sha256(json.dumps(content).encode()).hexdigest(),
        }  # fmt: skip

    def __str__(self) -> str:
        counts = Counter(word.decision for word in self.words)
        said = {"keep": "confirmed", "relabel": "corrected", "remove": "removed"}
        parts = [f"{counts[decision]:,} {text}" for decision, text in said.items() if counts[decision]]
        what = "judged answer" if self.kind == "journal" else "decided item"
        return counted(len(self.words), what) + (f": {', '.join(parts)}" if parts else "")


def read_said(source: Source) -> Said:
    """Return what a journal or corrections say."""
    return _of_corrections(source) if isinstance(source, Corrections) else _of_journal(source)


def nothing_to_learn(unused: Counter[str]) -> DataError:
    """Return the error that nothing was judged that can be learned from."""
    said = ", ".join(f"{count:,} {why}" for why, count in unused.items())
    fix = "judge more answers: say what is right where one is wrong, and confirm some that are right."
    if any(UNKNOWN_LABEL in why for why in unused):
        fix = (
            "a new class needs a new training: put the new items into the data, and run onecycle train DATA "
            "--corrections FILE, with the file of what was decided, or judge answers of the classes that there are."
        )
    elif any(why.startswith("removed from") for why in unused):
        fix += " Or train again without what was removed: onecycle train DATA --corrections FILE."
    return DataError(
        "There is nothing to learn from" + (f": {said}." if said else ", since nothing was judged."),
        "answers that are judged as right, or corrected with the right label; every fifth is only measured on.", fix,
    )  # fmt: skip


UNKNOWN_LABEL = "which the model does not have"


def _of_journal(journal: JudgedAnswers) -> Said:
    found = Said("journal")
    rows = journal.corrections().to_pylist()
    for row in rows:
        if row["verdict"] == "unknown":
            found.unused["of which nobody could tell"] += 1
        elif row["label"] is None:
            found.unused["wrong, without a word on what is right"] += 1
        else:
            decision = "relabel" if row["verdict"] == "wrong" else "keep"
            found.words.append(Word(row["path"], decision, row["label"], row["time"], Path(row["path"]).stem))
    judged = {Path(row["path"]).name for row in rows}
    undone = {
        Path(event["input"]).name
        for event in journal.events().select(["input", "verdict"]).to_pylist()
        if event["verdict"] == "undo"
    }
    return _with_undone(found, len(undone - judged))


def _of_corrections(corrections: Corrections) -> Said:
    found, standing = Said("corrections"), corrections.standing().to_pylist()
    for row in standing:
        label = row["label"] if row["label"] or row["decision"] == "relabel" else None
        found.words.append(Word(row["item"], row["decision"], label, row["time"], row["item"]))
    pairs = zip(corrections.table["item"].to_pylist(), corrections.table["decision"].to_pylist(), strict=True)
    undone = {item for item, decision in pairs if decision == "undo"}
    return _with_undone(found, len(undone - {row["item"] for row in standing}))


def _with_undone(found: Said, count: int) -> Said:
    if count:
        found.unused["taken back"] = count
    return found


def whole_path(item: str) -> str:
    """Return what a file is called in every source."""
    return os.path.abspath(item)
