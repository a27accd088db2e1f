"""Reads YOLO's labels: a text file for each image, a line for each object, and `data.yaml` with the classes' names.

A line is the number of a class, and then the box (centre, width and height), a polygon, or for poses the box and the
points, all as fractions of the image's size.

Source: docs.ultralytics.com/datasets; darknet's classes.txt and obj.names, as LabelImg, Label Studio and CVAT write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from onecycle.data.rows import Rows
from onecycle.errors import DataError, counted, some
from onecycle.vision.annotations.files import read_text, read_yaml
from onecycle.vision.annotations.found import Facts, Found, FoundImage
from onecycle.vision.annotations.locate import Finder
from onecycle.vision.image_index import image_names

_ENTRIES = {"train": "train", "valid": "val", "test": "test"}
_NAMES = ("classes.txt", "obj.names", "names.txt", "predefined_classes.txt")
_SLACK = 0.01  # beyond the edge of the image


def read_yolo(path: str | Path, empty: str) -> tuple[Rows, Facts, Found]:
    """Read `data.yaml`, or a folder with it or with the names of the classes in a text file.

    Raises:
        DataError: Names or images are not found, or a label is not in the format.
    """
    config, about = _config(Path(path))
    root = Path(path) if Path(path).is_dir() else config.parent
    base = _base(root if config.suffix == ".txt" else config.parent, about)
    names = _class_names(about, config)
    keypoints, width = _keypoints(about)
    found = Found(path, empty)
    found.classes |= dict.fromkeys(names)
    found.points |= dict.fromkeys(keypoints)
    entries = {split: _paths(about.get(entry) or about.get(split)) for split, entry in _ENTRIES.items()}
    lacking = [one for one in entries["test"] if not _place(base, one).exists()]  # as shared without its test set
    entries["test"] = [one for one in entries["test"] if one not in lacking]
    listed: dict[str | None, list[str]] = {split: _listed(base, given, config) for split, given in entries.items()}
    if not any(listed.values()):
        listed = {None: [os.path.relpath(base / name, root) for name in image_names(base)]}
    elsewhere = any(name.startswith("..") for held in listed.values() for name in held)
    if elsewhere:  # images beside the folder of data.yaml, not below it
        top = Path(os.path.commonpath([os.path.abspath(root / name) for held in listed.values() for name in held]))
        listed = {split: [os.path.relpath(root / name, top) for name in held] for split, held in listed.items()}
        root = top
    for split, held in listed.items():
        for name in held:
            image = FoundImage((Path(name).as_posix(),), split=split)
            found.images.append(image)
            if (label := _label_file(root / name)) is not None:
                image.annotated = True
                _read_label(found, image, label, names, keypoints, width)
    index = [image.names[0] for image in found.images]
    rows = found.rows(root, Finder(root, index=list(dict.fromkeys(index))))
    if not any(image.annotated for image in found.images):
        raise _no_labels(path)
    facts = found.facts(relative=True, flip_pairs=_flip_pairs(about, keypoints))
    if lacking:
        note = f"The test images that {config} names are not there: {some(map(repr, lacking))}"
        facts = replace(facts, split_notes=(*facts.split_notes, note))
    return rows, facts, found


def _no_labels(path: str | Path) -> DataError:
    return DataError(
        f"No image of {path} has a label.", "labels/1.txt for images/1.jpg, or both files in one folder.",
        "check where the labels are.",
    )  # fmt: skip


def _config(path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file that says what the classes are called, and what it holds."""
    if path.is_dir():
        yaml = sorted(one for one in path.iterdir() if one.suffix in (".yaml", ".yml"))
        texts = [path / name for name in _NAMES if (path / name).is_file()]
        if len(yaml) > 1 and (path / "data.yaml") in yaml:
            yaml = [path / "data.yaml"]
        if len(yaml) > 1 or not (yaml or texts):
            raise DataError(
                f"{path} has {some(one.name for one in yaml) if yaml else 'no data.yaml'}.",
                "one data.yaml, or the classes' names in classes.txt.",
                "pass the path of the right one." if yaml else "write the names into classes.txt, one a line.",
            )
        path = (yaml or texts)[0]
    if path.suffix in (".txt", ".names"):
        return path, {"names": [line.strip() for line in read_text(path).splitlines() if line.strip()]}
    about = read_yaml(path)
    if not isinstance(about, dict) or not about.get("names"):
        raise DataError(
            f"{path} has no names of classes.", "names: [cat, dog] in it, or {0: cat, 1: dog}.", "add names to it."
        )
    return path, about


def _class_names(about: dict[str, Any], config: Path) -> list[str]:
    names = about["names"]
    if isinstance(names, dict):
        try:
            numbers = {int(number): str(name) for number, name in names.items()}
        except (TypeError, ValueError):
            numbers = {}
        names = [numbers[number] for number in range(len(numbers)) if number in numbers]
    if not isinstance(names, list) or len(names) != len(about["names"]) or len(set(map(str, names))) < len(names):
        raise DataError(
            f"names in {config} is {about['names']!r}.", "a list of different names, or names for 0, 1, 2, ...",
            "number the names from 0 on, each once.",
        )  # fmt: skip
    count = about.get("nc", len(names))
    if count != len(names):
        raise DataError(
            f"{config} has nc: {count} and {counted(len(names), 'name')}.",
            "a name for each class.",
            "correct names or nc.",
        )
    return [str(name).strip() for name in names]


