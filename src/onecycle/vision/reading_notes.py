"""Tells of images that are read in another way than one may think: nearly black, only their first page.

Only some files are opened, and of ordinary ones only the header.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from onecycle.data.rows import CONTENT, ITEM, Rows
from onecycle.errors import DataError, counted, some, users_level
from onecycle.vision.decode import open_source, read_safely, turn_to_page
from onecycle.vision.decode_memory import decoding_bytes, memory_for
from onecycle.vision.read_options import ReadOptions
from onecycle.vision.rgb import count_not_numbers, extremes, is_deep, white_of
from onecycle.vision.spread import spread_over

MOST_HEADERS = 2000
MOST_IN_TABLES = 200
MOST_READ = 16  # images that are decoded whole, to see which values they hold
_PAGED = r"(?i)\.tiff?$"
# Of what an image may hold, the share below which something is wrong with its range.
_LITTLE = 0.25


@dataclass(frozen=True)
class _Look:
    """What an image looks like.

    Attributes:
        path: Its file, or what else it is called.
        pages: How many it has.
        lowest, highest: Its values, where it is of more than 8 bits or floats.
        white: The value that is read as white; 0 where the image has 8 bits.
        is_float: Whether its values are floats.
        not_numbers: How many of its values are NaN or infinite.
    """

    path: str
    pages: int = 1
    lowest: float = 0.0
    highest: float = 0.0
    white: int = 0
    is_float: bool = False
    not_numbers: int = 0


def tell_how_images_are_read(rows: Rows, options: ReadOptions) -> None:
    """Warn of images that use little of their range, and of those of which only the first page is read.

    Args:
        rows: The images; those in a stream are not looked at.
        options: How they are read. What is said there is not told.
    """
    if (rows.shards is not None and rows.shards.forward_only) or CONTENT in rows.table.column_names:
        return
    several, whole = MOST_HEADERS, np.arange(len(rows))
    if rows.shards is not None:
        # Each is read as a whole, and by its bytes alone one sees that it may have pages.
        paged, several = whole, MOST_IN_TABLES if rows.shards.any_order else 0
    elif rows.table[ITEM].type == pa.string():
        paged = np.flatnonzero(pc.match_substring_regex(rows.table[ITEM], _PAGED).to_numpy())
    else:
        return
    looks: dict[int, _Look] = {}
    for places, count, wholly in ((paged, several, False), (whole, MOST_READ, True)):
        looks |= _look_at_all(rows, spread_over(places.tolist(), count), options, whole=wholly)
    found = list(looks.values())
    notes = [_of_pages(found) if options.page is None else "", _of_values(found, options), _of_not_numbers(found)]
    for note in filter(None, notes):
        warnings.warn(note, stacklevel=users_level())


def _look_at_all(rows: Rows, places: Sequence[int], options: ReadOptions, *, whole: bool) -> dict[int, _Look]:
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda place: _look(rows, place, options, whole=whole), places)
        return dict(zip(places, found, strict=True))


def _look(rows: Rows, place: int, options: ReadOptions, *, whole: bool) -> _Look:
    path = rows.locate(rows.names_at(np.array([place], np.int64))[0])

    def read() -> _Look:
        with open_source(rows.input(place)) as image:
            # The second picture of a phone's JPEG is a preview.
            pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            turn_to_page(image, path, options)
            if not whole or not is_deep(image):
                return _Look(path, pages)
            return _values(_Look(path, pages), image)

    try:
        return read_safely(path, read)
    except DataError:
        return _Look(path)  # the error comes up when the image is read


def _values(look: _Look, image: Image.Image) -> _Look:
    with memory_for(look.path, image, decoding_bytes(image, image.width * image.height, 0)):
        lowest, highest = extremes(image)
        return replace(
            look, lowest=lowest, highest=highest, white=white_of(image, highest), is_float=image.mode == "F",
            not_numbers=count_not_numbers(image) if image.mode == "F" else 0,
        )  # fmt: skip


def _of_pages(looks: Sequence[_Look]) -> str:
    several = [look for look in looks if look.pages > 1]
    if not several:
        return ""
    named = some((f"{look.path} ({look.pages:,})" for look in several), 3)
    return (
        f"Several pages: {counted(len(several), 'image', of=len(looks))} that were looked at, {named}. The "
        "first page of each is read. Pass page=0 to say so, or the number of another page, from 0."
    )


def _of_values(looks: Sequence[_Look], options: ReadOptions) -> str:
    deep = [look for look in looks if look.white]
    if options.range is not None:
        if deep or not looks:
            return ""
        return (
            f"range={list(options.range)} changes nothing: the images that were looked at have 8 bits a channel, such "
            f"as {looks[0].path}."
        )
    if not deep:
        return ""
    lowest, highest = min(look.lowest for look in deep), max(look.highest for look in deep)
    whites = sorted({look.white for look in deep})
    if len(whites) == 1 and lowest >= 0 and _LITTLE * whites[0] < highest <= whites[0]:
        return ""
    whole = not any(look.is_float for look in deep) and lowest >= 0
    top = 2 ** max(math.ceil(math.log2(highest + 1)), 1) - 1 if whole else highest
    said = f"[{_number(min(lowest, 0) if lowest >= 0 else lowest)}, {_number(top)}]"
    floats = all(look.is_float for look in deep) and highest > 1
    if len(whites) == 1 and lowest >= 0 and highest <= whites[0] and not floats:
        share = round(whites[0] / max(top, 1e-9))
        what = (
            f"use {_share(share)} of their range: their values are up to {_number(highest)}, and {whites[0]:,} is white"
        )
    else:
        white = " or ".join(f"{white:,}" for white in whites)
        kind = "floats" if floats else "values"
        what = (
            f"have {kind} from {_number(lowest)} to {_number(highest)}, of which 0 and below is read as black, and "
            f"{white} and above as white{', by the image' if len(whites) > 1 else ''}"
        )
    return f"The images {what}, such as {deep[0].path}. Pass range={said} to say which values are black and white."


def _of_not_numbers(looks: Sequence[_Look]) -> str:
    found = [look for look in looks if look.not_numbers]
    if not found:
        return ""
    named = some((f"{look.path} ({look.not_numbers:,})" for look in found), 3)
    return (
        f"Pixels that are no numbers (NaN, infinity): {counted(len(found), 'image', of=len(looks))} that were looked "
        f"at, {named}. They are read as black. Write numbers in their place, or leave such images out."
    )


def _share(parts: int) -> str:
    words = {2: "a half", 4: "a quarter", 8: "an eighth", 16: "a sixteenth"}
    return words.get(parts, f"1/{parts:,}")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.4g}"
