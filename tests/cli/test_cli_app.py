from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onecycle import cli


class TestErrors:
    @pytest.mark.parametrize("command", ["train", "check"])
    def test_a_folder_that_does_not_exist(self, shell: Any, command: str) -> None:
        done = shell(command, "nowhere")
        assert done.code == 2
        assert done.err.splitlines()[-3:] == [
            "No such file or folder: nowhere.", "Expected the folder with the data, or a table.",
            "Fix: check the path.",
        ]  # fmt: skip

    @pytest.mark.parametrize("arguments", [["train"], ["fly"], ["train", ".", "--speed", "9"], ["predict", "x"]])
    def test_an_unknown_command_or_option_exits_with_2(self, shell: Any, arguments: list[str]) -> None:
        assert shell(*arguments).code == 2

    def test_debug_shows_the_traceback(self, shell: Any) -> None:
        done = shell("--debug", "train", "nowhere")
        assert done.code == 2
        assert "Traceback" in done.err

    def test_an_internal_error_exits_with_1_and_a_hint(
        self, shell: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onecycle.recipes.task.build_pipeline", lambda *arguments, **options: 1 // 0)
        done = shell("train", photos)
        assert done.code == 1
        assert done.err.splitlines() == [
            "Internal error in onecycle: ZeroDivisionError: integer division or modulo by zero",
            "Run onecycle --debug ... to see the traceback.",
        ]
        assert "Traceback" in shell("--debug", "train", photos).err


@pytest.mark.parametrize(
    "arguments", [["--help"], *([command, "--help"] for command in ("train", "predict", "check", "info", "demo"))],
    ids=" ".join,
)  # fmt: skip
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom onecycle.cli import main\n"
        f"try: main({arguments!r})\n"
        "finally: print([name for name in ('torch', 'timm', 'pyarrow', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: onecycle" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("said", "spins"), [
    ({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
])  # fmt: skip
def test_threads_that_wait_sleep_soon_unless_the_user_said_how_they_wait(
    said: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.environ", dict(os.environ))  # what main sets is gone after the test
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "onecycle", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: onecycle [OPTIONS] COMMAND" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "onecycle", "fly"], capture_output=True, text=True)
    assert wrong.returncode == 2


def test_the_installed_command_is_this_one() -> None:
    code = "import importlib.metadata as m; print(m.entry_points(group='console_scripts')['onecycle'].value)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{cli.__name__}:main"
