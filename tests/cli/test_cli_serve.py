from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Shell
from onecycle.ship.serve import server


def test_options_reach_the_server(shell: Shell, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(server, "serve", lambda *given, **options: calls.append((given, options)))
    assert shell("serve", bundle).code == 0
    assert shell("serve", bundle, "--host", "::", "--port", 80, "--token", "t", "--journal", "j").code == 0
    assert calls == [
        ((bundle,), {"host": "127.0.0.1", "port": 8000, "token": None, "journal": None}),
        ((bundle,), {"host": "::", "port": 80, "token": "t", "journal": Path("j")}),
    ]


def test_errors_are_three_lines_with_the_shells_options(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, bundle: Path
) -> None:
    refused = shell("serve", bundle, "--port", 99999)
    assert refused.code == 2
    assert refused.err.endswith("Fix: pass --port 0 for a free one, or stop what listens there.\n")
    for port in (99999, 0):  # the model comes first
        missing = shell("serve", "nothing.onecycle", "--port", port)
        assert missing.code == 2
        assert missing.err.startswith("There is no model at nothing.onecycle.\n")
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert "Fix: pip install 'onecycle[serve]'." in shell("serve", bundle).err
