"""Models for OpenVINO; skipped where it is not installed."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onecycle as oc
from onecycle.errors import BundleError, ModelError
from onecycle.runtime import load_model
from ship import tiny_bundles


@pytest.mark.slow
def test_a_file_for_openvino_predicts_as_the_bundle_does(tmp_path: Path, photos: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is in the extra of that name")
    model = oc.load_model(tiny_bundles.photos().write(tmp_path / "x.onecycle"), device="cpu")
    path = model.export(tmp_path / "x.xml", items=photos)
    assert {entry.name for entry in tmp_path.iterdir()} == {"x.onecycle", "x.xml", "x.bin"}
    files = sorted(photos.rglob("*.jpg"))
    loaded = load_model(path, threads=1)
    expected = model.probabilities(files).cpu().numpy()
    np.testing.assert_allclose(loaded.probabilities(files), expected, atol=1e-4)
    assert (loaded.classes, loaded.proof["items"]) == (model.classes, 30)
    weights = path.with_suffix(".bin")
    content = weights.read_bytes()
    weights.write_bytes(bytes([content[0] ^ 64]) + content[1:])
    with pytest.raises(BundleError, match=r"x\.xml with x\.bin is not as it was written: .*\n.*\nFix: copy both again"):
        load_model(path)
    weights.write_bytes(content)
    load_model(path)
    weights.unlink()
    with pytest.raises(BundleError, match=r"x\.xml is not a model that OpenVINO reads: .*\n.*\nFix: copy both again"):
        load_model(path)


def test_graphs_in_8_bits_are_refused(tmp_path: Path) -> None:
    model = oc.load_model(tiny_bundles.photos().write(tmp_path / "x.onecycle"), device="cpu")
    with pytest.raises(
        ModelError, match=r"x\.xml is not written with precision='int8': OpenVINO predicts something else"
    ):
        model.export(tmp_path / "x.xml", precision="int8")


def test_without_openvino_both_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "openvino":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    model = oc.load_model(tiny_bundles.photos().write(tmp_path / "x.onecycle"), device="cpu")
    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "x.xml").write_text("")
    with pytest.raises(BundleError, match=r"openvino is not installed\.\n.*\nFix: pip install openvino"):
        load_model(tmp_path / "x.xml")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "openvino" else True)
    with pytest.raises(ModelError, match=r"openvino is not installed\.\n.*\nFix: pip install 'onecycle\[openvino\]'"):
        model.export(tmp_path / "y.xml")
