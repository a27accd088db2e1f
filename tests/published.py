"""Annotated images as other tools write them, drawn small: a cat, and in every second image a dog that lies on it.

The cat covers 8x8 pixels from (2, 2) on, the dog 3x3 from (4, 4) on, in images of 16 pixels width and 12 height. The
cat's nose is at (3, 5); its tail at (9, 8) is seen in every second image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COUNT, WIDTH, HEIGHT = 8, 16, 12
CAT, DOG = (2, 2, 10, 10), (4, 4, 7, 7)
NOSE, TAIL = (3, 5), (9, 8)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> None:
    """Draw noise, with the cat in red and in every second image the dog in blue."""
    pixels = np.random.default_rng(seed).integers(90, 130, (size[1], size[0], 3)).astype(np.uint8)
    for (left, top, right, bottom), colour in ((CAT, (220, 40, 40)), (DOG, (40, 60, 220)))[: 2 - seed % 2]:
        pixels[top:bottom, left:right] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG", **options)


def pictures(folder: Path, count: int = COUNT, first: int = 0) -> None:
    for number in range(first, first + count):
        picture(folder / f"{number}.png", number)


def expected_mask(number: int) -> np.ndarray[Any, Any]:
    """The mask of an image: 0 background, 1 cat, 2 dog."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:10, 2:10] = 1
    if number % 2 == 0:
        mask[4:7, 4:7] = 2
    return mask


