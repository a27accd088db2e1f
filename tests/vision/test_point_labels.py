"""Labels of points from columns and functions, and warnings about points that cannot be right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onecycle.errors import DataError
from vision.point_images import csv_of, split_of


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("file,nose_x,nose_y,chin_x,chin_y", ("nose", "chin")), ("file,x0,y0,x1,y1", ("0", "1")),
        ("file,0,1,2,3", ("0", "1")), ("file,Nose X,Nose Y,b,c", ("0", "1")),
    ],
)  # fmt: skip
def test_names_come_from_the_columns_where_possible(header: str, names: tuple[str, ...], tmp_path: Path) -> None:
    labelled = split_of(csv_of(tmp_path, header, "1,2,3,4", "1,2,3,4")).label_points("all")
    assert labelled.target.classes == names
    assert labelled.train.table["#label"].to_pylist() == [[[1, 2], [3, 4]]]


def test_empty_cells_are_missing_points_and_items_without_points_warn(tmp_path: Path) -> None:
    split = split_of(csv_of(tmp_path, "file,x0,y0,x1,y1", "1,2,,4", "1,2,nan,5", ",,,"))
    with pytest.warns(UserWarning, match=r"1 item has no points: .*2.png. Nothing is learnt from them."):
        labelled = split.label_points(["x0", "y0", "x1", "y1"])
    first, second = labelled.train.table["#label"].to_pylist()
    assert first[0] == [1, 2]
    assert np.isnan(first[1]).all()
    assert np.isnan(second).all()


def test_points_outside_their_image_are_kept_with_one_warning(tmp_path: Path) -> None:
    split = split_of(csv_of(tmp_path, "file,x,y", "19.4,9.4", "19.6,5", "-3,12"))
    with pytest.warns(UserWarning, match="outside") as warned:
        labelled = split.label_points("all")
    assert [str(one.message).split(":")[0] for one in warned] == ["2 points are outside their image, in 2 items"]
    assert str(warned[0].message).endswith("They are kept.")
    np.testing.assert_allclose(labelled.train.table["#label"].to_pylist(), [[[19.6, 5]], [[-3, 12]]], rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["x"], r"1 column of coordinates: x.\nExpected an even number of columns, x and y of each point.\nFix: pass"),
        (["x", "z"], r"There is no column 'z'.\nExpected one of: .*\nFix: check"),
        (["x", "word"], r"Not numbers in column 'word': 2 values, 'a' \(1.png\).*\nExpected numbers, .*\nFix: "),
        (lambda path: 1 / 0, r"The point function failed for .*: ZeroDivisionError.*\nExpected a list .*\nFix: fix"),
        (lambda path: "here", r"The point function returned 'here' for .*\nExpected a list of \(x, y\).*\nFix: fix"),
        (lambda path: [(1, 2)] * (1 + (path.stem == "2")), r"2.png has 2 points, 1.png has 1.\nExpected the same"),
    ],
)  # fmt: skip
def test_labels_that_are_not_points_are_refused(source: Any, message: str, tmp_path: Path) -> None:
    split = split_of(csv_of(tmp_path, "file,x,y,word", "1,2,3", "1,2,a", "1,2,b"))
    with pytest.raises(DataError, match=message):
        split.label_points(source)


def test_one_name_for_each_point_is_needed(tmp_path: Path) -> None:
    split = split_of(csv_of(tmp_path, "file,x,y", "1,2", "1,2"))
    assert split.label_points(lambda path: (3.0, 4.0), names=["nose"]).target.classes == ("nose",)
    with pytest.raises(
        DataError, match=r"names= has 2 different names, but there are 1 points.\nExpected a different name"
    ):
        split.label_points("all", names=["nose", "chin"])


def test_a_data_error_in_a_point_function_is_not_changed(tmp_path: Path) -> None:
    def own(path: Path) -> Any:
        raise DataError("Own error.", "something.", "nothing.")

    with pytest.raises(DataError, match=r"^Own error\.\nExpected something\."):
        split_of(csv_of(tmp_path, "file,x,y", "1,2", "1,2")).label_points(own)
