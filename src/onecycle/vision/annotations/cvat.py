"""Reads "CVAT for images": an XML file with an element for each image, and in it polygons, masks, points and boxes.

Source: docs.cvat.ai/docs/manual/advanced/xml_format. Its exports to COCO, YOLO and Pascal VOC are read as such.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from onecycle.data.rows import Rows
from onecycle.errors import DataError
from onecycle.vision.annotations.files import read_xml
from onecycle.vision.annotations.found import SEVERAL, SHAPELESS, Facts, Found, FoundImage
from onecycle.vision.annotations.runs import bitmap, runs_of

_SUBSETS = {"train": "train", "validation": "valid", "val": "valid", "valid": "valid", "test": "test"}


def read_cvat(path: str | Path, folder: str | Path | None, empty: str) -> tuple[Rows, Facts, Found]:
    """Read annotations.xml.

    Raises:
        DataError: It is not in the format, or is of a video.
    """
    file = Path(path)
    tree = read_xml(file)
    images = tree.findall("image")
    if tree.tag != "annotations" or not images:
        video = "tracks of a video" if tree.find("track") is not None else f"<{tree.tag}> without images"
        raise DataError(
            f"{file} holds {video}.", "<annotations> with an <image> for each image.",
            'export as "CVAT for images 1.1", or as COCO.',
        )  # fmt: skip
    found = Found(file, empty)
    for label in tree.iter("label"):
        kind, name = (label.findtext("type") or "").strip(), (label.findtext("name") or "").strip()
        if label.find("parent") is not None or kind == "points":
            continue  # a part of a skeleton, or a single point
        if name and kind != "skeleton":
            found.classes[name] = None
    for element in images:
        found.images.append(_read_image(found, element, file))
    return found.rows(Path(folder) if folder is not None else file.parent), found.facts(), found


def _read_image(found: Found, element: ElementTree.Element, file: Path) -> FoundImage:
    name = element.get("name", "")
    try:
        size = int(element.get("height", "")), int(element.get("width", ""))
    except ValueError:
        raise _wrong(file, name, "has no width and height") from None
    # Images that were uploaded lie below images/, and in folders of their subsets.
    names = (name, f"images/{name}", f"images/{element.get('subset', '')}/{name}")
    image = FoundImage(names, size, _SUBSETS.get(element.get("subset", "").casefold()))
    points: dict[str, tuple[float, float]] = {}
    for shape in element:
        label = shape.get("label", "")
        try:
            _read_shape(found, image, shape, label, points)
        except (ValueError, TypeError) as error:
            raise _wrong(file, name, f"has a <{shape.tag}> of {label!r} that cannot be read: {error}") from error
    if points:
        image.objects.append((0.0, points))
    return image


def _read_shape(
    found: Found, image: FoundImage, shape: ElementTree.Element, label: str, points: dict[str, tuple[float, float]]
) -> None:
    if shape.tag not in ("tag", "box", "polygon", "mask", "points", "skeleton", "polyline", "ellipse", "cuboid"):
        return
    if shape.tag == "points":
        image.annotated = True
        _add_points(found, image, shape, label, points)
        return
    if shape.tag == "skeleton":
        image.annotated = True
        held: dict[str, tuple[float, float]] = {}
        for point in shape.findall("points"):
            _add_points(found, image, point, point.get("label", ""), held, seen=point.get("outside") != "1")
        if held:
            xs, ys = zip(*held.values(), strict=True)
            image.objects.append(((max(xs) - min(xs)) * (max(ys) - min(ys)), held))
        return
    found.classes[label] = None
    image.add_tag(label)
    layer = int(shape.get("z_order", 0))
    if shape.tag == "polygon":
        found.add_polygons(image, label, [_numbers(shape.get("points", ""))], layer=layer)
    elif shape.tag == "mask":
        image.regions.append({"class": label, "runs": _mask_runs(image, shape), **({"layer": layer} if layer else {})})
    elif shape.tag == "box" and not shape.get("rotation"):
        left, top, right, bottom = (float(shape.get(side, "nan")) for side in ("xtl", "ytl", "xbr", "ybr"))
        found.add_box(image, label, (left, top, right - left, bottom - top))
    elif shape.tag != "tag":
        found.note(SHAPELESS, image.names[0])


def _add_points(
    found: Found, image: FoundImage, shape: ElementTree.Element, label: str, points: dict[str, tuple[float, float]], *,
    seen: bool = True,
) -> None:  # fmt: skip
    """Add points; several of one label are numbered. CVAT counts from the corner of the first pixel."""
    values = _numbers(shape.get("points", ""))
    pairs = list(zip(values[::2], values[1::2], strict=True))
    for number, (x, y) in enumerate(pairs):
        name = label if len(pairs) == 1 else f"{label} {number}"
        found.points[name] = None
        if seen and name in points:
            found.note(SEVERAL, image.names[0])
        elif seen:
            points[name] = (x - 0.5, y - 0.5)


def _mask_runs(image: FoundImage, shape: ElementTree.Element) -> list[int]:
    assert image.size is not None
    left, top, width, height = (int(shape.get(side, "")) for side in ("left", "top", "width", "height"))
    if min(left, top, width, height) < 0 or left + width > image.size[1] or top + height > image.size[0]:
        raise ValueError(f"{width}x{height} at ({left}, {top}) in an image of {image.size[1]}x{image.size[0]}")
    whole = np.zeros(image.size, np.bool_)
    runs = (int(run) for run in shape.get("rle", "").split(","))
    whole[top : top + height, left : left + width] = bitmap(runs, height, width)
    return runs_of(whole)


def _numbers(text: str) -> list[float]:
    return [float(number) for pair in text.split(";") for number in pair.split(",") if number.strip()]


def _wrong(file: Path, name: str, what: str) -> DataError:
    return DataError(f"The image {name!r} of {file} {what}.", "annotations as CVAT writes them.", "export them again.")
