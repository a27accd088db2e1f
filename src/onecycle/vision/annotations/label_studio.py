"""Reads Label Studio's exports: JSON, JSON-MIN and CSV, with choices, polygons, brush strokes, key points and boxes.

Source: labelstud.io/guide/export. Coordinates are percentages of the image's size. Its exports to COCO, YOLO and
Pascal VOC are read as such.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from onecycle.data.rows import Rows
from onecycle.errors import DataError, some, suggest
from onecycle.vision.annotations.files import read_json, read_text
from onecycle.vision.annotations.found import SEVERAL, SHAPELESS, Facts, Found, FoundImage
from onecycle.vision.annotations.runs import brush_bitmap, runs_of
from onecycle.vision.image_files import IMAGE_SUFFIXES

META = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"})
ROTATED = "images that were rotated while they were labelled"
PEOPLE = "images that several people annotated, of whom the first is used"
OTHER = "results of kinds that are not read"
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of a file


def read_label_studio(
    path: str | Path, folder: str | Path | None, choice: str | None, empty: str
) -> tuple[Rows, Facts, Found]:
    """Read an export.

    Args:
        path: The JSON or CSV file.
        folder: Where the images are; None takes the file's own folder.
        choice: The control whose choices are the images' classes; None takes the only one.
        empty: As for `Found`.
    Raises:
        DataError: It is not an export, or no image is named in it.
    """
    file = Path(path)
    found = Found(file, empty)
    tasks = list(_tasks(file, found))
    controls = Counter(name for _, _, chosen in tasks for name in chosen)
    if choice is not None and choice not in controls:
        raise DataError(
            f"{file} has no choices called {choice!r}.", f"one of: {some(controls) or 'there are none'}.",
            f"check choice=.{suggest(choice, controls)}", shell_fix=f"check --column.{suggest(choice, controls)}",
        )  # fmt: skip
    only = choice if choice is not None else next(iter(controls)) if len(controls) == 1 else None
    for image, results, chosen in tasks:
        if any(result.get("image_rotation") for result in results):
            found.leave_out(image.names[0], ROTATED)
            continue
        found.images.append(image)
        _add_choices(found, image, chosen, only, choice)
        points: dict[str, tuple[float, float]] = {}
        for result in results:
            _add_result(found, image, result, points, file)
        if points:
            image.objects.append((0.0, points))
    rows = found.rows(Path(folder) if folder is not None else file.parent)
    return rows, found.facts(controls=tuple(controls) if choice is None else (choice,)), found


def _add_choices(
    found: Found, image: FoundImage, chosen: dict[str, list[str]], only: str | None, asked: str | None
) -> None:
    for control, names in chosen.items():
        if asked is not None and control != asked:
            continue
        found.classes |= dict.fromkeys(names)
        for name in names:
            image.add_tag(name)
        if control == only and len(names) == 1:
            image.choice = names[0]


Task = tuple[FoundImage, list[dict[str, Any]], dict[str, list[str]]]


def _tasks(file: Path, found: Found) -> Iterator[Task]:
    """Yield each image with its results and its choices by control."""
    if file.suffix.lower() == ".csv":
        content: Any = [_parsed(row) for row in csv.DictReader(io.StringIO(read_text(file)))]
    else:
        content = read_json(file, "Label Studio's export")
    if not isinstance(content, list) or not content or not all(isinstance(task, dict) for task in content):
        raise _no_export(file)
    full = all(isinstance(task.get("data"), dict) for task in content)
    key = _image_key([task["data"] if full else task for task in content], file)
    plain = [] if full else _plain_choices(content, key)
    for task in content:
        if full:
            yield _full_task(task, key, found)
        else:
            yield _short_task(task, key, plain)


def _full_task(task: dict[str, Any], key: str, found: Found) -> Task:
    image = FoundImage(_names(task["data"].get(key)))
    people = [one for one in task.get("annotations") or task.get("completions") or [] if not one.get("was_cancelled")]
    if len(people) > 1:
        found.note(PEOPLE, image.names[0])
    results = [one for one in (people[0].get("result") or [] if people else []) if isinstance(one.get("value"), dict)]
    image.annotated = bool(people)
    chosen: dict[str, list[str]] = {}
    for one in results:
        if (names := one["value"].get("choices")) and not {"x", "points", "rle"} & set(one["value"]):
            chosen.setdefault(str(one.get("from_name")), []).extend(map(str, names))
        elif not any(key.endswith("labels") for key in one["value"]):
            found.leave_out(f"{image.names[0]}: {one.get('type')}", OTHER)
    return image, [{**one, **one["value"]} for one in results], chosen


def _short_task(task: dict[str, Any], key: str, plain: list[str]) -> Task:
    image = FoundImage(_names(task.get(key)))
    image.annotated = bool(task.get("annotation_id") or task.get("annotator"))
    results: list[dict[str, Any]] = []
    chosen: dict[str, list[str]] = {}
    for name, value in task.items():
        if isinstance(value, dict) and value.get("choices"):
            chosen[name] = list(map(str, value["choices"]))
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            results += value
        elif name in plain and isinstance(value, str) and value:
            chosen[name] = [value]
    return image, results, chosen


def _plain_choices(tasks: list[dict[str, Any]], key: str) -> list[str]:
    """Return the fields of plain texts that may be choices: few different ones for many images."""
    fields = []
    for name in dict.fromkeys(name for task in tasks for name in task):
        values = [task[name] for task in tasks if task.get(name)]
        texts = [value for value in values if isinstance(value, str)]
        if name not in META and name != key and texts and len(texts) == len(values):
            repeated = len(set(texts)) <= max(len(texts) / 2, 2)
            fields += [name] if repeated else []
    return fields


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a CSV, with the JSON in its cells read."""
    return {name: _json_or_text(value) for name, value in row.items() if name is not None}


