"""A bundle predicts as the learner did, anywhere, and nothing in it is trusted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.bundle import layout, read_bundle, write_bundle
from onecycle.errors import BundleError
from onecycle.ship.model import predict_files
from onecycle.train.learner import Learner

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module", params=["test_efficientnet", "test_resnet", "test_vit"])
def learner(request: pytest.FixtureRequest, photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos), request.param, frozen=False)
    learner.fit(1, 1e-3)
    return learner


@pytest.fixture(scope="module")
def tags(tagged: Path) -> Learner:
    learner = tiny(tag_bunch(tagged, size=24), metrics=["f1"])
    learner.state.data = learner.data.with_target(replace(learner.target, threshold=0.41))  # type: ignore[type-var]
    return learner


@pytest.fixture(scope="module")
def path(tags: Learner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tags.export(tmp_path_factory.mktemp("bundle") / "tags.onecycle")


def same(ours: Tensor, theirs: Tensor) -> None:
    """But for the last digits: a loaded model has its batch norms folded into its convolutions."""
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["model.onecycle", "model"], ids=["file", "folder"])
def test_a_bundle_predicts_as_the_learner_did(learner: Learner, tmp_path: Path, photos: Path, name: str) -> None:
    model = oc.load_model(learner.export(tmp_path / name))
    paths = sorted(photos.rglob("*.jpg"))
    same(model.probabilities(paths), learner.predictor().probabilities(paths))
    assert [a.label for a in model.predict_many(paths)] == [a.label for a in learner.predictor().predict_many(paths)]
    assert model.classes == learner.data.classes


def test_tags_keep_their_threshold_and_the_images_their_size(tags: Learner, path: Path, tagged: Path) -> None:
    model = oc.load_model(path)
    assert model.target == tags.target
    assert model.modality.size == (24, 24)  # type: ignore[attr-defined]
    item = tagged / "images" / "tile_0.png"
    assert model.predict(item).label == tags.predict(item).label


def test_weights_are_those_of_the_learner_bit_for_bit(tags: Learner, path: Path) -> None:
    tensors, _ = read_bundle(path, "model")
    for name, tensor in tags.model.state_dict().items():
        assert torch.equal(tensors[name], tensor.cpu())


def test_the_same_model_gives_the_same_bytes(tags: Learner, path: Path, tmp_path: Path) -> None:
    assert tags.export(tmp_path / "again.onecycle").read_bytes() == path.read_bytes()


def test_it_holds_no_path_and_no_name_of_the_training_data(path: Path, tagged: Path) -> None:
    _, config = read_bundle(path, "model")
    text = json.dumps(config)
    assert str(tagged) not in text
    assert "tile_" not in text


def test_its_card_tells_of_its_training(path: Path, tags: Learner) -> None:
    card = oc.load_model(path).card
    assert card["training_items"] == len(tags.data)
    assert {"date", "machine", "epochs", "seconds", "seed", "metrics", "notes"} <= card.keys()


@pytest.mark.slow
def test_it_loads_elsewhere_without_data_and_without_pickle(
    tags: Learner, path: Path, tmp_path: Path, tagged: Path
) -> None:
    moved = tmp_path / "model.onecycle"
    moved.write_bytes(path.read_bytes())
    code = """
import json, numpy, pickle, torch, onecycle, onecycle.ship.model
def refuse(*arguments, **options): raise RuntimeError("a pickle")
pickle.load = pickle.loads = torch.load = refuse
model = onecycle.load_model("model.onecycle")
print(json.dumps(model.predict(numpy.full((24, 24, 3), 90, numpy.uint8)).probabilities))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    here = tags.predict(np.full((24, 24, 3), 90, np.uint8)).probabilities
    assert json.loads(done.stdout) == pytest.approx(here, abs=1e-4)


