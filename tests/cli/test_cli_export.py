from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from onecycle.cli.export import validation_items
from onecycle.cli.run_items import write_items
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
    assert "proved on 6 validation items: same labels" in done.out
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
    assert done.err.endswith("in place of the model: onecycle export RUN x.onnx --precision int8\n")
    assert "learner.export" not in done.err


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


class TestItemsOfARun:
    @pytest.fixture
    def run(self, photos: Path, tmp_path: Path) -> Path:
        """A run whose kept validation items are others than a split of the data as it is now would give."""
        data, run = tmp_path / "photos", tmp_path / "run"
        shutil.copytree(photos, data)
        labelled = oc.ImageList.from_folder(data).split_random(0.25, seed=7).label_from_folder()
        write_items(labelled, run)
        (run / "run.json").write_text(json.dumps({"data": str(data), "options": {}, "finished": True}))
        (run / "last.ckpt").touch()
        self.kept = sorted(labelled.valid.names())
        return run

    def test_they_are_those_that_the_run_kept(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert sorted(validation_items(run).names()) == self.kept
        assert "split as they were when the model was trained" in capsys.readouterr().err

    def test_one_that_came_later_is_left_out(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = run.with_name("photos")
        old = data / self.kept[0]
        shutil.copy(old, old.with_name(f"later{old.suffix}"))
        old.unlink()
        assert sorted(validation_items(run).names()) == self.kept[1:]
        told = capsys.readouterr().err
        assert "1 item is not there any more" in told
        assert "1 item is new, and left out" in told

    def test_without_kept_items_they_are_those_of_the_recipe(self, run: Path) -> None:
        (run / "items.parquet").unlink()
        assert sorted(validation_items(run).names()) != self.kept
