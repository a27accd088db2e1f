from __future__ import annotations

from pathlib import Path

import pytest

from learners import tag_bunch, tiny
from onecycle.cli import main
from task_data import _tiny_models as _tiny_models
from task_data import _tiny_unfrozen_models as _tiny_unfrozen_models
from task_data import biwi as biwi
from task_data import camvid as camvid
from task_data import dots as dots
from task_data import reviews as reviews
from task_data import segnet as segnet


class Result:
    """The exit code of a command, and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Shell:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Result:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        return Result(int(caught.value.code or 0), out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Runs commands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture(scope="session")
def bundle(tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of tags."""
    return tiny(tag_bunch(tagged)).export(tmp_path_factory.mktemp("cli") / "tags.onecycle")
