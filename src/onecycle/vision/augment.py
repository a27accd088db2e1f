"""Augmentation of whole batches on the device: geometry is interpolated once, colour is one matrix product.

Every geometric augmentation gives a 3x3 matrix an image, every colour augmentation a 4x4 matrix; matrices are
multiplied together first, then pixels are touched once each. Coordinates run from -1 to 1, x to the right and y down; a
geometric matrix says where in the input an output pixel comes from.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from onecycle.errors import DataError


class Augmentation(ABC):
    """One random change. `probability` is how often an image is changed at all."""

    probability: float

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise DataError(
                f"{type(self).__name__}(probability={self.probability}).",
                "a number from 0 to 1.",
                "pass 0.5.",
            )

    def chosen(self, count: int, generator: torch.Generator) -> Tensor:
        """Return which of `count` images are changed, bool, (count,)."""
        return torch.rand(count, generator=generator) < self.probability

    def __str__(self) -> str:
        """Name, strengths and probability, such as "Rotate 10 (0.75)"."""
        strengths = [f"{getattr(self, f.name):g}" for f in fields(self) if f.name != "probability"]  # type: ignore[arg-type]
        return f"{' '.join([type(self).__name__, *strengths])} ({self.probability:g})"


class Geometric(Augmentation):
    """Moves pixels."""

    @abstractmethod
    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Return where output points come from, (count, 3, 3), in units as long down as across."""


class Colour(Augmentation):
    """Changes the colour of pixels where they are."""

    @abstractmethod
    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Return the change of (red, green, blue, 1), each from 0 to 1, as (count, 4, 4)."""


@dataclass(frozen=True)
class HorizontalFlip(Geometric):
    """Mirror left and right."""

    probability: float = 0.5

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """-1 in the corner of x."""
        matrices = _identity(3, count)
        matrices[self.chosen(count, generator), 0, 0] = -1
        return matrices


@dataclass(frozen=True)
class VerticalFlip(Geometric):
    """Mirror top and bottom."""

    probability: float = 0.5

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """-1 in the corner of y."""
        matrices = _identity(3, count)
        matrices[self.chosen(count, generator), 1, 1] = -1
        return matrices


@dataclass(frozen=True)
class Dihedral(Geometric):
    """One of the eight orientations of a square, for images without an up: satellites, microscopes."""

    probability: float = 1.0

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """A quarter turn nought to three times, then mirrored or not."""
        which = torch.randint(8, (count,), generator=generator)
        which[~self.chosen(count, generator)] = 0
        turned = _rotation(which % 4 * (math.pi / 2)).round()
        turned[which >= 4, 0] *= -1
        return turned


@dataclass(frozen=True)
class Rotate(Geometric):
    """Turn by up to `degrees` either way."""

    degrees: float = 10.0
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """A rotation about the middle."""
        return _rotation(_between(-1, 1, count, generator) * math.radians(self.degrees) * self.chosen(count, generator))


@dataclass(frozen=True)
class Zoom(Geometric):
    """Enlarge the middle by up to `largest`, or shrink to `smallest`."""

    largest: float = 1.15
    smallest: float = 1.0
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Scales both axes alike."""
        factor = _between(self.smallest, self.largest, count, generator)
        factor = torch.where(self.chosen(count, generator), factor, 1.0)
        matrices = _identity(3, count)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / factor
        return matrices


@dataclass(frozen=True)
class Shift(Geometric):
    """Move by up to `fraction` of the shorter side along each axis."""

    fraction: float = 0.08
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """A translation."""
        matrices = _identity(3, count)
        offsets = (torch.rand(count, 2, generator=generator) * 2 - 1) * self.fraction * 2
        matrices[:, :2, 2] = offsets * self.chosen(count, generator)[:, None]
        return matrices


@dataclass(frozen=True)
class Warp(Geometric):
    """Tilt in perspective, as if the camera stood elsewhere."""

    magnitude: float = 0.15
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Coordinates are divided by 1 + a x + b y."""
        matrices = _identity(3, count)
        tilt = (torch.rand(count, 2, generator=generator) * 2 - 1) * self.magnitude
        matrices[:, 2, :2] = tilt * self.chosen(count, generator)[:, None]
        return matrices


@dataclass(frozen=True)
class Brightness(Colour):
    """Multiply light by up to 1 + `change`, or divide by it."""

    change: float = 0.2
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Scales the three colours."""
        return _blend(_factor(self, self.change, count, generator), torch.zeros(3, 4))


