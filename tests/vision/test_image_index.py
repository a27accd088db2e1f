from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision.image_index import ImageIndex, image_names

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Hündin") for form in ("NFC", "NFD"))


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name, "PNG")
    return folder


def listed(root: Path, text: str, **options: Any) -> list[str]:
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return oc.ImageList.from_csv(root / "labels.csv", **options).items.names()


class TestFind:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("1.jpg", "1.jpg"),
            ("a/b/1.jpg", "1.jpg"),
            ("a/b/1.jpg", "1"),
            ("a/b/1.jpg", "b/1"),
            ("a/1.JPG", "1.jpg"),
            ("Cats/1.jpg", "cats\\1.jpg"),
            ("1.jpg", "./1.jpg"),
            ("1.jpg", " 1.jpg "),
            ("1.jpg", "1.png"),
            (f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
            (f"{DECOMPOSED}.jpg", COMPOSED),
            ("scan.v2.jpg", "scan.v2"),
            ("no_suffix", "no_suffix"),
        ],
    )
    def test_an_image_is_found_by_what_a_table_calls_it(self, path: str, name: str) -> None:
        assert ImageIndex([path]).find(name) == [path]

    @pytest.mark.parametrize(
        ("path", "name"), [("a/1.jpg", "b/1.jpg"), ("11.jpg", "1"), ("1.jpg", "2.jpg"), ("1.jpg", "")]
    )
    def test_another_is_not(self, path: str, name: str) -> None:
        assert ImageIndex([path]).find(name) == []

    def test_one_that_is_spelled_the_same_comes_before_others(self) -> None:
        assert ImageIndex(["a.JPG", "a.jpg"]).find("a.jpg") == ["a.jpg"]
        assert ImageIndex(["1.jpg", "1.png"]).find("1") == ["1.jpg", "1.png"]

    def test_folders_of_another_machine_are_left_out_where_all_names_have_them(self) -> None:
        index = ImageIndex(["cats/1.jpg", "dogs/1.jpg"])
        names = ["C:\\photos\\cats\\1.jpg", "C:\\photos\\dogs\\1.jpg"]
        assert index.find_all(names) == [["cats/1.jpg"], ["dogs/1.jpg"]]
        assert index.find_all(["/x/cats/1.jpg", "/y/dogs/1.jpg"]) == [[], []]


def test_images_are_told_by_suffix_or_content(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b", "c/d.JPEG", "runs/one/picture.png")
    (tmp_path / "e.xml").write_text("<annotation/>")
    (tmp_path / "f").write_text("no image")
    (tmp_path / "runs/one/model.onecycle").touch()
    assert image_names(tmp_path) == ["a.jpg", "b", "c/d.JPEG"]


class TestSearch:
    def test_any_folder_suffix_and_capitals(self, tmp_path: Path) -> None:
        images(tmp_path, "x/1.png", "y/2.JPG", f"{DECOMPOSED}.jpg")
        (tmp_path / "1.xml").touch()
        assert listed(tmp_path, f"image\n1\n2.jpg\n{COMPOSED}.jpg\n", search=True) == [
            "x/1.png",
            "y/2.JPG",
            f"{DECOMPOSED}.jpg",
        ]

    def test_a_name_that_is_there_twice_names_both_places_and_the_fixes_work(self, tmp_path: Path) -> None:
        images(tmp_path, "x/1.png", "y/1.png", "x/2.png")
        message = (
            r"1 name of column 'image' could mean more than one image in .*, such as '1': x/1\.png, y/1\.png\.\n"
            r"Expected one image for each name\.\nFix: write the folder into the table, such as 'x/1\.png', or pass one"
        )
        with pytest.raises(DataError, match=message):
            listed(tmp_path, "image\n1\n2\n", search=True)
        assert listed(tmp_path, "image\nx/1.png\n2\n", search=True) == ["x/1.png", "x/2.png"]
        assert listed(tmp_path, "image\n1\n2\n", search=True, folder=tmp_path / "x") == ["1.png", "2.png"]

    def test_the_error_for_missing_images_says_when_a_search_would_find_them(self, tmp_path: Path) -> None:
        images(tmp_path, "x/1.png", "y/2.png")
        with pytest.raises(
            DataError, match=r"2 of 2 images are not in[^$]*Fix: pass search=True, which finds 2 of them"
        ):
            listed(tmp_path, "image\n1.png\n2.png\n")
        assert listed(tmp_path, "image\n1.png\n2.png\n", search=True) == ["x/1.png", "y/2.png"]


class TestColumn:
    def test_the_index_of_pandas_is_never_taken(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        images(tmp_path, "0.jpg", "1.jpg", "2.jpg")
        for header in ("", "Unnamed: 0"):
            names = listed(tmp_path, f"{header},image,label\n0,2.jpg,a\n1,0.jpg,b\n2,1.jpg,a\n", search=True)
            assert names == ["2.jpg", "0.jpg", "1.jpg"]
        assert listed(tmp_path, ",image\n0,2\n1,0\n2,1\n", suffix=".jpg") == ["2.jpg", "0.jpg", "1.jpg"]

    def test_a_suffix_that_names_have_already_is_not_doubled(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        images(tmp_path, "0.jpg", "1.jpg", "2.jpg")
        assert listed(tmp_path, ",image\n0,2.jpg\n1,0.jpg\n2,1.jpg\n", suffix=".jpg") == ["2.jpg", "0.jpg", "1.jpg"]
        assert capsys.readouterr().out == "Images: column 'image' (3 of 3 rows name an image).\n"

    def test_images_outside_of_the_folders_to_include_are_as_good_as_missing(self, tmp_path: Path) -> None:
        images(tmp_path, "train/0.jpg", "test/1.jpg", "more/test/0.jpg")
        text = "image\ntrain/0.jpg\ntest/1.jpg\n"
        assert listed(tmp_path, text, include=["train"], missing="drop") == ["train/0.jpg"]
        assert listed(tmp_path, "image\n0\n", include=["train", "test"], search=True) == ["train/0.jpg"]
        with pytest.raises(DataError, match=r"1 of 2 images is not in .*: test/1\.jpg\."):
            listed(tmp_path, text, include=["train"])

    def test_a_later_column_that_names_images_is_taken_and_printed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        images(tmp_path, "a.jpg", "b.jpg")
        assert listed(tmp_path, "label,file\nx,b.jpg\ny,a.jpg\n") == ["b.jpg", "a.jpg"]
        assert capsys.readouterr().out == "Images: column 'file' (2 of 2 rows name an image).\n"

    def test_of_two_that_fit_as_well_none_is_taken_and_the_fix_works(self, tmp_path: Path) -> None:
        images(tmp_path, "a.jpg", "b.jpg")
        text = "label,left,right\nx,b.jpg,a.jpg\ny,a.jpg,b.jpg\n"
        message = (
            r"Which column names the images in .*\? 'left' [^$]*'right' [^$]*Fix: pass column='left' or column='right'"
        )
        with pytest.raises(DataError, match=message):
            listed(tmp_path, text)
        assert listed(tmp_path, text, column="right") == ["a.jpg", "b.jpg"]

    def test_a_table_without_a_header_is_told_and_the_fix_reads_it(self, tmp_path: Path) -> None:
        images(tmp_path, "a.jpg", "b.jpg")
        with pytest.raises(
            DataError, match=r"seems to have no header: its first line has 'a\.jpg'[^$]*pass header=False"
        ):
            listed(tmp_path, "a.jpg,x\nb.jpg,y\n")
        assert listed(tmp_path, "a.jpg,x\nb.jpg,y\n", header=False) == ["a.jpg", "b.jpg"]
