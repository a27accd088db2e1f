"""Labels outside of the folders that include= names: asked for before one is told that there are no labels."""

from __future__ import annotations

from onecycle.errors import DataError, some
from onecycle.recipes.annotation_files import find_annotations
from onecycle.recipes.found_tables import find_tables
from onecycle.recipes.listing import Listing, list_data
from onecycle.recipes.options import FineTuneOptions


def labels_outside(data: Listing, options: FineTuneOptions) -> DataError | None:
    """Return the error for labels that include= leaves out; None where it leaves none out.

    Args:
        data: The folders of include= alone, in which no labels were found.
        options: What the user says of the data.
    """
    if options.include is None or options.labels is not None:
        return None
    whole = list_data(data.root)
    if annotations := [one for one in find_annotations(whole) if set(one.files) - set(data.files)]:
        return with_annotations(options, str(annotations[0]))
    tables = [one.name for one in find_tables(whole, options) if one.name not in data.files]
    if not tables:
        return None
    return DataError(
        f"include={options.include!r} leaves {some(tables, 4)} out, beside the images of {data.root}.",
        "labels in the folders that are included, or named.",
        f"pass {' or '.join(f'labels={name!r}' for name in tables[:4])} too.",
    )  # fmt: skip


def with_annotations(options: FineTuneOptions, source: str) -> DataError:
    """Return the error for some folders of the images that annotations name."""
    return DataError(
        f"include={options.include!r} with the annotations of {source}.", "all images that they name.",
        "leave include= out, or train on that folder alone, with its annotations in it.",
    )  # fmt: skip
