"""Options that say something of the data which the data do not have: refused by name, never left unread."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onecycle.errors import DataError, some
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.recipes.layout import Layout

_ALWAYS = frozenset({"task", "seed", "valid", "test", "group", "corrections"})
_READING = frozenset({"range", "page", "orientation", "augment"})
_LABELS = frozenset({"column", "missing", "delimiter"})
_CSV = frozenset({"separator", "encoding", "header"})
_FOLDERS = ("texts in folders", "a folder for each class", "the BIWI database")
_MASKS = frozenset({"masks", "codes", "ignore", "colours", "values"})


@dataclass(frozen=True)
class _Kind:
    """A kind of data, and the options that say something of it."""

    name: str
    options: frozenset[str]


def kind_of(layout: Layout) -> _Kind:
    """Return the kind of data that a layout reads."""
    maker, label = layout.items.name, layout.label.name
    if maker.startswith("TextList"):
        texts = {
            "TextList.from_folder": _Kind("texts in folders", frozenset({"include", "folder_level"})),
            "TextList.from_csv": _Kind("texts in a CSV file", frozenset({"labels", "text_column"}) | _LABELS | _CSV),
        }
        return texts.get(maker, _Kind("texts in a table", frozenset({"labels", "text_column", "include"}) | _LABELS))
    if maker == "ImageList.from_folder":
        if layout.task == "segment":
            return _Kind("images and masks in folders", _READING | _MASKS | {"include"})
        if layout.task == "points":
            return _Kind("the BIWI database", _READING | {"include"})
        return _Kind("a folder for each class", _READING | {"include", "folder_level"})
    if maker == "ImageList.from_shards":
        return _Kind("tars", _READING | {"include", "column"})
    table = _READING | _LABELS | {"image_column", "include"}
    if maker == "ImageList.from_csv":
        return _Kind("a CSV file of images", table | _CSV | {"labels", "suffix"})
    if "folder" in layout.items.options and maker == "ImageList.from_parquet":
        return _Kind("a Parquet file that names images", table | {"labels", "suffix"})
    if maker in ("ImageList.from_parquet", "ImageList.from_table"):
        return _Kind("images inside a table", table)
    more = {"ignore"} if label == "label_masks" else {"column"} if maker == "ImageList.from_label_studio" else set()
    return _Kind("annotations", _READING | {"labels"} | more)


def refuse_unused(layout: Layout, options: FineTuneOptions) -> None:
    """Refuse options that the data have no use for.

    Raises:
        DataError: One is given.
    """
    kind = kind_of(layout)
    used = kind.options | _ALWAYS
    if layout.label.name != "label_from_column" or "delimiter" not in layout.label.options:
        used -= {"delimiter"}
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if (field.metadata["panel"] == "Data" or field.name == "augment")
        and getattr(options, field.name) != field.default
    }
    unused = [name for name in given if name not in used]
    if not unused:
        return
    said = " and ".join(f"{name}={given[name]!r}" for name in unused)
    more = ""
    if set(unused) & (_LABELS | _CSV | {"image_column", "suffix"}) and kind.name in _FOLDERS:
        more = ", or pass labels='labels.csv' where a table has the labels"
    elif set(unused) & _MASKS:
        more = ", or pass task='segment' where masks are to be learned"
    raise DataError(
        f"{said} cannot be used with {kind.name}.",
        f"options that say something of {kind.name}: {some((f'{name}=' for name in sorted(used)), 20)}.",
        f"leave {' and '.join(f'{name}=' for name in unused)} out{more}.",
    )
