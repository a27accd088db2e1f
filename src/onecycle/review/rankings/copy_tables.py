"""Tables of copies: each item beside the one that it resembles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from onecycle.data.categories import ClassTarget
from onecycle.data.target import Target
from onecycle.review.rankings.copies import Copies
from onecycle.review.rankings.features import ItemFeatures
from onecycle.review.rankings.leaks import Pairs, Places
from onecycle.review.rankings.ranking import ranking_table


def table_of_copies(features: ItemFeatures, copies: Copies, target: Target) -> pa.Table:
    """Return a row for each item that has a copy: groups in two splits first, and in a group the most alike."""
    other, cosine = _nearest_copy(features, copies)
    places = np.flatnonzero(other >= 0)
    groups = copies.groups[places]
    splits = np.asarray(features.splits, dtype=object)
    crossing = {
        group for group, one, two in zip(groups, splits[places], splits[other[places]], strict=True) if one != two
    }
    order = sorted(range(len(places)), key=lambda row: (groups[row] not in crossing, groups[row], -cosine[places[row]]))
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups[order].tolist()), 1)}
    chosen = places[order]
    pairs = Pairs(chosen, other[chosen], cosine[chosen])
    return table_of_pairs(features, pairs, target, [numbers[group] for group in groups[order].tolist()])


def table_of_leaks(features: ItemFeatures, copies: Copies, leaking: Places, target: Target) -> pa.Table:
    """Return a row for each item of which training has a copy, with the most alike training item of its group."""
    trained, units = features.of("train"), features.units
    in_group: dict[int, list[int]] = {}
    for place in trained.tolist():
        in_group.setdefault(int(copies.groups[place]), []).append(place)
    others, cosines = [], []
    for place in leaking.tolist():
        mates = in_group[int(copies.groups[place])]
        alike = units[mates] @ units[place]
        others.append(mates[int(alike.argmax())])
        cosines.append(float(alike.max()))
    order = np.argsort(-np.array(cosines, float), kind="stable")
    pairs = Pairs(leaking[order], np.array(others, np.int64)[order], np.array(cosines, float)[order])
    return table_of_pairs(features, pairs, target, copies.groups[pairs.places].tolist())


def _nearest_copy(features: ItemFeatures, copies: Copies) -> tuple[Places, Any]:
    """Return the copy that each item is most like, one in another split before those in its own; -1 where none is."""
    splits = np.asarray(features.splits, dtype=object)
    other, best = np.full(len(features), -1, np.int64), np.full(len(features), -np.inf)
    cosine = np.zeros(len(features))
    crossing = (splits[copies.first] != splits[copies.second]) * 2.0
    for one, two in ((copies.first, copies.second), (copies.second, copies.first)):
        for place, mate, alike, bonus in zip(one.tolist(), two.tolist(), copies.similarity, crossing, strict=True):
            if alike + bonus > best[place]:
                other[place], best[place], cosine[place] = mate, alike + bonus, alike
    return other, cosine


def table_of_pairs(
    features: ItemFeatures, pairs: Pairs, target: Target, groups: Sequence[int] | None = None
) -> pa.Table:
    """Return a row for each pair; those of one group are copies."""
    names, labels, splits = features.names, features.labels, features.splits
    ends = list(zip(pairs.places.tolist(), pairs.others.tolist(), pairs.cosines.tolist(), strict=True))
    how = "very similar to" if groups is None else "nearly the same as"
    columns = {
        "item": [names[place] for place, _, _ in ends],
        "split": [splits[place] for place, _, _ in ends],
        "label": [labels[place] for place, _, _ in ends],
        "score": pairs.cosines,
        "reason": [
            f"It is {how} {splits[mate]}: {names[mate]} (similarity {cosine:.2f})"
            f"{_other_label(target, labels[place], labels[mate])}."
            for place, mate, cosine in ends
        ],
    }
    more = {
        "group": pa.array([None] * len(ends) if groups is None else groups, pa.int64()),
        "other": pa.array([names[mate] for _, mate, _ in ends], pa.string()),
        "other_split": pa.array([splits[mate] for _, mate, _ in ends], pa.string()),
        "similarity": pa.array(pairs.cosines, pa.float64()),
    }
    return ranking_table(columns, target, more)


def _other_label(target: Target, label: Any, others_label: Any) -> str:
    if not isinstance(target, ClassTarget) or label is None or others_label is None or label == others_label:
        return ""  # points and numbers of two frames always differ
    return f", which is labelled {target.caption(others_label)}"
