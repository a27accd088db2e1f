"""Lists, looked into: by index, as a list of paths, and as a notebook shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import onecycle as oc
from learners import photo_bunch
from onecycle.errors import DataError


@pytest.fixture
def images(photos: Path) -> oc.ImageList:
    return oc.ImageList.from_folder(photos)


@pytest.fixture
def texts() -> oc.TextList:
    return oc.TextList.from_texts(["a <b>good</b> film", "a bad film", "x" * 500], ["pos", "neg", "neg"], clean=())


class TestALookInto:
    def test_one_item_is_its_path_or_its_text(self, images: oc.ImageList, texts: oc.TextList, photos: Path) -> None:
        assert len(images) == 30
        assert images[0] == photos / "blue/blue_0.jpg"
        assert images[-1] == images[29] == images[np.int64(29)]
        assert texts[1] == "a bad film"

    def test_beyond_the_end_there_is_nothing(self, images: oc.ImageList) -> None:
        with pytest.raises(IndexError, match="There is no item 30: there are 30 items, counted from 0"):
            images[30]

    def test_slices_positions_and_booleans_give_lists_that_go_on(self, images: oc.ImageList) -> None:
        assert list(images[2:4]) == [images[2], images[3]]
        assert list(images[[5, 1]]) == [images[5], images[1]]
        assert list(images[[number % 10 == 0 for number in range(30)]]) == [images[0], images[10], images[20]]
        assert images[::-1][0] == images[29]
        assert isinstance(images[2:4].split_random(0.5), type(images.split_random(0.5)))

    def test_it_can_be_iterated_and_gives_its_paths(self, images: oc.ImageList, texts: oc.TextList) -> None:
        assert list(images) == images.paths == [images[number] for number in range(len(images))]
        assert all(path.is_file() for path in images.paths)
        assert list(texts)[:2] == ["a <b>good</b> film", "a bad film"]

    def test_texts_in_a_table_have_no_paths_and_the_fix_works(self, texts: oc.TextList) -> None:
        with pytest.raises(DataError, match=r"not files[\s\S]*Fix: iterate over the items"):
            texts.paths  # noqa: B018
        assert len([text for text in texts]) == 3  # noqa: C416

    def test_a_sample_is_drawn_at_random_and_the_same_for_a_seed(self, images: oc.ImageList) -> None:
        assert len(images.sample()) == 5
        assert list(images.sample(4)) == list(images.sample(4))
        assert list(images.sample(4)) != list(images.sample(4, seed=1))
        assert set(images.sample(4)) <= set(images)
        assert list(images.sample(99)) == list(images)

    def test_split_and_labelled_rows_can_be_looked_into(self, images: oc.ImageList) -> None:
        split = images.split_by_index([0])
        assert split.valid[0] == images[0]
        assert split.label_from_folder().valid[0] == (images[0], "blue")


class TestAddition:
    def test_of_two_folders(self, photos: Path) -> None:
        blue, red = (oc.ImageList.from_folder(photos / name) for name in ("blue", "red"))
        both = blue + red
        assert both.paths == blue.paths + red.paths
        assert both.split_random(0.2).label_from_folder().target.classes == ("blue", "red")

    def test_of_one_folder_keeps_short_names(self, images: oc.ImageList) -> None:
        assert (images[:1] + images[2:3]).items.names() == ["blue/blue_0.jpg", "blue/blue_2.jpg"]

    def test_columns_that_only_one_has_are_empty_in_the_other(self, photos: Path) -> None:
        table = pa.table({"name": ["blue/blue_1.jpg"], "x": [7]})
        both = oc.ImageList.from_folder(photos)[:1] + oc.ImageList.from_table(table, folder=photos)
        assert both.items.column("x").to_pylist() == [None, 7]

    def test_columns_of_other_types_are_refused_and_the_fix_works(self, photos: Path) -> None:
        def images(value: object) -> oc.ImageList:
            return oc.ImageList.from_table(pa.table({"name": ["blue/blue_1.jpg"], "x": [value]}), folder=photos)

        with pytest.raises(DataError, match=r"columns of the two lists differ[\s\S]*Fix: rename or convert a column"):
            images(7) + images("7")
        assert len(images(7) + images(int("7"))) == 2

    def test_of_different_kinds_is_refused_and_the_fix_works(self, images: oc.ImageList, texts: oc.TextList) -> None:
        with pytest.raises(DataError, match=r"ImageList \+ TextList\.[\s\S]*Fix: make it with ImageList\.from_"):
            images + texts
        assert len(images + oc.ImageList.from_paths(images.paths)) == 60


class TestHtml:
    def test_a_list_shows_its_first_rows(self, images: oc.ImageList) -> None:
        html = images._repr_html_()
        assert "ImageList: 30 items" in html
        assert html.count("<tr>") == 6
        assert "<td>blue/blue_0.jpg</td>" in html
        assert "and 25 more items" in html

    def test_what_files_and_labels_say_is_escaped_and_long_texts_are_cut(self, texts: oc.TextList) -> None:
        html = texts._repr_html_()
        assert "a &lt;b&gt;good&lt;/b&gt; film" in html
        assert "<b>" not in html
        assert "x" * 161 not in html
        twice = (texts + texts).split_by_index([4, 5])
        for stage in (twice, twice.label_from_column("label")):
            assert "a &lt;b&gt;good" in stage._repr_html_()

    def test_names_of_files_are_escaped_too(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "<img src=x>.jpg").write_bytes((photos / "blue/blue_0.jpg").read_bytes())
        assert "<img" not in oc.ImageList.from_folder(tmp_path)._repr_html_()

    def test_a_bunch_shows_a_few_items(self, photos: Path) -> None:
        bunch = photo_bunch(photos)
        html = bunch._repr_html_()
        assert "DataBunch: batches of 8" in html
        assert html.count('" src="data:image/png;base64,') == 1

    def test_a_bunch_whose_items_cannot_be_read_says_what_it_is(self, photos: Path, tmp_path: Path) -> None:
        for number in range(8):
            (tmp_path / f"{number}.jpg").write_bytes((photos / "blue/blue_0.jpg").read_bytes())
        labelled = (
            oc.ImageList.from_folder(tmp_path)
            .split_by_index([0, 1])
            .label_with(lambda rows: ["a", "b"] * (len(rows) // 2))
        )
        bunch = labelled.transform(32).databunch(2, cache=None)
        for path in tmp_path.iterdir():
            path.write_bytes(b"broken")
        assert bunch._repr_html_().startswith("<div>DataBunch")
        assert "<img" not in bunch._repr_html_()
