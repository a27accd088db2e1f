"""Images, split and labelled, and how they are resized and augmented."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import get_args

from onecycle.calls import explains_calls
from onecycle.data.label import LabelledList
from onecycle.errors import DataError, some, suggest, users_level
from onecycle.vision import augment as augments
from onecycle.vision.augment import Augment, Augmentation, as_augment
from onecycle.vision.decode import Resize, original_size
from onecycle.vision.image_size import as_size
from onecycle.vision.images import Images
from onecycle.vision.targets import SpatialTarget

# Headers that are read to find out whether all images have one size.
MOST_HEADERS = 2000


@explains_calls
@dataclass(frozen=True, repr=False)
class LabelledImages(LabelledList):
    """Images, split and labelled."""

    modality: Images

    def transform(
        self,
        size: int | tuple[int, int] | None = 224,
        *,
        resize: Resize | None = None,
        augment: Augment | Sequence[Augmentation] | str | None = None,
    ) -> LabelledImages:
        """Set the size of the model's inputs, how images are resized to it, and how training images are varied.

        Args:
            size: In pixels, one number for a square or (height, width). None takes the size that all images have.
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
        found = common_size(self) if size is None else as_size(size)
        return replace(self, modality=replace(self.modality, size=found, method=method, augment=chosen))


def common_size(labelled: LabelledImages) -> tuple[int, int]:
    """Return the size that all images have, (height, width), and print it; of many, a part is looked at.

    Raises:
        DataError: They differ.
    """
    items = [(rows, row) for rows in (labelled.train, labelled.valid) for row in range(len(rows))]
    looked_at = items[:: -(-len(items) // MOST_HEADERS)]
    with ThreadPoolExecutor() as pool:
        reading = labelled.modality.reading
        sizes = Counter(pool.map(lambda item: original_size(item[0].input(item[1]), reading), looked_at))
    if len(sizes) > 1:
        listed = some((f"{height}x{width} ({count})" for (height, width), count in sizes.most_common()), 4)
        raise DataError(
            f"size=None, but the images differ in size: {listed}.", "images of one size.",
            "pass a size, such as transform(224).",
        )  # fmt: skip
    size = as_size(next(iter(sizes)))
    some_of = "all" if len(looked_at) == len(items) else f"{len(looked_at):,} of"
    count = f"{some_of} {len(items):,} images"
    print(f"transform(size=None): {size[0]}x{size[1]} pixels, which {count} have.")
    return size
