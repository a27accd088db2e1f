"""Text files: which are found, which are left out and why, and how they are read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from onecycle.errors import DataError
from onecycle.text.text_files import clean_rows, find_texts, read_text_files

ODD_TEXTS = [
    "x", "word", "שלום עולם, سلام", "👨‍👩‍👧 😀😀😀 👍🏽", "nu\0ll", "\x01\x02?", "tab\tand\r\nnew line", "z" * 500,
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """aclImdb's layout, with the other files that come with it."""
    for split in ("train", "test"):
        for label, word in (("pos", "good"), ("neg", "bad")):
            for number in range(3):
                write(tmp_path / split / label / f"{number}_5.txt", f"A {word} film,<br />number {number}.")
        write(tmp_path / split / f"urls_{label}.txt", "http://nowhere")
    write(tmp_path / "train/unsup/0_0.txt", "Who knows?")
    write(tmp_path / "README", "notes")
    write(tmp_path / "train/labeledBow.feat", "1 2 3")
    write(tmp_path / "train/pos/.hidden.txt", "hidden")
    return tmp_path


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def test_texts_are_found_and_all_other_files_listed(folder: Path) -> None:
    names, skipped = find_texts(folder)
    assert len(names) == 12
    assert names[0] == "test/neg/0_5.txt"
    assert names == sorted(names)
    assert {entry.path: entry.reason for entry in skipped} == {
        "README": "notes about the data",
        "test/urls_neg.txt": "notes about the data",
        "train/urls_neg.txt": "notes about the data",
        "train/labeledBow.feat": "other files",
        "train/pos/.hidden.txt": "hidden",
        "train/unsup/0_0.txt": "in unsup/",
    }


def test_include_names_folders_at_any_depth(folder: Path) -> None:
    assert len(find_texts(folder, ["train"])[0]) == 6
    assert len(find_texts(folder, ["train", "unsup"])[0]) == 7
    assert find_texts(folder, ["unsup"])[0] == ["train/unsup/0_0.txt"]


def test_a_number_after_a_dot_is_not_a_suffix(tmp_path: Path) -> None:
    write(tmp_path / "sci.space/10.1", "stars")
    write(tmp_path / "sci.space/60123", "moon")
    assert find_texts(tmp_path)[0] == ["sci.space/10.1", "sci.space/60123"]


def test_links_to_folders_are_followed_once(folder: Path) -> None:
    os.symlink(folder, folder / "train" / "loop")
    assert len(find_texts(folder)[0]) == 12


def test_folders_without_texts_are_errors(folder: Path) -> None:
    with pytest.raises(DataError, match=r"No such folder: .*nowhere.\nExpected a folder with texts"):
        find_texts(folder / "nowhere")
    with pytest.raises(DataError, match=r"README is a file"):
        find_texts(folder / "README")
    with pytest.raises(DataError, match=r"include= names folders .*: trian.\n.*\nFix: .*Did you mean 'train'"):
        find_texts(folder, ["trian"])
    with pytest.raises(DataError, match=r"No texts in .*: found .*\nExpected at least one file with the suffix .xml"):
        find_texts(folder, None, [".xml"])
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"No texts in .*empty: the folder is empty"):
        find_texts(folder / "empty")


def test_odd_files_are_read_or_listed(tmp_path: Path) -> None:
    for number, text in enumerate(ODD_TEXTS):
        write(tmp_path / f"{number}.txt", text)
    write(tmp_path / "empty.txt", "")
    write(tmp_path / "blank.txt", " \n<br />\0")
    write(tmp_path / "long.txt", "many words " * 450_000)  # 5 MB
    os.symlink(tmp_path / "nowhere", tmp_path / "link.txt")
    names, skipped = find_texts(tmp_path)
    read = read_text_files(tmp_path, names, None, ["breaks", "characters", "spaces"])
    assert len(read.names) == len(read.texts) == len(ODD_TEXTS) + 1
    assert {(entry.path, entry.reason) for entry in [*skipped, *read.skipped]} == {
        ("empty.txt", "empty texts"),
        ("blank.txt", "empty texts"),
        ("link.txt", "unreadable"),
    }
    assert read.texts[2].as_py() == ODD_TEXTS[2]


def test_a_file_that_disappears_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "some words")
    read = read_text_files(tmp_path, ["a.txt", "b.txt"], None, [])
    assert read.names == ["a.txt"]
    assert [(entry.path, entry.reason) for entry in read.skipped] == [("b.txt", "unreadable")]


def test_each_file_has_its_own_encoding(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "café".encode("cp1252"))
    write(tmp_path / "b.txt", "café".encode())
    write(tmp_path / "c.txt", "café".encode("utf-16"))
    names = find_texts(tmp_path)[0]
    with pytest.warns(UserWarning, match=r"not UTF-8 were read 1 as cp1252; pass encoding= if that is wrong"):
        read = read_text_files(tmp_path, names, None, [])
    assert read.texts.to_pylist() == ["café"] * 3
    assert read.encodings == Counter({"cp1252": 1, "utf-8": 1, "utf-16": 1})
    assert read_text_files(tmp_path, names[:1], "cp1251", []).texts.to_pylist() == ["cafй"]


def test_rows_without_text_are_skipped() -> None:
    cleaned = clean_rows(["a  b", None, " ", "c"], ["spaces"], 4)
    assert (cleaned.names, cleaned.texts.to_pylist()) == (["row 0", "row 3"], ["a b", "c"])
    assert [entry.path for entry in cleaned.skipped] == ["row 1", "row 2"]
