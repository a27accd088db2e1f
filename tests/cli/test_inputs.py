from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from onecycle.cli.inputs import Input, TableOptions, find_inputs
from onecycle.errors import DataError


class Files:
    """A modality whose items are the files of a folder."""

    def __init__(self, reads_text_directly: bool) -> None:
        self.reads_text_directly = reads_text_directly

    def find_items(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())


TEXTS, IMAGES = Files(True), Files(False)


def found(given: list[str], modality: Files, **table: str) -> tuple[list[Input], str]:
    return find_inputs(given, modality, TableOptions(**table))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt"):
        (tmp_path / "items" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "items" / name).touch()
    return tmp_path / "items"


@pytest.mark.parametrize("modality", [TEXTS, IMAGES])
def test_folders_are_replaced_by_their_items(folder: Path, modality: Files) -> None:
    inputs, header = found([str(folder), str(folder / "b.txt")], modality)
    paths = [folder / "a.txt", folder / "b.txt", folder / "b.txt"]
    assert inputs == [Input(str(path), path, True) for path in paths]
    assert header == "image_name"


def test_what_is_no_file_is_a_text_where_the_modality_reads_texts() -> None:
    long = "Größe " * 1000  # no file system has names as long
    for text in ("What a film!", long, "a\0b", "", "Good vs. bad", "What a film! 8.5/10", "8.5/10", "good/bad", "word"):
        assert found([text], TEXTS) == ([Input(text, text)], "text")


@pytest.mark.parametrize(
    "path", ["no/such/file.txt", "/data/file", "./x", "../x", "~/x", "reviews.csv", "items/c", "x.TXT"]
)
def test_a_mistyped_path_is_no_text_and_the_fix_makes_it_one(
    path: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    message = (
        f"^No such file: {re.escape(path)}\\.\nExpected a file, a folder, or a text\\.\nFix: check the path; a text"
    )
    with pytest.raises(DataError, match=message):
        found([path], TEXTS)
    assert found([f" {path}"], TEXTS)[0] == [Input(f" {path}", f" {path}")]


def test_what_is_no_file_is_a_missing_file_elsewhere() -> None:
    assert found(["none.jpg"], IMAGES)[0] == [Input("none.jpg", Path("none.jpg"), True)]


class TestTables:
    def test_texts(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text('id;review\n1;"What a film; what a day"\n2;What a film\n1;What a film\n')
        inputs, header = found([str(tmp_path / "a.csv")], TEXTS)
        assert [each.name for each in inputs] == ["What a film; what a day", "What a film", "What a film"]
        assert header == "review"
        assert [each.item for each in found([str(tmp_path / "a.csv")], TEXTS, column="id")[0]] == ["1", "2", "1"]
        with pytest.raises(DataError, match=r"There is no column 'x'\."):
            found([str(tmp_path / "a.csv")], TEXTS, column="x")

    def test_images_are_found_below_the_folder_of_the_table(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        for name in ("a.png", "b.png"):
            Image.new("RGB", (4, 4)).save(tmp_path / "deep" / name)
        (tmp_path / "a.csv").write_text("id,file\n7,b\n8,none\n9,a\n7,b\n")
        inputs, header = found([str(tmp_path / "a.csv")], IMAGES)
        assert header == "file"
        assert [each.name for each in inputs] == ["b", "none", "a", "b"]
        places = ["deep/b.png", "none", "deep/a.png", "deep/b.png"]
        assert [each.item for each in inputs] == [tmp_path / place for place in places]

    def test_a_row_without_an_image_is_told_and_the_fix_reads_the_others(self, tmp_path: Path) -> None:
        Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
        (tmp_path / "a.csv").write_text("file,who\na.png,x\n,y\n")
        message = (
            r"^1 row names no image in column 'file' of .*a\.csv: row 3, counted with the header\.\n"
            r"Expected an image in every row\.\nFix: fill in the names, or remove those rows\.$"
        )
        with pytest.raises(DataError, match=message):
            found([str(tmp_path / "a.csv")], IMAGES)
        (tmp_path / "a.csv").write_text("file,who\na.png,x\n")
        assert [each.item for each in found([str(tmp_path / "a.csv")], IMAGES)[0]] == [tmp_path / "a.png"]
