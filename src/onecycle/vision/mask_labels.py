"""Labels of masks: which mask belongs to which image, which classes there are, and how much each counts."""

from __future__ import annotations

import os
import re
import warnings
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onecycle.data.labellers import Labeller
from onecycle.data.rows import Rows
from onecycle.errors import DataError, counted, some, suggest, users_level
from onecycle.vision.decode import is_image
from onecycle.vision.mask_files import Colour, values_in
from onecycle.vision.masks import MAX_CLASSES, Mask
from onecycle.vision.spread import spread_over

# How many masks are read before training: enough to find unknown values and to weight the classes.
SAMPLE = 200
ClassWeights = Literal["balanced"] | Sequence[float] | None
_FIELD = re.compile(r"\{(stem|name|folder|parent)\}")


def mask_labeller(masks: str | Path | Callable[[Path], str | Path]) -> Labeller:
    """Return the function from items to the paths of their masks, see `label_masks`."""
    find = _mask_finder(masks)

    def labeller(rows: Rows) -> list[str]:
        paths = [_find_mask(find, Path(rows.locate(name))) for name in rows.names()]
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise DataError(
                f"{counted(len(missing), 'mask', ('does', 'do'), of=len(paths))} not exist: {some(missing, 3)}.",
                "a mask file for every image.",
                "check masks=, or leave those images out.",
            )
        return paths

    return labeller


def _mask_finder(masks: str | Path | Callable[[Path], str | Path]) -> Callable[[Path], str | Path]:
    if callable(masks):
        return masks
    template = str(masks)
    if "{" in template and not Path(template).is_dir():
        _check_template(template)
        return lambda image: _fill_template(template, image)
    return _folder_finder(Path(masks))


def _find_mask(find: Callable[[Path], str | Path], image: Path) -> str:
    try:
        return str(find(image))
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The mask function failed for {image}: {type(error).__name__}: {error}.",
            "the path of a mask for every image.",
            "fix the function.",
        ) from error


def _fill_template(template: str, image: Path) -> str:
    parts = {"stem": image.stem, "name": image.name, "folder": image.parent.name, "parent": str(image.parent)}
    return _FIELD.sub(lambda field: parts[field[1]], template)


def _check_template(template: str) -> None:
    """Refuse fields that are none; a folder may have braces in its name."""
    for folder in [Path(template), *Path(template).parents][::-1]:
        unknown = re.search(r"\{.*\}", _FIELD.sub("", folder.name))
        if unknown and not folder.is_dir():
            raise DataError(
                f"masks={template!r} cannot be filled in: {unknown[0]}.",
                "{stem}, {name}, {folder} or {parent} in the path.",
                "pass a path such as masks='labels/{stem}_P.png'.",
            )


def _folder_finder(folder: Path) -> Callable[[Path], str]:
    """Return a function that finds masks named after their images, with or without an ending such as `_P`."""
    if not folder.is_dir():
        raise DataError(f"No such folder: {folder}.", "a folder of masks.", "check masks=.")
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.stem, path))
    stems = [path.stem for path in files]

    def find(image: Path) -> str:
        # The folder may also contain the image itself, or a text file of the same name.
        same_name = files[bisect_left(stems, image.stem) : bisect_right(stems, image.stem)]
        longer_name = files[bisect_left(stems, f"{image.stem}_") : bisect_left(stems, f"{image.stem}`")]  # "`" is "_"+1
        matches = [path for path in same_name if path != image] or longer_name
        matches = matches if len(matches) == 1 else [path for path in matches if _is_image(path)]
        if len(matches) > 1:  # the same name in several folders: the one with the image's own folders above it
            alike = [_shared_folders(path, image) for path in matches]
            matches = [path for path, count in zip(matches, alike, strict=True) if count == max(alike)]
        if len(matches) != 1:
            names = some((path.relative_to(folder) for path in matches), 3)
            why = f"{len(matches)} files match: {names}" if matches else "no file is named after it"
            raise DataError(
                f"There is no mask for {image} in {folder}: {why}.",
                f"one file such as {image.stem}.png or {image.stem}_P.png.",
                'pass a path such as masks="labels/{stem}_P.png".',
            )
        return str(matches[0])

    return find


