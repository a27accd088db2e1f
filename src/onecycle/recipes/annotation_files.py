"""Which files of a folder are annotations of other tools? COCO, YOLO, Pascal VOC, Label Studio and CVAT."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from onecycle.data.split_names import ROLES, role_of
from onecycle.recipes.listing import Listing, folder_of
from onecycle.recipes.pipeline import Call

HEAD_BYTES = 2**16
_PARSED_BYTES = 2**22  # JSON files up to this size are read as a whole
_MOST_OPENED = 50
_NAME_FILES = ("classes.txt", "obj.names", "names.txt", "predefined_classes.txt")
_ROLE_WORDS = re.compile("|".join(f"(?<![a-z]){name}(?![a-z])" for names in ROLES.values() for name in names))


@dataclass(frozen=True)
class AnnotationFiles:
    """Annotations that lie in the user's folder.

    Attributes:
        format: The name of the tool or data set, such as "COCO".
        label: What the user passes as labels= to choose them: a file or folder, relative to the data.
        call: The call that reads them.
        files: All their files, relative to the data.
    """

    format: str
    label: str
    call: Call
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.format}, {self.label}"


def find_annotations(data: Listing) -> list[AnnotationFiles]:
    """Return the annotations in a folder, of each format."""
    return [found for look in _FORMATS for found in look(data)]


def _coco(data: Listing) -> Iterator[AnnotationFiles]:
    """Yield COCO's files, those of the splits together: instances_train2017.json and instances_val2017.json."""
    groups: defaultdict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in _largest(data, ".json"):
        if _is_coco(data.root / name):
            parts = PurePosixPath(name.casefold()).with_suffix("").parts
            role = next((found for part in parts[::-1] if (found := role_of(part))), "")
            groups["/".join(_ROLE_WORDS.sub("#", part) for part in parts)][role].append(name)
    alone = [key for key, roles in groups.items() if set(roles) == {"test"}]
    trained = [roles for roles in groups.values() if "train" in roles]
    if len(trained) == 1 and len(alone) == 1 and "test" not in trained[0]:  # image_info_test2017.json
        trained[0]["test"] = groups.pop(alone[0])["test"]
    for roles in groups.values():
        names = [name for held in roles.values() for name in held]
        if "train" in roles and len(roles) > 1 and all(len(held) == 1 for held in roles.values()):
            files: Any = {role: str(data.root / roles[role][0]) for role in ROLES if role in roles}
            label = roles["train"][0]
            yield AnnotationFiles("COCO", label, _call("coco", files, folder=str(data.root)), tuple(names))
            continue
        for name in names:
            yield AnnotationFiles("COCO", name, _call("coco", str(data.root / name), folder=str(data.root)), (name,))


def _largest(data: Listing, *suffixes: str) -> list[str]:
    """Return the largest files of a kind: where there is one for each image, those are not all opened."""
    names = data.with_suffix(*suffixes)
    if len(names) <= _MOST_OPENED:
        return names
    return sorted(sorted(names, key=lambda name: -(data.root / name).stat().st_size)[:_MOST_OPENED])


def _is_coco(path: Path) -> bool:
    head, tail = _ends(path)
    if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
        return False
    if path.stat().st_size <= _PARSED_BYTES:
        content = _parsed(path)
        keys = (
            {key for key, value in content.items() if isinstance(value, list)} if isinstance(content, dict) else set()
        )
        return "images" in keys and bool(keys & {"annotations", "categories"}) and not _is_caption(content)
    both = head + tail
    return b'"images"' in both and (b'"categories"' in both or (b'"annotations"' in both and b'"caption"' not in both))


def _is_caption(content: dict[str, Any]) -> bool:
    first = next(iter(content.get("annotations") or []), None)
    return isinstance(first, dict) and "caption" in first and not content.get("categories")


def _label_studio(data: Listing) -> Iterator[AnnotationFiles]:
    for name in _largest(data, ".json", ".csv"):
        if is_label_studio(data.root / name):
            call = _call("label_studio", str(data.root / name), folder=str(data.root))
            yield AnnotationFiles("Label Studio", name, call, (name,))


