"""Exported models without PyTorch: how items are read, and what outputs mean."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import onecycle as oc
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.runtime import load_model
from onecycle.text.texts import Texts
from onecycle.vision.images import Images
from runtime.tiny_onnx import IMAGES, write_colours, write_map, write_tokens
from ship import tiny_bundles

COLOURS = {"kind": "category", "classes": ["red", "green", "blue"]}
TAGS = {"kind": "multi_category", "classes": ["red", "green", "blue"], "threshold": 0.9}


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A photo of 40 x 30 pixels, red with a blue left edge that is cropped."""
    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[..., 0] = 250
    pixels[:, :6] = (0, 0, 250)
    Image.fromarray(pixels).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_a_class_with_its_probabilities(red: Path, tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS), threads=1)
    prediction = model.predict(red)
    mean = np.array(Images((8, 12)).read(red, training=False).input, np.float64).mean(axis=(0, 1))
    expected = np.exp(mean / 64) / np.exp(mean / 64).sum()
    assert prediction.label == "red"
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, rtol=1e-5)
    assert model.classes == ("red", "green", "blue")
    assert (model.card, model.proof["items"]) == ({"epochs": 1}, 3)
    assert repr(model) == "Model: images to category, 3 classes: red, green, blue"


def test_paths_bytes_opened_files_and_arrays_are_read(red: Path, tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    with open(red, "rb") as opened:
        items = [red, str(red), red.read_bytes(), opened, np.asarray(Image.open(red)), Image.open(red)]
        found = model.probabilities(items, batch_size=4)
    assert found.shape == (6, 3)
    np.testing.assert_array_equal(found, np.repeat(found[:1], 6, axis=0))
    assert [one.label for one in model.predict_many([red, red], batch_size=1)] == ["red", "red"]


def test_a_column_of_a_table_is_read_in_its_order(red: Path, tmp_path: Path) -> None:
    """A filtered or shuffled column has other row numbers than its places."""
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    column = pd.Series([np.full((8, 12, 3), colour, np.uint8) for colour in np.eye(3, dtype=np.uint8) * 250])
    labels = [one.label for one in model.predict_many(column[[2, 0]])]
    assert labels == ["blue", "red"]
    np.testing.assert_array_equal(model.probabilities(column[[2, 0]]), model.probabilities(column)[[2, 0]])


def test_tags_above_a_threshold_that_can_be_set(red: Path, tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", TAGS, last="Sigmoid"))
    assert model.predict(red).label == ("red",)
    model.threshold = 0.1
    assert (model.threshold, model.predict(red).label) == (0.1, ("red", "green", "blue"))
    with pytest.raises(DataError, match=r"threshold=1\.5\.\nExpected a probability.*\nFix: set it to 0\.2\."):
        model.threshold = 1.5
    model.threshold = 0.2


def test_only_tags_have_a_threshold(tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    with pytest.raises(ModelError, match=r"Only tags have a threshold, and this predicts category\."):
        model.threshold  # noqa: B018


def test_numbers_by_name(red: Path, tmp_path: Path) -> None:
    target = {"kind": "numbers", "classes": ["r", "g", "b"], "mean": [0, 0, 0], "std": [1, 1, 1]}
    model = load_model(write_colours(tmp_path / "x.onnx", target, last="Identity"))
    label = model.predict(red).label
    assert (label["r"], label["g"]) == pytest.approx((250 / 64, 0), abs=0.2)
    assert model.predict(red).probabilities == {}


def test_masks_are_those_of_the_original_size(red: Path, tmp_path: Path) -> None:
    """The cropped columns get the ignored value; the others are what the target of a bundle decodes."""
    config = {"kind": "mask", "classes": ["r", "g", "b"], "values": [1, 2, 3], "ignored": [0], "colours": None}
    model = load_model(write_map(tmp_path / "x.onnx", config))
    prediction = model.predict(red)
    target, modality = oc.Mask.from_config(config), Images((8, 12))
    reading = modality.read(red, training=False)
    import torch

    expected = target.decode(torch.from_numpy(model.probabilities([red])[0]), reading.geometry)
    np.testing.assert_array_equal(prediction.label, expected)
    assert set(np.unique(prediction.label)) == {0, 1}
    assert prediction.label.shape == (30, 60)
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_texts_are_tokenized_as_in_a_bundle(tmp_path: Path) -> None:
    texts = Texts(oc.Tokenizer("all-MiniLM-L6-v2"), max_length=6)
    model = load_model(write_tokens(tmp_path / "x.onnx", texts.to_config()))
    (tmp_path / "a.txt").write_text("A <br />good film, that ends well and late.")
    for item in ("One word", tmp_path / "a.txt", [101, 5, 102]):
        np.testing.assert_array_equal(model.read(item).values, texts.read(item, training=False).input)
    assert model.predict([101, 5, 102]).label["mean"] == pytest.approx(208 / 3)


@pytest.mark.parametrize(("changes", "message"), [
    ({"schema": 2}, r"x\.onnx has schema 2, of a newer version of onecycle\.\nExpected schema 1 or older"),
    ({"card": 3}, r"x\.onnx does not describe its card\.\nExpected a file that export\(\) of onecycle wrote"),
    ({"modality": {"kind": "sound"}}, r"x\.onnx has a modality of kind 'sound', which is read with its own code alone"),
    ({"modality": {**IMAGES, "method": "zoom"}}, r"x\.onnx does not describe its modality: ValueError: method 'zoom'"),
    ({"modality": {**IMAGES, "size": [0, 4]}}, r"size=\[0, 4\]\.\nExpected pixels"),
    ({"target": {"kind": "category"}}, r"x\.onnx does not describe its target: KeyError: 'classes'"),
    ({"target": {"kind": "category", "classes": "cat"}}, r"does not describe its target: ValueError: classes that are"),
    ({"target": {"kind": "mask", "classes": ["a"], "values": [300], "ignored": []}}, r"without a value from 0 to 255"),
])  # fmt: skip
def test_a_file_that_does_not_describe_itself_is_refused(changes: Any, message: str, tmp_path: Path) -> None:
    path = write_colours(tmp_path / "x.onnx", **{"target": COLOURS, **changes})
    with pytest.raises(oc.OnecycleError, match=message):
        load_model(path)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"No such file: .*x\.onnx\.\nExpected a file that export\(\) wrote\."):
        load_model(tmp_path / "x.onnx")
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"x\.onnx is not a model that onnxruntime reads: "):
        load_model(tmp_path / "x.onnx")


def test_what_something_else_reads_is_named(tmp_path: Path) -> None:
    """The fixes are executed: each of them loads what was refused."""
    bundle = tiny_bundles.photos().write(tmp_path / "photos.onecycle")
    with pytest.raises(BundleError, match=r"photos\.onecycle is a bundle, .*\n.*\nFix: load it with onecycle"):
        load_model(bundle)
    oc.load_model(bundle)
    exported = write_colours(tmp_path / "colours.onnx", COLOURS)
    with pytest.raises(
        BundleError, match=r"exported for another runtime\.\n.*\nFix: call onecycle\.runtime\.load_model"
    ):
        oc.load_model(exported)
    with pytest.raises(BundleError, match=r"is a folder\.\nExpected .*\nFix: pass '.*colours\.onnx'\."):
        load_model(tmp_path)
    load_model(exported)
    (tmp_path / "run").mkdir()
    with pytest.raises(BundleError, match=r"run is a folder\.[\s\S]*onecycle export .*run run\.onnx$"):
        load_model(tmp_path / "run")
    torch = pytest.importorskip("torch")
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "x.pt2")
    for load in (load_model, oc.load_model):
        with pytest.raises(BundleError, match=r"x\.pt2 [\s\S]*\nFix: call torch\.export\.load\('"):
            load(tmp_path / "x.pt2")
    torch.export.load(tmp_path / "x.pt2")


