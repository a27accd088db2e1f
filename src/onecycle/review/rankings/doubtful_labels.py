"""Labels that may be wrong: what heads that never saw an item, and its neighbours, say against its label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onecycle.calls import explained
from onecycle.data.categories import ClassTarget, MultiCategory
from onecycle.errors import DataError, ModelError
from onecycle.review.rankings.copies import ROWS, find_copies
from onecycle.review.rankings.features import ItemFeatures, features_of
from onecycle.review.rankings.ranking import Ranking, ranking_table
from onecycle.train.learner import Learner
from onecycle.train.linear_heads import FOLDS, out_of_fold

NEIGHBOURS = 10
# What is listed: the label is believed less than this, another one more than that, and no more than a share of all.
LEAST_OWN, LEAST_OTHER, MOST_LISTED = 0.1, 0.5, 0.05
NOTE = "Wrong, ambiguous or hard: look at each. It is a list to look at, no count of errors."


@explained
def doubtful_labels(learner: Learner, *, all_items: bool = False) -> Ranking:
    """Rank labels of training and validation items that may be wrong, ambiguous or hard, the most doubtful first.

    Heads on the features of the learner's body judge items of which they have seen neither the label nor a copy. The
    score is `-log(p) - log(share + 0.02)`: p is their probability of the label, and share that of the 10 nearest
    neighbours that have it too; of texts, whose neighbours say little, `-log(p)` alone. It never counts errors and
    never leaves an item out: what becomes of an item, a person decides.

    Args:
        learner: Of classes or tags, of images or texts; it need not be trained.
        all_items: Rank all items, not only those whose label has a probability below 0.1 where another has more than
            0.5, of which at most 5% of the items are listed.
    Returns:
        A ranking. Of tags, `predicted` is the label with what is in doubt changed.
    Raises:
        ModelError: The labels are no classes or tags, or the model has no body.
        DataError: There are fewer than ten labelled items.
    Example:
        >>> doubtful = oc.doubtful_labels(learner)
        >>> doubtful.title
        'Doubtful labels'
    """
    target = learner.data.target
    if not isinstance(target, ClassTarget):
        raise ModelError(
            f"doubtful_labels() of {target.kind}.", "classes or tags.",
            "of masks, points and numbers, show_results(worst=True) draws the items with the highest loss.",
        )  # fmt: skip
    features = features_of(learner, ("train", "valid"))
    if len(features) < 2 * FOLDS or len(target.classes) < 2:
        raise DataError(
            f"{len(features):,} items of {len(target.classes):,} classes.",
            f"at least {2 * FOLDS} labelled items, and two classes.",
            "label more items first.",
        )
    doubts = label_doubts(features, target, seed=learner.state.seed)
    listed = doubts.score.argsort(descending=True, stable=True)
    if not all_items:
        listed = listed[doubts.is_doubtful[listed]][: math.ceil(MOST_LISTED * len(features))]
    return Ranking(
        _table(features, target, doubts, listed.tolist()), "Doubtful labels", NOTE, target, features.datasets
    )


@dataclass(frozen=True)
class Doubts:
    """What speaks against each label, a row an item.

    Attributes:
        score: -log of the label's probability, and of the share of neighbours that have it, (items,).
        own: Probability of the label; of tags, of the most doubtful one as it is given, (items,).
        other: The most probable other class, or the tag in doubt, (items,).
        other_probability: Its probability; of a tag, that it is not as it is given, (items,).
        share: Share of the nearest neighbours with the same label, (items,); None where they are not asked.
        probabilities: (items, classes).
    """

    score: Tensor
    own: Tensor
    other: Tensor
    other_probability: Tensor
    share: Tensor | None
    probabilities: Tensor

    @property
    def is_doubtful(self) -> Tensor:
        """Whether the item is listed, bool, (items,)."""
        return (self.own < LEAST_OWN) & (self.other_probability > LEAST_OTHER)


def label_doubts(features: ItemFeatures, target: ClassTarget, *, seed: int = 0) -> Doubts:
    """Return what speaks against the label of each item."""
    groups = find_copies(features).groups
    encoded = torch.stack([target.encode(label) for label in features.labels])
    probabilities = out_of_fold(features.vectors, encoded, len(target.classes), groups, seed=seed)
    tags = isinstance(target, MultiCategory)
    present = encoded.bool() if tags else torch.nn.functional.one_hot(encoded, len(target.classes)).bool()
    own = torch.where(present, probabilities, 1 - probabilities) if tags else probabilities
    score = -own.clamp_min(1e-6).log()
    share = None
    if features.hashes is not None:
        nearest = nearest_neighbours(features.units, torch.from_numpy(groups), NEIGHBOURS)
        share = _shares(present, nearest) if tags else _shares_of_class(encoded, nearest, len(target.classes))
        score = score - (share + 0.02).log()
    if tags:
        worst = score.argmax(1)
        rows = torch.arange(len(worst))
        own = own[rows, worst]
        return Doubts(
            score[rows, worst], own, worst, 1 - own, None if share is None else share[rows, worst], probabilities
        )
    others = probabilities.masked_fill(present, -1).max(1)
    pick = encoded[:, None]
    return Doubts(
        score.gather(1, pick)[:, 0], own.gather(1, pick)[:, 0], others.indices, others.values,
        None if share is None else share.gather(1, pick)[:, 0], probabilities,
    )  # fmt: skip


def _shares(present: Tensor, nearest: Tensor) -> Tensor:
    """Return for each tag of each item the share of its neighbours in which it is as in the item, (items, tags)."""
    return torch.stack([(present[column] == present) for column in nearest.T]).float().mean(0)


def _shares_of_class(encoded: Tensor, nearest: Tensor, classes: int) -> Tensor:
    """Return the share of each item's neighbours that are of each class, (items, classes)."""
    return torch.nn.functional.one_hot(encoded[nearest], classes).float().mean(1)


