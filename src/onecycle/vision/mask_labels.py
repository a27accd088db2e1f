"""From images to their masks: where they are, which classes they hold, and how much each of these counts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onecycle.data.items import Part
from onecycle.data.label import Labeller
from onecycle.errors import DataError, some, suggest
from onecycle.vision.decode import is_image
from onecycle.vision.mask_files import Colour
from onecycle.vision.masks import MOST_CLASSES, Mask

# How many masks are looked at before training: enough to find foreign values and to weigh the classes.
SAMPLE = 200


def mask_labeller(masks: str | Path | Callable[[Path], str | Path]) -> Labeller:
    """Return the function from a part to the paths of its masks, see `label_masks`."""
    if callable(masks):
        find = masks
    elif "{" in str(masks):
        template = str(masks)

        def find(image: Path) -> str:
            return _filled(template, image)
    else:
        find = _in_folder(Path(masks))

    def labeller(part: Part) -> list[str]:
        paths = []
        for name in part.names():
            image = Path(part.locate(name))
            try:
                paths.append(str(find(image)))
            except DataError:
                raise
            except Exception as error:
                raise DataError(
                    f"The mask function failed on {image}: {type(error).__name__}: {error}.",
                    "the path of a mask for every image.",
                    "mend the function.",
                ) from error
        absent = [path for path in paths if not Path(path).is_file()]
        if absent:
            raise DataError(
                f"{len(absent):,} of {len(paths):,} masks are not there: {some(absent, 3)}.",
                "a mask file for every image.",
                "check masks=, or leave those images out.",
            )
        return paths

    return labeller


def _filled(template: str, image: Path) -> str:
    try:
        return template.format(stem=image.stem, name=image.name, folder=image.parent.name, parent=image.parent)
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(
            f"masks={template!r} cannot be filled in: {error}.",
            "{stem}, {name}, {folder} or {parent} in the path.",
            'pass such as "labels/{stem}_P.png".',
        ) from error


def _in_folder(folder: Path) -> Callable[[Path], str]:
    """Find masks that are named after their images, all with the same ending, such as `_P`."""
    if not folder.is_dir():
        raise DataError(f"No such folder: {folder}.", "a folder of masks.", "check masks=.")
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.stem, path))
    stems = [path.stem for path in files]

    def find(image: Path) -> str:
        # The image itself, or notes on it, may lie there too.
        named = files[bisect_left(stems, image.stem) : bisect_right(stems, image.stem)]
        near = files[bisect_left(stems, f"{image.stem}_") : bisect_left(stems, f"{image.stem}`")]  # "`" follows "_"
        found = [path for path in named if path != image] or near
        found = found if len(found) == 1 else [path for path in found if _is_image(path)]
        if len(found) != 1:
            names = some((path.relative_to(folder) for path in found), 3)
            why = f"{len(found)} files could be it: {names}" if found else "none is named after it"
            raise DataError(
                f"There is no mask for {image} in {folder}: {why}.",
                f"one file such as {image.stem}.png or {image.stem}_P.png.",
                'pass a path such as masks="labels/{stem}_P.png".',
            )
        return str(found[0])

    return find


def _is_image(path: Path) -> bool:
    with path.open("rb") as file:
        return is_image(file.read(16))


def weights_of(weights: str | Sequence[float], classes: Sequence[str]) -> tuple[float, ...]:
    """Return class weights as given, a number a class.

    Raises:
        DataError: They are not.
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
) -> Mask:
    """Return the target for masks whose value is a place in `classes`, the names or a text file with a name a line.

    Raises:
        DataError: A name to be ignored is not among the classes, or there are too few or too many.
    """
    names = list(classes) if not isinstance(classes, str | Path) else _lines(Path(classes))
    given = [] if ignore is None else [ignore] if isinstance(ignore, str | int) else list(ignore)
    unknown = [name for name in given if isinstance(name, str) and name not in names]
    if unknown:
        raise DataError(
            f"ignore= names {some(unknown)}.", f"one of the classes: {some(names, 20)}.",
            "check it." + suggest(unknown[0], names),
        )  # fmt: skip
    ignored = tuple(names.index(one) if isinstance(one, str) else int(one) for one in given)
    if not all(0 <= value <= 255 for value in ignored):
        raise DataError(f"ignore={ignore!r}.", "values from 0 to 255, or names of classes.", "check ignore=.")
    values = tuple(value for value in range(len(names)) if value not in ignored)
    if len(values) < 2 or len(names) > MOST_CLASSES or len(set(names)) < len(names):
        raise DataError(
            f"There are {len(values)} classes to predict, {len(set(names))} different names of {len(names)}.",
            f"2 to {MOST_CLASSES}, each with its own name.",
            "check classes= and ignore=.",
        )
    if colours is not None and len(colours) != len(names):
        raise DataError(f"{len(colours)} colours for {len(names)} classes.", "one a class.", "check colours=.")
    table = None if colours is None else _colour_table(colours)
    return Mask(tuple(names[value] for value in values), values, ignored, table)


def _colour_table(colours: Sequence[Colour]) -> tuple[Colour, ...]:
    table = [tuple(int(part) for part in colour) for colour in colours]
    wrong = [colour for colour in table if len(colour) != 3 or not all(0 <= part <= 255 for part in colour)]
    twice = [colour for colour, count in Counter(table).items() if count > 1]
    if wrong or twice:
        raise DataError(
            f"colours= holds {some(wrong)}." if wrong else f"colours= names {some(twice)} more than once.",
            "(red, green, blue) of each class, from 0 to 255, all different.",
            "check colours=.",
        )
    return tuple((r, g, b) for r, g, b in table)


def look_at(target: Mask, paths: Sequence[str]) -> NDArray[np.int64]:
    """Read a spread of masks; return how many pixels each class has in them.

    Raises:
        DataError: Any of them is no mask, or holds values that are no class: which, and in how many.
    """
    chosen = [paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(SAMPLE, len(paths)))]

    def count(path: str) -> NDArray[np.int64] | DataError:
        try:
            return np.bincount(target.encode(path).numpy().ravel(), minlength=256)[: len(target.classes)]
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(count, chosen))
    errors = [result for result in results if isinstance(result, DataError)]
    if errors:
        more = f" So are {len(errors) - 1:,} more of the {len(chosen):,} masks looked at." if len(errors) > 1 else ""
        raise DataError(errors[0].what + more, errors[0].expected, errors[0].fix)
    counts: NDArray[np.int64] = np.sum([one for one in results if not isinstance(one, DataError)], axis=0)
    return counts


def balanced_weights(counts: NDArray[np.int64]) -> tuple[float, ...]:
    """Return class weights, 1 on average: the inverse square root of each class's share of the pixels.

    The full inverse would let a few pixels of a rare class drown all others.
    """
    share = np.maximum(counts / max(counts.sum(), 1), 1e-4)
    weights = share**-0.5
    return tuple((weights / weights.mean()).tolist())


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}.", "a text file, a class a line.", "check classes=.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
