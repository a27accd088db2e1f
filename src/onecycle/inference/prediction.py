"""The prediction for one item."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from onecycle.errors import some

SHOWN_CLASSES = 3


class Prediction(NamedTuple):
    """The prediction for one item.

    Attributes:
        label: In the target's terms: a class; a tuple of tags; a mask, uint8, (height, width) of the original; points
            in pixels of the original, float32, (points, 2); or numbers by name.
        probabilities: Of each class; of masks each class's share of the image; empty for points and numbers.

    Example:
        >>> Prediction("cat", {"dog": 0.1, "cat": 0.9})
        Prediction('cat': cat 90.0%, dog 10.0%)
    """

    label: Any
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        label = f"array of shape {self.label.shape}" if isinstance(self.label, np.ndarray) else repr(self.label)
        likely = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        shown = some((f"{name} {share:.1%}" for name, share in likely), SHOWN_CLASSES)
        return f"Prediction({label}" + (f": {shown})" if shown else ")")
