"""Which items a prediction in bulk is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from onecycle.errors import DataError
from onecycle.ship.bulk_inputs import find_inputs, opened
from onecycle.text.texts import Texts
from onecycle.vision.images import Images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bulk")
    for name in ("b/2.jpg", "a/1.png", "a/notes.txt", "a/deep/3.JPG"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() if name.endswith("txt") else b"\xff\xd8\xff\xe0")
    return root


def names(found: list[str], folder: Path) -> list[str]:
    return [item.removeprefix("file://").removeprefix(f"{folder}/") for item in found]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_folders_globs_and_files(folder: Path, prefix: str) -> None:
    def found(*inputs: str) -> list[str]:
        return names(find_inputs([f"{prefix}{folder}/{name}" for name in inputs], Images()), folder)

    assert found("a") == ["a/1.png", "a/deep/3.JPG"]
    assert found("a/*.*") == ["a/1.png", "a/notes.txt"]
    assert found("*/[0-3].???") == ["a/1.png", "b/2.jpg"]
    assert found("*/deep/**") == ["a/deep/3.JPG"]
    assert found("b/2.jpg", "a/1.png") == ["b/2.jpg", "a/1.png"]


def test_a_missing_file_is_told_with_its_row_and_nothing_at_all_at_once(folder: Path) -> None:
    assert find_inputs([f"{folder}/none.jpg"], Images()) == [f"{folder}/none.jpg"]
    for inputs in ([], [f"{folder}/*.gif"]):
        with pytest.raises(DataError, match="There is nothing to predict"):
            find_inputs(inputs, Images())


def test_texts_are_items_themselves(folder: Path) -> None:
    assert find_inputs(["a good film?", f"{folder}/a/notes.txt"], Texts()) == ["a good film?", f"{folder}/a/notes.txt"]


def test_what_lies_at_an_address_is_fetched(folder: Path) -> None:
    with opened(f"file://{folder}/a/notes.txt") as there:
        assert isinstance(there, Path)
        assert (there.name, there.read_text()) == ("notes.txt", "a/notes.txt")
    assert not there.exists()
    with pytest.raises(DataError, match="could not be read"), opened(f"file://{folder}/none.jpg"):
        pass


@pytest.mark.parametrize("address", ["unknown://bucket/photos", "file:///nowhere/at/all/*.jpg"])
def test_addresses_that_cannot_be_opened(address: str) -> None:
    with pytest.raises(DataError, match=r"could not be (opened|listed)"):
        find_inputs([address], Images())
