"""Plain PyTorch loaders as a bunch, and tensors as inputs and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.utils.data.distributed import DistributedSampler

from onecycle.data.batch import Batch, Reading
from onecycle.data.bunch import DataBunch, LoaderOptions
from onecycle.data.check import CheckReport
from onecycle.data.loader import DataLoader, Taken
from onecycle.data.modality import Description, Modality
from onecycle.data.nested import join
from onecycle.data.order import InOrder, Order
from onecycle.data.rows import Rows
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.losses.loss import num_items
from onecycle.notebook import html_lines
from onecycle.registry import register

if TYPE_CHECKING:
    from onecycle.figure import Picture


@register("modality", "tensors")
@dataclass(frozen=True)
class Tensors(Modality):
    """Inputs that are tensors, or arrays, already."""

    kind: ClassVar[str] = "tensors"

    def read(self, item: Any, *, training: bool) -> Reading:
        return Reading(torch.as_tensor(item))

    def describe(self) -> Description:
        return Description("tensors", "no augmentation", "tensors")


@register("target", "tensor")
@dataclass(frozen=True)
class TensorTarget(Target):
    """Labels that are tensors already; predictions are the model's outputs."""

    kind: ClassVar[str] = "tensor"

    def encode(self, label: Any) -> Any:
        return torch.as_tensor(label)


