"""Pages that classify images in the browser: a folder of static files, with the model and its runtime."""

from __future__ import annotations

import importlib.resources
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from onecycle.disk import replacing
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.ship.exports.exported import Exported
from onecycle.ship.exports.onnx_file import proved_file
from onecycle.ship.exports.precision import asked_for
from onecycle.ship.exports.writing import writing_to

PACKAGE = "onnxruntime-web"
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""The files of onnxruntime-web that the page needs."""

DESCRIPTION = "model.json"
# Those of the page that `onecycle serve` shows, and of this one.
_SHARED = ("common.js", "style.css")
_OWN = ("index.html", "page.js", "model.js", "resize.js")
_KINDS = ("category", "multi_category")


def write_web(
    path: Path, exported: Exported, *, precision: str = "fp32", tolerance: float | None = None,
    runtime_files: str | Path | None = None,
) -> Path:  # fmt: skip
    """Write a page that classifies images in the browser, as a folder of static files for any host.

    Args:
        path: The folder.
        exported: The model.
        precision: "fp32", or "int8" for a quarter of the download.
        tolerance: See `write_onnx`.
        runtime_files: The package onnxruntime-web: what `npm pack onnxruntime-web` downloaded, or its folder. None
            takes node_modules/onnxruntime-web.
    Raises:
        ModelError: The model does not classify images; or see `write_onnx`.
        BundleError: There are other files in the folder, or it cannot be written.
        DataError: There is no onnxruntime-web.
    """
    _check(path, exported)
    with tempfile.TemporaryDirectory() as folder:
        runtime = find_runtime(runtime_files, Path(folder))
        file = proved_file(exported, path.name, asked_for(precision, tolerance))
        with writing_to(path / DESCRIPTION), writing_to(path / "ort" / "x"):
            for name in RUNTIME:
                _replace(path / "ort" / name, (runtime / name).read_bytes())
            for package, names in (("onecycle.ship.serve", _SHARED), ("onecycle.ship.exports", _OWN)):
                for name in names:
                    _replace(path / name, (importlib.resources.files(package) / "page" / name).read_bytes())
            _replace(path / "model.onnx", file.content)
            _replace(path / DESCRIPTION, json.dumps(_shown(file.description), indent=1).encode())
    print(f"{path.name}/: {file.proof}")
    return path


def _check(path: Path, exported: Exported) -> None:
    target, modality = exported.target.kind, exported.modality.kind
    if target not in _KINDS or modality != "images":
        raise ModelError(
            f"A model from {modality} to {target} is not exported as a page.", "one that gives classes or tags to "
            "images.", "export ONNX: a name that ends in .onnx, without web=True.",
        )  # fmt: skip
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / DESCRIPTION).is_file()):
        raise BundleError(f"{path} has other files.", "a new folder, or a page from before.", "pass another path.")


def _shown(description: dict[str, Any]) -> dict[str, Any]:
    """Return what a page tells everybody: of the card only the date."""
    card = description["card"]
    return {**description, "card": {"date": card["date"]} if "date" in card else {}}


def _replace(path: Path, content: bytes) -> None:
    with replacing(path) as part:
        part.write_bytes(content)


def find_runtime(given: str | Path | None, folder: Path) -> Path:
    """Return the folder with the files of onnxruntime-web.

    Args:
        given: See `write_web`.
        folder: An empty one, for what is unpacked.
    Raises:
        DataError: They are not there.
    """
    places = [Path(given)] if given is not None else [
        parent / "node_modules" / PACKAGE for parent in (Path.cwd(), *Path.cwd().parents)
    ]  # fmt: skip
    for place in places:
        if place.is_file() and tarfile.is_tarfile(place):
            place = _unpacked(place, folder)
        for inside in (place / "dist", place):
            if all((inside / name).is_file() for name in RUNTIME):
                return inside
    raise DataError(
        f"{given} does not have {' and '.join(RUNTIME)}." if given is not None else f"There is no {PACKAGE}.",
        f"the package {PACKAGE}, which computes in the browser.",
        f"run `npm pack {PACKAGE}`, and pass the file that it downloads: runtime_files='{PACKAGE}-1.30.0.tgz' (in the "
        f"shell --runtime-files); or run `npm install {PACKAGE}` here.",
    )


def _unpacked(archive: Path, folder: Path) -> Path:
    """Take the needed files out of what `npm pack` downloaded."""
    with tarfile.open(archive) as packed:
        for member in packed:
            name = Path(member.name).name
            if member.isfile() and name in RUNTIME and (source := packed.extractfile(member)) is not None:
                with source, (folder / name).open("wb") as file:
                    shutil.copyfileobj(source, file)
    return folder
