"""Corrections applied to the items of a data block: what is done is counted, and every label is the right one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

import onecycle as oc
from onecycle.data.corrected import apply_corrections
from onecycle.data.rows import LABEL, Rows

pytestmark = pytest.mark.filterwarnings("ignore:Classes with a single item")


def decided(*rows: tuple[Any, ...]) -> oc.Corrections:
    corrections = oc.Corrections()
    for row in rows:
        corrections.append(*row)
    return corrections


def labels_of(*splits: Rows | None) -> dict[str, Any]:
    return {
        name: label
        for rows in splits if rows is not None
        for name, label in zip(rows.names(), rows.table[LABEL].to_pylist(), strict=True)
    }  # fmt: skip


def test_classes_of_folders(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decided(
        ("red/red_0.jpg", "relabel", "green"), ("red/red_1.jpg", "remove"), ("blue/blue_1.jpg", "keep"),
        (str(photos / "red" / "red_2.jpg"), "relabel", "pink"), ("red/red_3.jpg", "relabel", " pink "),
        ("gone.jpg", "remove"),
    ).write(tmp_path / "corrections.csv")  # fmt: skip
    images = oc.ImageList.from_folder(photos, corrections=tmp_path / "corrections.csv")
    assert capsys.readouterr().out == (
        "Corrections: 3 relabelled, 1 removed, 1 kept. Not among the items: 1 of the corrections: gone.jpg.\n"
    )
    assert images.left_out() == "left out: 1 removed by corrections: red/red_1.jpg"
    labelled = images.split_random(0.2, seed=1).label_from_folder(classes="all")
    assert capsys.readouterr().out == "Corrections: labels that only corrected items have: pink (2).\n"
    found = labels_of(labelled.train, labelled.valid)
    plain = {name: name.split("/")[0] for name in found}
    assert found == plain | {"red/red_0.jpg": "green", "red/red_2.jpg": "pink", "red/red_3.jpg": "pink"}
    assert len(found) == 29
    assert labelled.train.table.column_names == ["#item", "#label"]
    assert labelled.databunch(8).target.classes == ("blue", "green", "pink", "red")


def test_the_split_is_that_of_the_items_that_stay(photos: Path) -> None:
    """A label that changes moves no other item to another split."""
    split = oc.ImageList.from_folder(photos).split_random(0.2)
    corrected = oc.ImageList.from_folder(photos).corrected(decided(("red/red_0.jpg", "relabel", "blue")))
    assert corrected.split_random(0.2).valid.names() == split.valid.names()


def test_tags_of_a_column(tagged: Path) -> None:
    images = oc.ImageList.from_csv(tagged / "labels.csv", folder=tagged / "images", suffix=".png")
    corrected = images.corrected(
        decided(
            ("tile_0.png", "relabel", "red  new"), ("tile_1.png", "relabel", ["green"]), ("tile_2.png", "relabel", []),
        )
    )  # fmt: skip
    split = corrected.split_by_index([3, 4])
    labelled = split.label_from_column("tags", delimiter=" ", classes="all")
    found = labels_of(labelled.train, labelled.valid)
    assert [found[f"tile_{number}.png"] for number in range(3)] == [["red", "new"], ["green"], []]
    plain = labels_of(images.split_by_index([3, 4]).label_from_column("tags", delimiter=" ").train)
    assert {name: tags for name, tags in found.items() if name > "tile_2.png" and name in plain} == {
        name: tags for name, tags in plain.items() if name > "tile_2.png"
    }


def test_tags_of_columns_of_flags() -> None:
    table = pandas.DataFrame({"text": ["a b", "b c", "c d"], "x": [1, 1, 0], "y": [0, 1, 1]})
    texts = oc.TextList.from_table(table, column="text").corrected(decided(("row 0", "relabel", ["y"])))
    labelled = texts.split_by_index([2]).label_from_columns(["x", "y"])
    assert labels_of(labelled.train, labelled.valid) == {"row 0": ["y"], "row 1": ["x", "y"], "row 2": ["y"]}


def test_texts_of_folders(tmp_path: Path) -> None:
    for name in ("pos/1.txt", "pos/2.txt", "neg/1.txt", "neg/2.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"a film {name}")
    corrections = decided(("pos/2.txt", "relabel", "neg"), ("neg/1.txt", "remove"))
    texts = oc.TextList.from_folder(tmp_path, corrections=corrections)
    assert labels_of(texts.split_by_index([0]).label_from_folder(classes="all").train) == {
        "pos/1.txt": "pos", "pos/2.txt": "neg",
    }  # fmt: skip


def test_a_row_without_a_label_gets_it_from_the_corrections() -> None:
    table = pandas.DataFrame({"text": ["a", "b", "c", "d"], "label": ["x", None, "y", None]})
    texts = oc.TextList.from_table(table, column="text").corrected(decided(("row 1", "relabel", "y")))
    split = texts.split_by_index([2])
    with pytest.raises(oc.DataError, match=r"1 of 4 rows has no label in column 'label': row 3"):
        split.label_from_column("label")
    labelled = split.label_from_column("label", missing="drop")
    assert labels_of(labelled.train, labelled.valid) == {"row 0": "x", "row 1": "y", "row 2": "y"}


def test_a_labelled_test_set_is_corrected_too(photos: Path) -> None:
    split = oc.ImageList.from_folder(photos).corrected(decided(("red/red_9.jpg", "relabel", "blue"))).split_by(
        lambda path: "test" if path.stem.endswith("9") else "valid" if path.stem.endswith("8") else "train"
    )  # fmt: skip
    assert labels_of(split.label_from_folder().test) == {
        "blue/blue_9.jpg": "blue", "green/green_9.jpg": "green", "red/red_9.jpg": "blue",
    }  # fmt: skip


# --- errors, and their fixes ---


def test_numbers_cannot_be_relabelled() -> None:
    table = pandas.DataFrame({"text": ["a", "b", "c", "d"], "price": [1.0, 2.0, 4.0, 8.0]})
    texts = oc.TextList.from_table(table, column="text")
    with pytest.raises(
        oc.DataError, match=r"give a label to 1 item, such as row 0, and what is predicted is a numbers"
    ):
        texts.corrected(decided(("row 0", "relabel", "3"))).split_by_index([1]).label_numbers("price")
    removed = texts.corrected(decided(("row 0", "remove"), ("row 1", "keep")))
    assert len(removed.split_by_index([0]).label_numbers("price").train) == 2


def test_a_class_without_a_name_is_refused(photos: Path) -> None:
    images = oc.ImageList.from_folder(photos)
    table = pandas.DataFrame({"item": ["red/red_0.jpg"], "decision": ["relabel"]})
    with pytest.raises(oc.DataError, match=r"relabel red/red_0.jpg without a label") as error:
        images.corrected(oc.Corrections(table)).split_random().label_from_folder()
    assert 'decide "remove"' in error.value.fix
    assert len(images.corrected(decided(("red/red_0.jpg", "remove")))) == 29


def test_one_item_with_two_names_is_refused(photos: Path) -> None:
    both = decided(("red/red_0.jpg", "remove"), (str(photos / "red" / "red_0.jpg"), "keep"))
    with pytest.raises(oc.DataError, match=r"two names for red/red_0.jpg"):
        oc.ImageList.from_folder(photos).corrected(both)


def test_a_user_column_of_our_name_is_refused() -> None:
    with pytest.raises(oc.DataError, match="'#corrected'"):
        oc.TextList.from_table(pandas.DataFrame({"text": ["a"], "#corrected": ["b"]}))


def test_json_lists_of_other_programs_are_tags(tagged: Path) -> None:
    images = oc.ImageList.from_csv(tagged / "labels.csv", folder=tagged / "images", suffix=".png")
    corrected = images.corrected(decided(("tile_0.png", "relabel", json.dumps(["blue", "red"]))))
    labelled = corrected.split_by_index([3, 4]).label_from_column("tags", delimiter=" ")
    assert labels_of(labelled.train)["tile_0.png"] == ["blue", "red"]


def test_names_as_a_shell_or_windows_writes_them_are_understood(photos: Path) -> None:
    said = decided(("./red/red_0.jpg", "remove"), ("red\\red_1.jpg", "remove"), ("red//red_2.jpg", "keep"))
    applied = apply_corrections(oc.ImageList.from_folder(photos).items, said)
    assert (applied.removed, applied.kept, applied.unknown) == (("red/red_0.jpg", "red/red_1.jpg"), 1, ())


def test_where_most_names_are_of_no_item_one_of_each_side_is_told(photos: Path) -> None:
    said = decided(("photos/red/red_0.jpg", "remove"), ("photos/red/red_1.jpg", "keep"), ("red/red_2.jpg", "keep"))
    applied = apply_corrections(oc.ImageList.from_folder(photos).items, said)
    assert str(applied).endswith(
        "Not among the items: 2 of the corrections: photos/red/red_0.jpg, photos/red/red_1.jpg. "
        "Items have names such as blue/blue_0.jpg."
    )