@dataclass(frozen=True)
class Contrast(Colour):
    """Move colours away from mid grey by up to 1 + `change`, or towards it."""

    change: float = 0.2
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Scales about a half."""
        grey = torch.zeros(3, 4)
        grey[:, 3] = 0.5
        return _blend(_factor(self, self.change, count, generator), grey)


@dataclass(frozen=True)
class Saturation(Colour):
    """Move colours away from their own grey by up to 1 + `change`, or towards it."""

    change: float = 0.2
    probability: float = 0.75

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """Scales about the luminance (Rec. 601 weights)."""
        return _blend(_factor(self, self.change, count, generator), _LUMINANCE.expand(3, 4))


@dataclass(frozen=True)
class Hue(Colour):
    """Turn the colour circle by up to `degrees` either way."""

    degrees: float = 10.0
    probability: float = 0.5

    def matrix(self, count: int, generator: torch.Generator) -> Tensor:
        """A rotation about the grey axis (Rodrigues' formula)."""
        angle = _between(-1, 1, count, generator) * math.radians(self.degrees) * self.chosen(count, generator)
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        axis = torch.full((3,), 1 / math.sqrt(3))
        cross = torch.linalg.cross(axis.expand(3, 3), torch.eye(3)).T
        matrices = _identity(4, count)
        matrices[:, :3, :3] = cos * torch.eye(3) + sin * cross + (1 - cos) * torch.outer(axis, axis)
        return matrices


@dataclass(frozen=True)
class Erase(Augmentation):
    """Fill a random square of up to `fraction` of the area with grey (DeVries 2017, arXiv:1708.04552)."""

    fraction: float = 0.15
    probability: float = 0.5

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Erase in `images`, float 0..255, (batch, 3, height, width)."""
        count, _, height, width = images.shape
        side = _between(0.3, 1, count, generator) * math.sqrt(self.fraction) * self.chosen(count, generator)
        middle = torch.rand(count, 2, generator=generator)
        inside = [
            ((torch.arange(length) / length)[None] - middle[:, axis, None]).abs() < side[:, None] / 2
            for axis, length in enumerate((height, width))
        ]
        mask = (inside[0][:, :, None] & inside[1][:, None, :]).to(images.device)
        return images.masked_fill(mask[:, None], 127.5)


@dataclass(frozen=True)
class Augment:
    """A list of augmentations that are applied together."""

    augmentations: tuple[Augmentation, ...] = ()

    def __str__(self) -> str:
        return ", ".join(str(augmentation) for augmentation in self.augmentations) or "none"

    @property
    def margin(self) -> float:
        """How much larger than the training size to read, so that zooming and turning find real pixels."""
        return 1.15 if any(isinstance(a, Rotate | Zoom | Shift | Warp) for a in self.augmentations) else 1.0

    def geometry(self, count: int, generator: torch.Generator, *, aspect: float = 1.0) -> Tensor:
        """Return the product of all geometric augmentations, (count, 3, 3).

        Args:
            count: Images.
            generator: Source of randomness, on the CPU, so that every device draws the same.
            aspect: Width divided by height; a rotation must turn, not shear, an oblong image.
        """
        product = _identity(3, count)
        for augmentation in self.augmentations:
            if isinstance(augmentation, Geometric):
                product = product @ augmentation.matrix(count, generator)
        square = torch.diag(torch.tensor([aspect, 1.0, 1.0]))
        matrices: Tensor = torch.linalg.inv(square) @ product @ square
        return matrices

    def colour(self, count: int, generator: torch.Generator) -> Tensor:
        """Return the product of all colour augmentations, (count, 4, 4)."""
        product = _identity(4, count)
        for augmentation in self.augmentations:
            if isinstance(augmentation, Colour):
                product = augmentation.matrix(count, generator) @ product
        return product

    @property
    def mirrors(self) -> bool:
        """Whether it may turn left into right."""
        return any(isinstance(a, HorizontalFlip | VerticalFlip | Dihedral) for a in self.augmentations)

    def apply(self, images: Tensor, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            images: uint8, (batch, 3, any height, any width), on any device.
            size: Wanted (height, width).
            generator: Source of randomness, on the CPU.
        Returns:
            Pixels, float32 from 0 to 255, (batch, 3, height, width); and where they came from, (batch, 3, 3), so that
            what lies in the images can follow.
        """
        pixels = images.float()
        kinds = tuple(type(augmentation) for augmentation in self.augmentations)
        matrices = _identity(3, len(images)).to(pixels.device)
        if any(issubclass(kind, Geometric) for kind in kinds) or images.shape[-2:] != size:
            matrices = self.geometry(len(images), generator, aspect=size[1] / size[0]).to(pixels.device)
            pixels = sample_pixels(pixels, matrices, size)
        if any(issubclass(kind, Colour) for kind in kinds):
            pixels = change_colour(pixels, self.colour(len(images), generator).to(pixels.device))
        for augmentation in self.augmentations:
            if isinstance(augmentation, Erase):
                pixels = augmentation.apply(pixels, generator)
        return pixels, matrices


def sample_pixels(images: Tensor, matrices: Tensor, size: tuple[int, int], *, nearest: bool = False) -> Tensor:
    """Interpolate each image once, where its matrix says; what lies outside is a reflection.

    Args:
        images: float, (batch, channels, any height, any width).
        matrices: (batch, 3, 3), from output to input coordinates.
        size: Wanted (height, width).
        nearest: Take the nearest pixel, as for masks, and do not interpolate.
    """
    height, width = size
    # Centres of the output pixels, each (x, y, 1).
    x = (torch.arange(width, device=images.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=images.device) * 2 + 1) / height - 1
    centres = torch.stack([x.expand(height, width), y[:, None].expand(height, width), x.new_ones(height, width)], -1)
    points = centres.view(1, -1, 3) @ matrices.transpose(1, 2)
    where = (points[..., :2] / points[..., 2:]).view(-1, height, width, 2).to(images.dtype)
    mode = "nearest" if nearest else "bilinear"
    return torch.nn.functional.grid_sample(images, where, mode, padding_mode="reflection", align_corners=False)


def change_colour(images: Tensor, matrices: Tensor) -> Tensor:
    """Multiply the colours of each image, float 0..255, (batch, 3, height, width), by its (4, 4) matrix."""
    flat = images.flatten(2)
    changed = torch.baddbmm(matrices[:, :3, 3:] * 255, matrices[:, :3, :3], flat)
    return changed.clamp_(0, 255).view_as(images)


def none() -> Augment:
    """No augmentation."""
    return Augment()


def default(
    *, flip: bool = True, degrees: float = 10.0, zoom: float = 1.15, warp: float = 0.15, light: float = 0.2
) -> Augment:
    """For everyday photographs: mirrored, a little turned, enlarged, tilted, lit and coloured otherwise."""
    flips: tuple[Augmentation, ...] = (HorizontalFlip(),) if flip else ()
    geometry = (Rotate(degrees), Zoom(zoom), Warp(warp))
    return Augment((*flips, *geometry, Brightness(light), Contrast(light), Saturation(light)))


def satellite(*, zoom: float = 1.1, light: float = 0.1) -> Augment:
    """For images from above: all eight orientations, no tilt, gentle light."""
    return Augment((Dihedral(), Zoom(zoom), Brightness(light), Contrast(light)))


def document(*, degrees: float = 3.0, warp: float = 0.1, light: float = 0.3) -> Augment:
    """For scans and photographed pages: never mirrored, slightly turned and tilted, light and contrast vary."""
    return Augment((Rotate(degrees), Zoom(1.05), Warp(warp), Brightness(light), Contrast(light)))


PRESETS: dict[str, Any] = {"none": none, "default": default, "satellite": satellite, "document": document}

_LUMINANCE = torch.tensor([0.299, 0.587, 0.114, 0.0])


def _identity(order: int, count: int) -> Tensor:
    return torch.eye(order).repeat(count, 1, 1)


def _between(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _rotation(angle: Tensor) -> Tensor:
    matrices = _identity(3, len(angle))
    matrices[:, 0, 0] = matrices[:, 1, 1] = angle.cos()
    matrices[:, 1, 0] = angle.sin()
    matrices[:, 0, 1] = -angle.sin()
    return matrices


def _factor(augmentation: Augmentation, change: float, count: int, generator: torch.Generator) -> Tensor:
    """Return factors between 1 / (1 + change) and 1 + change, as likely above one as below."""
    exponent = _between(-1, 1, count, generator) * augmentation.chosen(count, generator)
    factors: Tensor = (1 + change) ** exponent
    return factors


def _blend(factor: Tensor, towards: Tensor) -> Tensor:
    """Return matrices for colour * factor + towards(colour) * (1 - factor)."""
    matrices = _identity(4, len(factor))
    keep = factor[:, None, None]
    matrices[:, :3] = keep * matrices[:, :3] + (1 - keep) * towards
    return matrices
