"""Learners and bundles are exported, and read again: ONNX without PyTorch, and programs of torch.export."""

from __future__ import annotations

import json
import os
import site
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from torch import Tensor, nn

import onecycle as oc
from learners import photo_bunch, plain_model, tiny
from onecycle.errors import BundleError, CallError, DataError, ModelError
from onecycle.runtime import load_model
from onecycle.ship.exports.check_items import drawn_items
from onecycle.ship.exports.exported import Exported
from onecycle.ship.exports.formats import write_onnx, write_pt2
from onecycle.ship.exports.onnx_graph import OPSET
from onecycle.ship.exports.proof import Proof
from onecycle.ship.exports.writing import write_content
from onecycle.ship.rebuild import rebuild
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.awd_lstm_classifier import AwdLstmClassifier
from onecycle.text.texts import Texts
from onecycle.vision.images import Images
from ship import tiny_bundles


@pytest.fixture(scope="module")
def photo_model(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[oc.Learner, Path]:
    """A learner of photos, and what it exported."""
    learner = tiny(photo_bunch(photos))
    path = learner.export(tmp_path_factory.mktemp("exports") / "photos.onnx")
    return learner, path


@pytest.mark.slow
def test_a_learner_s_file_predicts_as_it_does(photo_model: Any, photos: Path) -> None:
    learner, path = photo_model
    model, files = load_model(path), sorted(photos.rglob("*.jpg"))
    expected = learner.predictor().probabilities(files).cpu().numpy()
    np.testing.assert_allclose(model.probabilities(files), expected, atol=1e-5)
    predicted = model.predict(files[0])
    assert predicted.label == learner.predict(files[0]).label
    assert model.classes == learner.data.classes
    assert model.proof == {
        "items": 6, "of": "validation items", "largest_difference": model.proof["largest_difference"],
        "tolerance": 1e-3, "batch_sizes": [1, 2, 3, 17, 33], "lengths": [], "items_read": 6, "margin": 1e-4,
        "precision": "fp32",
    }  # fmt: skip
    assert model.proof["largest_difference"] < 1e-5


@pytest.mark.slow
def test_the_file_has_the_pinned_opset_and_any_batch(photo_model: Any) -> None:
    graph = onnx.load(photo_model[1])
    onnx.checker.check_model(graph)
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", OPSET)]
    (pixels,), (output,) = graph.graph.input, graph.graph.output
    sides = [side.dim_param or side.dim_value for side in pixels.type.tensor_type.shape.dim]
    assert (pixels.name, sides, output.name) == ("pixels", ["batch", 32, 32, 3], "probabilities")
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(metadata["classes"]) == ["blue", "green", "red"]


def test_weights_with_a_flipped_bit_are_refused(photo_model: Any, tmp_path: Path) -> None:
    content = bytearray(photo_model[1].read_bytes())
    weights = max(onnx.load(photo_model[1]).graph.initializer, key=lambda one: len(one.raw_data)).raw_data
    content[content.index(weights) + 3] ^= 64
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"x\.onnx is not as it was written: .*\n.*\nFix: copy it again"):
        load_model(tmp_path / "x.onnx")
    assert load_model(photo_model[1]).classes == photo_model[0].data.classes


def test_the_file_says_nothing_of_the_machine(photo_model: Any) -> None:
    content = photo_model[1].read_bytes()
    places = [os.getcwd(), str(Path.home()), sys.prefix, str(Path(oc.__file__).parent), *site.getsitepackages()]
    places += [str(Path(torch.__file__).parent), ".py", "stack_trace"]
    assert [place for place in places if place != "/" and place.encode() in content] == []


