import io
import sys

import pytest

import fake_notebook
from onecycle.data.progress import progress


def test_without_a_terminal_nothing_is_printed(capsys: pytest.CaptureFixture) -> None:
    assert list(progress(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_a_bar_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert "reading" in screen.getvalue()


def test_in_a_notebook_the_bar_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = fake_notebook.install(monkeypatch)
    monkeypatch.setattr("onecycle.data.progress.SECONDS_BETWEEN_UPDATES", -1)
    seen = []
    for item in progress(iter("abc"), "<reading>", 3):
        seen.append((item, notebook.html))
    assert seen[1] == ("b", ['<progress value="1" max="3"></progress> &lt;reading&gt;: 1 of 3'])
    assert notebook.html == [""]


def test_in_a_notebook_what_is_done_at_once_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = fake_notebook.install(monkeypatch)
    assert list(progress(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert notebook.outputs == []
