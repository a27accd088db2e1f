"""The loaders, bound together: what a learner trains, validates and predicts on."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from onecycle.calls import explains_calls
from onecycle.data.batch import Batch
from onecycle.data.cache import Cache, CacheMode, cache_for
from onecycle.data.categories import Category
from onecycle.data.check import CheckReport, check_datasets
from onecycle.data.dataset import Dataset
from onecycle.data.drawn_items import DrawnItems
from onecycle.data.explain import explain_item
from onecycle.data.labelled import LabelledItems
from onecycle.data.loader import DataLoader, OnBadItem, default_num_workers
from onecycle.data.modality import Modality
from onecycle.data.rows import Rows
from onecycle.data.seeding import seeded
from onecycle.data.shards.order import check_mixing
from onecycle.data.split_names import items_of
from onecycle.data.target import Target
from onecycle.deprecation import renamed_arguments
from onecycle.errors import DataError, ModelError, OnecycleError, check_count, with_article
from onecycle.foreign_names import how_to_bunch
from onecycle.notebook import Printed, html_lines

if TYPE_CHECKING:
    from onecycle.figure import Picture

Balance = Literal["sampling", "loss"] | None
VALID_STREAMS = 64
# Items that a bunch draws of itself.
SHOWN_IN_NOTEBOOKS = 4


def check_bunch(data: Any, caller: str) -> None:
    """Refuse what is not a bunch.

    Raises:
        ModelError: It is not.
    """
    if not isinstance(data, DataBunch):
        raise ModelError(
            f"{caller}() got {data if isinstance(data, type) else with_article(type(data).__name__)} as its data.",
            "a DataBunch, as databunch() makes, as the first argument.",
            how_to_bunch(data),
        )


@dataclass(frozen=True)
class LoaderOptions:
    """How batches are made.

    Attributes:
        batch_size: Items a batch, of each process where several train together; "auto" lets the learner find the
            largest that fits into memory.
        workers: Processes that read items; None chooses for this machine. A full cache needs none.
        seed: Decides the order of items and every random augmentation.
        cache: "memory" or "disk" keep read items; "auto" keeps them in memory where they take little of it.
        balance: For rare classes: "sampling" draws their items more often, "loss" weighs them more.
        on_bad_item: "raise" stops at a broken file and names it, "skip" leaves it out with a warning.
        contiguous: Items continue one another, as the chunks of a long text do, and are read in that order.
    """

    batch_size: int | Literal["auto"] = 64
    workers: int | None = None
    seed: int = 42
    cache: CacheMode = "auto"
    balance: Balance = None
    on_bad_item: OnBadItem = "raise"
    contiguous: bool = False


@explains_calls
class DataBunch:
    """Training and validation loaders, an optional test loader, and what is known of inputs and labels.

    Attributes:
        train: Loader of the training items, shuffled and augmented.
        valid: Loader of the validation items, in order, not augmented.
        test: Loader of the test items, or None.
        target: What is predicted.
        modality: How inputs are read and prepared.
        found_batch_size: With batch_size="auto", what a learner found to fit, or None.

    Example:
        >>> bunch.classes, len(bunch), bunch.batch_size
        (('blue', 'green', 'red'), 24, 8)
        >>> next(iter(bunch.train)).inputs.shape
        torch.Size([8, 32, 32, 3])
    """

    _train_in_order: DataLoader | None = None  # of the training items as at prediction, once it is asked for

    def __init__(self, labelled: LabelledItems, options: LoaderOptions, found_batch_size: int | None = None) -> None:
        if options.batch_size != "auto" and not (isinstance(options.batch_size, int) and options.batch_size > 0):
            raise DataError(f"batch_size={options.batch_size!r}.", '1 or more, or "auto".', "pass batch_size=64.")
        if options.balance not in (None, "sampling", "loss"):
            raise DataError(f"balance={options.balance!r}.", '"sampling", "loss" or None.', "pass one of them.")
        if options.cache not in (None, "auto", "memory", "disk"):
            raise DataError(f"cache={options.cache!r}.", '"auto", "memory", "disk" or None.', "pass one of them.")
        self.labelled, self.options, self.found_batch_size = labelled, options, found_batch_size
        self.modality: Modality = labelled.modality
        self.target: Target = labelled.target
        train = Dataset(labelled.train, self.modality, self.target, training=True)
        _check_stream(train, options)
        labels = train.labels() if options.balance else None
        weights = self.target.item_weights(labels) if labels and options.balance == "sampling" else None
        if labels and options.balance == "loss":
            self.target = self.target.weighted(labels)
        self.train = self._loader(train, shuffle=True, weights=weights)
        self.valid = self._loader(Dataset(labelled.valid, self.modality, self.target, training=False))
        self.test: DataLoader | None = None
        if labelled.test is not None:
            self.test = self._loader(Dataset(labelled.test, self.modality, self.target, training=False))
        self._try()
        self._check_shards()

    def _loader(
        self, dataset: Dataset, *, shuffle: bool = False, weights: Any = None, cache: Cache | None = None
    ) -> DataLoader:
        options = self.options
        if cache is None:
            cache = cache_for(options.cache, dataset.modality.item_shape(training=dataset.training), len(dataset))
        here = dataset.holds_contents or dataset.forward_only
        default = 0 if here or len(dataset) < 4 * self.batch_size else default_num_workers()
        return DataLoader(
            dataset,
            # Streams of contiguous items differ with their number, and so would what is validated.
            batch_size=VALID_STREAMS if options.contiguous and not shuffle else self.batch_size,
            shuffle=shuffle,
            workers=default if options.workers is None else options.workers,
            seed=options.seed,
            weights=weights,
            lengths=None if options.contiguous else dataset.modality.lengths(dataset.rows),
            contiguous=options.contiguous,
            cache=cache,
            on_bad_item=options.on_bad_item,
        )

    def _try(self) -> None:
        """Read a few items the way training will, so that a mistake shows now and not after an epoch."""
        for loader in (self.train, self.valid):
            few = min(2, len(loader.dataset))
            if not few:  # after split_none()
                continue
            trial = DataLoader(
                Dataset(loader.dataset.rows.take(range(few)), self.modality, self.target, training=loader.shuffle),
                batch_size=few,
                workers=1 if loader.workers and loader.cache is None else 0,
                on_bad_item=self.options.on_bad_item,
            )
            for batch in trial:
                self.modality.prepare(batch, self.target, seeded(0))

    def _check_shards(self) -> None:
        shards, labels = self.train.dataset.rows.read_in_order, self.train.dataset.labels()
        if shards is not None and labels is not None and isinstance(self.target, Category):
            check_mixing(self.train.order(0), labels, self.train.size, shards.buffer)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted, in the order of the model's outputs."""
        classes: tuple[str, ...] = self.target.classes
        return classes

    @property
    def batch_size(self) -> int:
        """Items a batch; until a learner has found out what fits, the usual number."""
        return (self.found_batch_size or 64) if self.options.batch_size == "auto" else self.options.batch_size

    def __len__(self) -> int:
        """Return the number of training items."""
        return len(self.train.dataset)

    def __repr__(self) -> str:
        cached = "cached in memory" if self.train.cache and not self.train.cache.folder else "cached on disk"
        read = "in memory" if self.train.dataset.holds_contents else f"{self.train.workers} workers"
        read = "read as a stream" if self.train.dataset.forward_only else read
        how = cached if self.train.cache else read
        lines = [f"DataBunch: batches of {self.batch_size}, {how}", *repr(self.labelled).splitlines()]
        return "\n  ".join([*lines, *self.modality.describe()])

    def _repr_html_(self) -> str:
        try:
            picture = self.show_batch(SHOWN_IN_NOTEBOOKS).to_html()
        except OnecycleError:  # an item that cannot be read, which training will name
            picture = ""
        return html_lines(repr(self)) + picture

    @property
    def validates(self) -> bool:
        """Whether there are validation items: not after `split_none`."""
        return len(self.valid.dataset) > 0

    @property
    def watched(self) -> Dataset:
        """The validation items; where there are none, the training items as at prediction."""
        return self.valid.dataset if self.validates else self.dataset_of(self.train.dataset.rows)

    def loader(self, split: str) -> DataLoader:
        """Return the loader called "train", "valid" or "test".

        Raises:
            DataError: There is none of that name.
        """
        found = {"train": self.train, "valid": self.valid, "test": self.test}.get(split)
        if found is None:
            raise DataError(
                f"This bunch has no split {split!r}.",
                '"train", "valid", or "test" after add_test().',
                "add a test set with add_test() before databunch(), or name another split.",
            )
        return found

    def filled_loader(self, split: str) -> DataLoader:
        """Return the loader called "train", "valid" or "test", where it has items.

        Raises:
            DataError: There is none of that name, or it has none, as after `split_none`.
        """
        found = self.loader(split)
        if not len(found.dataset):
            raise DataError(
                f"There are no {items_of(split)}.", "a split with items in it.",
                'hold some back, as split_random(valid=0.2) does, or pass "train", for items that the model knows.',
            )  # fmt: skip
        return found

    def resize(self, size: int | tuple[int, int]) -> DataBunch:
        """Return a bunch of the same items and labels at another size, for progressive resizing."""
        return DataBunch(replace(self.labelled, modality=self.modality.resize(size)), self.options)

    def train_as(self, modality: Modality) -> DataBunch:
        """Return a bunch whose training items are read by another modality; validation stays comparable."""
        bunch, dataset = copy(self), self.train.dataset
        training = Dataset(dataset.rows, modality, self.target, training=True)
        bunch.train = self._loader(training, shuffle=True, weights=self.train.weights)
        return bunch

    def with_target(self, target: Target) -> DataBunch:
        """Return a bunch of the same loaders whose target is `target`, such as one with another threshold."""
        if target == self.target:
            return self
        bunch = copy(self)
        bunch.target = target
        return bunch

    def with_batch_size(self, batch_size: int) -> DataBunch:
        """Return a bunch of the same items in batches of another size; "auto" stays, for other input sizes."""
        if self.options.batch_size == "auto":
            return DataBunch(self.labelled, self.options, batch_size)
        return DataBunch(self.labelled, replace(self.options, batch_size=batch_size))

    def in_order(self, dataset: Dataset, cache: Cache | None = None) -> DataLoader:
        """Return a loader that goes once over `dataset`, not shuffled, with this bunch's options."""
        return self._loader(dataset, cache=cache)

    def in_order_of(self, items: str | Rows) -> DataLoader:
        """Return a loader that goes once over a split, or over new items, as at prediction."""
        if not isinstance(items, str):
            return self.in_order(self.dataset_of(items))
        if items != "train":
            return self.loader(items)
        if self._train_in_order is None:
            dataset = self.dataset_of(self.train.dataset.rows)
            alike = self.train.dataset.modality.reads_alike and self.train.dataset.modality == self.modality
            self._train_in_order = self.in_order(dataset, self.train.cache if alike else None)
        return self._train_in_order

    def dataset_of(self, rows: Rows) -> Dataset:
        """Return new items as a dataset, read as at prediction."""
        return Dataset(rows, self.modality, self.target, training=False)

    @renamed_arguments(part="split")
    def show_batch(self, count: int = 12, *, split: str = "train", epoch: int = 0) -> Picture:
        """Draw the first items of an epoch as the model gets them, with their labels."""
        from onecycle.figure import grid

        check_count(count)
        loader = self.filled_loader(split)
        dataset = loader.dataset
        order = loader.order(epoch)
        rows = order.rows(torch.arange(min(count, len(order)))).tolist()
        batch = self.prepared(dataset, rows, seed=epoch)
        figure, axes = grid(len(batch), 4)
        targets = [None] * len(batch) if batch.targets is None else list(batch.targets)
        names = [dataset.name(row) for row in batch.index.tolist()]
        drawn = DrawnItems(figure, self.modality)
        for input, target, name, one in zip(batch.inputs, targets, names, axes, strict=False):
            self.modality.show(one, input)
            self.target.show(one, target, None)
            drawn.add(one, input, name)
        self.target.legend(figure)
        drawn.finish()
        return figure.ready()

    def show_augmentations(self, item: int = 0, count: int = 12) -> Picture:
        """Draw one training item as prediction sees it, then augmented in other ways."""
        from onecycle.figure import grid

        check_count(count)
        figure, axes = grid(count, 4)
        training = self.train.dataset
        plain = self.dataset_of(training.rows)
        for number, one in zip(range(count), axes, strict=False):
            batch = self.prepared(training if number else plain, [item], seed=number)
            self.modality.show(one, batch.inputs[0])
            # A label that moves with the input is drawn over it; one that does not is a title, and replaced.
            self.target.show(one, None if batch.targets is None else batch.targets[0], None)
            one.set_title(f"augmented {number}" if number else "not augmented", fontsize=9)
        self.target.legend(figure)
        figure.fit_rows()
        return figure.ready()

    def explain(self, item: int = 0) -> str:
        """Follow one training item through every stage; print and return what came in and what went out."""
        text = explain_item(self.train.dataset, item, self.batch_size)
        print(text)
        return Printed(text)

    def check(self) -> CheckReport:
        """Read every item of every split in parallel; report broken files and exact duplicates."""
        loaders = {"train": self.train, "valid": self.valid, "test": self.test}
        return check_datasets({name: loader.dataset for name, loader in loaders.items() if loader is not None})

    def read(self, dataset: Dataset, rows: Sequence[int]) -> Batch:
        """Return some items of one of this bunch's datasets as a batch.

        Raises:
            DataError: None of them can be read.
        """
        loader = next((one for one in self._loaders() if one.dataset is dataset), None)
        if loader is not None and loader.cache is not None and loader.cache.inputs is not None:
            batch = loader.cache.full(dataset, torch.tensor(rows)).batch(torch.tensor(rows))
        else:
            batch = dataset.collate([dataset.fetch(row) for row in rows])
        if not len(batch):
            raise batch.bad[0].error
        return batch

    def _loaders(self) -> list[DataLoader]:
        return [one for one in (self.train, self.valid, self.test, self._train_in_order) if one is not None]

    def prepared(self, dataset: Dataset, rows: Sequence[int], *, seed: int = 0) -> Batch:
        """Return some items of one of this bunch's datasets as the model gets them; `seed` varies the augmentation."""
        generator = seeded(self.options.seed, seed) if dataset.training else None
        return dataset.modality.prepare(self.read(dataset, rows), self.target, generator)

    @property
    def order_options(self) -> dict[str, int]:
        """What decides the order of items besides `options`, by name."""
        shards = self.labelled.train.read_in_order
        return {} if shards is None else {"buffer": shards.buffer}

    @property
    def random_access(self) -> bool:
        """Whether any item can be read at any time."""
        return True


def _check_stream(train: Dataset, options: LoaderOptions) -> None:
    """Refuse what needs more of a stream than it can give.

    Raises:
        DataError: It is asked for.
    """
    if not train.forward_only:
        return
    if options.balance == "sampling" or (options.balance and train.labels() is None):
        raise DataError(
            f"balance={options.balance!r}, of a stream" + ("." if train.labels() else " whose labels are not known."),
            "items that can be read in any order, or labels that are known, for balance='loss'.",
            "pass balance='loss'." if train.labels() else "leave length= out, and pass balance='loss'.",
        )
    if options.cache == "disk":
        raise DataError(
            "cache='disk', of a stream, whose items are not known to be the same in another run.",
            "'memory', 'auto' or None.",
            "pass cache='memory', or save the stream as Parquet files.",
        )
