"""The items that a run was trained on, by name, so that later commands split them as they were split then."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onecycle.cli.run_folder import ITEMS
from onecycle.errors import DataError, counted, some

if TYPE_CHECKING:
    from onecycle.data.labelled import LabelledItems
    from onecycle.data.rows import Rows
    from onecycle.recipes.pipeline import Pipeline


@dataclass(frozen=True)
class Changes:
    """How the items differ from those that were trained on.

    Attributes:
        gone: Names of those that are not there any more.
        new: Names of those that were not there.
        moved: Names of those that are in another split.
    """

    gone: tuple[str, ...]
    new: tuple[str, ...]
    moved: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new or self.moved)

    def __str__(self) -> str:
        said = []
        if self.gone:
            said.append(f"{_counted(self.gone)} not there any more: {some(self.gone, 3)}.")
        if self.new:
            said.append(f"{_counted(self.new)} new, and left out until you train again: {some(self.new, 3)}.")
        return " ".join([*said, "The others are split as they were when the model was trained."])


def write_items(labelled: LabelledItems | None, folder: Path) -> None:
    """Write the names and splits of a run's items, where items have names of their own, as files have."""
    (folder / ITEMS).unlink(missing_ok=True)  # of a run that is overwritten
    if (splits := splits_of(labelled)) is None:
        return
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"item": list(splits), "split": list(splits.values())})
    parquet.write_table(table, folder / ITEMS, compression="zstd")


def read_items(folder: Path) -> dict[str, str] | None:
    """Return the split of each of a run's items by name; None for a run that kept none, as of an earlier version."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(folder / ITEMS, partitioning=None)
        return dict(zip(table["item"].to_pylist(), table["split"].to_pylist(), strict=True))
    except (OSError, KeyError, pa.ArrowException):
        return None


def splits_of(labelled: LabelledItems | None) -> dict[str, str] | None:
    """Return the split of each item by name; None where items are rows of a table without names."""
    if labelled is None:
        return None
    splits: dict[str, Rows | None] = {"train": labelled.train, "valid": labelled.valid, "test": labelled.test}
    if labelled.train.root is None and labelled.train.shards is None:
        return None
    return {name: split for split, rows in splits.items() if rows is not None for name in rows.names()}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """Return how the items differ from those before.

    Example:
        >>> changes({"a": "train", "b": "valid"}, {"b": "train", "c": "train"})
        Changes(gone=('a',), new=('c',), moved=('b',))
    """
    return Changes(
        tuple(name for name in before if name not in now),
        tuple(name for name in now if name not in before),
        tuple(name for name in now if before.get(name, now[name]) != now[name]),
    )


def changes_since(run: Path, labelled: LabelledItems | None) -> Changes:
    """Return how the items differ from those that a run was trained on, as far as it kept their names."""
    before, now = read_items(run), splits_of(labelled)
    return changes(before, now) if before is not None and now is not None else Changes((), (), ())


def check_items(run: Path, labelled: LabelledItems | None) -> None:
    """Refuse to go on with a run on other items than it began with.

    Raises:
        DataError: Items are gone, new, or in another split.
    """
    found = changes_since(run, labelled)
    if not found:
        return
    said = [f"{_counted(found.gone)} gone: {some(found.gone, 3)}"] if found.gone else []
    said += [f"{_counted(found.new)} new: {some(found.new, 3)}"] if found.new else []
    said += [f"{_counted(found.moved)} in another split: {some(found.moved, 3)}"] if not said else []
    ways = ["bring back what is gone"] if found.gone else []
    ways += ["take out what is new"] if found.new else []
    raise DataError(
        f"The items differ from those that {run} was interrupted on: {'; '.join(said)}.",
        "the same items, so that training ends as if it had not been interrupted.",
        f"{' and '.join(ways) or 'split them as they were'}, or add --overwrite instead of --resume to begin anew.",
    )


def pipeline_of_run(pipeline: Pipeline, run: Path, labelled: LabelledItems) -> Pipeline:
    """Return the pipeline with the split of a run where the data has another now; print what is gone and new.

    Args:
        pipeline: What splits the data as it is now.
        run: The folder of the run.
        labelled: The items as the pipeline splits them.
    """
    found = changes_since(run, labelled)
    if found:
        typer.echo(f"Note: {found}", err=True)
    if not found.new and not found.moved:
        return pipeline
    return split_as_before(pipeline, read_items(run) or {}, labelled.train)


def is_safe(run: Path, labelled: LabelledItems) -> bool:
    """Return whether items are gone, and no item that was trained on is validated."""
    found = changes_since(run, labelled)
    return bool(found) and not found.moved


def split_as_before(pipeline: Pipeline, before: Mapping[str, str], rows: Rows) -> Pipeline:
    """Return the pipeline with the split of a run, which leaves out items that the run did not have.

    A pipeline whose training and validation items are two lists stays as it is.
    """
    from onecycle.recipes.code import Given
    from onecycle.recipes.pipeline import Call

    split_of = {Path(rows.locate(name)): split for name, split in before.items()}
    split = Call("split_by", (Given("as_before", split_of.get),))
    calls = [
        split if call.name.startswith("split_") and call.name != "split_with" else call for call in pipeline.labelled
    ]
    return dataclasses.replace(pipeline, labelled=tuple(calls))


def _counted(names: tuple[str, ...]) -> str:
    return f"{counted(len(names), 'item')} {'is' if len(names) == 1 else 'are'}"
