"""Frozen dataclasses as JSON and back."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from onecycle.data.config import fields_from_json, json_fields


@dataclass(frozen=True)
class Part:
    size: tuple[int, int] = (2, 3)
    names: tuple[tuple[str, ...], ...] = (("a",), ())
    scale: float | None = None
    derived: int = field(default=0, init=False)
    kind: ClassVar[str] = "part"


def test_a_dataclass_comes_back_from_json_as_it_was() -> None:
    part = Part((4, 5), (("a", "b"), ("c",)), 0.5)
    config = json.loads(json.dumps({"kind": "part", **json_fields(part)}))
    assert config == {"kind": "part", "size": [4, 5], "names": [["a", "b"], ["c"]], "scale": 0.5}
    assert Part(**fields_from_json(config)) == part


def test_only_fields_that_the_constructor_takes_are_kept() -> None:
    assert "derived" not in json_fields(Part())


def test_what_is_no_dataclass_has_no_fields() -> None:
    class Plain:
        value: Any = 1

    assert json_fields(Plain()) == {}
