"""Reads every item, and reports what is broken and what is there twice."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from onecycle.data.batch import BadItem
from onecycle.data.contents import Contents
from onecycle.data.dataset import Dataset
from onecycle.data.progress import progress
from onecycle.errors import counted, some

FEW = 3


@dataclass(frozen=True)
class CheckReport:
    """What `DataBunch.check` found.

    Attributes:
        count: How many items were read.
        broken: Split, name and reason of each item that cannot be read.
        duplicates: Groups of (split, name) whose files are the same, byte for byte.
    """

    count: int
    broken: tuple[tuple[str, str, str], ...]
    duplicates: tuple[tuple[tuple[str, str], ...], ...]

    @property
    def leaks(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Duplicates that are in more than one split, so that validation sees what was trained on."""
        return tuple(group for group in self.duplicates if len({split for split, _ in group}) > 1)

    def __repr__(self) -> str:
        lines = [f"{counted(self.count, 'item')} read, {len(self.broken):,} broken."]
        # Where all are, it is how they are read, and not each file.
        shown = self.broken[:FEW] if len(self.broken) == self.count else self.broken
        lines += [f"  broken, {split}: {name}: {reason}" for split, name, reason in shown]
        if rest := len(self.broken) - len(shown):
            lines.append(f"  and {rest:,} more, which are all that there are")
        if self.duplicates:
            lines.append(
                f"{counted(len(self.duplicates), 'group')} of exact duplicates, "
                f"{len(self.leaks):,} of them in both splits: "
                + some((" = ".join(f"{split}:{name}" for split, name in group) for group in self.duplicates), 3)
            )
        return "\n".join(lines)


def check_datasets(datasets: Mapping[str, Dataset]) -> CheckReport:
    """Read every item of the datasets, given by the name of their split, in threads."""
    broken: list[tuple[str, str, str]] = []
    places_of: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for split, dataset in datasets.items():

        def read(index: int, dataset: Dataset = dataset) -> tuple[BadItem | None, str]:
            sample = dataset.fetch(index)
            return (sample, "") if isinstance(sample, BadItem) else (None, _digest(dataset, index))

        with ThreadPoolExecutor() as pool:
            results = progress(pool.map(read, range(len(dataset))), f"checking {split}", len(dataset))
            for index, (bad, digest) in enumerate(results):
                if bad:
                    broken.append((split, dataset.name(index), bad.error.what))
                else:
                    places_of[digest].append((split, dataset.name(index)))
    same = tuple(tuple(places) for places in places_of.values() if len(places) > 1)
    return CheckReport(sum(map(len, datasets.values())), tuple(broken), same)


def _digest(dataset: Dataset, index: int) -> str:
    item = dataset.item(index)
    if isinstance(item, Contents):
        return hashlib.sha256(item.data).hexdigest()
    if not dataset.holds_contents:
        return _digest_of_file(item)
    return hashlib.sha256(item.encode() if isinstance(item, str) else bytes(item)).hexdigest()


def _digest_of_file(path: str) -> str:
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else path
