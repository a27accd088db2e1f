"""What a report says of the data: labels to look at, and near-copies on both sides of the split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from onecycle.data.categories import ClassTarget
from onecycle.data.rows import ITEM
from onecycle.errors import OnecycleError, counted
from onecycle.review.rankings.doubtful_labels import doubtful_labels
from onecycle.review.rankings.near_duplicates import near_duplicates
from onecycle.review.rankings.ranking import Ranking
from onecycle.ship.report.blocks import Block, Card, Gallery, Note, Section, Table
from onecycle.ship.report.cards import make_cards
from onecycle.train.learner import Learner
from onecycle.train.state import TrainState
from onecycle.vision.images import Images

LABELS, PAIRS = 12, 8
# With more items than these, whoever wants the lists calls for them.
MOST_ITEMS = 20_000


def data_checks(learner: Learner) -> list[Section]:
    """Return the sections that fit the data; each takes a pass of a body over all items. All processes must call it."""
    state = learner.state
    if not state.data.random_access:
        return []
    fitting: list[tuple[str, str, Callable[[Learner], Section]]] = []
    if isinstance(state.target, ClassTarget):
        fitting.append(("Doubtful labels", "doubtful_labels", _doubtful_labels))
    if isinstance(state.data.modality, Images):
        fitting.append(("Near-duplicates", "near_duplicates", _near_duplicates))
    count = sum(len(state.data.loader(split).dataset) for split in ("train", "valid"))
    if count > MOST_ITEMS:
        return [
            Section(title, [Note(f"Not looked for among {count:,} items: oc.{function}(learner) does.")])
            for title, function, _ in fitting
        ]
    return [_tried(title, look, learner) for title, _, look in fitting]


def _tried(title: str, look: Callable[[Learner], Section], learner: Learner) -> Section:
    try:
        return look(learner)
    except OnecycleError as error:
        return Section(title, [Note(f"Not looked for: {error.what}")])


def _doubtful_labels(learner: Learner) -> Section:
    ranking = doubtful_labels(learner).head(LABELS)
    rows = ranking.table.to_pylist()
    if not rows:
        return Section("Doubtful labels", [Note("No label is so doubtful that it would be listed.")])
    lines = [[f"label: {ranking.target.caption(row['label'])}", row["reason"]] for row in rows]
    cards = _cards(learner.state, ranking, [(row["split"], row["item"]) for row in rows], lines)
    return Section(
        "Doubtful labels", [Gallery("Look at these first", [card for card in cards if card], note=ranking.note)]
    )


def _near_duplicates(learner: Learner) -> Section:
    found = near_duplicates(learner)
    if not len(found):
        return Section("Near-duplicates", [Note("No image is nearly the same as another one.")])
    blocks: list[Block] = [Note(line) for line in found.note.splitlines()[1:]]
    if len(found.leaks) and found.metrics:
        blocks.append(_with_and_without(found.metrics))
    if len(found.leaks):
        blocks.append(_pairs(learner.state, found.leaks, "Beside the training item that it is nearly the same as"))
    else:
        count = len(_once(found.table.to_pylist()))
        blocks.append(Note(f"{counted(count, 'pair')} of near-copies, none on both sides of the split."))
        blocks.append(_pairs(learner.state, found, "Beside the one that it is nearly the same as"))
    return Section("Near-duplicates", blocks)


def _with_and_without(metrics: Mapping[str, tuple[float, float]]) -> Table:
    rows = [[name, f"{every:.4f}", f"{rest:.4f} ({rest - every:+.4f})"] for name, (every, rest) in metrics.items()]
    return Table(["score", "all validation items", "without those"], rows, "Without the near-copies of training items")


def _pairs(state: TrainState, ranking: Ranking, title: str) -> Gallery:
    rows = _once(ranking.table.to_pylist())[:PAIRS]
    firsts = _cards(state, ranking, [(row["split"], row["item"]) for row in rows], [[row["reason"]] for row in rows])
    others = _cards(state, ranking, [(row["other_split"], row["other"]) for row in rows], [[] for _ in rows])
    cards = [
        replace(one, beside=other.picture, beside_name=other.name)
        for one, other in zip(firsts, others, strict=True)
        if one is not None and other is not None
    ]
    return Gallery(title, cards)


def _once(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pairs without those that are the other way round."""
    seen: set[frozenset[tuple[str, str]]] = set()
    kept = []
    for row in rows:
        pair = frozenset([(row["split"], row["item"]), (row["other_split"], row["other"])])
        if pair not in seen:
            seen.add(pair)
            kept.append(row)
    return kept


def _cards(
    state: TrainState, ranking: Ranking, items: Sequence[tuple[str, str]], lines: Sequence[Sequence[str]]
) -> list[Card | None]:
    """Return the card of each item, named by its split and name; None for one that cannot be read any more."""
    made: dict[tuple[str, str], Card] = {}
    for split, dataset in ranking.datasets.items():
        said = {name: line for (of, name), line in zip(items, lines, strict=True) if of == split}
        rows = {int(pc.index(dataset.rows.table[ITEM], name).as_py()): name for name in said}
        known = [row for row in rows if row >= 0]
        cards = make_cards(state.predictor(), state.data, dataset, known, [said[rows[row]] for row in known])
        made |= {(split, card.name): replace(card, name=f"{split}: {card.name}") for card in cards}
    return [made.get(item) for item in items]
