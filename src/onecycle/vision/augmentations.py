"""The single random changes that `Augment` combines, and the base classes for your own.

A geometric augmentation gives a 3x3 matrix for each image, a colour augmentation a 4x4 matrix. Coordinates run from -1
to 1, x to the right and y down; a geometric matrix maps positions in the output to positions in the input.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, is_dataclass
from typing import ClassVar

import torch
from torch import Tensor

from onecycle.data.nested import move
from onecycle.errors import DataError


class Augmentation:
    """One random change. Subclass `Geometric`, `Colour` or `Pixelwise` for your own.

    Attributes:
        probability: How often an image is changed at all, from 0 to 1.
    """

    probability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise DataError(
                f"{type(self).__name__}(probability={self.probability}).",
                "a probability from 0 to 1.",
                "pass probability=0.5.",
            )

    def choose(self, count: int, generator: torch.Generator) -> Tensor:
        """Return which of `count` images are changed, bool, (count,)."""
        return torch.rand(count, generator=generator) < self.probability

    def __str__(self) -> str:
        """Name, strengths and probability, such as "Rotate 10 (0.75)"."""
        names: list[str] = [one.name for one in fields(self) if one.name != "probability"] if is_dataclass(self) else []
        values = [getattr(self, name) for name in names]
        strengths = [f"{value:g}" if isinstance(value, int | float) else str(value) for value in values]
        return f"{' '.join([type(self).__name__, *strengths])} ({self.probability:g})"


class Geometric(Augmentation, ABC):
    """Moves pixels. Masks and points are moved by the same matrices.

    Attributes:
        mirrors: Whether it may turn left into right, which would make some labels wrong.
        needs_margin: Whether it may show pixels from beyond the edges, so that slightly larger images are read.
        relative: Whether its matrices are in units of width and height, not of equal length on both axes.
    Example:
        >>> from dataclasses import dataclass
        >>> import onecycle as oc
        >>> import torch
        >>> @dataclass(frozen=True)
        ... class Stretch(oc.augment.Geometric):
        ...     factor: float = 1.2
        ...     probability: float = 0.5
        ...     def draw_matrices(self, count, generator):
        ...         matrices = torch.eye(3).repeat(count, 1, 1)
        ...         matrices[self.choose(count, generator), 0, 0] = 1 / self.factor
        ...         return matrices
        >>> print(oc.augment.Augment((Stretch(), oc.augment.HorizontalFlip())))
        Stretch 1.2 (0.5), HorizontalFlip (0.5)
    """

    mirrors: ClassVar[bool] = False
    needs_margin: ClassVar[bool] = True
    relative: ClassVar[bool] = False

    @abstractmethod
    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        """Return matrices from output to input positions, (count, 3, 3), in units of equal length on both axes."""


class Colour(Augmentation, ABC):
    """Changes colours by one matrix for each image."""

    @abstractmethod
    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        """Return the changes of (red, green, blue, 1) on a scale from 0 to 1, (count, 4, 4)."""


class Pixelwise(Augmentation, ABC):
    """Changes pixel values by any function: noise, blur, erased regions. Positions must stay the same.

    Runs after all geometric and colour augmentations.

    Example:
        >>> from dataclasses import dataclass
        >>> import onecycle as oc
        >>> import torch
        >>> @dataclass(frozen=True)
        ... class Posterize(oc.augment.Pixelwise):
        ...     step: float = 32.0
        ...     probability: float = 1.0
        ...     def apply(self, images, generator):
        ...         changed = self.choose(len(images), generator).to(images.device)[:, None, None, None]
        ...         return torch.where(changed, images - images % self.step, images)
        >>> Posterize().apply(torch.tensor([31.0, 33.0]).view(1, 1, 1, 2), torch.Generator()).flatten().tolist()
        [0.0, 32.0]
    """

    @abstractmethod
    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed copies of `images`.

        Args:
            images: float from 0 to 255, (batch, 3, height, width), on any device.
            generator: Source of randomness, on the CPU, so that every device draws the same numbers.
        """


@dataclass(frozen=True)
class HorizontalFlip(Geometric):
    """Mirror left and right."""

    probability: float = 0.5

    mirrors: ClassVar[bool] = True
    needs_margin: ClassVar[bool] = False

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        matrices = identity_matrices(3, count)
        matrices[self.choose(count, generator), 0, 0] = -1
        return matrices


@dataclass(frozen=True)
class VerticalFlip(Geometric):
    """Mirror top and bottom."""

    probability: float = 0.5

    mirrors: ClassVar[bool] = True
    needs_margin: ClassVar[bool] = False

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        matrices = identity_matrices(3, count)
        matrices[self.choose(count, generator), 1, 1] = -1
        return matrices


@dataclass(frozen=True)
class Dihedral(Geometric):
    """One of the eight orientations of a square, for images without a top: satellites, microscopes."""

    probability: float = 1.0

    mirrors: ClassVar[bool] = True
    needs_margin: ClassVar[bool] = False

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        orientation = torch.randint(8, (count,), generator=generator)
        orientation[~self.choose(count, generator)] = 0
        matrices = _rotation(orientation % 4 * (math.pi / 2)).round()
        matrices[orientation >= 4, 0] *= -1
        return matrices


@dataclass(frozen=True)
class Rotate(Geometric):
    """Rotate by up to `degrees` in either direction."""

    degrees: float = 10.0
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        return _rotation(_uniform(-1, 1, count, generator) * math.radians(self.degrees) * self.choose(count, generator))