def is_label_studio(path: Path) -> bool:
    """Return whether a file is an export of Label Studio, by how it begins."""
    head, _ = _ends(path)
    if path.suffix.lower() == ".csv":
        columns = set(head.partition(b"\n")[0].replace(b'"', b"").strip().split(b","))
        return {b"annotation_id", b"lead_time"} <= columns
    if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
        return False
    full = b'"data"' in head and (b'"annotations"' in head or b'"completions"' in head)
    return full or (b'"annotation_id"' in head and b'"lead_time"' in head)


def _cvat(data: Listing) -> Iterator[AnnotationFiles]:
    for name in _largest(data, ".xml"):
        head, _ = _ends(data.root / name)
        if b"<annotations" in head and (b"<image " in head or b"<track " in head):
            call = _call("cvat", str(data.root / name), folder=str(data.root))
            yield AnnotationFiles("CVAT", name, call, (name,))


def _voc(data: Listing) -> Iterator[AnnotationFiles]:
    """Yield a folder whose images have XML files, or masks and lists as VOC has them."""
    folders = {part for name in data.files for part in folder_of(name).split("/")}
    stems = {PurePosixPath(name).stem for name in data.images}
    files = [name for name in data.with_suffix(".xml") if PurePosixPath(name).stem in stems]
    described = len(files) > len(stems) / 2 and b"<annotation>" in _ends(data.root / files[0])[0]
    if described or {"SegmentationClass", "ImageSets"} <= folders:
        label = folder_of(files[0]) if described else "SegmentationClass"
        yield AnnotationFiles("Pascal VOC", label or ".", _call("voc", str(data.root)), tuple(files))


def _yolo(data: Listing) -> Iterator[AnnotationFiles]:
    """Yield each data.yaml with names, or a folder of labels with the names in a text file."""
    stems = {PurePosixPath(name).with_suffix("").as_posix().replace("/images/", "/labels/") for name in data.images}
    stems |= {PurePosixPath(name).with_suffix("").as_posix().replace("images/", "labels/", 1) for name in data.images}
    stems |= {PurePosixPath(name).with_suffix("").as_posix() for name in data.images}
    texts = [name for name in data.with_suffix(".txt") if name[:-4] in stems]
    if not texts:
        return
    configs = [
        name for name in data.with_suffix(".yaml", ".yml") if name.count("/") <= 1 and _is_yolo(data.root / name)
    ]
    named = [name for name in data.files if PurePosixPath(name).name in _NAME_FILES and name.count("/") <= 1]
    for name in configs or named:
        yield AnnotationFiles("YOLO", name, _call("yolo", str(data.root / name)), (name, *texts))
    if not configs and not named and sum(_is_yolo_label(data.root / name) for name in texts[:20]) > len(texts[:20]) / 2:
        yield AnnotationFiles("YOLO", folder_of(texts[0]) or ".", _call("yolo", str(data.root)), tuple(texts))


def _is_yolo(path: Path) -> bool:
    head, _ = _ends(path)
    keys = set(re.findall(rb"^([a-z_]+) *:", head, re.MULTILINE))
    return b"names" in keys and bool(keys & {b"train", b"val", b"nc", b"path"})


def _is_yolo_label(path: Path) -> bool:
    words = _ends(path)[0].split(b"\n")[0].split()
    try:
        return (
            len(words) >= 5 and float(words[0]) == int(words[0]) and all(-1 <= float(word) <= 2 for word in words[1:])
        )
    except ValueError:
        return False


_FORMATS: tuple[Callable[[Listing], Iterator[AnnotationFiles]], ...] = (_coco, _label_studio, _cvat, _voc, _yolo)


def _call(kind: str, source: Any, **options: Any) -> Call:
    return Call(f"ImageList.from_{kind}", (source,), options)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(max(path.stat().st_size - HEAD_BYTES, 0))
            return head, file.read()
    except OSError:
        return b"", b""


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
