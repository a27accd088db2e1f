"""Shards are opened by a function, and what goes wrong with it is told."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pytest

from onecycle.data.shards.index import shard_rows
from onecycle.data.shards.source import MOST_BYTES, check_size, damaged_shard, reading
from onecycle.errors import DataError
from onecycle.vision.image_list import IMAGES
from shard_files import write_parquets


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_may_be_opened_by_another_function(kind: str, shards: Path, photos: Path, tmp_path: Path) -> None:
    folder = shards if kind == "tar" else write_parquets(photos, tmp_path / "parquet")
    opened: list[str] = []

    def from_memory(path: str) -> BinaryIO:
        opened.append(path)
        return io.BytesIO(Path(path).read_bytes())

    rows, _ = shard_rows(
        folder,
        kind=IMAGES,
        content=None,
        labels=(),
        classes=None,
        buffer=9,
        on_bad_shard="raise",
        open_shard=from_memory,
    )
    assert rows.shards is not None
    read = rows.shards.read(rows.place(29), "name").data
    assert read == (photos / "red/red_9.jpg").read_bytes()
    assert opened[-1] == rows.shards.names[-1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(), r"No such shard: a\.tar\.\nExpected a file\.\nFix: check the path"),
        (PermissionError(), r"a\.tar cannot be read: permission denied\.\n.*\nFix: chmod \+r a\.tar"),
        (
            ConnectionError("no line"),
            r"The shard a\.tar is damaged: ConnectionError: no line\.\nExpected a complete",
        ),
        (DataError("What.", "this.", "do that."), r"^What\.\nExpected this\.\nFix: do that\.$"),
    ],
)
def test_what_goes_wrong_names_the_shard(error: Exception, told: str) -> None:
    with pytest.raises(DataError, match=told), reading("a.tar"):
        raise error


def test_sizes_are_bounded_and_the_fix_for_a_damaged_shard_is_an_option() -> None:
    check_size(MOST_BYTES, "a")
    with pytest.raises(
        DataError, match=r"a has 268,435,457 bytes\.\nExpected at most 268,435,456(.|\n)*bad_item='skip'"
    ):
        check_size(MOST_BYTES + 1, "a")
    assert 'on_bad_shard="skip"' in damaged_shard("a.tar", "it ends").fix
