"""What a model has learned about how sure it may be: sets of classes with a stated coverage, and unfamiliar inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from onecycle.errors import DataError, ModelError, counted

MOST_FEATURES = 2000
MOST_SCORES = 10_000
NEIGHBOURS = 5
# The share of held-back items that are called familiar.
FAMILIAR = 0.95
# From so many held-back items on, the coverage of one model differs by less than 0.03 from the stated one, mostly.
ENOUGH_FOR_SETS = 400


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How far from all training items an input lies: the body's outputs are compared.

    It finds inputs of another kind, such as a drawing among photos. A new class of the same kind it does not find.

    Attributes:
        features: Of training items, each of length 1, float16, (items, width).
        threshold: Held-back items are at most so far away, but for a twentieth of them.
    Source: Sun et al. 2022, Out-of-Distribution Detection with Deep Nearest Neighbors, arXiv:2204.06507.
    Example:
        >>> known = Familiarity(torch.eye(2).half(), threshold=0.1)
        >>> known.unfamiliarity(torch.tensor([[3.0, 0.0], [-1.0, 0.0]]))
        tensor([0.5000, 1.5000])
    """

    features: Tensor
    threshold: float

    @classmethod
    def of(cls, training: Tensor, held_back: Tensor) -> Familiarity:
        """Return what tells held-back items from unfamiliar ones.

        Args:
            training: The body's outputs for training items, float32, (items, width).
            held_back: Those for items that were not trained on.
        """
        known = cls(normalize(training, dim=1).half(), 0.0)
        distances = known.unfamiliarity(held_back)
        return cls(known.features, float(distances.quantile(FAMILIAR)) if len(distances) else 2.0)

    @cached_property
    def _directions(self) -> Tensor:
        return self.features.float()

    def unfamiliarity(self, features: Tensor) -> Tensor:
        """Return one minus the mean cosine to the nearest training items, float32 on the CPU, (batch,).

        Args:
            features: The body's outputs, (batch, width).
        """
        cosines = normalize(features.cpu().float(), dim=1) @ self._directions.T
        return 1 - cosines.topk(min(NEIGHBOURS, cosines.shape[1]), dim=1).values.mean(1)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What `learner.calibrate` found besides the temperatures, which the target has.

    Attributes:
        scores: One minus the probability of the right class, of held-back items, ascending, float32; None where the
            target has not one class an item.
        familiarity: None where the body's outputs are not plain vectors.
        card: What the model's card says of it, as JSON.
    """

    scores: Tensor | None = None
    familiarity: Familiarity | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    def sets(self, probabilities: Tensor, coverage: float) -> Tensor:
        """Return which classes belong to the set of each item, bool, (items, classes): the likeliest always does.

        The right class is in the set of a share `coverage` of new items like the held-back ones: on average over all,
        not for each class by itself.

        Args:
            probabilities: (items, classes).
            coverage: Above 0 and below 1.
        Raises:
            DataError: `coverage` is not between 0 and 1.
            ModelError: The model has no scores.
        Source: Sadinle et al. 2019, Least Ambiguous Set-Valued Classifiers, arXiv:1609.00451.
        Example:
            >>> held_back = Calibration(torch.linspace(0, 0.99, 100))
            >>> held_back.sets(torch.tensor([[0.7, 0.2, 0.1]]), coverage=0.9)
            tensor([[True, True, True]])
            >>> held_back.sets(torch.tensor([[0.7, 0.2, 0.1]]), coverage=0.5)
            tensor([[ True, False, False]])
        """
        check_coverage(coverage)
        if self.scores is None:
            raise not_calibrated()
        number = _rank(len(self.scores), coverage)
        # Too few items promise nothing but all classes.
        limit = float(self.scores[number - 1]) if number <= len(self.scores) else math.inf
        chosen = 1 - probabilities.float() <= limit
        return chosen.scatter(1, probabilities.argmax(1, keepdim=True), True)

    def state_dict(self) -> dict[str, Any]:
        """Return it as JSON and tensors."""
        known = self.familiarity
        return {
            "scores": self.scores, "features": known and known.features, "threshold": known and known.threshold,
            "card": dict(self.card),
        }  # fmt: skip

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Calibration:
        """Return what `state_dict` described.

        Raises:
            ModelError: It does not.
        """
        scores, features, threshold = (state.get(name) for name in ("scores", "features", "threshold"))
        _check_tensor("scores", scores, 1, MOST_SCORES)
        _check_tensor("features", features, 2, MOST_FEATURES)
        if features is not None and not (isinstance(threshold, float) and math.isfinite(threshold)):
            raise _damaged(f"the threshold {threshold!r}")
        known = None if features is None else Familiarity(features, threshold)  # type: ignore[arg-type]
        return cls(None if scores is None else scores.float().sort().values, known, dict(state.get("card") or {}))


def check_coverage(coverage: Any) -> None:
    """Refuse what is no share.

    Raises:
        DataError: It is not between 0 and 1.
    """
    if isinstance(coverage, bool) or not isinstance(coverage, int | float) or not 0 < coverage < 1:
        raise DataError(
            f"sets={coverage!r}.", "the share of items whose set has the right class, above 0 and below 1.",
            "pass sets=0.9.",
        )  # fmt: skip


def coverage_range(items: int, coverage: float) -> tuple[float, float]:
    """Return between which shares the coverage of a single model lies in 19 of 20 cases.

    Over all samples of held-back items it is beta-distributed (Vovk 2012, arXiv:1209.2673); this is its normal
    approximation.

    Example:
        >>> [round(share, 2) for share in coverage_range(400, 0.9)]
        [0.87, 0.93]
    """
    spread = 1.96 * math.sqrt(coverage * (1 - coverage) / (items + 2))
    return max(coverage - spread, 0.0), min(coverage + spread, 1.0)


def fewest_for_sets(coverage: float) -> int:
    """Return from how many held-back items on sets may leave a class out; those from fewer hold all classes.

    Example:
        >>> fewest_for_sets(0.9), fewest_for_sets(0.5)
        (9, 1)
    """
    items = math.floor(coverage / (1 - coverage))
    while _rank(items, coverage) > items:
        items += 1
    return items


def _rank(items: int, coverage: float) -> int:
    """Return which of the ascending scores is the limit of sets; above `items` there is none."""
    return math.ceil((items + 1) * coverage)


def few_for_sets(items: int, coverage: float) -> str | None:
    """Return what has to be said of sets that are made from few held-back items; None of enough."""
    if items >= ENOUGH_FOR_SETS:
        return None
    held_back = f"Sets of classes come from {counted(items, 'held-back item')}"
    if items < (needed := fewest_for_sets(coverage)):
        return (
            f"{held_back}, too few for {coverage:.0%}: every set holds all classes, and says nothing. At least "
            f"{needed:,} are needed, and {ENOUGH_FOR_SETS} to rely on."
        )
    low, high = coverage_range(items, coverage)
    return (
        f"{held_back}, fewer than {ENOUGH_FOR_SETS}: those for {coverage:.0%} "
        f"have the right class in {low:.0%} to {high:.0%} of all cases."
    )


def not_calibrated() -> ModelError:
    """Return the error for sets of a model that knows nothing of held-back items."""
    return ModelError(
        "This model has no held-back items to make sets of classes from.",
        "a model of one class an item, that was calibrated.",
        "call learner.calibrate(), then predict, or export the model again.",
        shell_fix="leave --sets out, or train again with onecycle train, which calibrates.",
    )


def no_sets_of(kind: str) -> ModelError:
    """Return the error for sets of a model that does not predict one class an item."""
    return ModelError(
        f"Sets of classes are for one class an item, and this model predicts {kind}.", "a model of one class an item.",
        "leave sets= out; of tags, the probability of each is predicted.", shell_fix="leave --sets out.",
    )  # fmt: skip


def _check_tensor(name: str, tensor: Any, dimensions: int, most: int) -> None:
    if tensor is None:
        return
    if not isinstance(tensor, Tensor) or tensor.ndim != dimensions or not 0 < len(tensor) <= most:
        raise _damaged(f"{name} of another shape")
    if not tensor.is_floating_point() or not bool(tensor.float().isfinite().all()):
        raise _damaged(f"{name} that are not finite")


def _damaged(what: str) -> ModelError:
    return ModelError(
        f"The calibration has {what}.", "what calibrate() found.", "calibrate and export the model again."
    )
