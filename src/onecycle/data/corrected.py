"""Corrections applied to the items of a data block."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from onecycle.data.corrections import Corrections
from onecycle.data.label_values import label_of, tags_of
from onecycle.data.labellers import Labeller
from onecycle.data.labels import Labels
from onecycle.data.rows import CORRECTED, ITEM, Rows
from onecycle.errors import DataError, counted, some


@dataclass(frozen=True)
class Applied:
    """What corrections did to some items.

    Attributes:
        rows: Those that stay, with what the corrections say of their labels.
        removed: Names of those that do not.
        kept: How many keep their label.
        relabelled: How many get another.
        unknown: Names in the corrections that no item has.
        example: The name of an item.
    """

    rows: Rows
    removed: tuple[str, ...]
    kept: int
    relabelled: int
    unknown: tuple[str, ...]
    example: str = ""

    def __str__(self) -> str:
        text = f"Corrections: {self.relabelled:,} relabelled, {len(self.removed):,} removed, {self.kept:,} kept."
        if self.unknown:
            text += f" Not among the items: {len(self.unknown):,} of the corrections: {some(self.unknown, 3)}."
            if self.example and len(self.unknown) > self.kept + self.relabelled + len(self.removed):
                text += f" Items have names such as {self.example}."
        return text


def apply_corrections(rows: Rows, corrections: Corrections) -> Applied:
    """Apply what people decided about items to those that are there.

    Raises:
        DataError: Two corrections are of one item, which they call by different names.
    """
    standing = corrections.standing()
    as_written = pc.is_in(standing["item"], rows.table[ITEM].combine_chunks()).to_pylist()
    names = [
        item if known else name_of(item, rows.root)
        for item, known in zip(standing["item"].to_pylist(), as_written, strict=True)
    ]
    _check_named_once(names)
    found = pc.index_in(rows.table[ITEM], pa.array(names, pa.string()))
    decision, label = (standing[name].combine_chunks().take(found.combine_chunks()) for name in ("decision", "label"))
    kept, relabelled, removed = (
        pc.fill_null(pc.equal(decision, each), False) for each in ("keep", "relabel", "remove")
    )
    said = pc.if_else(relabelled, label, pa.scalar(None, pa.string()))
    table = rows.without_corrected().table.append_column(CORRECTED, pa.chunked_array([said]))
    known = set(pc.unique(found).to_pylist())
    stay = np.flatnonzero(~removed.to_numpy(zero_copy_only=False))
    return Applied(
        Rows(table, rows.root, rows.shards).take(stay),
        tuple(rows.table[ITEM].filter(removed).to_pylist()),
        pc.sum(kept).as_py() or 0,
        pc.sum(relabelled).as_py() or 0,
        tuple(name for place, name in enumerate(names) if place not in known),
        str(rows.table[ITEM][0]) if len(rows) else "",
    )


def name_of(item: str, root: Path | None) -> str:
    """Return what the items of a folder call an item that may be given by its whole path, or as Windows writes it.

    Example:
        >>> name_of("/photos/cats/1.jpg", Path("/photos")), name_of("./cats/1.jpg", Path("/photos"))
        ('cats/1.jpg', 'cats/1.jpg')
    """
    if root is None:
        return item
    if not os.path.isabs(item):
        backslashes = "\\" in item and not os.path.exists(os.path.join(root, item))
        return PurePosixPath(item.replace("\\", "/") if backslashes else item).as_posix()
    path, folder = Path(item), root.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else item


def _check_named_once(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"The corrections have two names for {some(twice, 3)}: in the folder, and the whole path.",
            "one name for each item.", "write the paths relative to the folder.",
        )  # fmt: skip


def corrected_labeller(labeller: Labeller, delimiter: str | None) -> Labeller:
    """Return a labeller that takes the label of an item from the corrections where they have one.

    Args:
        labeller: Labels the others.
        delimiter: What separates tags in the corrections that are not JSON lists.
    """

    def label(rows: Rows) -> Sequence[Any]:
        places = rows.relabelled()
        if not len(places):
            return labeller(rows)
        labels = Labels.of(labeller(rows))
        texts = rows.table[CORRECTED].take(pa.array(places)).to_pylist()
        said = [tags_of(text, delimiter) if labels.several else label_of(text) for text in texts]
        if None in said:
            raise DataError(
                f"The corrections relabel {rows.names_at(places[[said.index(None)]])[0]} without a label.",
                "a class for each item that is relabelled.", 'fill in the label, or decide "remove".',
            )  # fmt: skip
        plain = labels.column if labels.several else labels.column.cast(pa.string())
        both = pa.chunked_array([*plain.chunks, pa.array(said, plain.type)], plain.type)
        order = np.arange(len(rows))
        order[places] = len(rows) + np.arange(len(places))
        return Labels(both.take(pa.array(order)))

    return label


def tell_new_classes(labels: Sequence[Labels], corrected: Sequence[Rows]) -> None:
    """Print the labels that no item had before it was corrected."""
    total: dict[str, int] = {}
    by_corrections: dict[str, int] = {}
    for of_split, rows in zip(labels, corrected, strict=True):
        _add(total, of_split.counts())
        places = pa.array(rows.relabelled())
        _add(by_corrections, Labels(of_split.column.take(places)).counts() if len(places) else {})
    new = [f"{name} ({count:,})" for name, count in sorted(by_corrections.items()) if count == total[name]]
    if new:
        print(f"Corrections: labels that only corrected items have: {some(new)}.")


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def check_can_be_relabelled(rows: Rows, kind: str) -> None:
    """Refuse corrections that give labels to items whose labels are neither classes nor tags.

    Raises:
        DataError: There are some.
    """
    if len(places := rows.relabelled()):
        raise DataError(
            f"The corrections give a label to {counted(len(places), 'item')}, such as "
            f"{rows.names_at(places[:1])[0]}, and what is predicted is a {kind}.",
            "labels that are classes or tags; of others items can only be kept or removed.",
            "correct the label where it comes from, and leave those rows out of the corrections.",
        )  # fmt: skip