class LoaderBunch(DataBunch):
    """A training and a validation loader of (inputs, targets) as a bunch.

    Args:
        train: Iterable of (inputs, targets), iterated once an epoch. Where its sampler has `set_epoch`, it is called.
        valid: The same for validation.
        target: What the model's outputs mean; None takes them as they are.

    Raises:
        DataError: A loader is empty, or does not give pairs.
    """

    def __init__(self, train: Iterable[Any], valid: Iterable[Any], target: Target | None) -> None:
        self.modality, self.target = Tensors(), target or TensorTarget()
        self.train: Any = PlainLoader(
            train, PlainDataset(self.modality, training=True), "train", self.target.contiguous
        )
        self.valid: Any = PlainLoader(
            valid, PlainDataset(self.modality, training=False), "valid", self.target.contiguous
        )
        self.test, self.found_batch_size = None, None
        self.options = LoaderOptions(batch_size=self.train.batch_size)

    @property
    def order_options(self) -> dict[str, int]:
        return {}

    @property
    def random_access(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"LoaderBunch: {len(self.train)} training batches, {len(self.valid)} validation batches"

    @property
    def validates(self) -> bool:
        return True

    @property
    def watched(self) -> Any:
        return self.valid.dataset

    def _repr_html_(self) -> str:
        return html_lines(repr(self))

    def __len__(self) -> int:
        return len(self.train) * self.batch_size

    def with_batch_size(self, batch_size: int) -> DataBunch:
        raise DataError("Plain loaders have a batch size of their own.", "other loaders.", "make a new learner.")

    def filled_loader(self, split: str) -> DataLoader:
        return self.loader(split)

    def in_order_of(self, items: str | Rows) -> DataLoader:
        if not isinstance(items, str):
            raise DataError(
                "Plain loaders cannot read new items.", '"train" or "valid".', "use learner.predictor().predict_many()."
            )
        return self.loader(items)

    def read(self, dataset: Any, rows: Sequence[int]) -> Batch:
        loader = self.train if dataset is self.train.dataset else self.valid
        found: dict[int, Batch] = {}
        for batch in loader.epoch(0):
            first = int(batch.index[0])
            inside = [row for row in rows if first <= row < first + len(batch)]
            found |= {row: batch.take(slice(row - first, row - first + 1)) for row in inside}
            if len(found) == len(rows):
                break
        items = [found[row] for row in rows]
        inputs, targets = (join([getattr(item, name) for item in items]) for name in ("inputs", "targets"))
        return Batch(inputs, targets, torch.tensor(rows))

    def prepared(self, dataset: Any, rows: Sequence[int], *, seed: int = 0) -> Batch:
        return self.read(dataset, rows)

    def resize(self, size: int | tuple[int, int]) -> DataBunch:
        raise _no_items("resize")

    def train_as(self, modality: Modality) -> DataBunch:
        raise _no_items("train_as")

    def show_augmentations(self, item: int = 0, count: int = 12) -> Picture:
        raise _no_items("show_augmentations")

    def explain(self, item: int = 0) -> str:
        raise _no_items("explain")

    def check(self) -> CheckReport:
        raise _no_items("check")


class PlainDataset:
    """What is known of the items of a plain loader: their numbers."""

    def __init__(self, modality: Modality, *, training: bool) -> None:
        self.modality, self.training = modality, training
        self.count: int | None = None
        self.count_items: Callable[[], int] = lambda: 0

    def __len__(self) -> int:
        if self.count is None:
            self.count = self.count_items()
        return self.count

    def labels(self) -> None:
        return None

    def name(self, index: int) -> str:
        return f"item {index}"


class PlainLoader:
    """An iterable of (inputs, targets) with the interface of `DataLoader`."""

    def __init__(self, loader: Iterable[Any], dataset: PlainDataset, name: str, contiguous: bool = False) -> None:
        self.loader, self.dataset, self.name, self.contiguous = loader, dataset, name, contiguous
        self.shuffle = dataset.training
        if isinstance(loader, DataBunch | nn.Module):
            raise DataError(
                f"The {name} loader is a {type(loader).__name__}.", "an iterable of (inputs, targets).",
                "use Learner(bunch, model) for a bunch; from_loaders() takes the two loaders first.",
            )  # fmt: skip
        if not hasattr(loader, "__len__") or isinstance(loader, Iterator):
            raise DataError(
                f"The {name} loader, a {type(loader).__name__}, can be iterated only once.",
                "a loader with a length that can be iterated every epoch, such as torch.utils.data.DataLoader.",
                "pass a DataLoader, or a list of batches.",
            )
        if not len(self):
            raise DataError(f"The {name} loader has no batches.", "one batch or more.", "check its dataset.")
        dataset.count_items = lambda: sum(len(batch) for batch in self.epoch(0))
        self.batch_size = len(next(self.epoch(0)))

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    def num_batches(self, world: int = 1) -> int:
        """Return the number of batches an epoch where `world` processes take them in turn."""
        return len(self) if self._shares else -(-len(self) // world)

    def global_size(self, world: int) -> int:
        """Return the items a batch, of `world` processes together."""
        return self.batch_size * world

    @property
    def _shares(self) -> bool:
        """Whether the loader's own sampler gives each process its share."""
        return isinstance(getattr(self.loader, "sampler", None), DistributedSampler)

    def order(self, number: int) -> Order:
        """Return the order of the first batch, whose items are numbered as they come; more is not known yet."""
        return InOrder(self.batch_size)

    def epoch(
        self,
        number: int,
        *,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        before: Taken = (),
        device: torch.device | None = None,
    ) -> Iterator[Batch]:
        """Yield the batches of an epoch from batch `start` on; those before it are read, and dropped.

        Args:
            number: Which epoch.
            rank: Which of `world` processes this is. They take the batches in turn, unless the loader has a
                `DistributedSampler`, which gives each process its share.
            world: How many processes train together.
            start: The first batch to yield, counted in this process.
            before: What was taken of the epoch by another number of processes.
            device: Not used: the loader decides where its batches are made.
        """
        set_epoch = getattr(getattr(self.loader, "sampler", None), "set_epoch", None)
        if callable(set_epoch):
            set_epoch(number)
        world = 1 if self._shares else world
        skipped = sum(size // self.batch_size * batches for size, batches in before)
        count = 0
        for place, pair in enumerate(self.loader):
            inputs, targets = self._pair(pair)
            size = num_items(targets)
            batch_number, turn = divmod(place - skipped, world)
            if batch_number >= start and (world == 1 or turn == rank):
                yield Batch(inputs, targets, torch.arange(count, count + size), number=batch_number)
            count += size
        self.dataset.count = count

    def share(self, rank: int = 0, world: int = 1, device: torch.device | None = None) -> Iterator[Batch]:
        """Yield every `world`-th batch from the one of number `rank` on; those between them are read, and dropped.

        Of batches that continue one another, yield every `world`-th item of each instead: streams stay in one process.

        Raises:
            DataError: The loader's own sampler has shared the items out already.
        """
        if world > 1 and isinstance(getattr(self.loader, "sampler", None), DistributedSampler):
            raise DataError(
                f"The {self.name} loader has a DistributedSampler, which repeats items so that all shares are equal.",
                "a loader that gives all items in every process; each process computes a share of its batches.",
                f"make the {self.name} loader without sampler=.",
            )
        if self.contiguous:
            shares = (batch.take(slice(rank, None, world)) for batch in self.epoch(0))
            return (share for share in shares if len(share))
        return (batch for batch in self.epoch(0) if batch.number % world == rank)

    def _pair(self, pair: Any) -> tuple[Any, Any]:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(
                f"The {self.name} loader gave a {type(pair).__name__}"
                + (f" of {len(pair)}." if isinstance(pair, tuple | list) else "."),
                "batches of (inputs, targets).",
                "wrap the loader so that it yields pairs.",
            )
        return pair[0], pair[1]


def _no_items(method: str) -> DataError:
    return DataError(
        f"{method}() needs single items, and plain loaders give batches.",
        "a bunch that databunch() made.",
        "do it in the dataset of the loader.",
    )
