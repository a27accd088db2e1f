"""What is in the user's folder? For `task="auto"`: looks for each kind of labels, and asks where two are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from onecycle.data.candidates import Candidate
from onecycle.data.split_names import role_of
from onecycle.errors import DataError, some
from onecycle.recipes.class_folders import class_counts, why_no_classes
from onecycle.recipes.label_tables import PARQUET, image_column, read_table
from onecycle.recipes.listing import Listing, folder_of
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.split_folders import in_test_folder
from onecycle.vision.image_index import ImageIndex

MASK_FOLDERS = ("labels", "masks", "annotations", "segmentationclass", "mask", "groundtruth", "gt")
TABLES = (".csv", ".tsv", *PARQUET)


def find_task(data: Listing, options: FineTuneOptions) -> tuple[str, str | None, str]:
    """Return the task, the table of labels if there is one, and the evidence.

    Raises:
        DataError: The layout cannot be read, there is nothing to learn from, or two kinds of labels are there.
    """
    _refuse_other_formats(data)
    people = sum(PurePosixPath(name).name == "rgb.cal" and name.count("/") == 1 for name in data.files)
    if people > 1:
        return "points", None, f"rgb.cal in {people:,} folders, as in the BIWI database"
    if masks := find_masks(data):
        return "segment", None, masks
    if len(data.texts) > len(data.images):
        return "text", None, f"{len(data.texts):,} text files in {len(class_counts(data.texts)):,} folders"
    if not data.images and (name := only_table(data)):
        return "text", name, f"{name}, beside which there are no images"
    tables = find_tables(data, options)
    why_not = why_no_classes(data)
    if tables and why_not is None:
        raise DataError(
            f"{data.root} has a folder per class ({some(class_counts(data.images), 4)}), and {tables[0].name}, which "
            "names the images too.",
            "one of both, so that nothing is guessed.",
            f"pass labels={tables[0].name!r} for the table, or task='classify' for the folders.",
        )
    if len(tables) > 1:
        raise DataError(
            f"{len(tables)} tables name the images of {data.root}: {some(tables, 4)}.", "one table of labels.",
            f"pass {' or '.join(f'labels={one.name!r}' for one in tables[:4])}.",
        )  # fmt: skip
    if tables:
        return "table", tables[0].name, tables[0].evidence
    if why_not is not None:
        raise why_not
    return "classify", None, "a folder per class"


def only_table(data: Listing) -> str | None:
    """Return the one table at the top of the folder that is not for testing; None where there is none, or several."""
    names = [name for name in data.with_suffix(*TABLES) if "/" not in name]
    names = [name for name in names if role_of(PurePosixPath(name).stem) != "test" and "submission" not in name.lower()]
    return names[0] if len(names) == 1 else None


def find_tables(data: Listing, options: FineTuneOptions) -> list[Candidate]:
    """Return the tables at the top of the folder that name its images."""
    index = ImageIndex([name for name in data.images if options.include or not in_test_folder(name)])
    found = []
    for name in data.with_suffix(*TABLES):
        if "/" in name or not index.paths:
            continue
        try:
            chosen = image_column(read_table(data.root / name, options), index, options.image_column)
        except DataError:
            continue
        if chosen.score > 0.5:
            found.append(Candidate(name, chosen.score, f"{name}, where {chosen.evidence}"))
    return found


def find_masks(data: Listing) -> str | None:
    """Return how one sees that there are masks beside the images."""
    folders = {folder for name in data.images for folder in [folder_of(name)]}
    beside = [one for one in folders if one.endswith("annot") and one.removesuffix("annot") in folders]
    if beside:
        return f"{beside[0]}/ beside {beside[0].removesuffix('annot')}/"
    tops = {name.split("/")[0] for name in data.images}
    named = [top for top in sorted(tops) if top.casefold() in MASK_FOLDERS and len(tops) > 1]
    if "codes.txt" in data.files:
        return "codes.txt" + (f" and {named[0]}/" if named else "")
    if named and _same_stems(data, named[0]) > 0.5:
        return f"{named[0]}/, with a file for {_same_stems(data, named[0]):.0%} of the images"
    return None


def _same_stems(data: Listing, masks: str) -> float:
    stems = [PurePosixPath(name).stem for name in data.images if name.startswith(f"{masks}/")]
    images = {PurePosixPath(name).stem for name in data.images if not name.startswith(f"{masks}/")}
    return sum(any(stem.startswith(image) for image in (stem, stem.rpartition("_")[0]) if image in images)
               for stem in stems) / max(len(images), 1)  # fmt: skip


def _refuse_other_formats(data: Listing) -> None:
    for name, look in _FORMATS.items():
        if found := look(data):
            raise DataError(
                f"{data.root} has labels in the format of {name}: {found}.",
                "a folder per class, a CSV file of labels, masks beside images, or texts.",
                "convert them to a CSV file and pass labels='labels.csv', or pass task='classify' where the folders "
                "are classes all the same.",
            )


def _arrow(data: Listing) -> str | None:
    files = data.with_suffix(".arrow", ".feather")
    return some(files, 2) if files and not data.images else None


# Layouts that are recognised and cannot be read, by name.
_FORMATS: dict[str, Callable[[Listing], str | None]] = {
    "Arrow": _arrow,
}  # fmt: skip
