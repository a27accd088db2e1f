"""The modality of images: how they are read, batched, augmented and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from onecycle.data.batch import Batch, Reading
from onecycle.data.modality import Description, Modality
from onecycle.data.target import Target
from onecycle.registry import register
from onecycle.vision.augment import Augment
from onecycle.vision.decode import ImageGeometry, Resize, check_is_no_image, decode_with_geometry
from onecycle.vision.image_files import IMAGE_SUFFIXES, find_images
from onecycle.vision.image_size import as_size
from onecycle.vision.read_options import ReadOptions, read_options
from onecycle.vision.rgb import Pixels
from onecycle.vision.targets import SpatialTarget

SMALLEST_REDUCED_SIDE = 64
"""Pixels a side below which `Images.smaller` returns None: there is little time to save, and much detail to lose."""


@register("modality", "images")
@dataclass(frozen=True)
class Images(Modality):
    """How images are read, batched, augmented and drawn.

    Batches hold float32 pixels from 0 to 255, (batch, 3, height, width), channels last in memory.

    Attributes:
        size: (height, width) of the model's inputs, in pixels.
        method: How images of another aspect ratio are resized: "crop", "squish" or "pad".
        augment: Random changes in training.
        reading: How files are read, where they do not say it.
    """

    size: tuple[int, int] = (224, 224)
    method: Resize = "crop"
    augment: Augment = field(default_factory=Augment)
    reading: ReadOptions = field(default_factory=ReadOptions)

    kind: ClassVar[str] = "images"
    suffixes: ClassVar[frozenset[str] | None] = IMAGE_SUFFIXES

    def _reading_size(self, *, training: bool) -> tuple[int, int]:
        """Return the size to read: a little more in training ("presizing"), so that rotation finds real pixels."""
        margin = self.augment.margin if training else 1.0
        return round(self.size[0] * margin), round(self.size[1] * margin)

    @property
    def reads_alike(self) -> bool:
        return type(self).read is Images.read and self._reading_size(training=True) == self.size

    def read(self, item: Any, *, training: bool) -> Reading:
        pixels, shown = decode_with_geometry(item, self._reading_size(training=training), self.method, self.reading)
        return Reading(pixels, torch.tensor(shown, dtype=torch.float32))

    def check_given_list(self, items: Any) -> None:
        check_is_no_image(items)

    def encode(self, label: Any, target: Target, geometry: Tensor | None, *, training: bool) -> Any:
        if isinstance(target, SpatialTarget) and geometry is not None:
            size = self._reading_size(training=training)
            return target.crop_and_scale(label, ImageGeometry(*geometry.tolist()), size)
        return target.encode(label)

    def collate(self, inputs: Sequence[Pixels]) -> Tensor:
        """Return uint8, (batch, height, width, 3)."""
        stacked: Tensor = torch.from_numpy(np.stack(inputs))
        return stacked

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Augment where there is a generator; inputs become float32 from 0 to 255, (batch, 3, height, width)."""
        images, targets = batch.inputs.permute(0, 3, 1, 2), batch.targets
        if generator is not None and (self.augment.augmentations or images.shape[-2:] != self.size):
            images, matrices = self.augment.apply(images, self.size, generator)
            if targets is not None and isinstance(target, SpatialTarget):
                targets = target.transform(targets, matrices, self.size)
        inputs = images.to(torch.float32, memory_format=torch.channels_last)
        return replace(batch, inputs=inputs, targets=targets)

    def item_shape(self, *, training: bool) -> tuple[int, ...]:
        """Return (height, width, 3)."""
        return (*self._reading_size(training=training), 3)

    def resize(self, size: int | tuple[int, int]) -> Self:
        return replace(self, size=as_size(size))

    def smaller(self) -> Self | None:
        """Return the modality with two thirds of the size, in steps of 8 pixels; None where images are small already.

        Example:
            >>> Images((224, 320)).smaller().size
            (152, 216)
        """
        if min(self.size) < SMALLEST_REDUCED_SIDE:
            return None
        height, width = (round(side / 12) * 8 for side in self.size)
        return replace(self, size=(height, width))

    def find_items(self, folder: str | Path) -> list[str]:
        """Return the names of all images below a folder, relative with forward slashes, sorted.

        Raises:
            DataError: There is no such folder, or no image in it.
        """
        return find_images(Path(folder))[0]

    def show(self, axes: Any, input: Tensor) -> None:
        """Draw one image, (3, height, width), from 0 to 255."""
        axes.imshow(input.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).cpu().numpy())

    def describe(self) -> Description:
        height, width = self._reading_size(training=True)
        return Description(
            f"decode at the smallest scale that covers {height}x{width} pixels, "
            f"{self.reading.orientation or 'apply'} the EXIF orientation, {self.method}",
            f"augment: {self.augment}",
            f"{self.size[0]}x{self.size[1]} pixels",
        )

    def to_config(self) -> dict[str, Any]:
        """Return size, method and how files are read; augmentation plays no role in prediction."""
        return {"kind": self.kind, "size": list(self.size), "method": self.method, **self.reading.to_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Images:
        reading = read_options(config.get("range"), config.get("page"), config.get("orientation"))
        return cls(as_size(config["size"]), config["method"], reading=reading)
