"""Heat maps of images: they lie on what the model recognises, whatever its backbone, and harm no other thread."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

import onecycle as oc
from learners import photo_bunch
from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import DataError, ModelError
from onecycle.inference.predictor import Predictor
from onecycle.train.learner import Learner
from onecycle.vision.attribution import HeatMap, attribute_image
from onecycle.vision.images import Images
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import create_backbone

SHAPES = ("cross", "disc", "triangle")
Box = tuple[int, int, int, int]


def draw(shape: str, rng: np.random.Generator, pixels: int = 128) -> tuple[Image.Image, Box]:
    """A shape of any colour, somewhere on noise, and its box."""
    image = Image.fromarray(rng.normal(120, 12, (pixels, pixels, 3)).clip(0, 255).astype(np.uint8))
    pen, side = ImageDraw.Draw(image), int(pixels * rng.uniform(0.25, 0.35))
    x, y = (int(one) for one in rng.integers(0, pixels - side, 2))
    colour = tuple(int(value) for value in rng.integers(0, 255, 3))
    if shape == "disc":
        pen.ellipse((x, y, x + side, y + side), fill=colour)
    elif shape == "triangle":
        pen.polygon([(x, y + side), (x + side, y + side), (x + side // 2, y)], fill=colour)
    else:
        near, far = 3 * side // 8, 5 * side // 8
        pen.rectangle((x + near, y, x + far, y + side), fill=colour)
        pen.rectangle((x, y + near, x + side, y + far), fill=colour)
    return image, (x, y, x + side, y + side)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for shape in SHAPES:
        (folder / shape).mkdir()
        for number in range(16):
            draw(shape, rng)[0].save(folder / shape / f"{number}.png")
    learner = oc.vision_learner(
        photo_bunch(folder, size=128, batch_size=16, workers=0), "tf_efficientnet_lite0", progress=False
    )
    learner.fit_one_cycle(1, lr=1e-2)
    return learner


def test_the_map_lies_on_the_object(learner: Learner) -> None:
    rng, hits, shares, areas = np.random.default_rng(5), 0, [], []
    for number in range(18):
        image, (left, top, right, bottom) = draw(SHAPES[number % 3], rng)
        found = attribute_image(learner, image, label=SHAPES[number % 3])
        x, y = found.center
        hits += left <= x * 128 <= right and top <= y * 128 <= bottom
        shares.append(found.map[top:bottom, left:right].sum() / found.map.sum())
        areas.append((right - left) * (bottom - top) / 128**2)
    assert hits >= 12
    assert np.mean(shares) > 4 * np.mean(areas)


def test_the_most_probable_class_is_explained(learner: Learner) -> None:
    image, _ = draw("disc", np.random.default_rng(3))
    predicted = learner.predict(image)
    found = oc.attribute(learner, image)
    assert isinstance(found, HeatMap)
    assert found.label == predicted.label
    assert found.probability == pytest.approx(max(predicted.probabilities.values()), abs=1e-5)
    assert found.map.shape == found.image.shape[:2] == (128, 128)
    assert (found.map.min(), found.map.max()) == (0, 1)
    assert attribute_image(learner, image, label="cross").label == "cross"


def predictor(
    backbone: str, size: tuple[int, int], target: Category | MultiCategory, method: str = "crop"
) -> Predictor:
    torch.manual_seed(0)
    colours = {"mean": [0.5] * 3, "std": [0.25] * 3}
    made = create_backbone(backbone, pretrained=False, num_classes=0)
    model = ImageModel(made, len(target.classes), hidden=0, name=backbone, **colours)
    return Predictor(model, Images(size, method), target, torch.device("cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("backbone", "size"), [
    ("test_efficientnet", (32, 32)), ("test_resnet", (48, 64)), ("test_convnext", (64, 64)), ("test_vit", (160, 160)),
    ("swin_tiny_patch4_window7_224", (224, 224)),
])  # fmt: skip
def test_every_kind_of_backbone_has_a_map(backbone: str, size: tuple[int, int]) -> None:
    model = predictor(backbone, size, MultiCategory(("haze", "road")))
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    found = attribute_image(model, pixels)
    other = attribute_image(model, np.roll(pixels, size[0] // 2, axis=0))
    assert found.map.shape == size
    assert found.map.max() == 1
    assert not np.array_equal(found.map, other.map)
    assert all(parameter.grad is None for parameter in model.model.parameters())
    assert not any(module._forward_hooks for module in model.model.modules())


@pytest.mark.parametrize(("method", "box"), [
    ("crop", (0.25, 0, 0.75, 1)), ("squish", (0, 0, 1, 1)), ("pad", (0, -0.5, 1, 1.5)),
])  # fmt: skip
def test_the_box_is_what_the_model_saw(method: str, box: Box) -> None:
    model = predictor("test_efficientnet", (32, 32), Category(("cat", "dog")), method)
    image = np.zeros((40, 80, 3), np.uint8)
    assert attribute_image(model, image).box == pytest.approx(box)


def test_a_pass_of_another_thread_is_not_explained() -> None:
    model = predictor("test_efficientnet", (32, 32), Category(("cat", "dog")))
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    expected, stopped = attribute_image(model, image), threading.Event()

    def others() -> None:
        while not stopped.is_set():
            model.predict(255 - image)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(20):
            np.testing.assert_allclose(attribute_image(model, image).map, expected.map, atol=1e-5)
    finally:
        stopped.set()
        thread.join()


def test_it_is_told_and_drawn(tmp_path: Path) -> None:
    spot = np.zeros((4, 8), np.float32)
    spot[3, 0] = 1
    found = HeatMap("cat", 0.9, np.zeros((4, 8, 3), np.uint8), spot, (0, 0, 1, 1))
    assert repr(found) == "cat 90%, most of it at 6% of the width and 88% of the height"
    assert found._repr_png_().startswith(b"\x89PNG")
    drawn = np.asarray(Image.open(io.BytesIO(found.map_as_png())))
    assert (drawn.shape, drawn[3, 0], drawn.sum()) == ((4, 8), 255, 255)
    nothing = HeatMap("cat", 0.9, found.image, 0 * spot, (0, 0, 1, 1))
    assert repr(nothing) == "cat 90%, nothing in the image supports it"


def test_what_has_no_map_is_refused(learner: Learner) -> None:
    image, _ = draw("disc", np.random.default_rng(3))
    with pytest.raises(DataError, match=r"The label 'disk' is not one of the classes.*(.|\n)*Did you mean 'disc'"):
        attribute_image(learner, image, label="disk")
    assert attribute_image(learner, image, label="disc").label == "disc"  # as the fix says
    plain = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    plain(torch.zeros(1, 3, 8, 8))
    own = Predictor(plain, Images((8, 8)), Category(SHAPES), torch.device("cpu"))
    with pytest.raises(ModelError) as caught:
        attribute_image(own, image)
    assert str(caught.value) == (
        "attribute() finds no stages in Sequential.\nExpected a model with a backbone of timm, which names them in its "
        "feature_info.\nFix: build the model with vision_learner(bunch, ...)."
    )