def nearest_neighbours(units: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the positions of each item's nearest neighbours outside of its own group, (items, count)."""
    count = min(count, len(units) - 1)
    found = []
    for start in range(0, len(units), ROWS):
        cosines = units[start : start + ROWS] @ units.T
        cosines.masked_fill_(groups[start : start + ROWS, None] == groups, -2)
        found.append(cosines.topk(count, 1).indices)
    return torch.cat(found)


def _table(features: ItemFeatures, target: ClassTarget, doubts: Doubts, listed: Sequence[int]) -> Any:
    names, labels = features.names, features.labels
    predicted = [_predicted(target, doubts, place, labels[place]) for place in listed]
    columns = {
        "item": [names[place] for place in listed],
        "split": [features.splits[place] for place in listed],
        "label": [labels[place] for place in listed],
        "predicted": [label for label, _ in predicted],
        "probability": [probability for _, probability in predicted],
        "score": doubts.score[list(listed)].double().numpy(),
        "reason": [_reason(target, doubts, place, labels[place]) for place in listed],
    }
    return ranking_table(columns, target)


def _predicted(target: ClassTarget, doubts: Doubts, place: int, label: Any) -> tuple[Any, float]:
    """Return what speaks most for itself, with its probability."""
    own, other = float(doubts.own[place]), float(doubts.other_probability[place])
    if own >= other:
        return label, own
    name = target.classes[int(doubts.other[place])]
    if not isinstance(target, MultiCategory):
        return name, other
    changed = set(label) ^ {name}
    return [tag for tag in target.classes if tag in changed], other


def _reason(target: ClassTarget, doubts: Doubts, place: int, label: Any) -> str:
    own, other = float(doubts.own[place]), float(doubts.other_probability[place])
    name = target.classes[int(doubts.other[place])]
    tags = isinstance(target, MultiCategory)
    has = tags and name in label
    if own >= other:
        said = f"A model that has not seen it agrees ({own:.0%})"
    elif tags:
        said = (
            f"A model that has not seen it says that {name} {'does not apply' if has else 'is missing'} ({other:.0%})"
        )
    else:
        said = f"A model that has not seen it says {name} ({other:.0%}), not {label} ({own:.0%})"
    if doubts.share is None:
        return f"{said}."
    count = min(NEIGHBOURS, len(doubts.score) - 1)
    alike = round(float(doubts.share[place]) * count)
    shown = f"have {'it' if has else 'that tag'}" if tags else f"are labelled {label}"
    with_it = alike if has or not tags else count - alike
    return f"{said}; {with_it} of its {count} nearest neighbours {shown}."
