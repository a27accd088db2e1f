"""What all rankings have in common: a table with reasons, and pictures of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import onecycle as oc
from learners import photo_bunch
from onecycle.errors import DataError
from onecycle.review.rankings.ranking import COLUMNS, Ranking, ranking_table

SEEN = {
    "item": ["blue/blue_0.jpg", "red/red_1.jpg"],
    "split": ["train", "train"],
    "label": ["blue", "red"],
    "predicted": ["green", None],
    "probability": [0.97, None],
    "score": [5.5, 1.25],
    "reason": ["it looks green", "its neighbours are blue"],
}


@pytest.fixture(scope="module")
def bunch(photos: Path) -> oc.DataBunch:
    return photo_bunch(photos)


def ranked(bunch: oc.DataBunch, **more: pa.Array) -> Ranking:
    train = bunch.train.dataset
    names = {name: [place] for place, name in enumerate(train.rows.names())}
    seen = {**SEEN, "item": list(names)[:2]}
    table = ranking_table(seen, bunch.target, more)
    return Ranking(table, "Doubtful labels", "Look at each.", bunch.target, {"train": bunch.dataset_of(train.rows)})


def test_the_columns_are_the_same_for_all_rankings(bunch: oc.DataBunch) -> None:
    assert ranked(bunch).table.column_names == [*COLUMNS]
    table = ranking_table({"item": ["x"], "reason": ["new"]}, bunch.target, {"group": pa.array([3])})
    assert table.to_pylist() == [
        {**dict.fromkeys(COLUMNS), "item": "x", "reason": "new", "group": 3},
    ]


def test_it_prints_its_first_items_with_their_reasons(bunch: oc.DataBunch) -> None:
    found = ranked(bunch)
    first, second = found.table["item"].to_pylist()
    assert repr(found).splitlines() == [
        "Doubtful labels: 2 items. Look at each.",
        f"  train: {first}: it looks green",
        f"  train: {second}: its neighbours are blue",
    ]
    assert repr(found.head(1)).splitlines()[0] == "Doubtful labels: 1 item. Look at each."
    assert (len(found.of_split("train")), len(found.of_split("valid"))) == (2, 0)


def test_a_csv_file_has_its_columns_and_tags_as_a_table_of_labels(tmp_path: Path, bunch: oc.DataBunch) -> None:
    ranked(bunch).to_csv(tmp_path / "new" / "doubtful.csv")
    lines = (tmp_path / "new" / "doubtful.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1].endswith(",train,blue,green,0.9700,5.5000,it looks green")
    tags = oc.MultiCategory(("cloud", "road"))
    table = ranking_table({"item": ["x"], "label": [["cloud", "road"]], "predicted": [[]]}, tags)
    Ranking(table, "", "", tags).to_csv(tmp_path / "tags.csv")
    assert (tmp_path / "tags.csv").read_text().splitlines()[1] == "x,,cloud road,,,,"


def test_a_picture_shows_label_and_prediction(bunch: oc.DataBunch) -> None:
    picture = ranked(bunch).show()
    assert [axes.get_title() for axes in picture.axes] == ["blue\n→ green 97%", "red"]
    assert len(picture.items) == 2
    assert "<img" in ranked(bunch)._repr_html_()


def test_pairs_are_shown_side_by_side(bunch: oc.DataBunch) -> None:
    train = bunch.train.dataset
    others = {"other": [train.name(3), train.name(4)], "other_split": ["train"] * 2, "similarity": [0.99, 0.9]}
    picture = ranked(bunch, **others).show()
    assert [axes.get_title() for axes in picture.axes] == ["blue", "0.99 alike", "red", "0.90 alike"]
    assert picture.items[1] == f"train: {train.name(3)}"


def test_texts_are_shown_as_a_table() -> None:
    bunch = oc.TextList.from_texts(["a <good> film", "a bad film"] * 4, ["pos", "neg"] * 4).split_by_index([0, 1])
    data = bunch.label_from_column("label").databunch(2)
    seen = {**SEEN, "item": [data.train.dataset.name(row) for row in (0, 1)], "predicted": ["neg", "pos"]}
    seen["label"] = ["pos", "neg"]
    found = Ranking(ranking_table(seen, data.target), "", "", data.target, {"train": data.train.dataset})
    assert "a <good> film" not in found.show().html
    assert "good" in found.show().html


def test_of_nothing_the_picture_says_so_and_no_picture_of_nothing_is_drawn(bunch: oc.DataBunch) -> None:
    assert ranked(bunch).head(0).show().axes[0].get_title() == "Doubtful labels: none."
    with pytest.raises(DataError, match=r"count=0\.[\s\S]*pass count=12"):
        ranked(bunch).show(0)
    assert ranked(bunch).show(12).items
