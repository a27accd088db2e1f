"""What notebooks show, without one; `tests/notebooks` has real ones."""

import sys
import warnings
from types import ModuleType, SimpleNamespace

import pytest

import fake_notebook
from onecycle.notebook import (
    CellOutput,
    Html,
    Printed,
    html_lines,
    html_table,
    in_notebook,
    silence_widget_hint,
)


def test_scripts_and_terminals_are_no_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    terminal = ModuleType("IPython")
    terminal.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert not in_notebook()


def test_a_shell_with_a_kernel_is_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_notebook.install(monkeypatch)
    assert in_notebook()


def test_an_output_is_replaced_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = fake_notebook.install(monkeypatch)
    output, other = CellOutput(), CellOutput()
    for text in ("1", "2", "3"):
        output.show(Html(text))
    other.show(Html("other"))
    assert notebook.html == ["3", "other"]


def test_what_was_printed_is_not_shown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = fake_notebook.install(monkeypatch)
    notebook.display(Printed("text"))
    assert notebook.outputs == []
    assert Printed("text") == "text"


def test_names_and_values_are_escaped() -> None:
    table = html_table([{"<script>": "<b>", "x": 1}, {"x": "&"}])
    assert "<script>" not in table
    assert "<b>" not in table
    assert "<td></td><td>&amp;</td>" in table
    assert html_lines("<i>") == "<div>&lt;i&gt;</div>"


def test_long_texts_are_aligned_to_the_left() -> None:
    assert '<td style="text-align:left">' + "x" * 41 + "</td><td>1</td>" in html_table([{"text": "x" * 41, "n": 1}])


def test_in_a_notebook_nothing_asks_for_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    hint = "IProgress not found. Please update jupyter and ipywidgets."
    with warnings.catch_warnings():
        silence_widget_hint()
        with pytest.raises(UserWarning, match="IProgress"):
            warnings.warn(hint, stacklevel=1)
        fake_notebook.install(monkeypatch)
        silence_widget_hint()
        warnings.warn(hint, stacklevel=1)
