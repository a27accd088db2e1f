from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.seeding import seeded
from onecycle.errors import DataError
from onecycle.inference.predictor import Predictor
from onecycle.train.learner import Learner
from onecycle.vision.images import Images

TAGS = MultiCategory(("cloud", "road", "water"))


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos))
    learner.fit(2, 1e-2)
    return learner


class Brightness(nn.Module):
    """Three outputs, the mean of each colour in units of 100."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean((2, 3)) / 100


@pytest.fixture
def colours() -> Predictor:
    return Predictor(Brightness(), Images((8, 8)), Category(("red", "green", "blue")), torch.device("cpu"))


def solid(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((8, 8, 3), colour, np.uint8)


def test_the_prediction_is_the_most_probable_class_and_all_probabilities(colours: Predictor) -> None:
    label, probabilities = colours.predict(solid((0, 200, 100)))
    assert label == "green"
    expected = torch.tensor([0.0, 2.0, 1.0]).softmax(0).tolist()
    assert probabilities == pytest.approx(dict(zip(("red", "green", "blue"), expected, strict=True)))


def test_tags_above_the_threshold_are_the_prediction() -> None:
    predictor = Predictor(Brightness(), Images((8, 8)), MultiCategory(("r", "g", "b"), 0.6), torch.device("cpu"))
    # The sigmoid of 0.5 is 0.62, that of 0.4 is 0.599.
    assert predictor.predict(solid((50, 40, 250))).label == ("r", "b")


def test_path_picture_and_array_agree(learner: Learner, photos: Path) -> None:
    path = photos / "red" / "red_0.jpg"
    # An image at the model's own size, so that scaled decoding has no part in it.
    image = Image.open(path).convert("RGB").resize((32, 32))
    image.save(saved := path.parent.parent.parent / f"{path.stem}.png")
    predictions = [learner.predict(item) for item in (str(saved), saved, image, np.asarray(image))]
    assert all(prediction == predictions[0] for prediction in predictions)
    assert predictions[0].label in learner.data.classes


def test_many_are_predicted_in_batches_as_one_by_one(learner: Learner, photos: Path) -> None:
    paths = sorted(photos.rglob("*.jpg"))[:7]
    many = learner.predictor().predict_many(paths, batch_size=3)
    for path, prediction in zip(paths, many, strict=True):
        assert prediction.probabilities == pytest.approx(learner.predict(path).probabilities, abs=1e-5)


def test_none_are_predicted_with_none(colours: Predictor) -> None:
    assert colours.predict_many([]) == []
    assert colours.probabilities([]).shape == (0, 3)


def test_a_column_of_a_table_is_read_in_its_order(colours: Predictor) -> None:
    """A filtered or shuffled column has other row numbers than its places."""
    column = pd.Series([solid((250, 0, 0)), solid((0, 250, 0)), solid((0, 0, 250))])
    assert [one.label for one in colours.predict_many(column[[2, 0]])] == ["blue", "red"]
    torch.testing.assert_close(colours.probabilities(column[[2, 0]]), colours.probabilities(column)[[2, 0]])


@pytest.mark.parametrize("item", ["a.jpg", Path("a.jpg")])
def test_a_single_path_for_a_list_is_refused(colours: Predictor, item: Any) -> None:
    with pytest.raises(DataError, match=r"One path, 'a\.jpg'\.\nExpected a list of inputs"):
        colours.predict_many(item)


@pytest.mark.parametrize("shape", [(8, 9, 3), (8, 9, 4), (8, 9, 1)])
def test_one_image_for_a_list_is_refused_and_both_fixes_work(colours: Predictor, shape: tuple[int, ...]) -> None:
    """Its rows would be read as grey images."""
    image = np.full(shape, 9, np.uint8)
    for call in (colours.predict_many, colours.probabilities):
        with pytest.raises(DataError, match=r"One image, .*\(8, 9, \d\)\.\n.*\nFix: call predict\(image\), or \S+ \["):
            call(image)
    assert colours.predict_many([image]) == [colours.predict(image)]


def test_an_array_of_images_is_a_list(colours: Predictor) -> None:
    images = np.stack([solid((200, 0, 0)), solid((0, 0, 200))])
    assert [one.label for one in colours.predict_many(images)] == ["red", "blue"]
    assert len(colours.predict_many(images[..., 0])) == 2, "grey ones"


def test_a_file_that_is_not_there_is_an_error(colours: Predictor, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg"):
        colours.predict(tmp_path / "none.jpg")


def test_what_a_learner_and_its_predictor_prediction_is_the_same(learner: Learner) -> None:
    table = learner.predict_all("valid").table
    rows = learner.data.valid.dataset.rows
    one_by_one = learner.predictor().predict_many([rows.locate(name) for name in table["item"].to_pylist()])
    assert [prediction.label for prediction in one_by_one] == table["prediction"].to_pylist()


def test_the_models_mode_does_not_matter(learner: Learner, photos: Path) -> None:
    path = photos / "red" / "red_0.jpg"
    before = learner.predict(path)
    learner.model.train()
    assert learner.predict(path) == before
    assert oc.vision.images.Images is Images  # type: ignore[attr-defined]


def test_it_prints_model_inputs_and_target(colours: Predictor) -> None:
    assert repr(colours) == (
        "Predictor: Brightness on cpu, fp32\n  reads 8x8 pixels\n  predicts Category, 3 classes: red, green, blue"
    )


def test_outputs_come_with_the_batch_they_belong_to(learner: Learner) -> None:
    outputs = list(learner.predictor().run(learner.data.valid.epoch(0), most_items=4))
    assert [len(output.batch) for output in outputs] == [3, 3]
    assert torch.cat([output.batch.index for output in outputs]).tolist() == list(range(6))
    for output in outputs:
        assert torch.equal(output.predictions, output.outputs.softmax(1))
        assert not output.outputs.requires_grad


def test_a_generator_augments_a_batch(photos: Path) -> None:
    learner = tiny(photo_bunch(photos, augment=oc.augment.default()))
    batch = next(learner.data.valid.epoch(0))
    plain, one, again, other = (
        torch.cat(
            [o.outputs for o in learner.predictor().run([batch], None if seed is None else partial(seeded, seed))]
        )
        for seed in (None, 1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(plain, one)
    assert not torch.equal(one, other)


def test_the_contexts_of_a_pass_do_not_reach_the_callers_code(learner: Learner) -> None:
    for _ in learner.predictor().run(learner.data.valid.epoch(0)):
        assert torch.is_grad_enabled()
        assert not torch.is_autocast_enabled("cpu")
