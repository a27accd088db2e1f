"""A notebook's kernel as onecycle sees it, without IPython: what its cells show."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class FakeNotebook:
    """Everything that was shown, each output as it is now."""

    def __init__(self) -> None:
        self.outputs: list[Any] = []
        self.callbacks: dict[str, list[Callable[[], None]]] = {"post_execute": []}

    def register(self, event: str, function: Callable[[], None]) -> None:
        self.callbacks[event].append(function)

    def end_cell(self) -> None:
        for function in self.callbacks["post_execute"]:
            function()

    def display(self, content: Any, display_id: bool = False) -> Any:
        if hasattr(content, "_ipython_display_"):
            content._ipython_display_()
            return None
        place = len(self.outputs)
        self.outputs.append(content)
        return SimpleNamespace(update=lambda content: self.outputs.__setitem__(place, content))

    @property
    def html(self) -> list[str]:
        return [content._repr_html_() for content in self.outputs]


def install(monkeypatch: pytest.MonkeyPatch) -> FakeNotebook:
    """Let the code believe that it runs in a notebook."""
    notebook = FakeNotebook()
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    shell = SimpleNamespace(kernel=object(), events=notebook)
    package.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display.display = notebook.display  # type: ignore[attr-defined]
    display.Image = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return notebook
