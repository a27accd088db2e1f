"""WebDataset tars: a label in a file of its own beside each image, or the names of the folders in the tars."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from onecycle.data.split_names import splits_of
from onecycle.errors import DataError, counted, some
from onecycle.recipes.layout import Layout
from onecycle.recipes.listing import Listing, path_of_all
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call
from onecycle.recipes.split_calls import split_call, test_set_call
from onecycle.vision.image_tables import IMAGES

LABEL_SUFFIXES = ("cls", "label", "class")
MEMBERS = 2000  # of a tar, that are looked at
TAR_BUFFER = 100_000
TEXT_TASKS = ("text", "sentiment")


def tar_layout(root: Path, names: Sequence[str], listing: Listing, options: FineTuneOptions) -> Layout:
    """Return the layout of WebDataset tars: a label in a file of its own, or the names of the folders in them."""
    suffixes, folders = _members(root / names[0])
    images = [suffix for suffix in suffixes if suffix in IMAGES.suffixes]
    if not images or options.task in TEXT_TASKS:
        held = some(f".{suffix} ({count:,})" for suffix, count in suffixes.items())
        raise DataError(
            f"{root / names[0]} holds {held or 'nothing'}.",
            "a tar with images, each beside a file of the same name with its label, such as 0001.jpg and 0001.cls.",
            "write the labels into the tar, or unpack it and pass the folder.",
        )
    given = options.column if isinstance(options.column, str) else None
    label = given or next((suffix for suffix in LABEL_SUFFIXES if suffix in suffixes), None)
    if label is None and len(folders) < 2:
        beside = some(f".{suffix}" for suffix in suffixes if suffix not in images)
        raise DataError(
            f"{root / names[0]} has no labels: beside images there are {beside or 'no files'}.",
            "a file with the label of each image, such as 0001.jpg and 0001.cls, or a folder for each class.",
            "pass column= with the suffix of the files that hold labels.",
        )
    findings = [f"images: {', '.join(f'.{suffix}' for suffix in images)} in {counted(len(names), 'tar')} of {root}"]
    findings.append(f"labels: the text in .{label}" if label else f"labels: folders {some(sorted(folders), 6)}")
    findings.append("order: items are shuffled over all tars, since any is read by itself")

    def call(parts: Sequence[str], labelled: bool = True) -> Call:
        path = path_of_all(root, parts, names, whole=len(parts) > 1)
        named = {"label": label} if label and labelled else {}
        return Call("ImageList.from_shards", (path,), {**named, "buffer": TAR_BUFFER})

    roles = splits_of(names)
    train = [name for name in names if roles[name] == "train"]
    valid = [name for name in names if roles[name] == "valid"]
    test = [name for name in names if roles[name] == "test"]
    made = test_set_call(listing, options, "ImageList")
    asked = options.valid is not None or options.group is not None
    used = [*train, *valid] if train else list(names)
    if train and (others := [name for name in names if roles[name] is None]):
        findings.append(f"left out: {some(others, 4)}, whose names are of no split")
    if test and made is None:
        made = Call("add_test", (call(test, labelled=False),))
        findings.append(f"test set: {some(test, 3)}")
    if train and valid and not asked:
        findings.append(f"split: {some(train, 3)} trains, {some(valid, 3)} validates")
        split = Call("split_by_shards", (), {"valid": [PurePosixPath(name).name for name in valid]})
    else:
        split = split_call(options, listing, stratify=label or "folder", columns=[label] if label else [])
    made_label = Call("label_from_column", (label,)) if label else Call("label_from_folder")
    return Layout("classify", call(used), split, made_label, test=made, findings=tuple(findings))


def _members(path: Path) -> tuple[Counter[str], set[str]]:
    """Return how often each suffix occurs among the first members of a tar, and the folders that these are in."""
    suffixes: Counter[str] = Counter()
    folders: set[str] = set()
    try:
        with tarfile.open(path) as tar:
            for _ in range(MEMBERS):
                member = tar.next()
                if member is None:
                    break
                name = PurePosixPath(member.name)
                if member.isfile() and not name.name.startswith("."):
                    suffixes[name.name.partition(".")[2].lower()] += 1
                    folders.add(name.parent.name)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "a tar.", "copy it again.") from error
    return suffixes, folders - {""}
