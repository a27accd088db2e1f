"""Splits never overlap and cover everything; each error names its cause."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data import split
from onecycle.data.split import Split
from onecycle.errors import DataError

NAMES = [
    f"{folder}/{name}/{number}.jpg" for folder in ("train", "valid", "test") for name in "ab" for number in range(4)
]


LISTED = ["train/a/0.jpg", "valid/b/3.jpg"]


few = settings(max_examples=25, deadline=None)


counts = st.integers(10, 60)


fractions = st.floats(0.1, 0.9)


seeds = st.integers(0, 2**31)


def assert_fair(found: Split, count: int) -> None:
    """Disjoint, covering, ascending, no split empty."""
    assert sorted([*found.train, *found.valid, *found.test]) == list(range(count))
    assert min(len(found.train), len(found.valid)) > 0
    for rows in (found.train, found.valid, found.test):
        assert list(rows) == sorted(rows)


SPLITTERS: dict[str, Callable[[Path], Split]] = {
    "at_random": lambda file: split.at_random(len(NAMES), 0.3, 1),
    "stratified": lambda file: split.at_random(len(NAMES), 0.3, 1, [PurePosixPath(n).parent.name for n in NAMES]),
    "by_folder": lambda file: split.by_folder(NAMES, None, "valid", "test"),
    "by_value": lambda file: split.by_value(["1", "0", "test"] * 8, "which", True, "test"),
    "by_names": lambda file: split.by_names(NAMES, file),
    "by_index": lambda file: split.by_index(len(NAMES), [3, 0, 3]),
    "by_group": lambda file: split.by_group([n[-5] for n in NAMES], 0.3, 1),
}


@pytest.mark.parametrize("name", SPLITTERS)
def test_every_splitter_is_fair_and_repeats_itself(name: str, tmp_path: Path) -> None:
    file = tmp_path / "valid.txt"
    file.write_text("\n".join(LISTED))
    before = list(NAMES)
    first, second = SPLITTERS[name](file), SPLITTERS[name](file)
    assert_fair(first, len(NAMES))
    for one, other in ((first.train, second.train), (first.valid, second.valid), (first.test, second.test)):
        np.testing.assert_array_equal(one, other)
    assert before == NAMES


@few
@given(counts, fractions, seeds)
def test_random_holds_back_the_fraction(count: int, valid: float, seed: int) -> None:
    found = split.at_random(count, valid, seed)
    assert_fair(found, count)
    assert len(found.valid) == round(count * valid)


@few
@given(st.lists(st.sampled_from("abc"), min_size=10, max_size=60), fractions, seeds)
def test_stratified_holds_back_the_fraction_of_each_value(strata: list[str], valid: float, seed: int) -> None:
    found = split.at_random(len(strata), valid, seed, strata)
    assert_fair(found, len(strata))
    for value in set(strata):
        members, held = strata.count(value), sum(strata[row] == value for row in found.valid)
        assert abs(held - members * valid) <= 1
        assert held < members, "every value is seen in training"


@few
@given(st.lists(st.integers(0, 5), min_size=10, max_size=60), fractions, seeds)
def test_a_group_is_in_one_split_only(groups: list[int], valid: float, seed: int) -> None:
    groups = [*groups, 6, 7]
    found = split.by_group(groups, valid, seed)
    assert_fair(found, len(groups))
    assert not {groups[row] for row in found.train} & {groups[row] for row in found.valid}


@few
@given(counts, st.data())
def test_index_holds_back_exactly_those(count: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count - 1))
    found = split.by_index(count, rows)
    assert_fair(found, count)
    assert set(found.valid) == set(rows)


def test_the_seed_decides_a_random_split() -> None:
    assert list(split.at_random(100, 0.2, 1).valid) != list(split.at_random(100, 0.2, 2).valid)
    assert list(split.by_group(range(100), 0.2, 1).valid) != list(split.by_group(range(100), 0.2, 2).valid)


def test_groups_meet_the_fraction_as_closely_as_they_can() -> None:
    assert len(split.by_group(["a"] * 5 + ["b"] * 5, 0.01, 0).valid) == 5
    assert len(split.by_group(["a"] * 5 + ["b"] * 5, 0.99, 0).valid) == 5, "a group stays for training"
    assert len(split.by_group([number // 10 for number in range(100)], 0.2, 0).valid) == 20


def test_splits_may_be_named_and_other_folders_left_out() -> None:
    found = split.by_folder(NAMES, "train", ["valid"], None)
    assert {NAMES[row].split("/")[0] for row in found.train} == {"train"}
    assert {NAMES[row].split("/")[0] for row in found.valid} == {"valid"}
    assert len(found.test) == 0


def test_only_folders_count_and_not_the_file_itself() -> None:
    assert list(split.by_folder(["a/valid", "valid/x"], None, "valid", None).valid) == [1]


@pytest.mark.parametrize("yes", [True, "True", "true", "1", 1, " 1 "])
def test_true_compares_equal_as_text_and_typed(yes: object) -> None:
    assert list(split.by_value([yes, "no", "0"], "is_valid", True, None).valid) == [0]
    assert list(split.by_value([True, False], "is_valid", yes, None).valid) == [0]


@pytest.mark.parametrize("line", ["valid/a/3.jpg", "\ufeffvalid/a/3.jpg", "valid/a/3.jpg\r", "\n valid/a/3.jpg \n\n"])
def test_a_file_of_names_reads_as_people_write_it(line: str, tmp_path: Path) -> None:
    file = tmp_path / "valid.txt"
    file.write_bytes(line.encode())
    assert [NAMES[row] for row in split.by_names(NAMES, file).valid] == ["valid/a/3.jpg"]


@pytest.mark.parametrize("alias", ["x/one.jpg", "one.jpg", "one"])
def test_a_file_of_names_takes_path_name_or_stem(alias: str, tmp_path: Path) -> None:
    file = tmp_path / "valid.txt"
    file.write_text(alias)
    assert list(split.by_names(["y/two.jpg", "x/one.jpg"], file).valid) == [1]


@pytest.mark.parametrize(
    "content",
    [b"name,label\none.jpg,caf\xe9\n", b"\xef\xbb\xbflabel;name\r\ntwo;x/one.jpg\r\n", b"name\none\n", b"one.jpg\n"],
    ids=["latin-1", "second column", "one column", "no header"],
)
def test_a_table_of_names_is_read_as_one(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "valid.csv"
    file.write_bytes(content)
    assert list(split.by_names(["y/three.jpg", "x/one.jpg"], file).valid) == [1]


@pytest.mark.parametrize("valid", [0, 1, -0.1, 20])
def test_a_fraction_lies_between_zero_and_one(valid: float) -> None:
    message = rf"valid={valid} is not a fraction.\nExpected a number above 0 and below 1.\nFix: pass valid=0.2"
    with pytest.raises(DataError, match=message):
        split.at_random(10, valid, 0)
    with pytest.raises(DataError, match=message):
        split.by_group(range(10), valid, 0)


def test_an_empty_split_names_the_cause() -> None:
    with pytest.raises(DataError, match=r"validation set is empty \(valid=0.1 of 3 items\).\nExpected at least one"):
        split.at_random(3, 0.1, 0)
    with pytest.raises(DataError, match=r"training set is empty \(valid= names 2 rows\)"):
        split.by_index(2, [0, 1])
    with pytest.raises(DataError, match=r"validation set is empty \(valid=0.5 of each of 2 strata\)"):
        split.at_random(2, 0.5, 0, ["a", "b"])
    with pytest.raises(DataError, match=r"validation set is empty \(column 'which' == True; the column holds a, b\)"):
        split.by_value(["a", "b"], "which", True, None)
    with pytest.raises(DataError, match=r"training set is empty \(split_by_folder\)"):
        split.by_folder(["valid/1.jpg"], None, "valid", None)


def test_an_empty_file_of_names_is_an_empty_split(tmp_path: Path) -> None:
    (tmp_path / "none.txt").touch()
    with pytest.raises(DataError, match=r"validation set is empty \(.*none.txt names 0 items\)"):
        split.by_names(NAMES, tmp_path / "none.txt")


def test_a_missing_folder_is_named_with_the_nearest() -> None:
    message = (
        r"No item is in a folder named 'vaild', named by valid=.\n"
        r"Expected one of the folders .*: a, b, test, train, valid.\nFix: .* Did you mean 'valid'"
    )
    with pytest.raises(DataError, match=message):
        split.by_folder(NAMES, None, "vaild", None)
    with pytest.raises(DataError, match="there are none"):
        split.by_folder(["1.jpg"], None, "valid", None)


def test_a_folder_within_a_folder_of_the_other_split_is_refused() -> None:
    message = r"4 items are in folders of two splits, such as test/a/0.jpg.\nExpected folders that do not contain"
    with pytest.raises(DataError, match=message):
        split.by_folder(NAMES, None, ["valid", "a"], "test")


def test_names_that_are_not_there_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "valid.txt"
    file.write_text("train/a/0.jpg\nmissing.jpg\n")
    with pytest.raises(DataError, match=r"names 1 item that is not there: missing.jpg.\n.*\nFix: remove those lines"):
        split.by_names(NAMES, file)


def test_an_unreadable_file_of_names_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot read .*none.txt: .*\nExpected a text file, a name a line"):
        split.by_names(NAMES, tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"Cannot read .*latin.txt: .*utf-8"):
        split.by_names(NAMES, tmp_path / "latin.txt")


@pytest.mark.parametrize("row", [-1, 10])
def test_an_index_outside_is_named(row: int) -> None:
    with pytest.raises(DataError, match=rf"Index {row} lies outside the 10 items.\nExpected numbers from 0 to 9.\nFix"):
        split.by_index(10, [0, row])


def test_a_single_group_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"All 3 items are in one group.\nExpected two groups or more.\nFix: check by="):
        split.by_group(["a"] * 3, 0.2, 0)


def by_which(path: Path) -> str | None:
    """The first folder; nothing for the numbers above 2."""
    return None if int(path.stem) > 2 else path.parts[0]


def test_a_function_names_the_split_of_each_path() -> None:
    found = split.by_function(NAMES, by_which)
    for which, rows in (("train", found.train), ("valid", found.valid), ("test", found.test)):
        assert [NAMES[row] for row in rows] == [name for name in NAMES if by_which(Path(name)) == which]
    assert len(found.train) + len(found.valid) + len(found.test) == 18, "those without a split are left out"


def test_a_function_may_say_whether_an_item_is_for_validation() -> None:
    found = split.by_function(NAMES, lambda path: path.stem == "3")
    assert_fair(found, len(NAMES))
    assert {NAMES[row][-5] for row in found.valid} == {"3"}
    assert len(found.test) == 0


def test_a_split_function_that_fails_names_the_path() -> None:
    message = (
        r"The split function failed on train/a/0.jpg: ZeroDivisionError: .*zero\.\n"
        r"Expected a function from a path to \"train\", \"valid\", \"test\" or None\.\nFix: fix the function\."
    )
    with pytest.raises(DataError, match=message):
        split.by_function(NAMES, lambda path: str(1 / 0))


@pytest.mark.parametrize(("returned", "hint"), [("vaild", " Did you mean 'valid'"), (1, ""), (b"train", "")])
def test_a_split_function_that_returns_something_else_is_an_error(returned: object, hint: str) -> None:
    message = (
        rf"The split function returned {returned!r} for train/a/0.jpg\.\n"
        rf"Expected \"train\", \"valid\", \"test\", None, True \(valid\) or False \(train\)\.\n"
        rf"Fix: fix the function\.{hint}"
    )
    with pytest.raises(DataError, match=message):
        split.by_function(NAMES, lambda path: returned)  # type: ignore[arg-type, return-value]


def test_a_split_function_must_leave_items_for_both_splits() -> None:
    with pytest.raises(DataError, match=r"The validation set is empty \(split_by\)"):
        split.by_function(NAMES, lambda path: "train")
