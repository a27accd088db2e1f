"""Which folders are for training, validation and test?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from onecycle.data.own_output import is_own_output
from onecycle.data.split_names import ROLES, role_of
from onecycle.recipes.listing import Listing, folder_of
from onecycle.recipes.pipeline import Call


@dataclass(frozen=True)
class SplitFolders:
    """Folders of the splits, which lie side by side.

    Attributes:
        parent: The folder that they are in, "" for the data folder.
        train: Their names.
        valid: Their names, none where no folder is for validation.
        test: Their names, none where no folder is for testing.
        test_is_labelled: Whether the classes of training are folders of the test set, too.
    """

    parent: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    test_is_labelled: bool

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.train, *self.valid, *self.test)

    def holds(self, name: str, split: str) -> bool:
        """Return whether a file lies in a folder of a split."""
        parts = name.removeprefix(f"{self.parent}/" if self.parent else "").split("/")
        return len(parts) > 1 and parts[0] in getattr(self, split)


def find_split_folders(files: Iterable[str]) -> SplitFolders | None:
    """Return the folders of the splits: a training folder beside one for validation or test; None where there is none.

    Names such as train-jpg count where all folders beside them have such names.
    """
    held: dict[str, dict[str, list[str]]] = {}
    for name in files:
        parts = name.split("/")
        for depth in range(len(parts) - 1):
            held.setdefault("/".join(parts[:depth]), {}).setdefault(parts[depth], []).append(name)
    found_at: dict[int, SplitFolders | None] = {}
    for parent in sorted(held, key=lambda path: (path.count("/") + bool(path), path)):
        depth, children = parent.count("/") + bool(parent), held[parent]
        if found_at and depth not in found_at:
            break
        found = {role: tuple(name for name in sorted(children) if name.casefold() in ROLES[role]) for role in ROLES}
        if not _is_split(found) and all(map(role_of, children)):
            found = {role: tuple(name for name in sorted(children) if role_of(name) == role) for role in ROLES}
        if _is_split(found):
            train, test = (_classes(parent, found[role], children) for role in ("train", "test"))
            if train and found["valid"] and not train & _classes(parent, found["valid"], children):
                # Without labels, a folder for validation is no better than one for testing.
                found = {"train": found["train"], "valid": (), "test": (*found["valid"], *found["test"])}
            split = SplitFolders(parent, found["train"], found["valid"], found["test"], bool(train & test))
            # Splits inside of each of several folders are not folders of the data.
            found_at[depth] = None if depth in found_at else split
    return next(iter(found_at.values()), None)


def held_folders(split: SplitFolders, findings: list[str]) -> Call | None:
    """Return the call that splits by folders, and say so; None where no folder can validate."""
    train, valid, test = (_one(names) for names in (split.train, split.valid, split.test))
    if split.valid:
        findings.append(f"split: {_shown(split.train)} trains, {_shown(split.valid)} validates")
        return Call("split_by_folder", (), {"train": train, "valid": valid, **({"test": test} if split.test else {})})
    if split.test_is_labelled:
        findings.append(
            f"split: {_shown(split.train)} trains, {_shown(split.test)} validates, since it has the same classes"
        )
        return Call("split_by_folder", (), {"train": train, "valid": test})
    findings.append(
        f"split: {_shown(split.train)} trains, a fifth of it validates; {_shown(split.test)} has no labels and is the "
        "test set"
    )
    return None


def empty_split_folders(data: Listing) -> list[str]:
    """Return what to say of folders for validation and test in which there is nothing to validate or test on."""
    parents = {""} | {
        "/".join(parts[:depth])
        for parts in (name.split("/")[:-1] for name in data.files)
        for depth, part in enumerate(parts)
        if part.casefold() in ROLES["train"]
    }
    used = data.images or data.files
    said = []
    for parent in sorted(parents):
        for path in sorted((data.root / parent).iterdir()):
            name = path.relative_to(data.root).as_posix()
            role = next((role for role in ("valid", "test") if path.name.casefold() in ROLES[role]), None)
            if role is None or not path.is_dir() or is_own_output(path):
                continue
            if any(file.startswith(f"{name}/") for file in used):
                continue
            empty = not any(file.startswith(f"{name}/") for file in data.files)
            what = {"valid": "validation", "test": "testing"}[role]
            said.append(f"left out: {name}/, a folder for {what} {'that is empty' if empty else 'without images'}")
    return said


def _shown(names: Sequence[str]) -> str:
    return " and ".join(f"{name}/" for name in names)


def _one(names: Sequence[str]) -> str | list[str] | None:
    return names[0] if len(names) == 1 else list(names) or None


def in_test_folder(name: str) -> bool:
    """Return whether a folder on a file's path is for testing."""
    return any(role_of(part) == "test" for part in PurePosixPath(folder_of(name)).parts)


def _is_split(found: dict[str, tuple[str, ...]]) -> bool:
    return bool(found["train"]) and bool(found["valid"] or found["test"])


def _classes(parent: str, names: Sequence[str], children: dict[str, list[str]]) -> set[str]:
    """Return the names of the folders that files of a split are directly in, without the split's own."""
    files = [file for name in names for file in children[name]]
    return {PurePosixPath(folder_of(file)).name for file in files} - set(names)