def _json_or_text(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "[{" and value:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _image_key(rows: list[dict[str, Any]], file: Path) -> str:
    """Return the field that names the images: the one that most often ends as images do."""
    counts = Counter(
        name for row in rows for name, value in row.items() if isinstance(value, str) and _is_image_name(value)
    )
    if not counts:
        raise _no_export(file)
    return counts.most_common(1)[0][0]


def _is_image_name(value: str) -> bool:
    return any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in _names(value))


def _names(value: Any) -> tuple[str, ...]:
    """Return what the file of an image may be called: as in the export, and without what uploading added to it."""
    if not isinstance(value, str) or not value:
        return ("(no image)",)
    parts = urlsplit(value)
    local = parse_qs(parts.query).get("d")  # /data/local-files/?d=photos/1.jpg
    path = local[0] if local else unquote(parts.path) if parts.scheme or value.startswith("/") else value
    path = path.lstrip("/")
    last = path.rpartition("/")[2]
    return tuple(dict.fromkeys([path, last, _UPLOADED.sub("", last)]))


def _no_export(file: Path) -> DataError:
    return DataError(
        f"{file} is not an export of images from Label Studio.",
        "a list of tasks with the path of an image in each, as JSON, JSON-MIN or CSV.",
        "export it again, or check which file is read.",
    )


def _add_result(
    found: Found, image: FoundImage, one: dict[str, Any], points: dict[str, tuple[float, float]], file: Path
) -> None:
    """Add a polygon, a brush stroke, a box or a point."""
    kind = next((key for key in one if key.endswith("labels") and isinstance(one[key], list)), None)
    if "choices" in one or kind is None or not one[kind]:
        return
    name = str(one[kind][0])
    try:
        width, height = int(one["original_width"]), int(one["original_height"])
        image.size = (height, width)
        if kind == "keypointlabels":
            _add_point(found, image, name, (one["x"] / 100 * width - 0.5, one["y"] / 100 * height - 0.5), points)
            return
        found.classes[name] = None
        image.add_tag(name)
        if "rle" in one:
            image.regions.append({"class": name, "runs": runs_of(brush_bitmap(one["rle"], height, width))})
        elif "points" in one:
            corners = [(x / 100 * width, y / 100 * height) for x, y in one["points"]]
            found.add_polygons(image, name, [[value for corner in corners for value in corner]])
        elif "width" in one and "height" in one and not one.get("rotation"):
            left, top, wide, high = (one[key] / 100 for key in ("x", "y", "width", "height"))
            found.add_box(image, name, (left * width, top * height, wide * width, high * height))
        else:
            found.note(SHAPELESS, image.names[0])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: a label {name!r} of {image.names[0]} cannot be read: {type(error).__name__}: {error}.",
            "original_width, original_height and a shape, as Label Studio writes them.",
            "export it again, or leave that image out of the file.",
        ) from error


def _add_point(
    found: Found, image: FoundImage, name: str, point: tuple[float, float], points: dict[str, tuple[float, float]]
) -> None:
    found.points[name] = None
    image.annotated = True
    if name in points:
        found.note(SEVERAL, image.names[0])
    else:
        points[name] = point
