from __future__ import annotations

from pathlib import Path

import pytest

from onecycle.errors import DataError
from onecycle.vision.annotations.locate import Finder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1.jpg", "train/2.jpg", "val/2.jpg", "masks/1.png", "a/3.PNG", "Ärger.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_names_as_other_machines_write_them(folder: Path) -> None:
    finder = Finder(folder)
    assert finder.find(["a/1.jpg"]) == "a/1.jpg"
    assert finder.find(["./a/1.jpg"]) == "a/1.jpg"
    assert finder.find(["C:\\photos\\a\\1.jpg"]) == "a/1.jpg"
    assert finder.find(["/home/other/1.jpg"]) == "a/1.jpg"
    assert finder.find(["3.png"]) == "a/3.PNG"
    assert finder.find(["A\u0308rger.jpg"]) == "Ärger.jpg"
    assert finder.find(["0123-1.jpg", "1.jpg"]) == "a/1.jpg"
    assert finder.find(["9.jpg"]) is None


def test_of_several_the_one_of_the_split_and_none_of_the_masks(folder: Path) -> None:
    finder = Finder(folder)
    assert finder.find(["2.jpg"], "valid") == "val/2.jpg"
    assert finder.find(["2.jpg"], "train") == "train/2.jpg"
    assert finder.find(["1.tif"]) == "a/1.jpg"
    assert Finder(folder, ["val"]).find(["2.jpg"]) == "val/2.jpg"
    with pytest.raises(
        DataError, match=r"'2\.jpg' could mean more than one image in .*: train/2\.jpg, val/2\.jpg"
    ) as error:
        finder.find(["2.jpg"])
    assert error.value.fix == "pass one of the folders as folder=."
    assert Finder(folder / "train").find(["2.jpg"]) == "2.jpg"


def test_others_lie_beside_those_that_were_found(folder: Path) -> None:
    assert list(Finder(folder).others({"a/1.jpg"})) == ["a/3.PNG"]