@pytest.mark.parametrize(("path", "threads", "message"), [
    (None, None, r"load_model\(\) got path=None, of type NoneType\.\nExpected a string or a path"),
    (b"x.onnx", None, r"load_model\(\) got path=b'x\.onnx', of type bytes\."),
    ("x.onnx", "2", r"load_model\(\) got threads='2', of type str\.\n.*\nFix: pass threads=2, without quotes"),
    ("x.onnx", 0, r"threads=0\.\nExpected a whole number, 1 or more\.\nFix: pass threads=1, or leave it out"),
    ("x.onnx", True, r"threads=True\.\n"),
    ("x.onnx", 1.5, r"threads=1\.5, of type float\.\n"),
])  # fmt: skip
def test_arguments_of_the_wrong_type(
    path: Any, threads: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_colours(tmp_path / "x.onnx", COLOURS)
    with pytest.raises(oc.OnecycleError, match=message):
        load_model(path, threads=threads)


def test_a_model_is_not_sent_to_another_process(tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    for send in (pickle.dumps, copy.deepcopy):
        with pytest.raises(BundleError, match=r"cannot be copied, or sent.*\n.*\nFix: call load_model\(path\) there"):
            send(model)


def test_lists_are_lists(red: Path, tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    with pytest.raises(DataError, match=r"Fix: call predict\(path\), or pass \[path\]\."):
        model.predict_many(str(red))  # type: ignore[arg-type]
    image = np.full((8, 12, 3), (9, 90, 9), np.uint8)
    for call in (model.predict_many, model.probabilities):
        with pytest.raises(DataError, match=r"One image, .*\(8, 12, 3\)\.\n.*\nFix: call predict\(image\), or \S+ \["):
            call(image)
    assert model.predict(image) == model.predict_many([image])[0] == model.predict_many(image[None])[0]
    assert model.predict_many([]) == []
    assert model.probabilities([]).shape == (0, 3)
    with pytest.raises(DataError, match=r"batch_size=0\."):
        model.predict_many([red], batch_size=0)
    assert [one.label for one in model.predict_many(path for path in [red, red])] == ["red", "red"]
    with pytest.raises(DataError, match=r"opened as text\.\n.*\nFix: pass its path, or open\(path, 'rb'\)"):
        model.predict(io.StringIO("a text"))
    with pytest.raises(DataError, match=r"the image is not an image of a known format\."):
        model.predict(b"this is no image at all")


def test_neither_torch_nor_anything_that_needs_it_is_imported(red: Path, tmp_path: Path) -> None:
    """Also with texts, whose tokenizer is the only package besides numpy, Pillow and onnxruntime."""
    write_colours(tmp_path / "x.onnx", COLOURS)
    write_tokens(tmp_path / "t.onnx", Texts(oc.Tokenizer("all-MiniLM-L6-v2"), max_length=6).to_config())
    absent = ["torch", "torchvision", "timm", "transformers", "pyarrow", "rich", "matplotlib", "safetensors", "psutil"]
    code = (
        f"import sys; sys.modules |= dict.fromkeys({absent!r})\n"
        "from onecycle.runtime import load_model\n"
        f"print(load_model('x.onnx').predict({str(red)!r}).label)\n"
        "assert 'tokenizers' not in sys.modules\n"
        "print(load_model('t.onnx').predict('A film').label['mean'] > 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("red\nTrue\n", "")


@pytest.mark.parametrize(("absent", "message"), [
    ("onnxruntime", r"onnxruntime is not installed\.\nExpected it, .*\nFix: pip install onnxruntime"),
    ("tokenizers", r"This model reads texts, and tokenizers is not installed\..*\n.*\nFix: pip install tokenizers"),
])  # fmt: skip
def test_a_package_that_is_missing_is_named(absent: str, message: str, tmp_path: Path, monkeypatch: Any) -> None:
    path = write_tokens(tmp_path / "t.onnx", Texts(oc.Tokenizer("all-MiniLM-L6-v2"), max_length=6).to_config())
    for name in [name for name in sys.modules if name.startswith("onecycle.text.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(BundleError, match=message):
        load_model(path)


def test_paths_in_the_place_of_texts_and_empty_texts_are_told_as_by_a_bundle(tmp_path: Path, monkeypatch: Any) -> None:
    texts = Texts(oc.Tokenizer("all-MiniLM-L6-v2"), max_length=6)
    model = load_model(write_tokens(tmp_path / "x.onnx", texts.to_config()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("A good film")
    with pytest.raises(DataError, match=r"'a\.txt' is the path of a file[\s\S]*Fix: pass Path\('a\.txt'\)"):
        model.predict("a.txt")
    assert model.predict(Path("a.txt")).label == model.predict("A good film").label
    with pytest.raises(DataError, match=r"^items\[1\]: No such file: b\.txt\."):
        model.predict_many(["a film", "b.txt"])
    with pytest.raises(DataError, match=r"^items\[1\]: The text '' is empty\."):
        model.probabilities(["a film", ""])


def test_sets_are_refused_and_both_fixes_work(red: Path, tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    for ask in (model.predict, lambda item, sets: model.predict_many([item], sets=sets)):
        with pytest.raises(ModelError, match=r"sets=0\.9: an exported file has no held-back.*\n.*\nFix: leave sets="):
            ask(red, sets=0.9)
    assert model.predict(red)
    bundle = oc.load_model(tiny_bundles.calibrated().write(tmp_path / "x.onecycle"))
    with pytest.warns(UserWarning, match="Sets of classes come from 40"):
        assert bundle.predict(red, sets=0.9).label_set


def test_wrong_calls_are_told(red: Path, tmp_path: Path) -> None:
    model = load_model(write_colours(tmp_path / "x.onnx", COLOURS))
    with pytest.raises(oc.OnecycleError, match=r"predict_many\(\) has no option batchsize="):
        model.predict_many([red], batchsize=2)  # type: ignore[call-arg]
