import pickle

import pytest

from onecycle.errors import (
    BundleError,
    DataError,
    ModelError,
    OnecycleError,
    StopTraining,
    TrainingError,
    check_count,
    some,
    suggest,
)

ERRORS = (DataError, ModelError, BundleError, TrainingError)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_three_lines(kind: type[OnecycleError]) -> None:
    assert str(kind("No images.", "one image.", "check the path.")) == (
        "No images.\nExpected one image.\nFix: check the path."
    )


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_survives_the_way_out_of_a_worker(kind: type[OnecycleError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", "expected", "fix")))
    assert type(error) is kind
    assert (error.what, error.expected, error.fix) == ("what", "expected", "fix")


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_a_built_in_one_too(kind: type[OnecycleError]) -> None:
    assert issubclass(kind, RuntimeError if kind is TrainingError else ValueError)


def test_stop_training_is_a_signal_and_no_error() -> None:
    assert not issubclass(StopTraining, OnecycleError)
    assert pickle.loads(pickle.dumps(StopTraining("good enough"))).reason == "good enough"


def test_suggest_names_the_nearest_or_nothing() -> None:
    assert suggest("acuracy", ["f1", "accuracy"]) == " Did you mean 'accuracy'?"
    assert suggest("zebra", ["f1", "accuracy"]) == ""
    assert suggest("zebra", []) == ""


def test_some_lists_the_first_and_counts_the_rest() -> None:
    assert some([]) == ""
    assert some("abc", most=3) == "a, b, c"
    assert some("abcd", most=3) == "a, b, c and 1 more"
    assert some(range(5_000)) == "0, 1, 2, 3, 4 and 4,995 more"


def test_a_table_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"count=0\.\nExpected 1 or more items\.\nFix: pass count=12\."):
        check_count(0)
    check_count(12)
