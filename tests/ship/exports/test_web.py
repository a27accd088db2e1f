"""The folder of a page: what is in it, and what is refused. The page itself is used in tests/browser."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

import onecycle as oc
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.runtime import load_model
from onecycle.ship.exports.web import RUNTIME, find_runtime
from ship import tiny_bundles


def packed(path: Path) -> Path:
    """Write what `npm pack onnxruntime-web` would download, with other content."""
    with tarfile.open(path, "w:gz") as archive:
        for name in ("package/package.json", *(f"package/dist/{name}" for name in RUNTIME)):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return path


def test_the_runtime_is_found_where_npm_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / "onnxruntime-web-1.30.0.tgz")
    (tmp_path / "new").mkdir()
    assert {path.name for path in find_runtime(archive, tmp_path / "new").iterdir()} == set(RUNTIME)
    installed = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    installed.mkdir(parents=True)
    for name in RUNTIME:
        (installed / name).write_text("")
    assert find_runtime(installed.parent, tmp_path) == find_runtime(installed, tmp_path) == installed
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert find_runtime(None, tmp_path) == installed


def test_without_the_runtime_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"There is no onnxruntime-web\.\n.*\nFix: run `npm pack onnxruntime-web`"):
        find_runtime(None, tmp_path)
    with pytest.raises(DataError, match=r" does not have ort\.wasm\.bundle\.min\.mjs and ort-wasm"):
        find_runtime(tmp_path, tmp_path)


@pytest.mark.slow
def test_a_page_is_a_folder_of_static_files(tmp_path: Path, photos: Path) -> None:
    model = oc.load_model(tiny_bundles.tags().write(tmp_path / "x.onecycle"), device="cpu")
    archive = packed(tmp_path / "ort.tgz")
    page = model.export(tmp_path / "page", web=True, runtime_files=archive, items=photos)
    files = {str(path.relative_to(page)) for path in page.rglob("*") if path.is_file()}
    assert files == {
        "index.html", "page.js", "model.js", "resize.js", "common.js", "style.css", "model.json", "model.onnx",
        *(f"ort/{name}" for name in RUNTIME),
    }  # fmt: skip
    described = json.loads((page / "model.json").read_text())
    assert described["target"]["classes"] == list(model.classes)
    assert set(described["card"]) <= {"date"}
    assert load_model(page / "model.onnx").classes == model.classes
    model.export(page, web=True, runtime_files=archive, items=photos)  # a page from before is replaced


def test_what_is_no_page_is_refused(tmp_path: Path) -> None:
    model = oc.load_model(tiny_bundles.tags().write(tmp_path / "x.onecycle"), device="cpu")
    with pytest.raises(BundleError, match=r" has other files\.\nExpected a new folder, or a page from before\."):
        model.export(tmp_path, web=True)
    ages = oc.load_model(tiny_bundles.MODELS["ages"]().write(tmp_path / "ages.onecycle"), device="cpu")
    with pytest.raises(ModelError, match=r"A model from images to numbers is not exported as a page\."):
        ages.export(tmp_path / "page", web=True)
    assert not (tmp_path / "page").exists()