def _shared_folders(one: Path, other: Path) -> int:
    """Return how many folders right above two files have the same names.

    Example:
        >>> _shared_folders(Path("images/a/0.png"), Path("masks/a/0.png"))
        1
    """
    pairs = zip(one.parent.parts[::-1], other.parent.parts[::-1], strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one.parts), len(other.parts)) - 1)


def _is_image(path: Path) -> bool:
    with path.open("rb") as file:
        return is_image(file.read(16))


def check_class_weights(weights: str | Sequence[float], classes: Sequence[str]) -> tuple[float, ...]:
    """Return class weights as a tuple of floats.

    Raises:
        DataError: They are not one number of 0 or more for each class.
    """
    if isinstance(weights, str) or len(weights) != len(classes) or not all(w >= 0 for w in weights):
        raise DataError(
            f"class_weights={weights!r}.",
            f'"balanced", None, or {len(classes)} numbers of 0 or more, for {some(classes, 20)}.',
            'pass class_weights="balanced".',
        )
    return tuple(float(weight) for weight in weights)


def mask_target(
    classes: Sequence[str] | str | Path,
    ignore: str | int | Sequence[str | int] | None,
    colours: Sequence[Colour] | None,
    values: Sequence[int] | None = None,
) -> Mask:
    """Return the target for masks whose values are positions in `classes`, or `values`.

    Args:
        classes: Names, or a text file with one name a line.
        values: The value of each class in the mask files; None counts from 0.
        ignore: Classes, by name or value, that do not count.
        colours: The colour of each class, for colour-coded masks.
    Raises:
        DataError: `ignore` names no class, there are too few or too many classes, or colours do not fit.
    """
    names = list(classes) if not isinstance(classes, str | Path) else _read_lines(Path(classes))
    known = _values_of(names, values)
    ignored = _ignored_values(ignore, names, known)
    kept = [(name, value) for name, value in zip(names, known, strict=True) if value not in ignored]
    if len(kept) < 2 or len(names) > MAX_CLASSES or len(set(names)) < len(names):
        raise DataError(
            f"There are {len(kept)} classes to predict, and {len(set(names))} different names of {len(names)}.",
            f"2 to {MAX_CLASSES} classes with different names.",
            "check classes= and ignore=.",
        )
    if colours is not None and len(colours) != len(names):
        raise DataError(
            f"{len(colours)} colours for {len(names)} classes.", "one colour for each class.", "check colours=."
        )
    table = None if colours is None else _colour_table(colours)
    return Mask(tuple(name for name, _ in kept), tuple(value for _, value in kept), ignored, table)


def _values_of(names: Sequence[str], values: Sequence[int] | None) -> tuple[int, ...]:
    """Return the value of each class in mask files.

    Raises:
        DataError: They are not different whole numbers from 0 to 255, one for each class.
    """
    if values is None:
        return tuple(range(len(names)))
    known = tuple(int(value) for value in values)
    if len(known) != len(names) or len(set(known)) < len(known) or not all(0 <= value <= 255 for value in known):
        raise DataError(
            f"values={values!r} for {len(names)} classes.", "a different value from 0 to 255 for each class.",
            f"pass values={list(range(len(names)))}, with the values in the masks.",
        )  # fmt: skip
    return known


def _ignored_values(
    ignore: str | int | Sequence[str | int] | None, names: Sequence[str], known: Sequence[int]
) -> tuple[int, ...]:
    entries = [] if ignore is None else [ignore] if isinstance(ignore, str | int) else list(ignore)
    unknown = [entry for entry in entries if isinstance(entry, str) and entry not in names]
    if unknown:
        raise DataError(
            f"ignore= names {some(unknown)}.", f"names of classes: {some(names, 20)}.",
            "check ignore=." + suggest(unknown[0], names),
        )  # fmt: skip
    values = tuple(known[names.index(entry)] if isinstance(entry, str) else int(entry) for entry in entries)
    if not all(0 <= value <= 255 for value in values):
        raise DataError(f"ignore={ignore!r}.", "values from 0 to 255, or names of classes.", "check ignore=.")
    return values


def _colour_table(colours: Sequence[Colour]) -> tuple[Colour, ...]:
    table = [tuple(int(value) for value in colour) for colour in colours]
    wrong = [colour for colour in table if len(colour) != 3 or not all(0 <= value <= 255 for value in colour)]
    twice = [colour for colour, count in Counter(table).items() if count > 1]
    if wrong or twice:
        raise DataError(
            f"colours= contains {some(wrong)}." if wrong else f"colours= contains {some(twice)} more than once.",
            "(red, green, blue) of each class, from 0 to 255, all different.",
            "check colours=.",
        )
    return tuple((r, g, b) for r, g, b in table)


