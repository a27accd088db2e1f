"""Reads Pascal VOC: an XML file for each image, lists of images for each split, and masks with a palette.

Source: Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge". LabelImg and CVAT write the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from onecycle.data.rows import Rows
from onecycle.errors import DataError, some, suggest
from onecycle.vision.annotations.files import read_text, read_xml
from onecycle.vision.annotations.found import SHAPELESS, VOID, Facts, Found, FoundImage
from onecycle.vision.annotations.locate import Finder
from onecycle.vision.image_files import list_files
from onecycle.vision.image_index import image_names

# The values of the published masks, in their order; 255 is the edge of objects, which is ignored.
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_LISTS = {"train": "train", "val": "valid", "test": "test"}


def read_voc(path: str | Path, image_sets: str | None, empty: str) -> tuple[Rows, Facts, Found]:
    """Read a folder such as VOCdevkit/VOC2012, or any with XML files for its images.

    Args:
        path: The folder.
        image_sets: The folder in ImageSets whose lists are the splits; None takes Main, or another that is there.
        empty: As for `Found`.
    Raises:
        DataError: There are none, or one of them is not in the format.
    """
    root = _root(Path(path))
    found = Found(path, empty)
    listed = list(list_files(root, [], [""]))
    files = [name for name, _ in listed if name.lower().endswith(".xml")]
    masks = {Path(name).stem: name for name, _ in listed if Path(name).parent.name == "SegmentationClass"}
    splits = _splits(root, image_sets)
    for name in files:
        if (image := _read_file(found, root, name)) is not None:
            found.images.append(image)
    inside = [name for name in image_names(root) if not Path(name).parent.name.startswith("Segmentation")]
    known = {Path(image.names[0]).stem for image in found.images}
    if not known and not masks:
        raise DataError(
            f"{root} has no XML file of objects, and no SegmentationClass.",
            "Annotations/1.xml for JPEGImages/1.jpg.", "check the path.",
        )  # fmt: skip
    found.images += [FoundImage((name,)) for name in inside if Path(name).stem not in known]
    for image in found.images:
        stem = Path(image.names[0]).stem
        image.split, image.mask = splits.get(stem), masks.get(stem)
        image.annotated = image.annotated or image.mask is not None
    rows = found.rows(root, Finder(root, index=inside))
    names, colours = _label_map(root) if masks else ((), None)
    if masks and not names and set(found.classes) <= set(CLASSES):
        names = CLASSES
    sets = () if image_sets else tuple(sorted(one.name for one in root.glob("ImageSets/*") if _lists_in(one)))
    return rows, found.facts(mask_classes=names, mask_colours=colours, image_sets=sets), found


def _root(path: Path) -> Path:
    """Return the folder with Annotations in it, which a download has below VOCdevkit."""
    if not path.is_dir():
        raise DataError(f"No such folder: {path}.", "a folder such as VOCdevkit/VOC2012.", "check the path.")
    inside = sorted(one.parent for one in (*path.glob("*/Annotations"), *path.glob("*/*/Annotations")))
    return inside[0] if len(inside) == 1 and not (path / "Annotations").is_dir() else path


def _splits(root: Path, image_sets: str | None) -> dict[str, str]:
    """Return the split of each name in the lists train.txt, val.txt and test.txt.

    Raises:
        DataError: The image sets that are asked for are not there.
    """
    if image_sets is not None:
        if found := _lists_in(root / "ImageSets" / image_sets):
            return found
        there = sorted(one.name for one in root.glob("ImageSets/*") if one.is_dir())
        raise DataError(
            f"{root} has no lists in ImageSets/{image_sets}.", f"one of: {some(there) or 'there are none'}.",
            f"check image_sets=.{suggest(image_sets, there)}",
        )  # fmt: skip
    names = ("Main", "Segmentation", "Layout", ".")
    return next((found for name in names if (found := _lists_in(root / "ImageSets" / name))), {})


def _lists_in(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, split in _LISTS.items():
        if (folder / f"{name}.txt").is_file():
            lines = [line.split() for line in read_text(folder / f"{name}.txt").splitlines()]
            found |= {Path(words[0]).name: split for words in lines if words}
    return found


def _read_file(found: Found, root: Path, name: str) -> FoundImage | None:
    tree = read_xml(root / name)
    if tree.tag != "annotation":
        return None
    stem, own = Path(name).with_suffix("").as_posix(), (tree.findtext("filename") or "").strip()
    suffix = os.path.splitext(own)[1] or ".jpg"
    beside = os.path.normpath(f"{os.path.dirname(name)}/../JPEGImages/{Path(stem).name}{suffix}")
    image = FoundImage((f"{stem}{suffix}", beside, *([own] if own else [])), _size(tree), annotated=True)
    for thing in tree.findall("object"):
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise DataError(
                f"An object of {root / name} has no name.", "<name>cat</name> in each <object>.", "correct the file."
            )
        found.classes[label] = None
        image.add_tag(label)
        if not found.add_box(image, label, _box(thing)):
            found.note(SHAPELESS, image.names[0])
    return image


def _size(tree: ElementTree.Element) -> tuple[int, int] | None:
    try:
        height, width = (int(float(tree.findtext(f"size/{side}") or 0)) for side in ("height", "width"))
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _box(thing: ElementTree.Element) -> tuple[float, ...]:
    try:
        left, top, right, bottom = (
            float(thing.findtext(f"bndbox/{side}") or "nan") for side in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError:
        return ()
    return left, top, right - left, bottom - top


def _label_map(root: Path) -> tuple[tuple[str, ...], tuple[tuple[int, int, int], ...] | None]:
    """Return the names and colours of masks in CVAT's labelmap.txt, with lines such as cat:128,0,0::."""
    path = root / "labelmap.txt"
    if not path.is_file():
        return (), None
    names, colours = [], []
    for line in read_text(path).splitlines():
        name, _, rest = line.partition(":")
        try:
            red, green, blue = map(int, rest.partition(":")[0].split(","))
        except ValueError:
            continue  # a comment, or a label without a colour
        if not line.startswith("#"):
            names.append(name)
            colours.append((red, green, blue))
    if VOID not in colours:
        return (*names, "void"), (*colours, VOID)
    return tuple(names), tuple(colours)
