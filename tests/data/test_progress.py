import io
import sys

import pytest

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
