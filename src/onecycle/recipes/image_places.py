"""Where are the images that a table names?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from onecycle.data.candidates import CLOSE
from onecycle.errors import DataError, counted
from onecycle.recipes.listing import folder_of
from onecycle.vision.image_index import ImageIndex


@dataclass(frozen=True)
class Place:
    """Where the images of a table are.

    Attributes:
        folder: The deepest folder that has them all, relative to the data folder; "" for that itself.
        suffix: What the table leaves out of each name.
        literal: Whether each image is at `folder`, a name and `suffix`; else they are found by name below `folder`.
        paths: The image of each row, None where there is none, or more than one.
        evidence: What was counted.
    """

    folder: str
    suffix: str
    literal: bool
    paths: list[str | None]
    evidence: str


def find_place(names: Sequence[str], index: ImageIndex, table: str) -> Place:
    """Return the folder in which most names have exactly one image.

    Raises:
        DataError: Two folders, of which neither is in the other, hold about as many.
    """
    found = index.find_all(names)
    # A folder is a candidate with what is anywhere below it, and with what is right there.
    unique: defaultdict[tuple[str, bool], dict[int, str]] = defaultdict(dict)
    for row, images in enumerate(found):
        held: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
        for path in images:
            for folder in _folders_above(path):
                held[folder, False].append(path)
            held[folder_of(path), True].append(path)
        for candidate, inside in held.items():
            if len(inside) == 1:
                unique[candidate][row] = inside[0]
    ranked = sorted(unique, key=lambda place: (-len(unique[place]), -place[0].count("/"), not place[0], place))
    if not ranked:
        return Place("", "", False, [None] * len(names), f"0 of {counted(len(names), 'row')}")
    best = unique[ranked[0]]
    for other in ranked[1:]:
        rival = unique[other]
        if len(rival) >= CLOSE * len(best) and any(best.get(row, path) != path for row, path in rival.items()):
            raise _two_places(table, len(names), (ranked[0][0], len(best)), (other[0], len(rival)))
    paths: list[str | None] = [best.get(row) for row in range(len(names))]
    evidence = f"{len(best):,} of {counted(len(names), 'row')}"
    for folder in [*_folders_above(f"{ranked[0][0]}/" if ranked[0][0] else "")][::-1]:
        rests = {_rest(folder, name, path) for name, path in zip(names, paths, strict=True) if path}
        if len(rests) == 1 and (suffix := rests.pop()) is not None:
            return Place(folder, suffix, True, paths, evidence)
    above = reversed(_folders_above(f"{ranked[0][0]}/" if ranked[0][0] else ""))
    folder = next((one for one in above if _finds(index, one, names, paths)), "")
    return Place(folder, "", False, paths, evidence)


def _finds(index: ImageIndex, folder: str, names: Sequence[str], paths: Sequence[str | None]) -> bool:
    """Return whether a search below a folder finds each name where it is: a name may begin with the folder itself."""
    begin = f"{folder}/" if folder else ""
    found = ImageIndex(path[len(begin) :] for path in index.paths if path.startswith(begin)).find_all(names)
    pairs = zip(found, paths, strict=True)
    return all(path is None or inside == [path[len(begin) :]] for inside, path in pairs)


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]


def _rest(folder: str, name: str, path: str) -> str | None:
    """Return what a name lacks of the path in a folder; None where it is spelled in another way."""
    begin = f"{folder}/{name}" if folder else name
    rest = path[len(begin) :]
    return rest if path.startswith(begin) and "/" not in rest and (not rest or rest.startswith(".")) else None


def _two_places(table: str, rows: int, one: tuple[str, int], other: tuple[str, int]) -> DataError:
    (first, count), (second, number) = one, other
    named = [place or "the data folder itself" for place in (first, second)]
    return DataError(
        f"Where are the images of {table}? {named[0]} has {count:,} of its {rows:,}, and {named[1]} has {number:,} of "
        "the same names.",
        "one folder with the images.",
        f"pass include={first or '.'!r} or include={second or '.'!r}.",
    )
