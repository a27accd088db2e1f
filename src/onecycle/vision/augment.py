"""Augmentation of whole batches on their device: geometry is interpolated once, colour is one matrix product.

The matrices of all augmentations are multiplied first; then each pixel is computed once. The single augmentations, and
the base classes for your own, are in `augmentations` and available here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onecycle.calls import explained
from onecycle.data.nested import move
from onecycle.errors import DataError, suggest
from onecycle.registry import list_registered, lookup
from onecycle.vision.augmentations import (
    Augmentation,
    Brightness,
    Colour,
    Contrast,
    Crop,
    Dihedral,
    Erase,
    Geometric,
    HorizontalFlip,
    Hue,
    Pixelwise,
    Rotate,
    Saturation,
    Shift,
    VerticalFlip,
    Warp,
    Zoom,
    identity_matrices,
)
from onecycle.vision.batch_transforms import change_colour, sample_pixels

__all__ = [
    "PRESETS",
    "Augment",
    "Augmentation",
    "Brightness",
    "Colour",
    "Contrast",
    "Crop",
    "Dihedral",
    "Erase",
    "Geometric",
    "HorizontalFlip",
    "Hue",
    "Pixelwise",
    "Rotate",
    "Saturation",
    "Shift",
    "VerticalFlip",
    "Warp",
    "Zoom",
    "as_augment",
    "default",
    "document",
    "none",
    "satellite",
    "scenes",
]


@dataclass(frozen=True)
class Augment:
    """Augmentations that are applied together: all geometric ones, then all colour ones, then all others.

    Attributes:
        augmentations: The augmentations in the order in which each kind is applied.
    Raises:
        DataError: One of them is not an augmentation.
    Example:
        >>> import onecycle as oc
        >>> print(oc.augment.Augment((oc.augment.HorizontalFlip(), oc.augment.Rotate(20))))
        HorizontalFlip (0.5), Rotate 20 (0.75)
    """

    augmentations: tuple[Augmentation, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.augmentations, list | tuple):
            raise _not_augmentations(self.augmentations)
        for augmentation in self.augmentations:
            if not isinstance(augmentation, Geometric | Colour | Pixelwise):
                raise _not_augmentations(augmentation)
        object.__setattr__(self, "augmentations", tuple(self.augmentations))

    def __str__(self) -> str:
        return ", ".join(str(augmentation) for augmentation in self.augmentations) or "none"

    @property
    def margin(self) -> float:
        """How much larger than the training size images are read, so that rotation and zoom find real pixels."""
        return 1.15 if any(isinstance(a, Geometric) and a.needs_margin for a in self.augmentations) else 1.0

    @property
    def mirrors(self) -> bool:
        """Whether any of them may turn left into right."""
        return any(isinstance(a, Geometric) and a.mirrors for a in self.augmentations)

    def draw_geometry(self, count: int, generator: torch.Generator, *, aspect: float = 1.0) -> Tensor:
        """Return the product of all geometric augmentations, (count, 3, 3).

        Args:
            count: Number of images.
            generator: Source of randomness, on the CPU, so that every device draws the same numbers.
            aspect: Width divided by height, so that rotations do not shear images that are not square.
        """
        product = identity_matrices(3, count)
        square = torch.diag(torch.tensor([aspect, 1.0, 1.0]))
        relative = torch.linalg.inv(square)
        for augmentation in self.augmentations:
            if isinstance(augmentation, Geometric):
                drawn = augmentation.draw_matrices(count, generator)
                product = product @ (square @ drawn @ relative if augmentation.relative else drawn)
        matrices: Tensor = relative @ product @ square
        return matrices

    def draw_colour(self, count: int, generator: torch.Generator) -> Tensor:
        """Return the product of all colour augmentations, (count, 4, 4)."""
        product = identity_matrices(4, count)
        for augmentation in self.augmentations:
            if isinstance(augmentation, Colour):
                product = augmentation.draw_matrices(count, generator) @ product
        return product

    def apply(self, images: Tensor, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            images: uint8, (batch, 3, any height, any width), on any device.
            size: Output (height, width).
            generator: Source of randomness, on the CPU.
        Returns:
            Pixels, float32 from 0 to 255, (batch, 3, height, width); and the matrices from output to input positions,
            (batch, 3, 3), which masks and points need.
        """
        pixels, count = images.float(), len(images)
        moved = any(isinstance(a, Geometric) for a in self.augmentations) or images.shape[-2:] != size
        coloured = any(isinstance(a, Colour) for a in self.augmentations)
        geometry = identity_matrices(3, count)
        if moved:
            geometry = self.draw_geometry(count, generator, aspect=size[1] / size[0])
        colour = self.draw_colour(count, generator) if coloured else identity_matrices(4, count)
        # Both in one copy to the device.
        drawn: Tensor = move(torch.cat([geometry.flatten(1), colour.flatten(1)], dim=1), pixels.device)
        matrices = drawn[:, :9].view(count, 3, 3)
        if moved:
            pixels = sample_pixels(pixels, matrices, size)
        if coloured:
            pixels = change_colour(pixels, drawn[:, 9:].view(count, 4, 4))
        for augmentation in self.augmentations:
            if isinstance(augmentation, Pixelwise):
                pixels = augmentation.apply(pixels, generator)
        return pixels, matrices


