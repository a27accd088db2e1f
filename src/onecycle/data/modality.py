"""The interface between the library and a kind of input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import pyarrow as pa
import torch
from torch import Tensor

from onecycle.data.batch import BadItem, Batch, Reading, Sample
from onecycle.data.config import fields_from_json, json_fields
from onecycle.data.rows import ITEM, Rows
from onecycle.data.target import Target
from onecycle.errors import DataError, some, with_article


class Description(NamedTuple):
    """What happens to an item, a line each: in the worker, on the device while training, and what the model gets."""

    read: str
    training: str
    model: str


class Modality(ABC):
    """One kind of input: how an item is read, collated, prepared on the device, and shown.

    A subclass needs `read`; everything else has a default. Frozen dataclasses with JSON fields need no
    `to_config` either. An item is the file that its name locates; or where the rows have a column of contents, its
    content; or of a shard, `Contents` with its bytes. `training` tells the two ways apart: with augmentation, or as at
    prediction.

    Attributes:
        kind: Its name in a bundle, the one it is registered under; by default the class's name in lower case.
        reads_text_directly: Whether a string that names no file is itself an input.
        suffixes: Of the files that are its items, in lower case; None says that any file can be one.

    Example:
        >>> @oc.register("modality", "series")
        ... @dataclass(frozen=True)
        ... class Series(oc.Modality):
        ...     kind = "series"
        ...
        ...     def read(self, item, *, training):
        ...         return oc.Reading(np.load(item))
    """

    kind: ClassVar[str]
    reads_text_directly: ClassVar[bool] = False
    suffixes: ClassVar[frozenset[str] | None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not hasattr(cls, "kind"):
            cls.kind = cls.__name__.lower()

    @property
    def reads_alike(self) -> bool:
        """Whether items are read, and their labels encoded, in training as at prediction; then they are cached once."""
        return False

    @abstractmethod
    def read(self, item: Any, *, training: bool) -> Reading:
        """Read one item, in a worker.

        Raises:
            DataError: The item cannot be read.
        """

    def check_given(self, item: Any) -> None:  # noqa: B027  most have nothing to refuse
        """Refuse an item that somebody wrote in Python which cannot be meant, such as a path in the place of a text.

        Raises:
            DataError: It cannot.
        """

    def check_given_list(self, items: Any) -> None:  # noqa: B027  most have nothing to refuse
        """Refuse what is one item in the place of a list of them, such as an array that is one image.

        Raises:
            DataError: It is one item.
        """

    def encode(self, label: Any, target: Target, geometry: Tensor | None, *, training: bool) -> Any:
        """Return a label as what goes with an input whose geometry is `geometry`.

        Raises:
            DataError: The label cannot be read, or does not belong to the input.
        """
        return target.encode(label)

    def sample(self, item: Any, label: Any, target: Target, index: int, *, training: bool) -> Sample:
        """Read one item and encode its label, which is None where there is none."""
        input, geometry = self.read(item, training=training)
        encoded = None if label is None else self.encode(label, target, geometry, training=training)
        return Sample(input, encoded, index, geometry)

    def collate(self, inputs: Sequence[Any]) -> Any:
        """Return inputs as what `Batch.inputs` holds, in a worker."""
        return torch.stack([torch.as_tensor(input) for input in inputs])

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Augment a whole batch on its device; without a generator, prepare it as at prediction."""
        return batch

    def item_shape(self, *, training: bool) -> tuple[int, ...] | None:
        """Return the shape of every uint8 input, or None where inputs differ (they cannot be cached then)."""
        return None

    def lengths(self, rows: Rows) -> Tensor | None:
        """Return the length of each item's input, (items,), to batch similar ones; None where all are equally long."""
        return None

    def resize(self, size: int | tuple[int, int]) -> Self:
        """Return the modality that gives inputs of another size."""
        raise DataError(f"{type(self).__name__} inputs have no size.", "a modality with resize().", "leave sizes= out.")

    def smaller(self) -> Self | None:
        """Return a modality with smaller inputs for a quick first epoch; None where that saves nothing."""
        return None

    def as_text(self, input: Any) -> str | None:
        """Return one prepared input as text, where it is one: a notebook shows a table instead of a picture."""
        return None

    def show(self, axes: Any, input: Any) -> None:
        """Draw one prepared input on matplotlib axes."""
        axes.text(0.0, 1.0, str(input)[:400], fontsize=6, va="top", wrap=True, transform=axes.transAxes)

    def describe(self) -> Description:
        """Return in words what happens to an item."""
        return Description(f"read as {self.kind}", "no augmentation", self.kind)

    def steps(self, item: Any, input: Any) -> Sequence[str]:
        """Return in words how one item became its input, a line a step; none where `describe` says it all."""
        return ()

    def find_items(self, folder: Path) -> list[str]:
        """Return the names of the items below a folder, relative to it."""
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def rows_in(self, folder: Path) -> Rows:
        """Return the items below a folder."""
        return Rows(pa.table({ITEM: pa.array(self.find_items(folder), pa.string())}), folder)

    def rows_from(self, items: Sequence[Any]) -> Rows:
        """Return the items in a list, such as paths of files.

        Raises:
            DataError: One of them is not a path.
        """
        wrong = next((item for item in items if not isinstance(item, str | PathLike)), None)
        if wrong is not None:
            raise DataError(
                f"A list of items contains {with_article(type(wrong).__name__)}.", "paths of files.",
                "pass paths, or call predict_many([...]) for items in memory.",
            )  # fmt: skip
        missing = [str(item) for item in items if not Path(item).is_file()]
        if missing:
            raise DataError(f"No such file: {some(missing)}.", "files that exist.", "check the paths.")
        return Rows(pa.table({ITEM: pa.array([str(item) for item in items], pa.string())}), Path())

    def to_config(self) -> dict[str, Any]:
        """Return what a bundle must hold to read inputs the same way, as JSON."""
        return {"kind": self.kind, **json_fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the modality that `to_config` described."""
        return cls(**fields_from_json(config))


def collate(samples: Sequence[Sample | BadItem], modality: Modality, target: Target) -> Batch:
    """Make a batch of samples; what could not be read is listed apart."""
    good = [sample for sample in samples if isinstance(sample, Sample)]
    bad = [sample for sample in samples if isinstance(sample, BadItem)]
    index = torch.tensor([sample.index for sample in good], dtype=torch.int64)
    if not good:
        return Batch(torch.empty(0), None, index, bad)
    encoded = _of_all([sample.target for sample in good], "label")
    geometries = _of_all([sample.geometry for sample in good], "geometry")
    return Batch(
        modality.collate([sample.input for sample in good]),
        target.collate(encoded) if encoded else None,
        index,
        bad,
        torch.stack(geometries) if geometries else None,
    )


def _of_all(values: list[Any], name: str) -> list[Any]:
    """Return what all samples of a batch have, or nothing where none has it."""
    known = [value for value in values if value is not None]
    if known and len(known) < len(values):
        raise DataError(
            f"{len(values) - len(known)} of {len(values)} items in a batch have no {name}.",
            f"a {name} for all of them, or for none.",
            f"check the items without a {name}.",
        )
    return known
