from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest
import torch

from onecycle.cli import doctor

FOR_WORK_ON_ONECYCLE = {"dev", "notebook", "browser", "bench", "docs", "package"}


def test_doctor_shows_what_a_report_needs(shell: Any) -> None:
    done = shell("doctor")
    assert done.code == 0
    found = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert found["onecycle"].startswith(metadata.version("onecycle"))
    assert f"torch {torch.__version__.split('+')[0]}" in found["packages"]
    assert "tf_efficientnet_lite0" in found["weights"]
    assert "GB free of" in found["memory"]
    assert {"system", "processors", "device", "bf16", "cache", "extra"} < set(found)


def test_every_extra_of_users_has_its_purpose() -> None:
    assert set(metadata.metadata("onecycle").get_all("Provides-Extra", [])) <= {*doctor.PURPOSES, *FOR_WORK_ON_ONECYCLE}


def test_doctor_names_what_is_missing_and_how_to_install_it(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "uvicorn" else installed(name))
    done = shell("doctor")
    assert "serve (onecycle serve, onecycle review): missing: uvicorn; pip install 'onecycle[serve]'" in done.out
    assert "heif (HEIC photos): missing" not in done.out
