from __future__ import annotations

import pytest

from onecycle.data.split_names import role_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train-00000-of-00002", "train"),
        ("validation-00000-of-00001", "valid"),
        ("test_images", "test"),
        ("Dev", "valid"),
        ("latest", None),
        ("trainer", None),
    ],
)
def test_words_of_a_name_say_the_split(name: str, role: str | None) -> None:
    assert role_of(name) == role
