from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from cli.conftest import Shell
from onecycle.cli import review as command
from onecycle.ship.review_page import server


def test_options_reach_the_server(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(server, "serve_review", lambda *given, **options: calls.append((given, options)))
    monkeypatch.setattr(command, "open_run", lambda run: f"learner of {run}")
    assert shell("review", "run").code == 0
    assert shell("review", "run", "--pool", "new", "--host", "::", "--port", 80, "--token", "t", "--most", 5).code == 0
    usual = {"pool": None, "host": "127.0.0.1", "port": 8001, "token": None, "most": 100}
    assert calls == [
        (("learner of run", Path("run")), usual),
        (("learner of run", Path("run")), {"pool": Path("new"), "host": "::", "port": 80, "token": "t", "most": 5}),
    ]


def test_a_folder_without_a_run_is_told(shell: Shell) -> None:
    refused = shell("review", "nothing", "--port", 0)
    assert refused.code == 2
    assert refused.err.startswith("nothing has no run.\n")


def test_missing_packages_are_told_before_anything_is_read(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert "Fix: pip install 'onecycle[serve]'." in shell("review", "nothing").err


SCRIPT = """
import sys
import onecycle as oc
sys.path.insert(0, {tests!r})
from learners import photo_bunch, tiny
from pathlib import Path
print(repr(oc.serve_review(tiny(photo_bunch(Path({photos!r}))), {folder!r}, port=0)))
"""


@pytest.mark.slow
def test_it_ends_cleanly_and_returns_what_was_decided(photos: Path, tmp_path: Path) -> None:
    oc.Corrections(path=tmp_path / "corrections.parquet").append("red/red_0.jpg", "keep")
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), photos=str(photos), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            printed = running.stdout.readline() + running.stdout.readline()
            assert f"Decisions are written to {tmp_path / 'corrections.parquet'}\n" in printed
            address = re.search(r"Review of \S+ \(category, 3 classes\) on (http://\S+/)\n", printed)
            assert address is not None
            with urllib.request.urlopen(f"{address[1]}about") as response:
                assert b'"blue"' in response.read()
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0
            assert running.stdout.read() == "Corrections: 1 item: 1 kept\n"
        finally:
            running.kill()