def test_loading_leaves_the_users_random_state_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # to read their states starts a context on each GPU
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: pytest.fail(f"asked GPU {device}"))
    oc.load_model(path, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_golden_bundle_of_schema_1_predicts_as_recorded() -> None:
    model = oc.load_model(GOLDEN / "v1.onecycle", device="cpu")
    y, x = np.mgrid[0:32, 0:32]
    images = {
        "ramp": np.stack([x * 8, y * 8, (x + y) * 4], -1).astype(np.uint8),
        "red": np.full((32, 32, 3), (200, 50, 40), np.uint8),
    }
    for name, expected in json.loads((GOLDEN / "v1.json").read_text()).items():
        label, probabilities = model.predict(images[name])
        assert probabilities == pytest.approx(expected, abs=1e-4)
        assert label == max(expected, key=expected.get)


class TestRefused:
    @pytest.fixture
    def altered(self, path: Path, tmp_path: Path) -> Callable[..., Path]:
        """Write the bundle again with another config, checksums and all, as someone with our code could."""

        def write(**changes: dict[str, Any]) -> Path:
            tensors, config = read_bundle(path, "model")
            for part, change in changes.items():
                config[part] = {**config[part], **change}
            del config["checksums"]
            return write_bundle(tmp_path / "altered.onecycle", tensors, config)

        return write

    @pytest.mark.parametrize(("part", "kind"), [("model", "os.system"), ("modality", "sounds")])
    def test_parts_that_this_version_does_not_know(self, altered: Callable[..., Path], part: str, kind: str) -> None:
        with pytest.raises(BundleError, match=rf"Unknown {part} '{kind}'\.\nExpected one of: .*\nFix: "):
            oc.load_model(altered(**{part: {"kind": kind}}))

    def test_a_target_that_this_version_does_not_know(self, altered: Callable[..., Path]) -> None:
        with pytest.raises(BundleError, match=r"Unknown target 'verse'\.\nExpected one of: category, "):
            oc.load_model(altered(target={"kind": "verse"}))

    def test_a_target_without_its_parts(self, altered: Callable[..., Path]) -> None:
        with pytest.raises(BundleError, match=r"does not describe a model that can be built: KeyError: 'colours'"):
            oc.load_model(altered(target={"kind": "mask"}))

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"backbone": "resnet_of_tomorrow"}, "Unknown backbone 'resnet_of_tomorrow'"),
            ({"backbone": "test_resnet"}, r"The weights are of another model: \d+ tensors differ, such as body\.1"),
            ({"outputs": 7}, r"The model has 7 outputs, and the classes are blue"),
            ({"widths": 3}, "does not describe a model that can be built: TypeError"),
            ({"mean": None}, "does not describe a model that can be built: TypeError"),
        ],
        ids=["unknown backbone", "other backbone", "other head", "unknown option", "no mean"],
    )
    def test_an_architecture_that_cannot_be_built(
        self, altered: Callable[..., Path], change: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(BundleError, match=says):
            oc.load_model(altered(model=change))

    def test_a_checkpoint(self, tags: Learner, tmp_path: Path) -> None:
        tags.save(tmp_path / "run.ckpt")
        with pytest.raises(
            BundleError, match=r"holds a checkpoint, not a model[\s\S]*load_model\(\) reads what export"
        ):
            oc.load_model(tmp_path / "run.ckpt")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="No such bundle"):
            oc.load_model(tmp_path / "none.onecycle")

    def test_a_newer_schema(self, tags: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layout, "SCHEMA", 9)
        path = tags.export(tmp_path / "new.onecycle")
        monkeypatch.undo()
        with pytest.raises(BundleError, match=r"has schema 9, written by onecycle \d"):
            oc.load_model(path)


class TestFiles:
    def test_broken_files_among_good_ones_are_left_out_and_listed(
        self, path: Path, tagged: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "broken.png").write_bytes(b"no image")
        good = [str(tagged / "images" / f"tile_{number}.png") for number in range(3)]
        files = [good[0], str(tmp_path / "broken.png"), *good[1:], str(tmp_path / "none.png")]
        model = oc.load_model(path)
        predictions, errors = predict_files(model, files, batch_size=2)
        assert predictions.table["item"].to_pylist() == good
        same(predictions.probabilities, model.probabilities(good))
        assert [name in str(error) for name, error in zip(("broken.png", "none.png"), errors, strict=True)] == [
            True,
            True,
        ]

    def test_nothing_but_broken_files_gives_no_predictions(self, path: Path, tmp_path: Path) -> None:
        predictions, errors = predict_files(oc.load_model(path), [str(tmp_path / "none.png")])
        assert len(predictions) == 0
        assert len(errors) == 1
        predictions.to_csv(tmp_path / "empty.csv")
        assert (tmp_path / "empty.csv").read_text() == "image_name,tags\n"
