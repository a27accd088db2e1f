"""Which new items to label next: at first the most typical of what has no label yet, then those between two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from onecycle.calls import explained
from onecycle.data.categories import ClassTarget, MultiCategory
from onecycle.data.new_items import NewItems, rows_of
from onecycle.errors import DataError, ModelError
from onecycle.review.rankings.clusters import k_means
from onecycle.review.rankings.copies import ROWS
from onecycle.review.rankings.features import ItemFeatures, features_of
from onecycle.review.rankings.ranking import Ranking, ranking_table
from onecycle.train.learner import Learner
from onecycle.train.linear_heads import fitted

FEWEST_LABELS, LABELS_A_CLASS = 20, 2
NEIGHBOURS = 20
# The least margins of so many times the wanted number are spread.
CANDIDATES = 10
NOTE = "Their labels would teach most; validation items must still be drawn at random."


@explained
def next_to_label(learner: Learner, pool: NewItems, count: int = 20) -> Ranking:
    """Rank new items by what their labels would teach, for a person to label.

    Until there are 20 labels, or two for each class, these are the densest items of the largest clusters of features in
    which nothing is labelled (TypiClust). From then on they are the items between two classes, by a head on the
    features, spread over what they show.

    Args:
        learner: Its training items are what is labelled already.
        pool: New items: a folder, a list of the data block, or a list of files.
        count: How many to label next.
    Returns:
        A ranking of at most `count` items, in the split "pool".
    Raises:
        ModelError: The labels are no classes or tags, or the model has no body.
        DataError: `count` is less than 1, or there are no new items.
    Source: Hacohen et al. 2022, arXiv:2202.02794, for the first labels.
    Example:
        >>> oc.next_to_label(learner, photos, count=3).table["split"].to_pylist()
        ['pool', 'pool', 'pool']
    """
    target = learner.data.target
    if not isinstance(target, ClassTarget):
        raise ModelError(
            f"next_to_label() of {target.kind}.", "classes or tags.", "label a random part of the new items."
        )
    if not isinstance(count, int) or count < 1:
        raise DataError(f"count={count!r}.", "a whole number of 1 or more.", "pass count=20.")
    rows = rows_of(pool, learner.data.modality)
    features = features_of(learner, ["train"], {"pool": rows})
    chosen = _Choice(features, target, learner.state.seed).choose(count)
    names = features.names
    columns = {
        "item": [names[one.place] for one in chosen],
        "split": ["pool"] * len(chosen),
        "predicted": [one.predicted for one in chosen],
        "probability": [one.probability for one in chosen],
        "score": [one.score for one in chosen],
        "reason": [one.reason for one in chosen],
    }
    datasets = {"pool": features.datasets["pool"]}
    return Ranking(ranking_table(columns, target), "To label next", NOTE, target, datasets)


class _Chosen(NamedTuple):
    place: int
    score: float
    reason: str
    predicted: object = None
    probability: float | None = None


@dataclass
class _Choice:
    """Chooses among the items of the pool."""

    features: ItemFeatures
    target: ClassTarget
    seed: int

    def __post_init__(self) -> None:
        self.units = self.features.units
        self.labelled = torch.from_numpy(self.features.of("train"))
        self.pool = torch.from_numpy(self.features.of("pool"))

    def choose(self, count: int) -> list[_Chosen]:
        enough = max(FEWEST_LABELS, LABELS_A_CLASS * len(self.target.classes))
        typical = self._typical(min(count, max(enough - len(self.labelled), 0)))
        taken = {one.place for one in typical}
        rest = torch.tensor([place for place in self.pool.tolist() if place not in taken], dtype=torch.int64)
        wanted = min(count - len(typical), len(rest))
        return typical + (self._unsure(rest, wanted) if wanted else [])

    # --- the first labels ---

    def _typical(self, count: int) -> list[_Chosen]:
        """Return the densest item of each of the largest clusters without a label; then the next of each."""
        if not count or not len(self.pool):
            return []
        places = torch.cat([self.labelled, self.pool])
        clusters = k_means(self.units[places], len(self.labelled) + count, seed=self.seed)
        covered = set(clusters[: len(self.labelled)].tolist())
        inside = clusters[len(self.labelled) :]
        sizes = torch.bincount(inside, minlength=int(clusters.max()) + 1)
        open_clusters = [
            int(one) for one in sizes.argsort(descending=True, stable=True) if sizes[one] and int(one) not in covered
        ]
        queues = [self._densest_first(self.pool[inside == cluster]) for cluster in open_clusters]
        chosen: list[_Chosen] = []
        turn = 0
        while queues and len(chosen) < min(count, sum(map(len, queues))):
            for queue in queues:
                if turn < len(queue) and len(chosen) < count:
                    chosen.append(self._typical_one(queue[turn], len(queue), turn))
            turn += 1
        return sorted(chosen, key=lambda one: -one.score)

    def _typical_one(self, place: int, size: int, turn: int) -> _Chosen:
        most = "the most" if not turn else "among the most"
        reason = f"It is {most} typical of {size:,} similar items, none of them labelled."
        return _Chosen(place, 1 + size / len(self.pool) / (1 + turn), reason)

    def _densest_first(self, places: Tensor) -> list[int]:
        """Return items of one cluster by the mean cosine to their nearest neighbours in it, highest first."""
        units, density = self.units[places], []
        for start in range(0, len(places), ROWS):
            cosines = units[start : start + ROWS] @ units.T
            density.append(cosines.topk(min(NEIGHBOURS + 1, len(places)), 1).values.mean(1))
        return [int(place) for place in places[torch.cat(density).argsort(descending=True, stable=True)]]

    # --- later ones ---

    def _unsure(self, places: Tensor, count: int) -> list[_Chosen]:
        """Return the items with the least margins, one of each of `count` clusters of them."""
        probabilities = self._probabilities(places)
        margins, low, high = _margins(probabilities, tags=isinstance(self.target, MultiCategory))
        least = margins.argsort(stable=True)[: CANDIDATES * count]
        clusters = k_means(self.units[places[least]], count, seed=self.seed)
        first: dict[int, int] = {}
        for candidate, cluster in zip(least.tolist(), clusters.tolist(), strict=True):
            first.setdefault(cluster, candidate)
        picked = sorted(first.values(), key=lambda row: float(margins[row]))
        rest = [row for row in least.tolist() if row not in set(picked)]
        picked = sorted((picked + rest)[:count], key=lambda row: float(margins[row]))
        return [
            self._unsure_one(int(places[row]), probabilities[row], float(margins[row]), int(high[row]), int(low[row]))
            for row in picked
        ]

    def _probabilities(self, places: Tensor) -> Tensor:
        labels = self.features.labels
        encoded = torch.stack([self.target.encode(labels[place]) for place in self.labelled.tolist()])
        return fitted(
            self.features.vectors[self.labelled], encoded, len(self.target.classes), self.features.vectors[places]
        )

    def _unsure_one(self, place: int, probabilities: Tensor, margin: float, high: int, low: int) -> _Chosen:
        classes, own = self.target.classes, float(probabilities[high])
        if isinstance(self.target, MultiCategory):
            tags = [tag for tag, share in zip(classes, probabilities.tolist(), strict=True) if share > 0.5]
            return _Chosen(
                place,
                1 - margin,
                f"Whether {classes[high]} applies is least clear ({own:.0%}).",
                tags,
                max(own, 1 - own),
            )
        other = float(probabilities[low])
        reason = f"It may be {classes[high]} ({own:.0%}) or {classes[low]} ({other:.0%})."
        return _Chosen(place, 1 - margin, reason, classes[high], own)


def _margins(probabilities: Tensor, *, tags: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return how far apart the two most probable classes are, and these, the second first; of tags, the least clear."""
    if tags:
        margins, tag = ((probabilities - 0.5).abs() * 2).min(1)
        return margins, tag, tag
    values, classes = probabilities.topk(min(2, probabilities.shape[1]), 1)
    return values[:, 0] - values[:, -1], classes[:, -1], classes[:, 0]
