"""The seam between the library and a kind of input: what a modality must know so that the rest need not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from onecycle.data.target import Target
from onecycle.errors import DataError

if TYPE_CHECKING:
    from onecycle.data.items import Part


@dataclass(frozen=True)
class Sample:
    """One item as a worker hands it over, before augmentation.

    Attributes:
        input: What the modality read.
        target: The encoded label, or None.
        index: Its row number.
        frame: Where the input lies in its original, in numbers that only the modality and its targets know, float32,
            (numbers,); None where nothing was cut away or scaled.
    """

    input: Any
    target: Tensor | None
    index: int
    frame: Tensor | None = None


@dataclass(frozen=True)
class BadItem:
    """Stands in for an item that could not be read, so that the error survives the way out of a worker."""

    index: int
    error: DataError


@dataclass
class Batch:
    """Samples stacked together.

    Attributes:
        inputs: The modality's tensor, for images uint8 pixels, (batch, 3, height, width).
        targets: Encoded labels, (batch, ...), or None where the items have none.
        index: Row number of each sample within its part, int64, (batch,).
        bad: Items that were left out since they could not be read.
        frames: The samples' frames, (batch, numbers), or None.
    """

    inputs: Any
    targets: Tensor | None
    index: Tensor
    bad: Sequence[BadItem] = ()
    frames: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        targets = None if self.targets is None else self.targets.to(device, non_blocking=True)
        return replace(self, inputs=self.inputs.to(device, non_blocking=True), targets=targets)

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in `parts` smaller ones, or as many as it has items."""
        size = -(-len(self) // parts)
        return [self._slice(slice(start, start + size)) for start in range(0, len(self), size)]

    def _slice(self, rows: slice) -> Batch:
        targets = None if self.targets is None else self.targets[rows]
        frames = None if self.frames is None else self.frames[rows]
        return Batch(self.inputs[rows], targets, self.index[rows], (), frames)


def collate(samples: Sequence[Sample | BadItem], modality: Modality) -> Batch:
    """Stack samples into a batch; what could not be read is listed apart."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    bad = [sample for sample in samples if isinstance(sample, BadItem)]
    index = torch.tensor([sample.index for sample in good])
    if not good:
        return Batch(torch.empty(0), None, index, bad)
    encoded = [sample.target for sample in good if sample.target is not None]
    frames = [sample.frame for sample in good if sample.frame is not None]
    return Batch(
        modality.stack([sample.input for sample in good]),
        torch.stack(encoded) if encoded else None,
        index,
        bad,
        torch.stack(frames) if frames else None,
    )


class Description(NamedTuple):
    """What happens to an item, a line each: in the worker, on the device while training, and what the model gets."""

    read: str
    training: str
    model: str


@runtime_checkable
class Modality(Protocol):
    """What one kind of input knows: how an item is read, stacked, prepared on the device, and shown.

    An item is the file that its name locates, or where a part has a column of contents, its content.
    `training` tells the two ways apart: with augmentation, or as at prediction.
    """

    def sample(self, item: Any, label: Any, target: Target, index: int, *, training: bool) -> Sample:
        """Read one item, in a worker. `label` is None where there is none.

        Raises:
            DataError: The item cannot be read.
        """

    def encode(self, label: Any, target: Target, frame: Tensor | None, *, training: bool) -> Tensor:
        """Return a label as the tensor that goes with an input whose frame is `frame`.

        Raises:
            DataError: The label cannot be read, or does not belong to the input.
        """

    def stack(self, inputs: Sequence[Any]) -> Any:
        """Stack inputs into what `Batch.inputs` holds, in a worker."""

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Augment a whole batch on its device; without a generator, prepare it as at prediction."""

    def item_shape(self, *, training: bool) -> tuple[int, ...] | None:
        """Return the shape of every uint8 input, or None where inputs differ (they cannot be cached then)."""

    def lengths(self, part: Part) -> Tensor | None:
        """Return how long each item's input is, (items,), so that batches can be made of alike ones; None where all
        are."""

    def resize(self, size: int | tuple[int, int]) -> Self:
        """Return the modality that gives inputs of another size."""

    def show(self, axes: Any, input: Any) -> None:
        """Draw one prepared input on matplotlib axes."""

    def describe(self) -> Description:
        """Return in words what happens to an item."""

    def steps(self, item: Any, input: Any) -> Sequence[str]:
        """Return in words how one item became its input, a line a step; none where `describe` says it all."""

    def to_config(self) -> dict[str, Any]:
        """Return what a bundle must hold to read inputs the same way, as JSON."""
