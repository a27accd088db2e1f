from __future__ import annotations

import pytest

from onecycle.data.split_names import role_of, splits_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train-00000-of-00002", "train"),
        ("validation-00000-of-00001", "valid"),
        ("test_images", "test"),
        ("Dev", "valid"),
        ("latest", None),
        ("trainer", None),
    ],
)
def test_words_of_a_name_say_the_split(name: str, role: str | None) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train.parquet", "val.parquet", "x.parquet"], ["train", "valid", None]),
        (["default/train/0000.parquet", "default/test/0000.parquet"], ["train", "test"]),
        (["a.parquet", "test.parquet"], ["train", "test"]),
        (["test-0.tar", "test-1.tar"], [None, None]),
        (["a.tar", "b.tar"], [None, None]),
        (["photos.train.tar", "photos.tar"], [None, None]),
        ([], []),
    ],
)
def test_files_are_for_splits(names: list[str], splits: list[str | None]) -> None:
    assert splits_of(names) == dict(zip(names, splits, strict=True))
