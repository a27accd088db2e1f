"""Names are registered, looked up lazily, and refused with what would have been right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from onecycle.errors import ModelError
from onecycle.registry import (
    BUILT_IN,
    is_built_in,
    list_registered,
    lookup,
    register,
    registered_name,
    source_module,
)

pytestmark = pytest.mark.usefixtures("only_built_in_names")


@pytest.fixture
def lazy_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A built-in schedule whose module is not imported yet."""
    code = "from onecycle.registry import register\n@register('schedule', 'lazy')\nclass Lazy: ..."

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            from importlib.machinery import ModuleSpec

            return ModuleSpec(name, Finder) if name == "lazy_schedule" else None  # type: ignore[arg-type]

        @staticmethod
        def create_module(spec: Any) -> None: ...

        @staticmethod
        def exec_module(module: ModuleType) -> None:
            exec(code, module.__dict__)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    monkeypatch.setitem(BUILT_IN["schedule"], "lazy", "lazy_schedule")
    yield "lazy_schedule"
    sys.modules.pop("lazy_schedule", None)


class Boxes: ...


def place_boxes() -> None: ...


def test_a_class_or_a_function_is_registered_in_one_line() -> None:
    assert register("target", "boxes")(Boxes) is Boxes
    assert register("split", "by_place")(place_boxes) is place_boxes
    assert lookup("target", "boxes") is Boxes
    assert "boxes" in list_registered("target")
    assert registered_name("target", Boxes) == "boxes"
    assert registered_name("split", place_boxes) == "by_place"
    assert source_module("target", "boxes") == __name__
    assert not is_built_in("target", "boxes")


def test_a_name_belongs_to_its_kind() -> None:
    register("target", "boxes")(Boxes)
    assert registered_name("model", Boxes) is None
    assert registered_name("target", type("Other", (Boxes,), {})) is None
    with pytest.raises(ModelError, match="Unknown model 'boxes'"):
        lookup("model", "boxes")


def test_names_are_listed_sorted_with_those_of_the_library() -> None:
    assert list_registered("schedule") == ["Constant", "Cosine", "OneCycle"]
    assert list_registered("tracker") == ["mlflow", "tensorboard", "trackio", "wandb"]
    assert list_registered("exporter") == ["onnx", "pt2", "web", "xml"]


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        ModelError,
        match=r"Unknown target 'points2'\.\nExpected one of: category, mask, masked_token, multi_category, next_token, "
        r"numbers, points, tensor\.\nFix: check the name\. Did you mean 'points'\?",
    ):
        lookup("target", "points2")


def test_an_unknown_name_where_there_is_none() -> None:
    with pytest.raises(ModelError, match=r"Unknown split 'x'\.\nExpected a registered split; there is none yet\."):
        lookup("split", "x")


@pytest.mark.parametrize("name", [None, 3, ["mask"]])
def test_what_is_no_name_is_unknown(name: Any) -> None:
    with pytest.raises(ModelError, match="Unknown target "):
        lookup("target", name)


@pytest.mark.parametrize("use", [lambda kind: register(kind, "x"), lambda kind: lookup(kind, "x"), list_registered])
def test_an_unknown_kind_is_refused_with_a_suggestion(use: Any) -> None:
    with pytest.raises(
        ModelError,
        match=r"Unknown kind of part 'targets'\.\nExpected one of: target, modality, model, metric, loss, "
        r"schedule, split, augmentation, tracker, exporter, interpretation, report\.\n"
        r"Fix: check the kind\. Did you mean 'target'\?",
    ):
        use("targets")


def test_the_module_that_registered_a_name_is_named_and_not_imported() -> None:
    with pytest.raises(ModelError, match=r"Fix: import this first, which registers it\."):
        lookup("target", "boxes", hint_module="this")
    assert "this" not in sys.modules


def test_a_module_that_is_imported_and_does_not_register_the_name() -> None:
    with pytest.raises(ModelError, match=r"Fix: register the target 'boxes' first, as __main__ did when it was saved"):
        lookup("target", "boxes", hint_module="__main__")


def test_a_name_is_registered_once() -> None:
    register("target", "boxes")(Boxes)
    with pytest.raises(
        ModelError,
        match=rf"The target 'boxes' is already registered by {__name__}\.Boxes\.\n"
        rf"Expected another name for {__name__}\.place_boxes\.\nFix: register it as, for example, 'my_boxes'\.",
    ):
        register("target", "boxes")(place_boxes)
    assert lookup("target", "boxes") is Boxes


def test_a_built_in_name_is_taken_even_before_its_module_is_imported() -> None:
    with pytest.raises(ModelError, match=r"The target 'mask' is already registered by onecycle\.vision\.masks"):
        register("target", "mask")(Boxes)


def test_the_same_definition_again_replaces_the_first() -> None:
    for _ in range(2):  # as a notebook's cell that runs again

        @register("target", "boxes")
        class Cell: ...

        assert lookup("target", "boxes") is Cell
    assert registered_name("target", Cell) == "boxes"


@pytest.mark.parametrize("part", [3, Boxes()])
def test_only_classes_and_functions_are_registered(part: Any) -> None:
    with pytest.raises(
        ModelError, match=r"register\('target', 'boxes'\) decorates .*\nExpected a name in quotes, above"
    ):
        register("target", "boxes")(part)


def test_a_forgotten_name_is_refused() -> None:
    with pytest.raises(ModelError, match=r'Fix: write @register\(\'target\', "name"\) above `class'):
        register("target", Boxes)(Boxes)  # type: ignore[arg-type]


def test_a_built_in_module_is_imported_when_its_name_is_looked_up(lazy_module: str) -> None:
    assert "lazy" in list_registered("schedule")
    assert is_built_in("schedule", "lazy")
    assert source_module("schedule", "lazy") == lazy_module
    assert lazy_module not in sys.modules
    assert lookup("schedule", "lazy").__name__ == "Lazy"
    assert lazy_module in sys.modules


def test_a_built_in_module_may_be_reloaded(lazy_module: str) -> None:
    first = lookup("schedule", "lazy")
    del sys.modules[lazy_module]
    __import__(lazy_module)
    assert lookup("schedule", "lazy") is not first


def test_it_imports_nothing_but_the_standard_library() -> None:
    code = "import sys, onecycle.registry; assert not {'torch', 'numpy', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in BUILT_IN.items() for name in names])
def test_every_built_in_name_resolves(kind: str, name: str) -> None:
    part = lookup(kind, name)
    assert part.__module__ == BUILT_IN[kind][name]
    assert registered_name(kind, part) is not None