def test_the_proof_is_printed_and_the_file_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_content(tmp_path / "new" / "x.onnx", b"content", Proof(6, "validation items", 2e-7, (1, 2)))
    assert capsys.readouterr().out == (
        "x.onnx: proved on 6 validation items: same labels, largest difference 2e-07 (batches of 1, 2)\n"
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["x.onnx"]
    assert path.read_bytes() == b"content"


@pytest.mark.slow
def test_a_program_is_read_by_torch(photo_model: Any, tmp_path: Path) -> None:
    learner, _ = photo_model
    extra = {"onecycle": ""}
    program = torch.export.load(learner.export(tmp_path / "x.pt2"), extra_files=extra)
    batch = learner.data.read(learner.data.valid.dataset, range(3))
    with torch.no_grad():
        found = program.module()(batch.inputs)
    torch.testing.assert_close(found, learner.predictor().predict_batch(batch), atol=1e-5, rtol=0)
    assert json.loads(extra["onecycle"])["target"]["classes"] == ["blue", "green", "red"]


def test_options_of_other_formats_are_refused(photo_model: Any, tmp_path: Path) -> None:
    with pytest.raises(CallError, match=r"no option precision= for the bundle x\.onecycle\.\n.*\n.* ONNX: 'x\.onnx'"):
        photo_model[0].export(tmp_path / "x.onecycle", precision="int8")
    with pytest.raises(ModelError, match=r"x\.pt2 is not written with precision='int8': programs of torch\.export are"):
        photo_model[0].export(tmp_path / "x.pt2", precision="int8")
    with pytest.raises(ModelError, match=r"x\.xml is not written with precision='fp16': files for OpenVINO are proved"):
        photo_model[0].export(tmp_path / "x.xml", precision="fp16")
    with pytest.raises(CallError, match=r"no option presicion=\.\nExpected one of: precision, tolerance\."):
        photo_model[0].export(tmp_path / "x.onnx", presicion="int8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "meant"), [("x.onx", "x.onnx"), ("x.xlm", "x.xml"), ("x.pt", "x.pt2")])
def test_a_misspelt_suffix_does_not_become_a_bundle(photo_model: Any, tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(BundleError, match=rf"No format has the suffix .*, of {name}\.\n.*\nFix: pass '{meant}'\.$"):
        photo_model[0].export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_learner_s_files_in_fewer_bits(photo_model: Any, photos: Path, tmp_path: Path) -> None:
    learner, whole = photo_model
    files = sorted(photos.rglob("*.jpg"))
    expected = learner.predictor().probabilities(files).cpu().numpy()
    half = load_model(learner.export(tmp_path / "half.onnx", precision="fp16"))
    assert (half.proof["precision"], half.proof["tolerance"], half.proof["margin"]) == ("fp16", 0.03, 0.03)
    np.testing.assert_allclose(half.probabilities(files), expected, atol=0.01)
    path = learner.export(tmp_path / "small.onnx", precision="int8", tolerance=100)
    small = load_model(path)
    assert small.proof["metrics"]["accuracy"]["before"] == pytest.approx(learner.validate()["accuracy"])
    assert (small.proof["precision"], small.proof["tolerance"], small.proof["items"]) == ("int8", 100, 6)
    assert small.predict(files[0]).label in learner.data.classes
    assert path.stat().st_size < whole.stat().st_size
    assert onnx.load(path).opset_import[0].version == OPSET


class CountsItems(nn.Module):
    """Its outputs depend on how many items are in the batch, and the exporter keeps how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = plain_model()

    def forward(self, pixels: Tensor) -> Tensor:
        outputs: Tensor = self.layers(pixels)
        return outputs * outputs.new_tensor([1.0] * len(pixels))[:, None]


@pytest.mark.slow
def test_a_model_that_counts_its_items_is_refused_and_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    """The fix of the error is executed: without the count it is exported."""
    bunch = photo_bunch(photos)
    learner = oc.Learner(bunch, CountsItems(), progress=False)
    with pytest.raises(
        ModelError, match=r"fixed dimensions: \{'batch': 2\}\.\nExpected any size of batch\.\nFix: take len\(tensor\)"
    ):
        learner.export(tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
    oc.Learner(bunch, plain_model(), progress=False).export(tmp_path / "x.onnx")
    assert load_model(tmp_path / "x.onnx").proof["items"] == 6


def test_language_models_are_refused(tmp_path: Path) -> None:
    model = oc.load_model(tiny_bundles.language().write(tmp_path / "x.onecycle"), device="cpu")
    with pytest.raises(ModelError, match=r"A model of next_token is exported as a bundle alone\."):
        model.export(tmp_path / "x.onnx")


def test_a_bundle_is_exported_by_its_suffix(tmp_path: Path) -> None:
    model = oc.load_model(tiny_bundles.photos().write(tmp_path / "x.onecycle"), device="cpu")
    with pytest.raises(
        ModelError,
        match=r"A loaded model is not exported as 'y\.onecycle'\.\n.*\.onnx, \.pt2, \.xml\.\nFix: pass 'y\.onnx'",
    ):
        model.export(tmp_path / "y.onecycle")


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"Cannot write .*y\.pt2: "):
        write_content(tmp_path / "file" / "y.pt2", b"", Proof(1, "validation items", 0.0, (1,)))


def test_missing_packages_are_named(photo_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecycle.ship.exports.onnx_graph.PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ModelError, match=r"Not installed: no_such_package\.\n.*\nFix: pip install 'onecycle\[onnx\]'"):
        photo_model[0].export(tmp_path / "x.onnx")


def no_items() -> Any:
    """Models here are exported in 32 bits."""
    raise NotImplementedError


def lstm() -> Exported:
    """A classifier on an AWD-LSTM."""
    tokenizer = tiny_bundles._tokenizer()
    torch.manual_seed(0)
    encoder = AwdLstm(tokenizer.embedding_rows, pad=tokenizer.pad, width=4, hidden=6, layers=2, dropouts=Dropouts())
    texts = Texts(tokenizer, 16)
    model = AwdLstmClassifier(encoder, 2, hidden=3).eval()
    return Exported(model, texts, oc.Category(("neg", "pos")), {}, drawn_items(texts), no_items)


def plain_timm() -> Exported:
    """A backbone of timm as it comes, behind the layer that normalises."""
    torch.manual_seed(0)
    network = nn.Sequential(oc.Normalize(), timm.create_model("test_efficientnet", num_classes=3)).eval()
    images = Images((32, 32))
    return Exported(network, images, oc.Category(("a", "b", "c")), {}, drawn_items(images), no_items)


def bundle(name: str) -> Callable[[], Exported]:
    def make() -> Exported:
        torch.manual_seed(0)
        content = tiny_bundles.MODELS[name]()
        model, modality, target = rebuild(content.tensors, content.config)
        return Exported(model.eval(), modality, target, {}, drawn_items(modality), no_items)

    return make


KINDS = {name: bundle(name) for name in ("photos", "tags", "ages", "masks", "points", "texts")}
KINDS |= {"lstm": lstm, "plain timm": plain_timm}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_exported_with_named_dimensions(kind: str, tmp_path: Path) -> None:
    """`len(tensor)` and branches on data in forward() or activate() would fix a dimension, or be refused."""
    exported = KINDS[kind]()
    graph = onnx.load(write_onnx(tmp_path / "x.onnx", exported))
    sides = [side.dim_param for side in graph.graph.input[0].type.tensor_type.shape.dim]
    assert sides[0] == "batch"
    assert (sides[1] == "length") == isinstance(exported.modality, Texts)
    model = load_model(tmp_path / "x.onnx")
    assert model.proof["largest_difference"] < 1e-5
    if isinstance(exported.modality, Texts):
        assert max(model.proof["lengths"]) > 15


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "temperatures"), [("photos", (0.2,)), ("tags", (0.1, 5.0)), ("masks", (0.2,))])
def test_a_calibrated_model_answers_as_its_bundle_does(
    kind: str, temperatures: tuple[float, ...], photos: Path, tmp_path: Path
) -> None:
    content, files = tiny_bundles.MODELS[kind](), sorted(photos.rglob("*.jpg"))[:4]
    content.config["target"]["temperatures"] = list(temperatures)
    model = oc.load_model(content.write(tmp_path / "x.onecycle"), device="cpu")
    expected = model.probabilities(files).cpu().numpy()
    exported = load_model(model.export(tmp_path / "x.onnx"))
    np.testing.assert_allclose(exported.probabilities(files), expected, atol=1e-5)
    model.target = model.target.with_temperatures(None)
    assert np.abs(model.probabilities(files).cpu().numpy() - expected).max() > 0.01


def test_the_lstm_is_one_operator_that_reads_any_length(tmp_path: Path) -> None:
    graph = onnx.load(write_onnx(tmp_path / "x.onnx", lstm()))
    assert [node.op_type for node in graph.graph.node].count("LSTM") == 2
    assert load_model(tmp_path / "x.onnx").proof["lengths"] == [1, 2, 16]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["texts", "lstm"])
def test_programs_of_texts_are_refused_for_onnx(kind: str, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"UserError: Constraints violated \(.*length.*\n.*\nFix: export ONNX: 'x\.onnx'"
    ):
        write_pt2(tmp_path / "x.pt2", KINDS[kind]())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["texts", "lstm"])
def test_texts_in_16_bits(kind: str, tmp_path: Path) -> None:
    write_onnx(tmp_path / "x.onnx", KINDS[kind](), precision="fp16")
    assert load_model(tmp_path / "x.onnx").proof["precision"] == "fp16"


@pytest.mark.slow
def test_given_items_are_what_is_compared(photos: Path, tmp_path: Path) -> None:
    model = oc.load_model(tiny_bundles.photos().write(tmp_path / "x.onecycle"), device="cpu")
    model.export(tmp_path / "x.onnx", items=photos)
    assert load_model(tmp_path / "x.onnx").proof["of"] == "given items"
    assert load_model(tmp_path / "x.onnx").proof["items_read"] == 30
    with pytest.raises(DataError, match="No images in"):
        model.export(tmp_path / "x.onnx", items=tmp_path)
    with pytest.raises(DataError, match=r"is not an image of a known format\.\n.*\nFix: remove or replace it\.$"):
        model.export(tmp_path / "x.onnx", items=[tmp_path / "x.onnx"])
