"""What is in the user's folder? For `task="auto"`: looks for each kind of labels, and asks where two are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from onecycle.data.candidates import Candidate, choose
from onecycle.errors import DataError, counted, some
from onecycle.recipes.class_folders import class_counts, why_no_classes
from onecycle.recipes.found_tables import MOST_TABLES, TABLES, find_tables, only_table, tables_to_learn_from
from onecycle.recipes.label_tables import SPREADSHEETS, image_column, read_table, spreadsheet
from onecycle.recipes.listing import Listing, folder_of
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.outside import labels_outside
from onecycle.vision.image_index import ImageIndex

MASK_FOLDERS = ("labels", "masks", "annotations", "segmentationclass", "mask", "groundtruth", "gt")


def find_task(data: Listing, options: FineTuneOptions) -> tuple[str, str | None, str]:
    """Return the task, the table of labels if there is one, and the evidence.

    Raises:
        DataError: The layout cannot be read, there is nothing to learn from, or two kinds of labels are there.
    """
    _refuse_other_formats(data)
    if people := people_of_biwi(data):
        return "points", None, f"rgb.cal in {counted(len(people), 'folder')}, as in the BIWI database"
    if masks := find_masks(data):
        return "segment", None, masks
    if len(data.texts) > len(data.images):
        return (
            "text",
            None,
            f"{counted(len(data.texts), 'text file')} in {counted(len(class_counts(data.texts)), 'folder')}",
        )
    if not data.images and (name := only_table(data)):
        return "text", name, f"{name}, beside which there are no images"
    if not data.images and len(names := tables_to_learn_from(data)) > 1:
        raise DataError(
            f"{len(names)} tables are in {data.root}, and no images: {some(names, 4)}.", "one table of texts.",
            f"pass {' or '.join(f'labels={name!r}' for name in names[:4])}.",
        )  # fmt: skip
    tables = find_tables(data, options)
    why_not = why_no_classes(data) if options.folder_level is None else None
    if tables and why_not is None and tables[0].score > 0.5:
        raise DataError(
            f"{data.root} has a folder per class ({some(class_counts(data.images), 4)}), and {tables[0].name}, which "
            "names the images too.",
            "one of both, so that nothing is guessed.",
            f"pass labels={tables[0].name!r} for the table, or task='classify' for the folders.",
        )
    if why_not is None:
        return "classify", None, f"a folder per class{_not_taken(tables)}"
    if (chosen := _table_of(data, tables)) is not None:
        return "table", *chosen
    raise labels_outside(data, options) or _with_reason(why_not, data, options)


def table_for(task: str, data: Listing, options: FineTuneOptions) -> tuple[str, str] | None:
    """Return the table with the labels of images for a task whose labels no folder says, and the evidence; None where
    there is no such table, and for other tasks.

    Raises:
        DataError: Several tables name the images.
    """
    if task not in ("tag", "numbers", "points") or (task == "points" and people_of_biwi(data)):
        return None
    return _table_of(data, find_tables(data, options))


def _table_of(data: Listing, tables: Sequence[Candidate]) -> tuple[str, str] | None:
    if not tables:
        return None
    question = f"Which table has the labels of the images of {data.root}?"
    chosen = choose(question, tables, expected="one table of labels.", option="labels")
    return chosen.name, f"{chosen.evidence}{_not_taken([one for one in tables if one is not chosen])}"


def people_of_biwi(data: Listing) -> list[str]:
    """Return the folders of the people in the BIWI head pose database, at least two; else none."""
    found = sorted(name.split("/")[0] for name in data.files if name.count("/") == 1 and name.endswith("/rgb.cal"))
    return found if len(found) > 1 else []


def _with_reason(why_not: DataError, data: Listing, options: FineTuneOptions) -> DataError:
    """Return an error that nothing to learn from is found; where there is a table, with what is wrong with that."""
    for name in data.with_suffix(*SPREADSHEETS):
        raised = spreadsheet(name)
        return DataError(f"{why_not.what} {raised.what}", raised.expected, f"{raised.fix[:-1]}, beside the images.")
    index = ImageIndex(data.images)
    for name in data.with_suffix(*TABLES)[:MOST_TABLES]:
        try:
            table = read_table(data.root / name, options)
            chosen = image_column(table, index, options.image_column)
        except DataError as error:
            fix = f"pass labels={name!r}, and {error.fix.removeprefix('pass ')}" if "header" in error.fix else error.fix
            return DataError(f"{why_not.what} {name}: {error.what}", error.expected, fix)
        if len(table.columns) < 2:
            return DataError(
                f"{why_not.what} {name} has no column beside {chosen.name!r}, which names images.",
                "a column of labels in it.", f"add a column of labels to {name}.",
            )  # fmt: skip
    return why_not


def _not_taken(tables: Sequence[Candidate]) -> str:
    return f"; not {some((one.evidence for one in tables), 3)}" if tables else ""


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
