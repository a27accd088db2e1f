"""From a model's output to a prediction, by the code that decodes predictions in training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onecycle.data.decoding import by_name, most_probable, tags_above
from onecycle.vision.decode import ImageGeometry
from onecycle.vision.mask_restoring import restore_mask
from onecycle.vision.point_coordinates import to_original

Output = NDArray[np.float32]


class Decoder(Protocol):
    """What one kind of output means."""

    def decode(self, output: Output, geometry: ImageGeometry | None) -> Any:
        """Return one item's prediction in the user's terms."""

    def scores(self, output: Output) -> dict[str, float]:
        """Return one prediction's probability of each class; empty where there are no classes."""


@dataclass(frozen=True)
class CategoryDecoder:
    """One of several classes.

    Example:
        >>> CategoryDecoder(("cat", "dog")).decode(np.array([0.2, 0.8], np.float32), None)
        'dog'
    """

    classes: tuple[str, ...]

    def decode(self, output: Output, geometry: ImageGeometry | None) -> str:
        return most_probable(self.classes, output)

    def scores(self, output: Output) -> dict[str, float]:
        return by_name(self.classes, output)


@dataclass(frozen=True)
class TagsDecoder:
    """Any number of tags.

    Example:
        >>> TagsDecoder(("haze", "road"), 0.3).decode(np.array([0.2, 0.8], np.float32), None)
        ('road',)
    """

    classes: tuple[str, ...]
    threshold: float

    def decode(self, output: Output, geometry: ImageGeometry | None) -> tuple[str, ...]:
        return tags_above(self.threshold, self.classes, output)

    def scores(self, output: Output) -> dict[str, float]:
        return by_name(self.classes, output)


@dataclass(frozen=True)
class NumbersDecoder:
    """Numbers in their own units.

    Example:
        >>> NumbersDecoder(("age",)).decode(np.array([31.5], np.float32), None)
        {'age': 31.5}
    """

    classes: tuple[str, ...]

    def decode(self, output: Output, geometry: ImageGeometry | None) -> dict[str, float]:
        return by_name(self.classes, output)

    def scores(self, output: Output) -> dict[str, float]:
        return {}


@dataclass(frozen=True)
class PointsDecoder:
    """Points in pixels of the original, float32, (points, 2)."""

    classes: tuple[str, ...]

    def decode(self, output: Output, geometry: ImageGeometry | None) -> Output:
        if geometry is None:
            return output
        return np.asarray(to_original(output[None], np.array([geometry], np.float32))[0], np.float32)

    def scores(self, output: Output) -> dict[str, float]:
        return {}


@dataclass(frozen=True)
class MaskDecoder:
    """A class for each pixel of the original, as its value in mask files, uint8, (height, width)."""

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...]

    def decode(self, output: Output, geometry: ImageGeometry | None) -> NDArray[np.uint8]:
        return restore_mask(output, geometry, self.values, self.ignored)

    def scores(self, output: Output) -> dict[str, float]:
        """Return the share of each class in the image."""
        return by_name(self.classes, output.mean(axis=(1, 2)))


@dataclass(frozen=True)
class ArrayDecoder:
    """Outputs as they are.

    Example:
        >>> ArrayDecoder().decode(np.array([1.5], np.float32), None)
        [1.5]
    """

    classes: tuple[str, ...] = ()

    def decode(self, output: Output, geometry: ImageGeometry | None) -> Any:
        return output.tolist()

    def scores(self, output: Output) -> dict[str, float]:
        return {}


def _classes(config: dict[str, Any]) -> tuple[str, ...]:
    names = config["classes"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("classes that are no list of texts")
    return tuple(names)


def _mask(config: dict[str, Any]) -> MaskDecoder:
    decoder = MaskDecoder(_classes(config), tuple(config["values"]), tuple(config["ignored"]))
    if len(decoder.values) != len(decoder.classes) or not all(
        isinstance(value, int) and 0 <= value <= 255 for value in decoder.values + decoder.ignored
    ):
        raise ValueError("classes without a value from 0 to 255 each")
    return decoder


DECODERS: dict[str, Callable[[dict[str, Any]], Decoder]] = {
    "category": lambda config: CategoryDecoder(_classes(config)),
    "multi_category": lambda config: TagsDecoder(_classes(config), float(config["threshold"])),
    "numbers": lambda config: NumbersDecoder(_classes(config)),
    "points": lambda config: PointsDecoder(_classes(config)),
    "mask": _mask,
    "tensor": lambda config: ArrayDecoder(),
}
"""By the kind of a target."""
