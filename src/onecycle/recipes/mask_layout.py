"""Images with masks: where the masks are, and what their classes are called."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from onecycle.data.candidates import Candidate, choose
from onecycle.errors import DataError, counted
from onecycle.recipes.data_kinds import MASK_FOLDERS
from onecycle.recipes.listing import Listing, count_folders, existing_path, folder_of
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.outside import labels_outside
from onecycle.recipes.pipeline import Call
from onecycle.recipes.split_calls import split_call
from onecycle.recipes.split_folders import SplitFolders, find_split_folders
from onecycle.vision.mask_files import values_in
from onecycle.vision.spread import spread_over

# Classes that usually do not count.
_VOID = ("void", "unlabelled", "unlabeled", "ignore", "background (ignored)")
LOOKED_AT = 25  # masks whose values are read here; more are checked before training
_ENDINGS = ("_mask", "_P", "_label", "_labels", "_gt", "_seg")  # of the masks' names
_IMAGE_FOLDERS = ("images", "image", "jpegimages", "imgs", "photos")


def mask_calls(data: Listing, options: FineTuneOptions, findings: list[str]) -> tuple[Call, Call, Call]:
    """Return the calls that find the images, split them and label them with masks.

    Raises:
        DataError: The masks or the names of their classes are not found.
    """
    if options.colours is not None and options.values is not None:
        raise DataError(
            "colours= and values= are both given.", "colours for colour-coded masks, or values for masks of numbers.",
            "leave one of them out.", shell_fix="leave out --colours or --values.",
        )  # fmt: skip
    codes = existing_path(options.codes, data.root) if options.codes is not None else data.root / "codes.txt"
    if options.codes is None and not codes.is_file() and (outside := labels_outside(data, options)) is not None:
        raise outside
    names = _class_names(codes)
    void = next((name for name in names if name.lower() in _VOID), None)
    ignore: str | int | None = void if options.ignore is None else options.ignore
    if isinstance(ignore, str) and ignore not in names and ignore.isdecimal():
        ignore = int(ignore)
    folders = find_split_folders(name for name in data.images if not _in_masks(name))
    masks = _mask_path(data, options, folders, findings)
    label: dict[str, Any] = {"classes": str(codes)}
    label |= {"ignore": ignore} if ignore is not None else {}
    if options.colours is not None:
        label |= {"colours": _colours(options, data)}
    elif options.values is not None:
        label |= {"values": list(options.values)}
    elif not isinstance(ignore, int) and (values := _other_values(data, names)):
        label |= {"values": values}
        meanings = ", ".join(f"{value} {name}" for value, name in zip(values, names, strict=True))
        findings.append(f"values in the masks, in their order: {meanings}")
    return _items(data, options, folders, masks), _split(data, folders, options), Call("label_masks", (masks,), label)


def _in_masks(name: str) -> bool:
    parts = PurePosixPath(folder_of(name)).parts
    return any(part.casefold() in MASK_FOLDERS or part.endswith("annot") for part in parts)


def _items(data: Listing, options: FineTuneOptions, folders: SplitFolders | None, masks: str) -> Call:
    if options.include:
        include = [options.include] if isinstance(options.include, str) else list(options.include)
        return Call("ImageList.from_folder", (str(data.root),), {"include": include})
    beside = [folder for folder in count_folders(data.images) if not _in_masks(f"{folder}/")]
    if "{parent}/../" in masks and beside:
        return Call("ImageList.from_folder", (str(data.root),), {"include": sorted(beside)})
    if folders is not None:
        return Call("ImageList.from_folder", (str(data.root / folders.parent),), {"include": sorted(folders.names)})
    tops = {name.split("/")[0] for name in data.images}
    images = next((top for top in sorted(tops) if top.casefold() in _IMAGE_FOLDERS), None)
    if images is None:
        images = next((top for top in tops if not _in_masks(f"{top}/")), "") if len(tops) == 2 else ""
    return Call("ImageList.from_folder", (str(data.root / images),))


def _split(data: Listing, folders: SplitFolders | None, options: FineTuneOptions) -> Call:
    listed = data.root / "valid.txt"
    if options.valid is None and options.group is None:
        if folders is not None:
            valid, test = (folders.valid, folders.test) if folders.valid else (folders.test, ())
            named = {"train": folders.train, "valid": valid, **({"test": test} if test else {})}
            return Call(
                "split_by_folder", (), {role: one[0] if len(one) == 1 else list(one) for role, one in named.items()}
            )
        if listed.is_file():
            return Call("split_from_file", (str(listed),))
    return split_call(options, data)


def _other_values(data: Listing, names: list[str]) -> list[int] | None:
    """Return the values of the classes where they are not 0, 1, 2, ..., and as many as there are classes."""
    masks = [str(data.root / name) for name in data.images if _in_masks(name)]
    values = list(values_in(spread_over(masks, LOOKED_AT))) if masks else []
    return values if len(values) == len(names) and values != list(range(len(names))) else None


def _class_names(codes: Path) -> list[str]:
    if not codes.is_file():
        raise DataError(
            f"No such file: {codes}.",
            "a text file with the class names, one per line, in the order of the values in the masks.",
            "pass codes=.",
        )
    return [line.strip() for line in codes.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _mask_path(data: Listing, options: FineTuneOptions, folders: SplitFolders | None, findings: list[str]) -> str:
    if options.masks is not None:
        return _given(str(options.masks), data.root)
    if folders is not None and (data.root / folders.parent / f"{folders.train[0]}annot").is_dir():
        findings.append(f"masks: {folders.train[0]}annot/ beside {folders.train[0]}/")
        return f"{data.root / folders.parent}/{{folder}}annot/{{stem}}.png"
    tops = {name.split("/")[0] for name in data.images if "/" in name and name.split("/")[0].casefold() in MASK_FOLDERS}
    if not tops and (beside := _beside(data)):
        findings.append(f"masks: {beside} beside the images")
        return beside
    if not tops:
        among = next((name for name in data.images if PurePosixPath(name).stem.casefold().endswith("mask")), None)
        if among is not None:
            raise DataError(
                f"The masks of {data.root} are among its images, such as {among}.", "a folder for masks alone.",
                "move them into a folder called masks, beside one called images.",
            )  # fmt: skip
        raise DataError(
            f"Where are the masks of {data.root}?",
            f"a folder such as {', '.join(MASK_FOLDERS[:4])}, or trainannot beside train.",
            "pass masks=, such as masks='labels/{stem}_P.png'.",
        )
    stems = Counter(PurePosixPath(name).stem for name in data.images if not _in_masks(name))
    candidates = []
    for top in sorted(tops):
        held = [PurePosixPath(name).stem for name in data.images if name.startswith(f"{top}/")]
        count = sum(stem in stems or stem.rpartition("_")[0] in stems for stem in held)
        candidates.append(Candidate(top, count, f"{counted(count, 'file')} named after images"))
    if not any(one.score for one in candidates):
        return str(data.root / candidates[0].name)
    question = f"Which folder of {data.root} has the masks?"
    chosen = choose(question, candidates, expected="one folder of masks.", option="masks")
    findings.append(f"masks: {chosen.name}/, {chosen.evidence}")
    return str(data.root / chosen.name)


def _beside(data: Listing) -> str | None:
    """Return the path of masks in a folder beside each folder of images, as train/masks beside train/images."""
    masks = [name for name in data.images if PurePosixPath(folder_of(name)).name.casefold() in MASK_FOLDERS]
    if not masks:
        return None
    folder, stem = PurePosixPath(folder_of(masks[0])), PurePosixPath(masks[0]).stem
    for name in data.images:
        path = PurePosixPath(name)
        same = path.parent != folder and path.parent.parent == folder.parent and stem.startswith(path.stem)
        if same and (rest := stem[len(path.stem) :]) in ("", *_ENDINGS):
            return f"{{parent}}/../{folder.name}/{{stem}}{rest}{PurePosixPath(masks[0]).suffix}"
    return None


def _given(masks: str, root: Path) -> str:
    """Return the path of masks that the user gave, relative to the data or to where one stands."""
    fixed = masks.partition("{")[0].rpartition("/")[0] if "{" in masks else masks
    if Path(masks).is_absolute() or not fixed:
        return masks if Path(masks).is_absolute() else f"{root}/{masks}"
    found = existing_path(fixed, root)
    if found == Path(fixed) and found.exists():
        return masks
    return f"{root}/{masks}"


def _colours(options: FineTuneOptions, data: Listing) -> list[tuple[int, ...]]:
    if not isinstance(options.colours, str | Path):
        return [tuple(colour) for colour in options.colours or ()]
    path = existing_path(options.colours, data.root)
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        return [(int(line[0]), int(line[1]), int(line[2])) for line in lines if line]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"colours={str(options.colours)!r} cannot be read: {error}.",
            "a text file with red, green and blue of each class, a line each.",
            "pass colours='0,0,0;128,64,0', a colour for each class.",
        ) from error