def square(box: tuple[int, int, int, int]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def coco(count: int = COUNT, first: int = 0) -> dict[str, Any]:
    """COCO's annotations, with polygons and key points."""
    images, annotations = [], []
    for number in range(first, first + count):
        images.append({"id": 100 + number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT})
        points = [*NOSE, 2, *(TAIL if number % 2 == 0 else (0, 0)), 2 if number % 2 == 0 else 0]
        annotations.append({"id": 2 * number, "image_id": 100 + number, "category_id": 17, "iscrowd": 0, "area": 64,
                            "bbox": [2, 2, 8, 8], "segmentation": [square(CAT)], "keypoints": points})  # fmt: skip
        if number % 2 == 0:
            annotations.append({"id": 2 * number + 1, "image_id": 100 + number, "category_id": 18, "iscrowd": 0,
                                "area": 9, "bbox": [4, 4, 3, 3], "segmentation": [square(DOG)]})  # fmt: skip
    categories = [{"id": 17, "name": "cat", "keypoints": ["nose", "tail"]}, {"id": 18, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(path: Path, content: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco() if content is None else content))
    return path


def coco_folder(root: Path, content: Any = None) -> Path:
    """Write images/ and instances.json."""
    pictures(root / "images")
    return write_coco(root / "instances.json", content)


def yolo_polygon(number: int, box: tuple[int, int, int, int]) -> str:
    values = [value / side for value, side in zip(square(box), (WIDTH, HEIGHT) * 4, strict=True)]
    return f"{number} {' '.join(f'{value:.6f}' for value in values)}"


def yolo_folder(root: Path, splits: tuple[str, ...] = ("train", "val"), names: str = "names: [cat, dog]") -> Path:
    """Write images/train, labels/train and data.yaml with polygons, the same for other splits."""
    for place, split in enumerate(splits):
        for number in range(place * COUNT, (place + 1) * COUNT):
            picture(root / f"images/{split}/{number}.png", number)
            lines = [yolo_polygon(0, CAT), *([yolo_polygon(1, DOG)] if number % 2 == 0 else [])]
            yolo_label(root / f"labels/{split}/{number}.txt", *lines)
    entries = "\n".join(f"{split}: images/{split}" for split in splits)
    (root / "data.yaml").write_text(f"path: .\n{entries}\n{names}\n")
    return root / "data.yaml"


def yolo_label(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def voc_folder(root: Path, names: tuple[str, str] = ("cat", "dog"), masks: bool = False) -> Path:
    """Write JPEGImages, Annotations and ImageSets/Main, and where asked SegmentationClass as VOC numbers classes."""
    for number in range(COUNT):
        picture(root / f"JPEGImages/{number}.jpg", number)
        found = [(names[0], CAT), *([(names[1], DOG)] if number % 2 == 0 else [])]
        objects = "".join(voc_object(name, box) for name, box in found)
        write_xml(root / f"Annotations/{number}.xml", voc_annotation(f"{number}.jpg", objects))
        if masks:
            mask = np.array([0, 8, 12], np.uint8)[expected_mask(number)]
            mask[2, 2:10] = 255
            save_palette(root / f"SegmentationClass/{number}.png", mask)
    for name, held in (("train", range(6)), ("val", range(6, COUNT))):
        path = root / f"ImageSets/Main/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{number}\n" for number in held))
    return root


def save_palette(path: Path, mask: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    image.putpalette([(value * 7) % 256 for value in range(768)])
    image.save(path)


def voc_object(name: str, box: tuple[int, int, int, int]) -> str:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name><difficult>0</difficult><bndbox>{sides}</bndbox></object>"


def voc_annotation(filename: str, objects: str) -> str:
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation><filename>{filename}</filename>{size}{objects}</annotation>"


def write_xml(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def label_studio_shape(kind: str, name: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "from_name": "label", "to_name": "image", "original_width": WIDTH, "original_height": HEIGHT,
            "image_rotation": 0, "value": {**value, kind: [name]}}  # fmt: skip


def percent(box: tuple[int, int, int, int]) -> list[list[float]]:
    values = square(box)
    return [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in zip(values[::2], values[1::2], strict=True)]


def label_studio_shapes(number: int) -> list[dict[str, Any]]:
    shapes = [label_studio_shape("polygonlabels", "cat", points=percent(CAT), closed=True)]
    if number % 2 == 0:
        shapes.append(label_studio_shape("polygonlabels", "dog", points=percent(DOG), closed=True))
    return shapes


def label_studio(results: Any = label_studio_shapes) -> list[dict[str, Any]]:
    """Label Studio's JSON, with what `results` returns for each image."""
    return [
        {"id": number, "data": {"image": f"/data/upload/3/0a1b2c3d-{number}.png"},
         "annotations": [{"id": number, "was_cancelled": False, "result": results(number)}]}
        for number in range(COUNT)
    ]  # fmt: skip


def choices(number: int) -> list[dict[str, Any]]:
    """The choice of a class for each image."""
    return [
        {
            "type": "choices",
            "from_name": "kind",
            "to_name": "image",
            "value": {"choices": [("both", "cat")[number % 2]]},
        }
    ]


def cvat(shapes: Any = None, subset: Any = lambda number: "default") -> str:
    """CVAT's XML, with what `shapes` returns for each image."""
    images = "".join(
        f'<image id="{number}" name="{number}.png" subset="{subset(number)}" width="{WIDTH}" height="{HEIGHT}">'
        f"{(shapes or cvat_polygons)(number)}</image>"
        for number in range(COUNT)
    )
    labels = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in ("cat", "dog"))
    return (
        f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>{images}</annotations>"
    )


def cvat_polygon(name: str, box: tuple[int, int, int, int], order: int = 0) -> str:
    values = square(box)
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(values[::2], values[1::2], strict=True))
    return f'<polygon label="{name}" points="{points}" z_order="{order}"></polygon>'


def cvat_polygons(number: int) -> str:
    return cvat_polygon("cat", CAT) + (cvat_polygon("dog", DOG) if number % 2 == 0 else "")


def write_all_formats(root: Path) -> None:
    """Write what docs/annotations.md reads."""
    coco_folder(root / "coco")
    for name, first, count in (("train2017", 0, 6), ("val2017", 6, 2)):
        pictures(root / "coco2017" / name, count, first)
        content = coco(count, first)
        del content["categories"][0]["keypoints"]
        write_coco(root / f"coco2017/annotations/instances_{name}.json", content)
    yolo_folder(root / "yolo")
    voc_folder(root / "VOCdevkit/VOC2012")
    for number in range(COUNT):
        save_palette(root / f"VOCdevkit/VOC2012/SegmentationClass/{number}.png", expected_mask(number))
    pictures(root / "studio/photos")
    (root / "studio/project.json").write_text(json.dumps(label_studio(choices)))
    pictures(root / "cvat/images")
    write_xml(root / "cvat/annotations.xml", cvat())
