from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from onecycle.train.state_attributes import FromState


class Face:
    number: FromState[int] = FromState()
    double: FromState[Any] = FromState()

    def __init__(self) -> None:
        self.state = SimpleNamespace(number=3, double=lambda value: 2 * value)


def test_an_attribute_is_read_from_the_state_and_written_to_it() -> None:
    face = Face()
    assert face.number == 3
    face.number = 4  # type: ignore[assignment]
    assert face.state.number == 4
    face.state.number = 5
    assert face.number == 5


def test_a_method_of_the_state_is_called() -> None:
    assert Face().double(4) == 8


def test_an_attribute_that_the_state_lacks_is_an_error() -> None:
    face = Face()
    del face.state.number
    with pytest.raises(AttributeError, match="number"):
        _ = face.number
