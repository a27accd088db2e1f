from __future__ import annotations

import pytest

from onecycle.inference.item_names import short_names


@pytest.mark.parametrize(
    ("items", "names"),
    [
        (["x/a.jpg", "y/b.jpg"], ["a", "b"]),
        (["x/a/0.png", "x/b/0.png"], ["a/0", "b/0"]),
        (["/data/a/0.png", "/data/b/0.png"], ["a/0", "b/0"]),
        (["0.png", "0.jpg"], ["0.png", "0.jpg"]),
        (["x/0.png", "y/0.png", "y/0.jpg"], ["x/0.png", "y/0.png", "y/0.jpg"]),
        (["/a/0.png", "a/0.png"], ["/a/0", "a/0"]),
        (["a.png", "a.png"], ["a", "a"]),
        (["row 17", "row 18"], ["row 17", "row 18"]),
        ([], []),
    ],
)
def test_names_tell_items_apart(items: list[str], names: list[str]) -> None:
    assert short_names(items) == names


def test_suffixes_can_stay() -> None:
    assert short_names(["x/a.jpg", "y/b.jpg"], suffix=True) == ["a.jpg", "b.jpg"]
    assert short_names(["x/a.jpg", "y/a.jpg"], suffix=True) == ["x/a.jpg", "y/a.jpg"]