def _keypoints(about: dict[str, Any]) -> tuple[list[str], int]:
    """Return the names of a pose's points, and how many numbers each has."""
    shape = about.get("kpt_shape")
    if not shape:
        return [], 0
    count, width = int(shape[0]), int(shape[1])
    names = about.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    given = [str(name) for name in names or []]
    return given if len(set(given)) == count else [str(number) for number in range(count)], width


def _flip_pairs(about: dict[str, Any], points: Sequence[str]) -> tuple[tuple[str, str], ...]:
    order = about.get("flip_idx") or []
    if sorted(order) != list(range(len(points))):
        return ()
    return tuple((points[one], points[other]) for one, other in enumerate(order) if one < other)


def _base(folder: Path, about: dict[str, Any]) -> Path:
    """Return the folder that entries are relative to: `path`, where it is there, else that of data.yaml."""
    given = about.get("path")
    places = [Path(str(given)), folder / str(given), folder.parent / str(given)] if given else []
    places = [place for place in places if place.is_absolute() or place is not places[0]]
    return next((place for place in places if place.is_dir()), folder)


def _paths(entry: Any) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry or [])


def _place(base: Path, path: str) -> Path:
    place = base / path
    return base / path[3:] if not place.exists() and path.startswith("../") else place  # as Roboflow writes it


def _listed(base: Path, paths: Sequence[str], config: Path) -> list[str]:
    """Return the images of an entry, relative to the folder of data.yaml: a folder, a list of images, or several."""
    names: list[str] = []
    for one in paths:
        place = _place(base, one)
        if place.is_dir():
            names += [str(place / name) for name in image_names(place)]
        elif place.is_file():
            lines = [line.strip() for line in read_text(place).splitlines() if line.strip()]
            names += [str(_in_list(line, place, base)) for line in lines]
        elif not config.name.endswith(".txt"):
            raise DataError(
                f"{config} names {one!r}, which is not in {base}.", "a folder of images, or a list of them.",
                "correct train, val and test in it, or path.",
            )  # fmt: skip
    return [os.path.relpath(name, config.parent) for name in dict.fromkeys(names)]


def _in_list(line: str, listed_in: Path, base: Path) -> Path:
    for place in (base / line, listed_in.parent / line, base.parent / line):
        if place.is_file():
            return place
    return base / line


def _label_file(image: Path) -> Path | None:
    """Return the file beside an image, or in labels/ as the image is in images/."""
    parts = list(image.parts)
    places = [image.with_suffix(".txt")]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        places.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]).with_suffix(".txt"))
    return next((place for place in places if place.is_file()), None)


def _read_label(
    found: Found, image: FoundImage, path: Path, names: list[str], keypoints: list[str], width: int
) -> None:
    for number, words in _lines(path):
        try:
            label, values = int(float(words[0])), [float(word) for word in words[1:]]
        except ValueError:
            raise _wrong(path, number, f"{' '.join(words[:6])!r} is not numbers alone") from None
        if not 0 <= label < len(names):
            raise DataError(
                f"{path}, line {number}: there is no class {label}.",
                f"0 to {len(names) - 1}, for {some(names, 12)}.", "add its name to names, or correct the file.",
            )  # fmt: skip
        if any(not -_SLACK <= value <= 1 + _SLACK for value in _coordinates(values, keypoints, width)):
            raise _wrong(path, number, f"{' '.join(words[:6])!r} lies outside the image")
        image.add_tag(names[label])
        _add_object(found, image, names[label], values, keypoints, width, f"{path}, line {number}")


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if words := line.split():
            yield number, words


def _coordinates(values: list[float], keypoints: list[str], width: int) -> list[float]:
    """Return a line's numbers that are positions and sizes, without whether points are seen."""
    if not keypoints:
        return values
    return [value for place, value in enumerate(values) if place < 4 or width == 2 or (place - 4) % width < 2]


def _add_object(
    found: Found, image: FoundImage, name: str, values: list[float], keypoints: list[str], width: int, where: str
) -> None:
    if keypoints:
        if len(values) != 4 + width * len(keypoints):
            raise DataError(
                f"{where}: {len(values)} numbers after the class.",
                f"4 of the box, and {width} of each of {len(keypoints)} points, as kpt_shape says.",
                "correct kpt_shape in data.yaml, or the file.",
            )
        points = {}
        for place, point in enumerate(keypoints):
            x, y, *seen = values[4 + place * width : 4 + (place + 1) * width]
            if (seen[0] > 0) if seen else (x > 0 or y > 0):
                points[point] = (x, y)
        if points:
            image.objects.append((values[2] * values[3], points))
    if len(values) == 4 or keypoints:
        found.add_box(image, name, (values[0] - values[2] / 2, values[1] - values[3] / 2, *values[2:4]))
    elif len(values) % 2 or not values:
        raise DataError(
            f"{where}: {len(values)} numbers after the class.", "4 of a box, or x and y of each corner of a polygon.",
            "correct the file; for poses, say kpt_shape in data.yaml.",
        )  # fmt: skip
    else:
        found.add_polygons(image, name, [values], edge=(1, 1))


def _wrong(path: Path, number: int, what: str) -> DataError:
    return DataError(
        f"{path}, line {number}: {what}.",
        "the number of a class, and fractions of the image's width and height from 0 to 1.",
        "divide x by the image's width and y by its height, or correct the file.",
    )