def as_augment(value: Any) -> Augment:
    """Return an `Augment` for whatever `transform(augment=)` accepts.

    Args:
        value: An `Augment`, a single augmentation, a list or tuple of augmentations, or the name of a preset.
    Raises:
        DataError: It is something else.
    Example:
        >>> print(as_augment("document"))
        Rotate 3 (0.75), Zoom 1.05 1 (0.75), Warp 0.1 (0.75), Brightness 0.3 (0.75), Contrast 0.3 (0.75)
        >>> print(as_augment([HorizontalFlip(), Hue()]))
        HorizontalFlip (0.5), Hue 10 (0.5)
    """
    if isinstance(value, Augment):
        return value
    if isinstance(value, Augmentation):
        return Augment((value,))
    if isinstance(value, list | tuple):
        return Augment(tuple(value))
    if isinstance(value, str):
        registered = list_registered("augmentation")
        if value in registered:
            return as_augment(lookup("augmentation", value)())
        if value not in PRESETS:
            known = [*PRESETS, *registered]
            raise DataError(
                f"augment={value!r}.",
                f"the name of a preset: {', '.join(known)}.",
                "check the name, or pass a list of augmentations." + suggest(value, known),
            )
        return PRESETS[value]()
    raise _not_augmentations(value)


@explained
def none() -> Augment:
    """Return no augmentation.

    Example:
        >>> print(none())
        none
    """
    return Augment()


@explained
def default(
    *, flip: bool = True, degrees: float = 10.0, zoom: float = 1.15, warp: float = 0.15, light: float = 0.2
) -> Augment:
    """Return augmentations for everyday photographs: mirroring, and a little rotation, zoom, perspective and colour.

    Args:
        flip: Mirror left and right.
        degrees: Largest rotation.
        zoom: Largest zoom.
        warp: Largest tilt in perspective, see `Warp`.
        light: Largest change of brightness, contrast and saturation.
    Example:
        >>> print(default(flip=False, light=0.1).augmentations[0])
        Rotate 10 (0.75)
    """
    flips: tuple[Augmentation, ...] = (HorizontalFlip(),) if flip else ()
    geometry = (Rotate(degrees), Zoom(zoom), Warp(warp))
    return Augment((*flips, *geometry, Brightness(light), Contrast(light), Saturation(light)))


@explained
def satellite(*, zoom: float = 1.1, light: float = 0.1) -> Augment:
    """Return augmentations for images from above: all eight orientations, no perspective, small changes of light.

    Example:
        >>> print(satellite())
        Dihedral (1), Zoom 1.1 1 (0.75), Brightness 0.1 (0.75), Contrast 0.1 (0.75)
    """
    return Augment((Dihedral(), Zoom(zoom), Brightness(light), Contrast(light)))


