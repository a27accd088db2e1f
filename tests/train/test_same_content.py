"""Judged files that are items of the data already, whatever they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import onecycle as oc
from learners import photo_bunch
from onecycle.train.same_content import find_same


def test_photos_are_found_by_their_bytes(photos: Path, tmp_path: Path) -> None:
    bunch = photo_bunch(photos)
    train, valid = bunch.train.dataset.rows, bunch.valid.dataset.rows
    for name, path in (("a.jpg", train.paths[3]), ("b.jpg", valid.paths[1])):
        shutil.copy(path, tmp_path / name)
    content = bytearray(train.paths[3].read_bytes())
    content[-1] ^= 1
    (tmp_path / "same_size.jpg").write_bytes(content)
    files = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "same_size.jpg", "missing.jpg")]
    found = find_same(files, bunch)
    assert found == {files[0]: [("train", 3)], files[1]: [("valid", 1)]}


def test_texts_are_found_by_their_tokens(tmp_path: Path) -> None:
    texts = [f"a film número n{number}" for number in range(20)]
    items = oc.TextList.from_texts(texts, ["good", "bad"] * 10)
    bunch = items.split_random(0.2, seed=1).label_from_column("label").tokenize("words", min_frequency=1).databunch(4)
    (tmp_path / "a.txt").write_bytes(texts[7].encode())
    (tmp_path / "b.txt").write_text("a film of another kind")
    found = find_same([str(tmp_path / name) for name in ("a.txt", "b.txt", "missing.txt")], bunch)
    assert list(found) == [str(tmp_path / "a.txt")]
    [(split, row)] = found[str(tmp_path / "a.txt")]
    assert bunch.loader(split).dataset.name(row) == "row 7"
