"""Images beside a table that has no row for them: counted, since nothing is left out in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from onecycle.data.split_names import role_of
from onecycle.errors import counted, some
from onecycle.recipes.listing import Listing, existing_path
from onecycle.recipes.options import FineTuneOptions


def images_without_a_row(
    data: Listing, table: str, used: Collection[str | None], options: FineTuneOptions
) -> list[str]:  # fmt: skip
    """Return what to say of the images that are not used: of those in folders for testing, and of the others.

    Args:
        data: The files of the folder.
        table: The name of the table.
        used: The images that it names, and those that the tables of other splits name.
        options: What `test=` names is used too.
    """
    begin = _test_set(data, options)
    rest: defaultdict[str | None, list[str]] = defaultdict(list)
    for name in data.images:
        if name not in used and not (begin and name.startswith(begin)):
            rest[_test_folder(name) if begin is None else None].append(name)
    others = rest.pop(None, [])
    said = [
        f"left out: {counted(len(names), 'image')} in {folder}/; pass test={folder!r} to add them as the test set"
        for folder, names in sorted(rest.items(), key=lambda one: str(one[0]))
    ]
    if others:
        said.append(f"left out: {counted(len(others), 'image')} that {table} does not name: {some(others, 3)}")
    return said


def _test_set(data: Listing, options: FineTuneOptions) -> str | None:
    """Return how the images that `test=` names begin: "" where they are no folder of the data; None without it."""
    if options.test is None:
        return None
    path, root = existing_path(options.test, data.root).resolve(), data.root.resolve()
    return f"{path.relative_to(root).as_posix()}/" if path.is_relative_to(root) else ""


def _test_folder(name: str) -> str | None:
    """Return the folder for testing that a file is in, if it is in one."""
    parts = name.split("/")[:-1]
    return next(("/".join(parts[: depth + 1]) for depth, part in enumerate(parts) if role_of(part) == "test"), None)
