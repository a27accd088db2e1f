"""The tables in a folder: those to learn from, those of other splits, and those that name its images."""

from __future__ import annotations

from pathlib import PurePosixPath

from onecycle.data.candidates import Candidate
from onecycle.data.split_names import role_of
from onecycle.errors import DataError
from onecycle.recipes.label_tables import PARQUET, image_column, read_table
from onecycle.recipes.listing import Listing
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.split_folders import in_test_folder
from onecycle.vision.image_index import ImageIndex

TABLES = (".csv", ".tsv", *PARQUET)
MOST_TABLES = 20  # that are read to see whether they name images


def only_table(data: Listing) -> str | None:
    """Return the one table of the folder that is not for testing; None where there is none, or several."""
    names = tables_to_learn_from(data)
    return names[0] if len(names) == 1 else None


def tables_to_learn_from(data: Listing) -> list[str]:
    """Return the tables at the top of the folder, or where there are none those below; not those for testing, and those
    for validation only where there are no others.
    """
    names = [name for name in data.with_suffix(*TABLES) if not _is_for_testing(name)]
    held = tables_for(data, "valid")
    names = [name for name in names if name not in held] or names
    return [name for name in names if "/" not in name] or names


def tables_for(data: Listing, role: str) -> list[str]:
    """Return the tables that are for "valid" or "test" by their names or folders; a form to submit is for neither."""
    names = [name for name in data.with_suffix(*TABLES) if "submission" not in name.lower()]
    if role == "test":
        return [name for name in names if _is_for_testing(name)]
    parts = {name: (PurePosixPath(name).stem, *PurePosixPath(name).parts[:-1]) for name in names}
    return [name for name in names if not _is_for_testing(name) and role in map(role_of, parts[name])]


def _is_for_testing(name: str) -> bool:
    return "submission" in name.lower() or in_test_folder(name) or role_of(PurePosixPath(name).stem) == "test"


def find_tables(data: Listing, options: FineTuneOptions) -> list[Candidate]:
    """Return the tables, wherever they are in the folder, that name its images; those that name most come first.

    Their scores are the shares of the images that they name.
    """
    images = [name for name in data.images if options.include or not in_test_folder(name)]
    index = ImageIndex(images)
    names = data.with_suffix(*TABLES) if images else []
    names = [name for name in names if not _is_for_testing(name)] or names
    held = tables_for(data, "valid")
    names = [name for name in names if name not in held] or names
    found = []
    for name in sorted(names, key=lambda name: (name.count("/"), name))[:MOST_TABLES]:
        try:
            table = read_table(data.root / name, options)
            chosen = image_column(table, index, options.image_column)
        except DataError:
            continue
        if chosen.score > 0.5 and len(table.columns) > 1:
            share = min(chosen.score * table.table.num_rows / len(images), 1.0)
            found.append(Candidate(name, share, f"{name}, where {chosen.evidence}"))
    return sorted(found, key=lambda one: -one.score)