def count_class_pixels(target: Mask, paths: Sequence[str]) -> NDArray[np.int64]:
    """Return how many pixels each class has in an evenly spread sample of masks, (classes,).

    Raises:
        DataError: A mask cannot be read, or contains values that are not classes; it names the first, and how many.
    """
    chosen = spread_over(paths, SAMPLE)

    def count(path: str) -> NDArray[np.int64] | DataError:
        try:
            return np.bincount(target.encode(path).numpy().ravel(), minlength=256)[: len(target.classes)]
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(count, chosen))
    errors = [result for result in results if isinstance(result, DataError)]
    if errors:
        more = f" {len(errors) - 1:,} more of the {len(chosen):,} masks that were checked have errors."
        what = errors[0].what + (more if len(errors) > 1 else "")
        fix = _fix_of_values(target, values_in(chosen)) if target.colours is None else None
        raise DataError(what, errors[0].expected, fix or errors[0].fix)
    counts: NDArray[np.int64] = np.sum([one for one in results if not isinstance(one, DataError)], axis=0)
    return counts


def _fix_of_values(target: Mask, found: Sequence[int]) -> str | None:
    """Return the advice for masks whose values are not those of the classes, None where that is not the error.

    To ignore what is unknown is no advice where a single class would be left.
    """
    unknown = [value for value in found if value not in (*target.values, *target.ignored)]
    if not unknown:
        return None
    counted = list(found)
    if len(counted) == len(target.classes) and not target.ignored:
        return f"pass values={counted} for {some(target.classes, 4)}, in this order."
    if sum(value in target.values for value in found) > 1:
        return f"add the missing names to classes=, or pass ignore={unknown[0]} where such pixels do not count."
    return "add the missing names to classes=, one for each value, or pass values= with the value of each class."


def warn_of_absent(target: Mask, counts: NDArray[np.int64]) -> None:
    """Warn of classes that no mask holds.

    Raises:
        DataError: The masks hold one class alone, so that nothing can be learned from them.
    """
    held = [name for name, count in zip(target.classes, counts, strict=True) if count]
    absent = [name for name in target.classes if name not in held]
    if len(held) < 2:
        raise DataError(
            f"The training masks hold {f'the class {held[0]!r} alone' if held else 'no class at all'}, besides what is "
            "ignored.",
            f"pixels of two or more of the classes: {some(target.classes, 12)}.",
            "check classes=, ignore= and values=, or which masks are read.",
        )
    if absent:
        warnings.warn(
            f"None of the training masks that were checked holds {some(absent)}: nothing is learned of that.",
            stacklevel=users_level(),
        )


def weigh_classes(target: Mask, train: Sequence[str], valid: Sequence[str], class_weights: ClassWeights) -> Mask:
    """Return a target with the weights of its classes, see `label_masks`; masks that cannot be used are found here.

    Args:
        target: Without weights.
        train: Labels of the training masks.
        valid: Labels of the validation masks.
        class_weights: As for `label_masks`.
    """
    counts = count_class_pixels(target, train)
    warn_of_absent(target, counts)
    count_class_pixels(target, valid)  # to find masks that cannot be used before training
    if isinstance(class_weights, str) and class_weights == "balanced":
        return replace(target, class_weights=balanced_weights(counts))
    if class_weights is None:
        return target
    return replace(target, class_weights=check_class_weights(class_weights, target.classes))


def balanced_weights(counts: NDArray[np.int64]) -> tuple[float, ...]:
    """Return class weights, 1 on average: the inverse square root of each class's share of the pixels.

    The inverse itself would give a few pixels of a rare class more weight than all others together.

    Example:
        >>> [round(weight, 2) for weight in balanced_weights(np.array([400, 100]))]
        [0.67, 1.33]
    """
    share = np.maximum(counts / max(counts.sum(), 1), 1e-4)
    weights = share**-0.5
    return tuple((weights / weights.mean()).tolist())


def _read_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"Cannot read {path}: {error}.", "a text file with one class a line.", "check classes=."
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]
