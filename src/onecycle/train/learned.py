"""What a model learned from corrections, measured before and after; and whether that is good enough to be kept."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from onecycle.errors import counted, some
from onecycle.notebook import html_lines, html_table

DOUBT = 1.64
"""Standard deviations of a difference that chance explains, at one in twenty (one-sided)."""
FEW = 30
"""Fewer answers that were held back prove nothing."""


@dataclass(frozen=True)
class Change:
    """How many of some items are right, before and after.

    Attributes:
        items: How many there are.
        before: How many of them were right.
        after: How many of them are.
        won: Wrong before, right now.
        lost: Right before, wrong now.

    Example:
        >>> Change(450, 420, 413, won=10, lost=17).passes(tolerance=1.0)
        True
    """

    items: int
    before: int
    after: int
    won: int = 0
    lost: int = 0

    @classmethod
    def between(cls, before: Tensor, after: Tensor) -> Change:
        """Return the change between two tensors that say which items are right, bool, (items,)."""
        won, lost = int((after & ~before).sum()), int((before & ~after).sum())
        return cls(len(before), int(before.sum()), int(after.sum()), won, lost)

    def passes(self, tolerance: float) -> bool:
        """Return whether no more was lost than `tolerance` points, or than chance alone may take.

        The items that changed are right or wrong by the toss of a coin where nothing was learned: then the difference
        has the standard deviation sqrt(lost + won) (McNemar 1947).
        """
        fell = self.lost - self.won
        return fell <= tolerance / 100 * self.items or fell <= DOUBT * math.sqrt(self.lost + self.won)

    def said(self, tolerance: float) -> str:
        """Return how these items changed, and why that is allowed, or not.

        Example:
            >>> Change(40, 36, 35, won=1, lost=2).said(tolerance=1.0)
            'fell by 2.5 points, no more than chance explains on 40 items'
        """
        if self.lost <= self.won:
            return f"rose by {self.points:.1f} points" if self.won > self.lost else self._same()
        fell = f"fell by {-self.points:.1f} points"
        if self.lost - self.won <= tolerance / 100 * self.items:
            return f"{fell}, within the {tolerance:g} that are allowed"
        if self.passes(tolerance):
            return f"{fell}, no more than chance explains on {counted(self.items, 'item')}"
        return f"{fell}, more than the {tolerance:g} that are allowed and more than chance explains"

    def _same(self) -> str:
        """Return that as many are right, and whether they are the same items.

        Example:
            >>> Change(120, 43, 43, won=6, lost=6)._same()
            'is as right as before: 6 more right, 6 more wrong'
        """
        changed = f"{self.won:,} more right, {self.lost:,} more wrong" if self.won else "the same items"
        return f"is as right as before: {changed}"

    @property
    def points(self) -> float:
        """By how many percentage points more are right."""
        return 100 * (self.after - self.before) / max(self.items, 1)


def reason_of(old: Change, new: Change, tolerance: float) -> str:
    """Return why new weights are accepted, or not.

    Example:
        >>> reason_of(Change(90, 80, 81, won=1), Change(0, 0, 0), 1.0)
        'the validation set rose by 1.1 points'
    """
    measured = {"the validation set": old, "what was held back": new}
    parts = [f"{name} {one.said(tolerance)}" for name, one in measured.items() if one.items]
    return "; ".join(parts) or "there was nothing to measure it on"


@dataclass(frozen=True)
class Learned:
    """What became of learning from corrections.

    Attributes:
        accepted: Whether the model has the new weights.
        method: How it learned.
        reason: Why it was accepted, or not.
        corrected: The corrected items that were trained on. That they are right now is no measure of what was learned.
        new: Judged answers that were held back: new items of the same kind, and `held_back_own`.
        old: The validation set.
        metrics: The learner's metrics before and after, both on the validation set as it is labelled now.
        trained: How many corrected and confirmed items were trained on.
        unused: What was judged and cannot be learned from, and how much of it.
        first: When the first of the answers was judged, ISO 8601.
        last: When the last was.
        seconds: How long it took.
        left_out: Removed items and validation items, that were not trained on, and how many.
        used: How many items of each source, the journal and the corrections, were trained on and held back.
        held_back_own: How many that were held back are training items: the model before had learned them.
        doubted: Corrections that were not trained on, since the other items contradict them, and there were many.
        all_tags: Whether the items have tags: one is right if all of them are.

    Example:
        >>> Learned(True, "head refitted", "nothing fell", Change(4, 0, 4), Change(5, 3, 4, 1), Change(90, 80, 81, 1))
        Accepted: nothing fell.
        Only 5 answers were held back: fewer than 30 prove nothing about new items.
        Method: head refitted.
        answers held back, new to both: 5 items, right before 60.0%, after 80.0%
        validation set: 90 items, right before 88.9%, after 90.0%
        corrected items, trained on: 4 items, right before 0.0%, after 100.0% (learned by heart, no measure)
    """

    accepted: bool
    method: str
    reason: str
    corrected: Change
    new: Change
    old: Change
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""
    seconds: float = 0.0
    left_out: dict[str, int] = field(default_factory=dict)
    used: dict[str, dict[str, int]] = field(default_factory=dict)
    held_back_own: int = 0
    doubted: tuple[str, ...] = ()
    all_tags: bool = False

    @property
    def has_gain(self) -> bool:
        """Whether more are right on either set that measures."""
        return self.old.won > self.old.lost or self.new.won > self.new.lost

    @property
    def held_back_are(self) -> str:
        """What the answers are that were held back."""
        if not self.held_back_own:
            return "answers held back, new to both"
        if self.held_back_own == self.new.items:
            return "training items held back, which only the model before had learned"
        return f"answers held back, {self.held_back_own:,} of them training items that the model before had learned"

    @property
    def changes(self) -> dict[str, Change]:
        """What was measured, by what it was measured on."""
        return {
            self.held_back_are: self.new, "validation set": self.old,
            "corrected items, trained on": self.corrected,
        }  # fmt: skip

    @property
    def table(self) -> pa.Table:
        """A row for each set of items, with the columns measured_on, items, before, after, won, lost."""
        rows = [
            {"measured_on": name, "items": one.items, "before": one.before, "after": one.after, "won": one.won,
             "lost": one.lost}
            for name, one in self.changes.items()
        ]  # fmt: skip
        return pa.Table.from_pylist(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "accepted": self.accepted, "method": self.method, "reason": self.reason, "trained": self.trained,
            "unused": self.unused, "first": self.first, "last": self.last, "seconds": round(self.seconds, 2),
            "metrics": {name: {"before": pair[0], "after": pair[1]} for name, pair in self.metrics.items()},
            "measured": self.table.to_pylist(), "measurable_gain": self.has_gain, "used": self.used,
            "left_out": self.left_out, "held_back_own": self.held_back_own, "doubted": list(self.doubted),
            "all_tags": self.all_tags,
        }  # fmt: skip

    def write(self, path: str | Path) -> tuple[Path, Path]:
        """Write `path` with the suffix .json, and its table with .csv; return both."""
        import pyarrow.csv as csv

        as_json, as_csv = Path(path).with_suffix(".json"), Path(path).with_suffix(".csv")
        as_json.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        csv.write_csv(self.table, as_csv)
        return as_json, as_csv

    def _lines(self) -> list[str]:
        lines = []
        for name, one in self.changes.items():
            if one.items:
                shares = f"right before {one.before / one.items:.1%}, after {one.after / one.items:.1%}"
                note = " (learned by heart, no measure)" if one is self.corrected else ""
                lines.append(f"{name}: {counted(one.items, 'item')}, {shares}{note}")
        if self.all_tags:
            lines.append("An item is right if all of its tags are.")
        lines += [f"{name}: {before:.4f} before, {after:.4f} after" for name, (before, after) in self.metrics.items()]
        return lines

    def _verdict(self) -> list[str]:
        lines = [f"{'Accepted' if self.accepted else 'Not accepted, the model is as it was'}: {self.reason}."]
        if self.accepted and not self.has_gain:
            lines.append("No measurable gain: no more are right than before, on either set.")
        if self.new.items < FEW:
            few = f"Only {counted(self.new.items, 'answer')}" if self.new.items else "No answers"
            verb = "was" if self.new.items == 1 else "were"
            lines.append(f"{few} {verb} held back: fewer than {FEW} prove nothing about new items.")
        return lines

    def __repr__(self) -> str:
        lines = [*self._verdict(), f"Method: {self.method}.", *self._lines()]
        if self.trained:
            lines.append(f"trained on: {_counted(self.trained)}")
        lines += [f"used from the {source}: {_counted(counts)}" for source, counts in sorted(self.used.items())]
        if self.doubted:
            lines.append(
                f"not trained on, since the other items contradict them: {counted(len(self.doubted), 'correction')}, "
                f"to be looked at again: {some(self.doubted, 3)}"
            )
        if self.left_out:
            lines.append(f"left out of training: {_counted(self.left_out)}")
        if self.unused:
            lines.append(f"not learned from: {_counted(self.unused)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            {"measured on": name, "items": one.items, "right before": one.before, "right after": one.after}
            for name, one in self.changes.items()
        ]
        return html_lines("\n".join(self._verdict())) + html_table(rows)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())
