"""What probabilities and numbers mean, for arrays and tensors alike: learners, bundles and exported files share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def most_probable(classes: Sequence[str], probabilities: Any) -> str:
    """Return the class of the highest probability.

    Args:
        classes: The classes' names.
        probabilities: An array or a tensor, (classes,).
    Example:
        >>> import numpy as np
        >>> most_probable(("cat", "dog"), np.array([0.2, 0.8]))
        'dog'
    """
    return classes[int(probabilities.argmax())]


def tags_above(threshold: float, tags: Sequence[str], probabilities: Any) -> tuple[str, ...]:
    """Return the tags whose probability is above the threshold, in their order.

    Example:
        >>> import numpy as np
        >>> tags_above(0.3, ("haze", "road", "water"), np.array([0.9, 0.1, 0.4]))
        ('haze', 'water')
    """
    return tuple(name for name, present in zip(tags, (probabilities > threshold).tolist(), strict=True) if present)


def by_name(names: Sequence[str], values: Any) -> dict[str, float]:
    """Return the numbers of an array or a tensor, (names,), by their names.

    Example:
        >>> import numpy as np
        >>> by_name(("age",), np.array([31.5]))
        {'age': 31.5}
    """
    return dict(zip(names, values.tolist(), strict=True))
