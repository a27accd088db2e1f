"""Draws masks from polygons and runs, when they are needed.

A label is a JSON text with these entries:
    size: [height, width] of the mask.
    scale: [x, y] that coordinates are multiplied by.
    values: The value of each class; a region of another class is not drawn.
    fill: The value of what no region covers.
    regions: Objects of `class`, with `polygons` (x, y, x, y, ... of each), or as COCO encodes masks column by column
        `runs` (lengths of 0, 1, 0, ...) or `counts` (the same compressed); `ignored` ones count for nothing, and
        those of a higher `layer` lie above others.

Where regions overlap, the smaller lies above the larger, so that none disappears behind another.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import DataError
from onecycle.losses import IGNORE_INDEX
from onecycle.vision.annotations.runs import bitmap, decompressed

Values = NDArray[np.uint8]


def is_drawn(label: object) -> bool:
    """Return whether a label of a mask is to be drawn, not the path of a file."""
    return isinstance(label, str) and label.startswith('{"size"')


def drawn_label(
    size: tuple[int, int], scale: tuple[float, float], values: dict[str, int], fill: int, regions: str
) -> str:
    """Return the label of a mask whose `regions` are a JSON text already."""
    about = json.dumps({"size": list(size), "scale": list(scale), "values": values, "fill": fill})
    return f'{about[:-1]}, "regions": {regions}}}'


def classes_of(label: str) -> list[str]:
    """Return the classes of a label's regions."""
    return list(dict.fromkeys(region["class"] for region in json.loads(label)["regions"]))


def draw_mask(label: str) -> Values:
    """Return the mask of a label, uint8, (height, width).

    Example:
        >>> region = {"class": "cat", "polygons": [[1, 0, 3, 0, 3, 2, 1, 2]]}
        >>> draw_mask(drawn_label((2, 4), (1, 1), {"cat": 7}, 0, json.dumps([region]))).tolist()
        [[0, 7, 7, 0], [0, 7, 7, 0]]
    """
    about = json.loads(label)
    height, width = about["size"]
    mask: Values = np.full((height, width), about["fill"], np.uint8)
    drawn = []
    for region in about["regions"]:
        if region.get("ignored"):
            order, value = -1, IGNORE_INDEX
        elif region["class"] in about["values"]:
            order, value = region.get("layer", 0), about["values"][region["class"]]
        else:
            continue
        left, top, covered = _bitmap(region, height, width, about["scale"])
        drawn.append((not region.get("ignored"), order, -int(covered.sum()), left, top, value, covered))
    for _, _, _, left, top, value, covered in sorted(drawn, key=lambda one: one[:3]):
        mask[top : top + covered.shape[0], left : left + covered.shape[1]][covered] = value
    return mask


def _bitmap(region: dict[str, Any], height: int, width: int, scale: list[float]) -> tuple[int, int, NDArray[np.bool_]]:
    """Return left and top of the box that a region covers, and which of its pixels are the region's."""
    if "polygons" not in region:
        runs = decompressed(region["counts"]) if "counts" in region else region["runs"]
        return 0, 0, bitmap(runs, width, height).T
    given = [np.array(polygon, np.float64).reshape(-1, 2) * scale for polygon in region["polygons"]]
    polygons = [polygon for one in given if len(polygon := _near(one, width, height))]
    if not polygons:
        return 0, 0, np.zeros((0, 0), np.bool_)
    points = np.concatenate(polygons)
    # Only the box around them is drawn: a large image may have many small regions.
    left, top = (max(math.floor(low), 0) for low in points.min(axis=0))
    right, bottom = (min(math.ceil(high), edge) for high, edge in zip(points.max(axis=0), (width, height), strict=True))
    if right <= left or bottom <= top:
        return 0, 0, np.zeros((0, 0), np.bool_)
    moved = [(polygon - (left, top)).ravel().tolist() for polygon in polygons]
    coco = coco_masks()
    encoded = coco.merge(coco.frPyObjects(moved, bottom - top, right - left))
    # Not decoded by pycocotools, which warns with numpy 2 at each call.
    return left, top, bitmap(decompressed(encoded["counts"].decode()), right - left, bottom - top).T


def _near(polygon: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Return a polygon, (points, 2), without what is further from the image than its own size, side by side.

    What draws polygons takes memory for the length of their edges, so that one corner far away would take all.
    """
    for axis, size in ((0, width), (1, height)):
        for sign, limit in ((1, 2 * size), (-1, size)):
            beyond = sign * polygon[:, axis] - limit
            if len(polygon) and beyond.max() > 0:
                polygon = _clipped(polygon, beyond)
    return polygon


def _clipped(polygon: NDArray[np.float64], beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a polygon where `beyond` is not above 0 (Sutherland and Hodgman 1974)."""
    kept: list[NDArray[np.float64]] = []
    for here in range(len(polygon)):
        before = here - 1
        if (beyond[before] > 0) != (beyond[here] > 0):
            share = beyond[before] / (beyond[before] - beyond[here])
            kept.append(polygon[before] * (1 - share) + polygon[here] * share)
        if beyond[here] <= 0:
            kept.append(polygon[here])
    return np.array(kept).reshape(-1, 2)


def coco_masks() -> Any:
    """Return the module that draws polygons; it is imported only where one is drawn.

    Raises:
        DataError: It is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise DataError(
            "pycocotools is not installed.", "pycocotools, which draws masks from polygons.",
            "pip install 'onecycle[formats]'",
        ) from error  # fmt: skip
    return mask
