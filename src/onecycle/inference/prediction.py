"""The prediction for one item."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from onecycle.errors import some

SHOWN_CLASSES = 3


class _LabelAndProbabilities(NamedTuple):
    label: Any
    probabilities: dict[str, float]


class Prediction(_LabelAndProbabilities):
    """The prediction for one item, a tuple of the first two.

    Attributes:
        label: In the target's terms: a class; a tuple of tags; a mask, uint8, (height, width) of the original; points
            in pixels of the original, float32, (points, 2); or numbers by name.
        probabilities: Of each class; of masks each class's share of the image; empty for points and numbers.
        label_set: Where `sets=` was passed, the classes that hold the right one as often as it says, likeliest first.
        unfamiliar: Whether the input is unlike all training items, of models that were calibrated and can tell.
        unfamiliarity: How unlike: one minus the mean cosine to the nearest training items' features.

    Example:
        >>> Prediction("cat", {"dog": 0.1, "cat": 0.9})
        Prediction('cat': cat 90.0%, dog 10.0%)
        >>> Prediction("cat", {"dog": 0.4, "cat": 0.6}, label_set=("cat", "dog"), unfamiliar=True)
        Prediction('cat': cat 60.0%, dog 40.0%; set: cat, dog; unlike the training items)
    """

    label_set: tuple[str, ...] | None = None
    unfamiliar: bool | None = None
    unfamiliarity: float | None = None

    def __new__(
        cls,
        label: Any,
        probabilities: dict[str, float],
        *,
        label_set: tuple[str, ...] | None = None,
        unfamiliar: bool | None = None,
        unfamiliarity: float | None = None,
    ) -> Self:
        prediction = super().__new__(cls, label, probabilities)
        prediction.label_set, prediction.unfamiliar = label_set, unfamiliar
        prediction.unfamiliarity = unfamiliarity
        return prediction

    def __repr__(self) -> str:
        label = f"array of shape {self.label.shape}" if isinstance(self.label, np.ndarray) else repr(self.label)
        likely = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        shown = [some((f"{name} {share:.1%}" for name, share in likely), SHOWN_CLASSES)] if likely else []
        shown += [] if self.label_set is None else [f"set: {some(self.label_set, 12)}"]
        shown += ["unlike the training items"] if self.unfamiliar else []
        return f"Prediction({label}" + (f": {'; '.join(shown)})" if shown else ")")
