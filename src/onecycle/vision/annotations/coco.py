"""Reads COCO's annotations: a JSON file with `images`, `annotations` and `categories`.

Source: Lin et al. 2014, "Microsoft COCO: Common objects in context", and cocodataset.org/#format-data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onecycle.data.rows import Rows
from onecycle.errors import DataError, counted, some
from onecycle.vision.annotations.files import read_json
from onecycle.vision.annotations.found import BOXES, CROWDS, NOT_LISTED, SHAPELESS, SPLITS, Facts, Found, FoundImage
from onecycle.vision.annotations.locate import Finder
from onecycle.vision.annotations.runs import decompressed

Files = str | Path | Mapping[str, str | Path]


def read_coco(files: Files, folder: str | Path | None, empty: str) -> tuple[Rows, Facts, Found]:
    """Read one file, or one for each split.

    Raises:
        DataError: A file is not in COCO's format, or names categories or images that it does not define.
    """
    by_split = dict(files) if isinstance(files, Mapping) else {None: files}
    unknown = [split for split in by_split if split is not None and split not in SPLITS]
    if unknown or not by_split:
        raise DataError(
            f"Files for the splits {some(unknown)}." if unknown else "No file.",
            f"a file, or one for each of {some(SPLITS)}.", 'pass {"train": "train.json", "valid": "val.json"}.',
        )  # fmt: skip
    paths = {split: Path(path) for split, path in by_split.items()}
    root = Path(folder) if folder is not None else _common([path.parent for path in paths.values()])
    found = Found(" and ".join(map(str, paths.values())), empty)
    beside = []
    for split, path in paths.items():
        _read_file(path, split, found)
        if path.parent.resolve().is_relative_to(root.resolve()):
            beside.append(path.parent.resolve().relative_to(root.resolve()).as_posix())
    rows = found.rows(root, Finder(root, [place for place in beside if place != "."] if len(paths) == 1 else ()))
    return rows, found.facts(), found


def _common(folders: list[Path]) -> Path:
    """Return the folder of the files, or the one above where they are in annotations/ or each in its own."""
    alike = len(set(folders)) == 1 and folders[0].name.casefold() != "annotations"
    return folders[0] if alike else folders[0].parent


def _read_file(path: Path, split: str | None, found: Found) -> None:
    content = read_json(path, "COCO's annotations")
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(
            f"{path} is not in COCO's format: it has no list of images.",
            f"a JSON object with {', '.join(lists)}.", "check which file is read.",
        )  # fmt: skip
    images = {one.get("id"): _image(one, split, path) for one in content["images"] if isinstance(one, dict)}
    found.images += images.values()
    categories = {one.get("id"): one for one in content.get("categories") or [] if isinstance(one, dict)}
    names = {number: str(one.get("name", number)).strip() for number, one in categories.items()}
    found.classes |= dict.fromkeys(names.values())
    points = {number: list(map(str, one.get("keypoints") or [])) for number, one in categories.items()}
    for each in points.values():
        found.points |= dict.fromkeys(each)
    annotations = [one for one in content.get("annotations") or [] if isinstance(one, dict)]
    _check_categories(path, annotations, names)
    for number, one in enumerate(annotations):
        image = images.get(one.get("image_id"))
        if image is None:
            found.leave_out(f"annotation {one.get('id', number)} of {path.name}", NOT_LISTED)
            continue
        name = names[one["category_id"]]
        image.add_tag(name)
        _add_shape(found, image, name, one)
        _add_points(found, image, points[one["category_id"]], one, path)


def _image(one: dict[str, Any], split: str | None, path: Path) -> FoundImage:
    name = one.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(
            f"Image {one.get('id')!r} of {path} has no file_name.", "the name of each image's file.",
            "export the annotations again.",
        )  # fmt: skip
    size = (one.get("height"), one.get("width"))
    whole = all(isinstance(value, int | float) and value > 0 for value in size)
    return FoundImage((name,), (int(size[0] or 0), int(size[1] or 0)) if whole else None, split)


def _check_categories(path: Path, annotations: list[dict[str, Any]], names: dict[Any, str]) -> None:
    unknown = Counter(repr(one.get("category_id")) for one in annotations if one.get("category_id") not in names)
    if unknown:
        raise DataError(
            f"{counted(unknown.total(), 'annotation', of=len(annotations))} of {path} without a category of the file: "
            f"category_id {some(f'{number} ({count:,})' for number, count in unknown.most_common())}.",
            f"one of {some((f'{number} ({name})' for number, name in names.items()), 12) or 'the categories'}.",
            "add the category to categories in the file, or remove those annotations.",
        )


def _add_shape(found: Found, image: FoundImage, name: str, one: dict[str, Any]) -> None:
    """Add an annotation's polygons or runs; without any its box, and pixels that are known to be of neither."""
    shape, crowd = one.get("segmentation"), bool(one.get("iscrowd"))
    drawn = False
    if isinstance(shape, list):
        drawn = found.add_polygons(image, name, [each for each in shape if isinstance(each, list)], ignored=crowd)
    elif isinstance(shape, dict) and (runs := _runs(shape, image)) is not None:
        image.regions.append({"class": name, **runs, **({"ignored": True} if crowd else {})})
        drawn = True
    if drawn and crowd:
        found.note(CROWDS, image.names[0])
    box = one["bbox"] if isinstance(one.get("bbox"), list) else []
    if not drawn and not found.add_box(image, name, box, why=CROWDS if crowd else BOXES):
        found.note(SHAPELESS, image.names[0])


def _runs(shape: dict[str, Any], image: FoundImage) -> dict[str, Any] | None:
    """Return the runs of a mask, compressed or not; None where they are not of the image's size."""
    size, counts = shape.get("size"), shape.get("counts")
    if image.size is None or size != list(image.size):
        return None
    try:
        runs = decompressed(counts) if isinstance(counts, str) else list(map(int, counts or []))
    except (TypeError, ValueError):
        return None
    if any(run < 0 for run in runs) or sum(runs) != math.prod(image.size):
        return None
    return {"counts": counts} if isinstance(counts, str) else {"runs": runs}


def _add_points(found: Found, image: FoundImage, names: list[str], one: dict[str, Any], path: Path) -> None:
    values = one.get("keypoints")
    if not values or not names:
        return
    if len(values) != 3 * len(names):
        raise DataError(
            f"Annotation {one.get('id')} of {path} has {len(values)} numbers for {len(names)} key points.",
            f"x, y and visibility of each of {some(names, 20)}.",
            "correct keypoints of its category in the file, or export it again.",
        )
    points = {
        point: (float(x), float(y))
        for point, x, y, seen in zip(names, values[::3], values[1::3], values[2::3], strict=True)
        if seen
    }
    box = one.get("bbox") or (0, 0, 0, 0)
    if points:
        image.objects.append((float(one.get("area") or box[2] * box[3]), points))
