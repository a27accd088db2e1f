from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onecycle.runtime import load_model


@pytest.mark.slow
def test_a_bundle_is_exported_and_proved(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    done = shell("export", bundle, "tags.onnx", "--items", tagged / "images")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("tags.onnx: proved on 24 given items: same labels, largest difference ")
    assert load_model(tmp_path / "tags.onnx").classes == ("blue", "green", "red")


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny_models")
def test_a_run_is_compared_on_the_items_that_it_was_validated_on(shell: Any, photos: Path, tmp_path: Path) -> None:
    assert shell("train", photos, "--epochs", "1", "--sizes", "32", "--out", "run").code == 0
    done = shell("export", "run", "x.onnx")
    assert done.code == 0, done.err
    assert "given items: same labels" in done.out
    assert load_model(tmp_path / "x.onnx").proof["items"] == 6
    small = shell("export", "run", "small.onnx", "--precision", "int8", "--tolerance", "100")
    assert small.code == 0, small.err
    assert "small.onnx: int8, measured on 6 given items: accuracy " in small.out
    assert load_model(tmp_path / "small.onnx").proof["precision"] == "int8"


def test_options_of_the_shell_are_those_of_python(shell: Any, bundle: Path, monkeypatch: Any) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("onecycle.ship.model.Model.export", lambda model, path, **options: seen.append(options))
    shell("export", bundle, "x.onnx", "--precision", "int8", "--tolerance", "2")
    shell("export", bundle, "page", "--web", "--runtime-files", "ort.tgz")
    assert seen == [
        {"tolerance": 2.0, "precision": "int8"}, {"web": True, "runtime_files": Path("ort.tgz")},
    ]  # fmt: skip


def test_int8_of_a_single_model_says_where_its_items_are(shell: Any, bundle: Path) -> None:
    done = shell("export", bundle, "x.onnx", "--precision", "int8")
    assert done.code == 2
    assert "onecycle export RUN x.onnx --precision int8" in done.err


def test_another_suffix_is_refused(shell: Any, bundle: Path) -> None:
    done = shell("export", bundle, "tags.tflite")
    assert done.code == 2
    assert done.err.startswith(
        "A loaded model is not exported as 'tags.tflite'.\nExpected a name that ends in .onnx, .pt2, .xml"
    )


def test_nothing_is_replaced_unless_asked(shell: Any, bundle: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("onecycle.ship.model.Model.export", lambda model, path: path.write_text("new"))
    held = tmp_path / "tags.onnx"
    held.write_text("another model")
    done = shell("export", bundle, "tags.onnx")
    assert done.code == 2
    assert done.err.splitlines() == [
        "tags.onnx exists.", "Expected a new file or folder.", "Fix: pass another FILE, or add --overwrite.",
    ]  # fmt: skip
    assert held.read_text() == "another model"
    assert shell("export", bundle, "other.onnx").code == 0
    assert shell("export", bundle, "tags.onnx", "--overwrite").code == 0
    assert held.read_text() == "new"
