"""Old names work for one version, and say the new name."""

import warnings

import pytest

import onecycle as oc
from onecycle.deprecation import renamed_arguments, renamed_property, warn_renamed


def test_the_warning_says_old_and_new_name_at_the_users_line() -> None:
    def old() -> None:
        warn_renamed("old()", "new()")

    with pytest.warns(DeprecationWarning, match=r"^old\(\) is deprecated, use new\(\)\.$") as caught:
        old()
    assert caught[0].filename == __file__


@renamed_arguments(part="split", views="copies")
def predict(split: str = "valid", *, copies: int = 4) -> tuple[str, int]:
    """Predict."""
    return split, copies


def test_old_arguments_are_passed_on_under_their_new_names() -> None:
    with pytest.warns(DeprecationWarning, match=r"predict\(part=\) is deprecated, use split=\.") as caught:
        assert predict(part="test") == ("test", 4)
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"predict\(views=\) is deprecated, use copies=\."):
        assert predict("train", views=2) == ("train", 2)


def test_new_arguments_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predict("test", copies=1) == ("test", 1)
    assert (predict.__name__, predict.__doc__) == ("predict", "Predict.")


def test_an_old_attribute_reads_the_new_one() -> None:
    class Finder:
        old = renamed_property("old", "new")
        new = 3

    with pytest.warns(DeprecationWarning, match=r"Finder\.old is deprecated, use Finder\.new\."):
        assert Finder().old == 3


@pytest.mark.parametrize("name", ["predict_all", "tta", "validate"])
def test_the_renamed_arguments_of_the_learner_are_marked(name: str) -> None:
    assert hasattr(getattr(oc.Learner, name), "__wrapped__")
