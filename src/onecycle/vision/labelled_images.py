"""Images, split and labelled, and how they are resized and augmented."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from onecycle.calls import explains_calls
from onecycle.data.label import LabelledList
from onecycle.errors import DataError, suggest, users_level
from onecycle.vision import augment as augments
from onecycle.vision.augment import Augment, Augmentation, as_augment
from onecycle.vision.decode import Resize
from onecycle.vision.images import Images, as_size
from onecycle.vision.targets import SpatialTarget


@explains_calls
@dataclass(frozen=True, repr=False)
class LabelledImages(LabelledList):
    """Images, split and labelled."""

    def transform(
        self,
        size: int | tuple[int, int] = 224,
        *,
        resize: Resize | None = None,
        augment: Augment | Sequence[Augmentation] | str | None = None,
    ) -> LabelledImages:
        """Set the size of the model's inputs, how images are resized to it, and how training images are varied.

        Args:
            size: In pixels, one number for a square or (height, width).
            resize: "crop" cuts out the middle, "squish" changes the aspect ratio, "pad" adds black borders. None uses
                "squish" for masks and points, so that nothing is cut off, else "crop".
            augment: The name of a preset ("default", "satellite", "document", "scenes", "none"), an `Augment` such
                as `augment.satellite(zoom=1.2)`, or a list such as `[HorizontalFlip(), Rotate(20)]`. None uses
                `augment.default()`, without mirroring where that would make labels wrong.
        Raises:
            DataError: An argument is not one of these.
        """
        target = self.target
        wrong_if_mirrored = target.check_mirroring() if isinstance(target, SpatialTarget) else None
        if augment is None:
            chosen = augments.default(flip=wrong_if_mirrored is None)
        else:
            chosen = as_augment(augment)
            if wrong_if_mirrored and chosen.mirrors:
                warnings.warn(
                    f"{chosen}: {wrong_if_mirrored}. Remove mirroring, or pass flip_pairs=.", stacklevel=users_level()
                )
        method = resize or ("squish" if isinstance(target, SpatialTarget) else "crop")
        if method not in get_args(Resize):
            raise DataError(
                f"resize={resize!r}.",
                '"crop", "squish" or "pad".',
                f"pass one of them.{suggest(str(resize), get_args(Resize))}",
            )
        return replace(self, modality=Images(as_size(size), method, chosen))
