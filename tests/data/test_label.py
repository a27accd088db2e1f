"""How to label: from folder, column, pattern, function; every mistake is reported at once."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import onecycle as oc
from noisy_photos import draw
from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import DataError, ModelError
from onecycle.vision.image_list import SplitImages
from onecycle.vision.labelled_images import LabelledImages
from toy_parts import Boxes


@pytest.fixture
def table(photos: Path) -> Callable[..., SplitImages]:
    """Makes a split list of a few photos with the columns given; the last row is held back."""

    def make(**columns: list[Any]) -> SplitImages:
        count = len(next(iter(columns.values())))
        rows = pd.DataFrame({"image": [f"red/red_{number}.jpg" for number in range(count)], **columns})
        return oc.ImageList.from_table(rows, folder=photos).split_by_index([count - 1])

    return make


@pytest.fixture
def split(photos: Path) -> SplitImages:
    return oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder")


def labels_of(labelled: LabelledImages) -> list[Any]:
    """Labels of the training items, then of the validation items."""
    return labelled.train.table["#label"].to_pylist() + labelled.valid.table["#label"].to_pylist()


WAYS: dict[str, Callable[[SplitImages], LabelledImages]] = {
    "folder": lambda split: split.label_from_folder(),
    "regex": lambda split: split.label_from_regex(r"(\w+)_\d+\.jpg$"),
    "function": lambda split: split.label_from_function(lambda path: path.parent.name),
    "labeller": lambda split: split.label_with(lambda rows: [name.split("/")[0] for name in rows.names()]),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_categories(way: str, split: SplitImages) -> None:
    labelled = WAYS[way](split)
    assert labelled.target == Category(("blue", "green", "red"))
    names = labelled.train.names() + labelled.valid.names()
    assert labels_of(labelled) == [name.split("/")[0] for name in names]
    assert "#label" not in split.train.table.column_names, "the split stays as it was"


def test_a_column_of_numbers_makes_classes_in_their_order(table: Callable[..., SplitImages]) -> None:
    labelled = table(label=[10, 9, 2, 10, 2, 9]).label_from_column("label")
    assert labelled.target == Category(("2", "9", "10"))
    assert labels_of(labelled) == ["10", "9", "2", "10", "2", "9"]


def test_a_delimiter_makes_tags(table: Callable[..., SplitImages]) -> None:
    labelled = table(tags=["a b", " b  a b ", "", None, "b"]).label_from_column("tags", delimiter=" ")
    assert labelled.target == MultiCategory(("a", "b"))
    assert labels_of(labelled) == [["a", "b"], ["b", "a"], [], [], ["b"]]


def test_tags_may_be_typed_as_numbers(table: Callable[..., SplitImages]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled = table(tags=[1, 2, 1, 2]).label_from_column("tags", delimiter=" ")
    assert labelled.target == MultiCategory(("1", "2"))


def test_a_function_may_give_tags(split: SplitImages) -> None:
    labelled = split.label_from_function(lambda path: (path.parent.name, "photo"))
    assert labelled.target == MultiCategory(("blue", "green", "photo", "red"))


@pytest.mark.parametrize("values", [[1, 0, 1], [True, False, True], ["1", "0", "true"], [1.0, 0.0, 1.0]])
def test_one_hot_columns_make_tags(values: list[Any], table: Callable[..., SplitImages]) -> None:
    labelled = table(b=values, a=[1, 1, 0]).label_from_columns(["b", "a"])
    assert labelled.target == MultiCategory(("b", "a")), "in the order of the columns"
    assert labels_of(labelled) == [["b", "a"], ["a"], ["b"]]


def test_one_hot_columns_hold_only_flags(table: Callable[..., SplitImages]) -> None:
    message = r"Column 'a' holds 2, none.\nExpected only 0 and 1, or true and false.\nFix: name other columns"
    with pytest.raises(DataError, match=message):
        table(a=["1", "2", None, "0"], b=[1, 1, 1, 1]).label_from_columns(["a", "b"])


def test_classes_may_be_given_in_any_order(split: SplitImages) -> None:
    assert split.label_from_folder(classes=["red", "green", "blue"]).target.classes == ("red", "green", "blue")
    with pytest.warns(UserWarning, match=r"^No training item has the label grey: nothing is learned of that\.$"):
        assert split.label_from_folder(classes=["red", "green", "blue", "grey"]).target.classes[3] == "grey"


def test_classes_that_lack_a_training_label_are_refused(split: SplitImages) -> None:
    message = (
        r"Training labels are missing from classes=: blue, green.\nExpected every label .*\nFix: add them to class"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_folder(classes=["red", "grey"])


def test_a_label_that_only_validation_has_is_an_error_that_lists_it(table: Callable[..., SplitImages]) -> None:
    split = table(label=["a", "b", "a", "b", "c"])
    message = (
        r"The validation set has labels that the training set does not have: c \(1\); first in red/red_4.jpg.\n"
        r"Expected the training classes: a, b.\nFix: move some of these items to the training set, or split at random "
        r"with stratify=; with classes='all' the validation items count, although nothing is learned of those"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_column("label")
    with (
        pytest.warns(UserWarning, match=r"^No training item has the label c: nothing is learned of that\.$"),
        pytest.warns(UserWarning, match="Classes with a single item: c"),
    ):
        assert split.label_from_column("label", classes="all").target.classes == ("a", "b", "c")


def test_one_class_in_training_is_an_error_also_with_all_classes(table: Callable[..., SplitImages]) -> None:
    """Seen: following the advice, a model of one class with a perfect score."""
    split = table(label=["a", "a", "a", "b"])
    with pytest.raises(DataError, match=r"The validation set has labels that the training set does not|same label: a"):
        split.label_from_column("label")
    with pytest.raises(DataError, match=r"^All training items have the same label: a\."):
        split.label_from_column("label", classes="all")


def test_one_class_only_is_an_error(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / "cats" / f"{number}.jpg", (0, 0, 0))
    split = oc.ImageList.from_folder(tmp_path).split_random(0.25)
    message = r"All training items have the same label: cats.\nExpected two classes or more.\nFix: check how"
    with pytest.raises(DataError, match=message):
        split.label_from_folder()


def test_no_tag_at_all_is_an_error(table: Callable[..., SplitImages]) -> None:
    with pytest.raises(DataError, match=r"same label: none.\nExpected at least one tag.\nFix: check how"):
        table(tags=["", None, ""]).label_from_column("tags", delimiter=" ")


def test_a_class_with_a_single_image_is_a_warning(table: Callable[..., SplitImages]) -> None:
    message = "Classes with a single item: c. They can hardly be learned, and cannot be validated."
    with pytest.warns(UserWarning, match=message) as caught:
        table(label=["a", "a", "b", "b", "c", "a"]).label_from_column("label")
    assert caught[0].filename == __file__, "it points at the user's line"


def test_images_outside_any_folder_have_no_label(tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / f"{number}.jpg", (0, 0, 0))
    split = oc.ImageList.from_folder(tmp_path).split_by_index([0])
    message = (
        r"1.jpg is in no folder below .*, so it has no label.\nExpected a folder per class.*\nFix: .*label_from_regex"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_folder()


@pytest.mark.parametrize("nothing", ["", " ", None, "NaN", "None", "null", "n/a", float("nan")])
def test_a_missing_label_is_an_error_and_each_fix_works(
    table: Callable[..., SplitImages], nothing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    split = table(label=pd.Series(["a", nothing, "b", "b", nothing, "a"], dtype=object))
    message = (
        r"^2 of 6 rows have no label in column 'label': red/red_1.jpg, red/red_4.jpg\.\nExpected a label in every row"
        r"\.\nFix: fill in the labels, or pass missing='drop' to leave those rows out; for tags, where none is "
        r"allowed, pass delimiter=' '\.$"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_column("label")
    dropped = split.label_from_column("label", missing="drop")
    assert labels_of(dropped) == ["a", "b", "b", "a"]
    assert capsys.readouterr().out == "Left out: 2 rows without a label in column 'label'.\n"
    assert labels_of(split.label_from_column("label", delimiter=" ")) == [["a"], [], ["b"], ["b"], [], ["a"]]
    with pytest.raises(DataError, match=r"missing='keep'\.\nExpected \"raise\" or \"drop\"\."):
        split.label_from_column("label", missing="keep")


def test_blanks_around_labels_do_not_count(table: Callable[..., SplitImages]) -> None:
    labelled = table(label=["cat ", " cat", "cat", "dog", "\tdog "]).label_from_column("label")
    assert labelled.target == Category(("cat", "dog"))


@pytest.mark.parametrize(
    "values",
    [
        [["a", "b "], ["b"], [], ["a"]],
        [np.array(["a", "b"]), np.array(["b"]), np.array([], str), np.array(["a"])],
        ["['a', 'b']", "['b']", "[]", "['a']"],
        ["['a' 'b']", "['b']", "[]", "['a']"],
        ['["a", "b"]', '["b"]', "[]", '["a"]'],
        ["[a, b]", "[b]", "[]", "[a]"],
    ],
    ids=["lists", "arrays", "Python's text", "NumPy's text", "JSON", "bare words"],
)
def test_columns_of_lists_are_tags(table: Callable[..., SplitImages], values: list[Any]) -> None:
    labelled = table(tags=values).label_from_column("tags")
    assert labelled.target == MultiCategory(("a", "b"))
    assert labels_of(labelled) == [["a", "b"], ["b"], [], ["a"]]


def test_names_that_differ_by_capitals_alone_are_told(table: Callable[..., SplitImages]) -> None:
    with pytest.warns(UserWarning, match=r"^Classes that differ by capitals alone: Cat and cat\. They are le"):
        table(label=["Cat", "cat", "cat", "Cat", "dog", "dog"]).label_from_column("label")


def test_decimal_numbers_are_said_to_look_like_numbers_and_the_advice_works(table: Callable[..., SplitImages]) -> None:
    split = table(age=[20.5, 21.25, 20.5, 21.25])
    message = r"^Column 'age' holds 2 different decimal numbers, which are classes[^$]*use label_numbers\('age'\)\.$"
    with pytest.warns(UserWarning, match=message):
        split.label_from_column("age")
    assert split.label_numbers("age").target.classes == ("age",)


def test_whole_numbers_that_pandas_made_floats_are_whole(table: Callable[..., SplitImages]) -> None:
    assert table(label=[1.0, 2.0, 1.0, 2.0]).label_from_column("label").target == Category(("1", "2"))


def test_a_missing_label_column_is_an_error(table: Callable[..., SplitImages]) -> None:
    with pytest.raises(DataError, match=r"There is no column 'lable'.\n.*image, label.\nFix: .*Did you mean 'label'"):
        table(label=["a", "b", "a"]).label_from_column("lable")
    with pytest.raises(DataError, match=r"There is no column 'b'"):
        table(a=[1, 0, 1]).label_from_columns(["a", "b"])


def test_the_wrong_delimiter_is_noticed(table: Callable[..., SplitImages]) -> None:
    message = r"No value of column 'tags' contains the delimiter ',', such as 'a b'.\nExpected tags.*\nFix: pass .*=' '"
    with pytest.raises(DataError, match=message):
        table(tags=["a b", "b c", "a"]).label_from_column("tags", delimiter=",")


def test_a_split_without_the_delimiter_is_not_an_error(table: Callable[..., SplitImages]) -> None:
    """Here validation holds one tag of two words."""
    labelled = table(tags=["palm tree,sea", "sea,palm tree", "palm tree"]).label_from_column("tags", delimiter=",")
    assert labels_of(labelled)[-1] == ["palm tree"]


def test_a_pattern_needs_one_group(split: SplitImages) -> None:
    for pattern, count in ((r"\w+", 0), (r"(\w)(\w)", 2)):
        with pytest.raises(DataError, match=rf"has {count} groups.\nExpected one group.\nFix: put \( \)"):
            split.label_from_regex(pattern)


def test_a_pattern_that_finds_nothing_names_the_path(split: SplitImages) -> None:
    message = r"finds nothing in 8 of 24 names: blue/blue_\d.jpg, .*5 more.\nExpected a match in every path.\nFix: fix"
    with pytest.raises(DataError, match=message):
        split.label_from_regex(r"(red|green)/")


def test_a_pattern_must_be_a_regular_expression(split: SplitImages) -> None:
    message = (
        r"The pattern '\(red' is not a regular expression: missing \), .*\nExp.* such as r'.*'.\nFix: fix the pattern."
    )
    with pytest.raises(DataError, match=message):
        split.label_from_regex("(red")


def test_a_label_function_that_fails_on_one_item_names_it(split: SplitImages) -> None:
    def label(path: Path) -> str:
        return {"red": "warm", "blue": "cold"}[path.parent.name]

    message = (
        r"failed on .*/green/green_\d.jpg: KeyError: 'green'.\nExpected a label for every item.\nFix: fix the function"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_function(label)


def test_a_label_function_must_return_strings(split: SplitImages) -> None:
    message = (
        r"returned 1 \(int\) for .*jpg.\nExpected a string \(one label\) or a list of strings.*\nFix: return str.*'1'"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_function(lambda path: 1)


def test_a_label_function_must_not_mix_labels_and_tags(split: SplitImages) -> None:
    message = r"returned \['red'\] for .*/red/.*, but 'blue' for the first item.\nExpected strings for all.*\nFix: fix"
    with pytest.raises(DataError, match=message):
        split.label_from_function(lambda path: ["red"] if path.parent.name == "red" else path.parent.name)


def test_a_test_folder_is_labelled_where_its_folders_are_classes(tmp_path: Path) -> None:
    for split_name in ("train", "valid"):
        for name in "ab":
            draw(tmp_path / split_name / name / "1.jpg", (0, 0, 0))
    draw(tmp_path / "test" / "1.jpg", (0, 0, 0))
    split = oc.ImageList.from_folder(tmp_path).split_by_folder(test="test")
    assert repr(split.label_from_folder()).startswith("LabelledImages: 2 training, 2 validation, 1 test items (unl")

    by_name = split.label_from_regex(r"/(a|b)/")
    assert by_name.test.table.column_names == ["#item"], "no label to be found there"

    (tmp_path / "test" / "a").mkdir()
    (tmp_path / "test" / "1.jpg").rename(tmp_path / "test" / "a" / "1.jpg")
    split = oc.ImageList.from_folder(tmp_path).split_by_folder(test="test")
    assert "1 test items (labelled)" in repr(split.label_from_folder())

    draw(tmp_path / "test" / "c" / "1.jpg", (0, 0, 0))
    split = oc.ImageList.from_folder(tmp_path).split_by_folder(test="test")
    with pytest.raises(DataError, match=r"The test set has labels that the training set does not have: c \(1\)"):
        split.label_from_folder()


def test_a_test_set_may_be_added_unlabelled_or_labelled(photos: Path, split: SplitImages, tmp_path: Path) -> None:
    labelled = split.label_from_folder()
    added = labelled.add_test(oc.ImageList.from_folder(photos))
    assert "30 test items (unlabelled)" in repr(added)
    assert labelled.test is None, "the list itself stays as it was"
    assert "30 test items (labelled)" in repr(labelled.add_test(oc.ImageList.from_folder(photos), labelled=True))

    draw(tmp_path / "grey" / "1.jpg", (0, 0, 0))
    with pytest.raises(DataError, match=r"The test set has labels that the training set does not have: grey \(1\)"):
        labelled.add_test(oc.ImageList.from_folder(tmp_path), labelled=True)


def test_stages_print_themselves(split: SplitImages) -> None:
    assert repr(split) == "SplitImages: 24 training, 6 validation"
    assert repr(split.label_from_folder()) == (
        "LabelledImages: 24 training, 6 validation\nCategory, 3 classes: blue, green, red"
    )


def test_a_target_of_the_users_own_takes_any_label(photos: Path) -> None:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1)
    labelled = split.label_from_function(lambda path: [[float(path.stem[-1])] * 4], target=Boxes())
    assert labelled.target == Boxes()
    assert labels_of(labelled)[0] == [[float(labelled.train.names()[0][-5])] * 4]
    assert labelled.train.table["#label"].type == Boxes.label_type


def test_labels_that_are_not_those_of_the_target_show_when_the_bunch_is_made(photos: Path) -> None:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1)
    labelled = split.label_from_function(lambda path: "violet", target=Category(("red", "blue")))
    with pytest.raises(DataError, match=r"The label 'violet' is not one of the classes\."):
        labelled.transform(16).databunch(8)


def test_a_label_function_is_called_once_an_item(photos: Path) -> None:
    calls: list[Path] = []
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1)
    split.label_from_function(lambda path: calls.append(path) or path.parent.name)
    assert sorted(calls) == sorted(photos.rglob("*.jpg"))


def test_items_without_a_label_are_refused_by_name(photos: Path) -> None:
    split = oc.ImageList.from_folder(photos).split_by_index([0])
    message = (
        r"10 items have no label: green/green_0.jpg, .*5 more\.\n"
        r"Expected a label for every item of the training and validation set\.\nFix: return a label for them, or leave"
    )
    with pytest.raises(DataError, match=message):
        split.label_from_function(lambda path: None if path.parent.name == "green" else [[1.0] * 4], target=Boxes())


def test_the_target_of_a_label_function_is_an_instance(photos: Path, split: SplitImages) -> None:
    for target in (Boxes, "boxes"):
        with pytest.raises(ModelError, match=r"target=[\s\S]*derives from onecycle\.Target"):
            split.label_from_function(lambda path: 1.0, target=target)  # type: ignore[arg-type]


def test_a_label_function_may_return_arrays(split: SplitImages) -> None:
    labelled = split.label_from_function(lambda path: np.full((1, 4), len(path.name)), target=Boxes())
    assert labels_of(labelled)[0] == [[float(len(Path(labelled.train.names()[0]).name))] * 4]


def test_the_class_may_be_a_folder_further_up(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / "ab"[number % 2] / f"p{number}" / "0.jpg", (0, 0, 0))
    split = oc.ImageList.from_folder(tmp_path).split_by_index([1, 3])
    assert split.label_from_folder(level=2).target.classes == ("a", "b")
    with pytest.raises(DataError, match=r"0\.jpg is in no folder 3 levels above it, below .*\n.*\nFix: move the files"):
        split.label_from_folder(level=3)
    with pytest.raises(DataError, match=r"^level=0\.\nExpected 1 for the folder .*\nFix: pass level=1\.$"):
        split.label_from_folder(level=0)