@dataclass(frozen=True)
class Zoom(Geometric):
    """Enlarge the middle by up to `largest`, or shrink to `smallest`."""

    largest: float = 1.15
    smallest: float = 1.0
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        factor = _uniform(self.smallest, self.largest, count, generator)
        factor = torch.where(self.choose(count, generator), factor, 1.0)
        matrices = identity_matrices(3, count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / factor
        return matrices


@dataclass(frozen=True)
class Crop(Geometric):
    """Show a random part of the image, enlarged by a factor of up to `largest`, each scale as often as another."""

    largest: float = 2.0
    probability: float = 0.75

    relative: ClassVar[bool] = True

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        factor = self.largest ** (torch.rand(count, generator=generator) * self.choose(count, generator))
        matrices = identity_matrices(3, count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / factor
        room = 1 - 1 / factor  # of the part's middle, around the middle of the image
        matrices[:, :2, 2] = (torch.rand(count, 2, generator=generator) * 2 - 1) * room[:, None]
        return matrices


@dataclass(frozen=True)
class Shift(Geometric):
    """Move by up to `fraction` of the shorter side along each axis."""

    fraction: float = 0.08
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        matrices = identity_matrices(3, count)
        offsets = (torch.rand(count, 2, generator=generator) * 2 - 1) * self.fraction * 2
        matrices[:, :2, 2] = offsets * self.choose(count, generator)[:, None]
        return matrices


@dataclass(frozen=True)
class Warp(Geometric):
    """Tilt in perspective, as if seen from another camera position: coordinates are divided by 1 + a x + b y."""

    magnitude: float = 0.15
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        matrices = identity_matrices(3, count)
        tilt = (torch.rand(count, 2, generator=generator) * 2 - 1) * self.magnitude
        matrices[:, 2, :2] = tilt * self.choose(count, generator)[:, None]
        return matrices


@dataclass(frozen=True)
class Brightness(Colour):
    """Multiply or divide all colours by up to 1 + `change`."""

    change: float = 0.2
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        return _blend(_draw_factors(self, self.change, count, generator), torch.zeros(3, 4))


@dataclass(frozen=True)
class Contrast(Colour):
    """Multiply or divide the distance from mid grey by up to 1 + `change`."""

    change: float = 0.2
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        grey = torch.zeros(3, 4)
        grey[:, 3] = 0.5
        return _blend(_draw_factors(self, self.change, count, generator), grey)


@dataclass(frozen=True)
class Saturation(Colour):
    """Multiply or divide the distance from the grey of equal luminance (Rec. 601) by up to 1 + `change`."""

    change: float = 0.2
    probability: float = 0.75

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        return _blend(_draw_factors(self, self.change, count, generator), _LUMINANCE.expand(3, 4))


@dataclass(frozen=True)
class Hue(Colour):
    """Rotate the colour circle by up to `degrees` in either direction."""

    degrees: float = 10.0
    probability: float = 0.5

    def draw_matrices(self, count: int, generator: torch.Generator) -> Tensor:
        angle = _uniform(-1, 1, count, generator) * math.radians(self.degrees) * self.choose(count, generator)
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        # A rotation about the grey axis (Rodrigues' formula).
        axis = torch.full((3,), 1 / math.sqrt(3))
        cross = torch.linalg.cross(axis.expand(3, 3), torch.eye(3)).T
        matrices = identity_matrices(4, count)
        matrices[:, :3, :3] = cos * torch.eye(3) + sin * cross + (1 - cos) * torch.outer(axis, axis)
        return matrices


@dataclass(frozen=True)
class Erase(Pixelwise):
    """Fill a random square of up to `fraction` of the area with grey (DeVries 2017, arXiv:1708.04552)."""

    fraction: float = 0.15
    probability: float = 0.5

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = images.shape
        side = _uniform(0.3, 1, count, generator) * math.sqrt(self.fraction) * self.choose(count, generator)
        middle = torch.rand(count, 2, generator=generator)
        inside = [
            ((torch.arange(length) / length)[None] - middle[:, axis, None]).abs() < side[:, None] / 2
            for axis, length in enumerate((height, width))
        ]
        mask = inside[0][:, :, None] & inside[1][:, None, :]
        return images.masked_fill(move(mask, images.device)[:, None], 127.5)


def identity_matrices(order: int, count: int) -> Tensor:
    """Return `count` identity matrices, (count, order, order)."""
    return torch.eye(order).repeat(count, 1, 1)


_LUMINANCE = torch.tensor([0.299, 0.587, 0.114, 0.0])


def _uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _rotation(angle: Tensor) -> Tensor:
    matrices = identity_matrices(3, len(angle))
    matrices[:, 0, 0] = matrices[:, 1, 1] = angle.cos()
    matrices[:, 1, 0] = angle.sin()
    matrices[:, 0, 1] = -angle.sin()
    return matrices


def _draw_factors(augmentation: Augmentation, change: float, count: int, generator: torch.Generator) -> Tensor:
    """Return factors from 1 / (1 + change) to 1 + change, as often above one as below."""
    exponent = _uniform(-1, 1, count, generator) * augmentation.choose(count, generator)
    factors: Tensor = (1 + change) ** exponent
    return factors


def _blend(factor: Tensor, towards: Tensor) -> Tensor:
    """Return matrices for colour * factor + towards(colour) * (1 - factor)."""
    matrices = identity_matrices(4, len(factor))
    weight = factor[:, None, None]
    matrices[:, :3] = weight * matrices[:, :3] + (1 - weight) * towards
    return matrices
