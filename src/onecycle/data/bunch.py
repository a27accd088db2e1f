"""The loaders, bound together: what a learner trains, validates and predicts on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from onecycle.data.cache import Cache, CacheMode, cache_for
from onecycle.data.dataset import DataLoader, ItemDataset, OnBadItem, seeded, usual_workers
from onecycle.data.explain import explain_item
from onecycle.data.items import Part
from onecycle.data.modality import BadItem, Batch, Modality
from onecycle.data.progress import progress
from onecycle.data.target import Target
from onecycle.errors import DataError, some

if TYPE_CHECKING:
    from onecycle.data.figure import Picture
    from onecycle.data.label import LabelledList

Balance = Literal["sampling", "loss"] | None


@dataclass(frozen=True)
class LoaderOptions:
    """How batches are made.

    Attributes:
        batch_size: Items a batch; "auto" lets the learner find the largest that fits into memory.
        workers: Processes that read items; None chooses for this machine. A full cache needs none.
        seed: Decides the order of items and every random augmentation.
        cache: "memory" or "disk" keep read items; "auto" keeps them in memory where they take little of it.
        balance: For rare classes: "sampling" draws their items more often, "loss" weighs them more.
        on_bad_item: "raise" stops at a broken file and names it, "skip" leaves it out with a warning.
        streams: Items continue one another, as the chunks of a long text do, and are read in that order.
    """

    batch_size: int | Literal["auto"] = 64
    workers: int | None = None
    seed: int = 42
    cache: CacheMode = "auto"
    balance: Balance = None
    on_bad_item: OnBadItem = "raise"
    streams: bool = False


class DataBunch:
    """Training and validation loaders, an optional test loader, and what is known of inputs and labels.

    Attributes:
        train: Loader of the training items, shuffled and augmented.
        valid: Loader of the validation items, in order, not augmented.
        test: Loader of the test items, or None.
        target: What is predicted.
        modality: How inputs are read and prepared.
        fitting: With batch_size="auto", what a learner found to fit, or None.
    """

    def __init__(self, labelled: LabelledList, options: LoaderOptions, fitting: int | None = None) -> None:
        if options.batch_size != "auto" and not (isinstance(options.batch_size, int) and options.batch_size > 0):
            raise DataError(f"batch_size={options.batch_size!r}.", '1 or more, or "auto".', "pass batch_size=64.")
        if options.balance not in (None, "sampling", "loss"):
            raise DataError(f"balance={options.balance!r}.", '"sampling", "loss" or None.', "pass one of them.")
        if options.cache not in (None, "auto", "memory", "disk"):
            raise DataError(f"cache={options.cache!r}.", '"auto", "memory", "disk" or None.', "pass one of them.")
        self.labelled, self.options, self.fitting = labelled, options, fitting
        self.modality: Modality = labelled.modality
        self.target: Target = labelled.target
        train = ItemDataset(labelled.train, self.modality, self.target, training=True)
        labels = train.labels() if options.balance else None
        weights = self.target.item_weights(labels) if labels and options.balance == "sampling" else None
        if labels and options.balance == "loss":
            self.target = self.target.weighted(labels)
        self.train = self._loader(train, shuffle=True, weights=weights)
        self.valid = self._loader(ItemDataset(labelled.valid, self.modality, self.target, training=False))
        self.test: DataLoader | None = None
        if labelled.test is not None:
            self.test = self._loader(ItemDataset(labelled.test, self.modality, self.target, training=False))
        self._try()

    def _loader(
        self, dataset: ItemDataset, *, shuffle: bool = False, weights: Any = None, cache: Cache | None = None
    ) -> DataLoader:
        options = self.options
        if cache is None:
            cache = cache_for(options.cache, dataset.modality.item_shape(training=dataset.training), len(dataset))
        usual = 0 if dataset.holds_contents or len(dataset) < 4 * self.batch_size else usual_workers()
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            shuffle=shuffle,
            workers=usual if options.workers is None else options.workers,
            seed=options.seed,
            weights=weights,
            lengths=None if options.streams else dataset.modality.lengths(dataset.part),
            streams=options.streams,
            cache=cache,
            on_bad_item=options.on_bad_item,
        )

    def _try(self) -> None:
        """Read a few items the way training will, so that a mistake shows now and not after an epoch."""
        for loader in (self.train, self.valid):
            few = min(2, len(loader.dataset))
            trial = DataLoader(
                ItemDataset(loader.dataset.part.take(range(few)), self.modality, self.target, training=loader.shuffle),
                batch_size=few,
                workers=1 if loader.workers and loader.cache is None else 0,
                on_bad_item=self.options.on_bad_item,
            )
            for batch in trial:
                self.modality.prepare(batch, self.target, seeded(0))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted, in the order of the model's outputs."""
        return self.target.classes

    @property
    def batch_size(self) -> int:
        """Items a batch; until a learner has found out what fits, the usual number."""
        return (self.fitting or 64) if self.options.batch_size == "auto" else self.options.batch_size

    def __len__(self) -> int:
        """Return the number of training items."""
        return len(self.train.dataset)

    def __repr__(self) -> str:
        kept = "kept in memory" if self.train.cache and not self.train.cache.folder else "kept on disk"
        read = "in memory" if self.train.dataset.holds_contents else f"{self.train.workers} workers"
        how = kept if self.train.cache else read
        lines = [f"DataBunch: batches of {self.batch_size}, {how}", *repr(self.labelled).splitlines()]
        return "\n  ".join([*lines, *self.modality.describe()])

    def loader(self, part: str) -> DataLoader:
        """Return the loader called "train", "valid" or "test".

        Raises:
            DataError: There is none of that name.
        """
        found = {"train": self.train, "valid": self.valid, "test": self.test}.get(part)
        if found is None:
            raise DataError(
                f"This bunch has no part {part!r}.",
                '"train", "valid", or "test" after add_test().',
                "add a test set before transform(), or name another part.",
            )
        return found

    def resize(self, size: int | tuple[int, int]) -> DataBunch:
        """Return a bunch of the same items and labels at another size, for progressive resizing."""
        return DataBunch(replace(self.labelled, modality=self.modality.resize(size)), self.options)

    def train_at(self, size: int | tuple[int, int]) -> DataBunch:
        """Return a bunch whose training items come at another size. Validation is the same, so its numbers compare."""
        bunch, held = copy(self), self.train.dataset
        dataset = ItemDataset(held.part, self.modality.resize(size), self.target, training=True)
        weights = self.train.weights
        bunch.train = self._loader(dataset, shuffle=True, weights=None if weights is None else weights.numpy())
        return bunch

    def with_batch_size(self, batch_size: int) -> DataBunch:
        """Return a bunch of the same items in batches of another size; "auto" stays, for other input sizes."""
        if self.options.batch_size == "auto":
            return DataBunch(self.labelled, self.options, batch_size)
        return DataBunch(self.labelled, replace(self.options, batch_size=batch_size))

    def in_order(self, dataset: ItemDataset, cache: Cache | None = None) -> DataLoader:
        """Return a loader that goes once over `dataset`, not shuffled, with this bunch's options."""
        return self._loader(dataset, cache=cache)

    def dataset_of(self, part: Part) -> ItemDataset:
        """Return new items as a dataset, read as at prediction."""
        return ItemDataset(part, self.modality, self.target, training=False)

    def show_batch(self, count: int = 12, *, part: str = "train", epoch: int = 0) -> Picture:
        """Draw the first items of an epoch as the model gets them, with their labels."""
        from onecycle.data.figure import grid

        loader = self.loader(part)
        dataset = loader.dataset
        rows = loader.order(epoch)[:count].tolist()
        batch = self.prepared(dataset, rows, seed=epoch)
        figure, axes = grid(len(batch), 4)
        targets = [None] * len(batch) if batch.targets is None else list(batch.targets)
        for input, target, one in zip(batch.inputs, targets, axes, strict=False):
            self.modality.show(one, input)
            self.target.show(one, target, None)
        self.target.legend(figure)
        figure.fit_rows()
        return figure

    def show_augmentations(self, item: int = 0, count: int = 12) -> Picture:
        """Draw one training item as it is at prediction, then as training may see it, again and again."""
        from onecycle.data.figure import grid

        figure, axes = grid(count, 4)
        training = self.train.dataset
        plain = self.dataset_of(training.part)
        for number, one in zip(range(count), axes, strict=False):
            batch = self.prepared(training if number else plain, [item], seed=number)
            self.modality.show(one, batch.inputs[0])
            # A label that moves with the input is drawn over it; one that does not is a title, and replaced.
            self.target.show(one, None if batch.targets is None else batch.targets[0], None)
            one.set_title(f"augmented {number}" if number else "as it is", fontsize=9)
        self.target.legend(figure)
        figure.fit_rows()
        return figure

    def explain(self, item: int = 0) -> str:
        """Walk one training item through every stage; print and return what came in and what went out."""
        text = explain_item(self.train.dataset, item, self.batch_size)
        print(text)
        return text

    def check(self) -> CheckReport:
        """Read every item of every part in parallel; report broken files and exact duplicates."""
        broken: list[tuple[str, str, str]] = []
        parts_of: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        loaders = {name: getattr(self, name) for name in ("train", "valid", "test")}
        for part, loader in loaders.items():
            if loader is None:
                continue
            dataset: ItemDataset = loader.dataset

            def read(index: int, dataset: ItemDataset = dataset) -> tuple[BadItem | None, str]:
                sample = dataset.fetch(index)
                if isinstance(sample, BadItem):
                    return sample, ""
                item = dataset.item(index)
                return None, _digest(item) if dataset.holds_contents else _digest_of_file(item)

            with ThreadPoolExecutor() as pool:
                results = progress(pool.map(read, range(len(dataset))), f"checking {part}", len(dataset))
                for index, (bad, digest) in enumerate(results):
                    if bad:
                        broken.append((part, dataset.name(index), bad.error.what))
                    else:
                        parts_of[digest].append((part, dataset.name(index)))
        same = [tuple(items) for items in parts_of.values() if len(items) > 1]
        count = sum(len(loader.dataset) for loader in loaders.values() if loader is not None)
        return CheckReport(count, tuple(broken), tuple(same))

    def prepared(self, dataset: ItemDataset, rows: Sequence[int], *, seed: int = 0) -> Batch:
        """Return some items of one of this bunch's datasets as the model gets them; `seed` varies the augmentation."""
        batch = dataset.collate([dataset.fetch(row) for row in rows])
        if not len(batch):
            raise batch.bad[0].error
        generator = seeded(self.options.seed, seed) if dataset.training else None
        return dataset.modality.prepare(batch, self.target, generator)


@dataclass(frozen=True)
class CheckReport:
    """What `DataBunch.check` found.

    Attributes:
        count: How many items were read.
        broken: Part, name and reason of each item that cannot be read.
        duplicates: Groups of (part, name) whose files are the same, byte for byte.
    """

    count: int
    broken: tuple[tuple[str, str, str], ...]
    duplicates: tuple[tuple[tuple[str, str], ...], ...]

    @property
    def leaks(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Duplicates that lie on more than one side, so that validation sees what was trained on."""
        return tuple(group for group in self.duplicates if len({part for part, _ in group}) > 1)

    def __repr__(self) -> str:
        lines = [f"{self.count:,} items read, {len(self.broken):,} broken."]
        lines += [f"  broken, {part}: {name}: {reason}" for part, name, reason in self.broken]
        if self.duplicates:
            lines.append(
                f"{len(self.duplicates):,} groups of exact duplicates, {len(self.leaks):,} of them on both sides: "
                + some((" = ".join(f"{part}:{name}" for part, name in group) for group in self.duplicates), 3)
            )
        return "\n".join(lines)


def _digest_of_file(path: str) -> str:
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else path


def _digest(content: Any) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else bytes(content)).hexdigest()
