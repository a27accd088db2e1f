"""A review in the words of its page, as JSON."""

from __future__ import annotations

from typing import Any

from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.review.cards import KINDS, POOL, Card, Item
from onecycle.review.decisions import Decisions
from onecycle.review.session import Review
from onecycle.ship.review_page.contents import text_of


def describe_review(review: Review) -> dict[str, Any]:
    """Return how far a review is."""
    progress = review.progress()
    kinds = [
        {
            "kind": kind, "title": title, "total": progress[kind].total, "decided": progress[kind].decided,
            "skipped": progress[kind].skipped, "searching": kind in review.searching,
            "problem": review.problems.get(kind),
        }
        for kind, title in KINDS.items()
        if progress[kind].total or kind in review.searching or kind in review.problems
    ]  # fmt: skip
    return {"kinds": kinds, "undo": review.can_undo}


def describe_card(card: Card, decisions: Decisions, target: Target) -> dict[str, Any]:
    """Return a card as the page shows it."""
    items = decisions.left(card) if card.is_group else list(card.items)
    removed = _proposed(items) if card.is_group else set()
    return {
        "key": card.key, "kind": card.kind, "title": KINDS[card.kind], "new": card.kind == POOL,
        "reasons": card.reasons, "version": decisions.version(card), "group": card.is_group,
        "items": [_describe_item(item, decisions, target, proposed=item.key in removed) for item in items],
    }  # fmt: skip


def _describe_item(item: Item, decisions: Decisions, target: Target, *, proposed: bool) -> dict[str, Any]:
    said = decisions.of(item)
    try:
        text, problem = text_of(item), None
    except DataError as error:
        text, problem = "", error.what
    return {
        "name": item.name, "key": item.key, "split": item.split, "label": _shown(item.label, target),
        "predicted": item.predicted, "probabilities": item.probabilities, "text": text, "problem": problem,
        "proposed": proposed, "decision": said and {"decision": said["decision"], "label": said["label"]},
    }  # fmt: skip


def _shown(label: Any, target: Target) -> Any:
    """Return a label as JSON: of targets without classes, a short text."""
    if label is None or (target.classes and isinstance(label, str | list)):
        return label
    return str(label)


def _proposed(items: list[Item]) -> set[str]:
    """Return which of several copies to remove: those of the training set, or all but the first.

    So what is validated stays as it was, and numbers before and after can be compared.
    """
    splits = {item.split for item in items}
    if splits == {"train", "valid"}:
        return {item.key for item in items if item.split == "train"}
    return {item.key for item in items[1:]}
