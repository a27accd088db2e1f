"""What is written in Python in the place of a text: texts, paths, and what is neither; of bundles of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from onecycle.errors import CallError, DataError, ModelError
from onecycle.runtime import load_model
from onecycle.ship.attribution import attribute_item
from onecycle.ship.model import Model
from runtime.tiny_onnx import write_tokens
from ship import tiny_bundles


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return oc.load_model(tiny_bundles.texts().write(tmp_path_factory.mktemp("model") / "texts.onecycle"))


@pytest.fixture
def review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "review.txt").write_text("the film was good .")
    return Path("review.txt")


WAYS: dict[str, Any] = {
    "predict": lambda model, item: model.predict(item).probabilities["pos"],
    "predict_many": lambda model, item: model.predict_many([item])[0].probabilities["pos"],
    "predict_all": lambda model, item: model.predict_all([item]).table["p(pos)"][0].as_py(),
    "attribute": lambda model, item: oc.attribute(model, item, label="pos").probability,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_path_in_the_place_of_a_text_is_refused_and_both_fixes_work(model: Model, review: Path, way: str) -> None:
    with pytest.raises(DataError, match=r"'review\.txt' is the path of a file[\s\S]*Fix: pass Path\('review\.txt'\)"):
        WAYS[way](model, str(review))
    expected = model.predict("the film was good .").probabilities["pos"]
    assert WAYS[way](model, review) == pytest.approx(expected, abs=1e-5)
    assert WAYS[way](model, " review.txt")


@pytest.mark.parametrize("way", WAYS)
def test_a_mistyped_path_is_told(model: Model, review: Path, way: str) -> None:
    with pytest.raises(DataError, match=r"No such file: reviews\.txt\.\nExpected a text, or the Path of a text file\."):
        WAYS[way](model, "reviews.txt")


def test_what_nobody_wrote_in_python_is_a_text(model: Model, review: Path) -> None:
    """As what a server is sent: it must not be told which files there are."""
    assert attribute_item(model, str(review)).words == ("review.txt",)
    assert model.read(str(review)).input.tolist() == model.read("review . txt").input.tolist()


@pytest.mark.parametrize("item", [["the film", "the story"], None, 7])
def test_what_is_no_text_is_told_and_the_fix_works(model: Model, item: Any) -> None:
    with pytest.raises(DataError, match=r"Cannot read a text from an? \w+.*\nExpected a text, the Path of a text file"):
        oc.attribute(model, item)
    assert oc.attribute(model, str(item)).label in model.classes


def test_what_is_no_model_is_told(model: Model) -> None:
    with pytest.raises(CallError, match="attribute"):
        oc.attribute("texts.onecycle", "the film")  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["predict_many", "probabilities", "predict_all"])
def test_an_empty_text_among_others_is_named_and_the_fix_works(model: Model, way: str) -> None:
    texts = ["the film", " ", "the story"]
    with pytest.raises(
        DataError, match=r"(items\[1\]|text 1): .*empty\.\nExpected at least one word\.\nFix: leave it out"
    ):
        getattr(model, way)(texts)
    assert len(getattr(model, way)([texts[0], texts[2]])) == 2
    with pytest.raises(DataError, match=r"^The text ' ' is empty\."):
        model.predict(" ")


def test_an_exported_model_is_refused_and_the_fix_works(model: Model, tmp_path: Path) -> None:
    exported = load_model(write_tokens(tmp_path / "x.onnx", model.modality.to_config()))
    with pytest.raises(ModelError) as caught:
        oc.attribute(exported, "the film was good .")
    assert str(caught.value).splitlines() == [
        "The model is an exported one, of onecycle.runtime, which gives predictions alone.",
        "Expected a learner, or a bundle.", "Fix: load the bundle that it was exported from: oc.load_model(bundle).",
    ]  # fmt: skip
    bundle = oc.load_model(tiny_bundles.texts().write(tmp_path / "x.onecycle"))
    assert oc.attribute(bundle, "the film was good .").words[:2] == ("the", "film")