@explained
def document(*, degrees: float = 3.0, warp: float = 0.1, light: float = 0.3) -> Augment:
    """Return augmentations for scans and photographed pages: never mirrored, with varying light and contrast.

    Example:
        >>> document().mirrors
        False
    """
    return Augment((Rotate(degrees), Zoom(1.05), Warp(warp), Brightness(light), Contrast(light)))


def scenes(
    *, flip: bool = True, zoom: float = 2.0, degrees: float = 5.0, warp: float = 0.1, light: float = 0.3
) -> Augment:
    """Return augmentations for scenes with things at every distance, such as streets: parts of them, larger.

    Args:
        flip: Mirror left and right.
        zoom: How much larger a part of the image is shown at most.
        degrees: Largest rotation.
        warp: Largest tilt in perspective, see `Warp`.
        light: Largest change of brightness, contrast and saturation.
    Example:
        >>> print(scenes(flip=False).augmentations[1])
        Crop 2 (0.9)
    """
    flips: tuple[Augmentation, ...] = (HorizontalFlip(),) if flip else ()
    geometry = (Rotate(degrees), Crop(zoom, 0.9), Warp(warp))
    return Augment((*flips, *geometry, Brightness(light), Contrast(light), Saturation(light)))


PRESETS: dict[str, Callable[[], Augment]] = {
    "none": none,
    "default": default,
    "satellite": satellite,
    "document": document,
    "scenes": scenes,
}


# What does here what a transform of torchvision or albumentations does.
TORCHVISION = {
    "Compose": "a list, such as augment=[HorizontalFlip(), Rotate(20)]",
    "Resize": "transform(size), without it in the list",
    "CenterCrop": 'transform(size, resize="crop"), without it in the list',
    "RandomResizedCrop": "Zoom(1.5), and transform(size)",
    "RandomCrop": "Zoom(1.15), and transform(size)",
    "ToTensor": "nothing in its place: images become tensors by themselves",
    "PILToTensor": "nothing in its place: images become tensors by themselves",
    "Normalize": "nothing in its place: the model normalises its inputs",
    "RandomHorizontalFlip": "HorizontalFlip()",
    "HorizontalFlip": "augment.HorizontalFlip() of onecycle",
    "RandomVerticalFlip": "Dihedral(), which mirrors and turns in all directions",
    "RandomRotation": "Rotate(20)",
    "RandomAffine": "Rotate(20) and Zoom(1.15)",
    "RandomPerspective": "Warp(0.15)",
    "ColorJitter": "Brightness(0.2), Contrast(0.2), Saturation(0.2) and Hue()",
    "RandomErasing": "Erase()",
}


def _not_augmentations(value: Any) -> DataError:
    """Return the error for anything that is not an augmentation, with the fix for the most likely mistake."""
    name = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, type) and issubclass(value, Augmentation):
        fix = f"create an instance: {name}()."
    elif isinstance(value, Geometric | Colour | Pixelwise):
        fix = f"pass a tuple: Augment(({value.__class__.__name__}(...),))."
    elif any(value is preset for preset in PRESETS.values()):
        fix = f"call the preset: augment.{name}()."
    elif isinstance(value, str):
        fix = "pass augment= the name of a preset in transform(), or augmentations such as HorizontalFlip()."
    elif isinstance(value, Augment):
        fix = "combine their augmentations: Augment((*augment.default().augmentations, Erase()))."
    elif name in TORCHVISION:
        fix = f"use {TORCHVISION[name]}."
    elif callable(value):
        fix = "subclass augment.Pixelwise, and call it in apply()."
    else:
        fix = "pass a list such as [HorizontalFlip(), Rotate(20)], or the name of a preset."
    shown = repr(value).partition("\n")[0]
    return DataError(
        f"{shown} ({type(value).__name__}) is not an augmentation.",
        "augmentations such as HorizontalFlip(), or of a subclass of Geometric, Colour or Pixelwise.",
        fix,
    )
