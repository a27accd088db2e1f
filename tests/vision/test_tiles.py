"""Tiled prediction: the same mask as for the whole image, at any size, without seams."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import onecycle as oc
from onecycle.data.categories import Category
from onecycle.errors import DataError, ModelError
from onecycle.inference.predictor import Predictor
from onecycle.vision.images import Images
from onecycle.vision.tiles import blending_weights, predict_tiled, tile_starts

MASK = oc.Mask(("dark", "grey", "bright"), (1, 2, 3), (0,))


class Brightness(nn.Module):
    """Predicts the class of a pixel from its brightness alone, so that tiles cannot change the prediction."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.largest = max(self.largest, len(pixels))
        grey = pixels.float().mean(1)
        return -(torch.stack([grey - 20, grey - 120, grey - 220], 1).abs())


def predictor(size: tuple[int, int] = (24, 32)) -> Predictor:
    return Predictor(Brightness(), Images(size, "squish"), MASK, torch.device("cpu"))


def random_blocks(height: int, width: int) -> np.ndarray:
    """Class numbers in blocks of 7 by 5 pixels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, (-(-height // 7), -(-width // 5))).repeat(7, 0).repeat(5, 1)[:height, :width]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 110), st.sampled_from([0.0, 0.25, 0.5]), st.integers(1, 5))
def test_tiles_predict_the_same_as_the_whole_image(height: int, width: int, overlap: float, batch_size: int) -> None:
    classes = random_blocks(height, width)
    image = np.array([20, 120, 220], np.uint8)[classes][..., None].repeat(3, 2)
    label, shares = predict_tiled(predictor(), image, overlap=overlap, batch_size=batch_size)
    np.testing.assert_array_equal(label, np.array([1, 2, 3])[classes])
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert shares["grey"] == pytest.approx((classes == 1).mean(), abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 50), st.integers(0, 200), st.floats(0, 0.9))
def test_tiles_cover_everything_and_end_at_the_edge(tile: int, more: int, overlap: float) -> None:
    starts = tile_starts(tile + more, tile, overlap)
    covered = np.zeros(tile + more, int)
    for start in starts:
        covered[start : start + tile] += 1
    assert covered.min() >= 1
    assert starts[0] == 0
    assert starts[-1] == more
    assert all(later - start <= max(int(tile * (1 - overlap)), 1) for start, later in itertools.pairwise(starts))


def test_blending_weights_are_highest_in_the_middle_and_never_zero() -> None:
    weights = blending_weights(9)
    assert weights.tolist() == weights.flip(0).tolist()
    assert weights.argmax() == 4
    assert weights.min() > 0


def test_neighbours_are_blended_by_their_distance_from_the_edge() -> None:
    """The left tile predicts grey, the right one bright: the border is in the middle of the overlap."""

    class LeftOrRight(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            first = pixels[:, :1].float().flatten(1).amin(1) < 1  # the left tile contains the dark pixel
            scores = torch.zeros(len(pixels), 3, *pixels.shape[-2:])
            scores[first, 1], scores[~first, 2] = 5, 5
            return scores

    image = np.full((16, 24, 3), 100, np.uint8)
    image[0, 0] = 0
    model = Predictor(LeftOrRight(), Images((16, 16), "squish"), MASK, torch.device("cpu"))
    row = predict_tiled(model, image, overlap=0.5).label[8]
    assert row.tolist() == [2] * 12 + [3] * 12


def test_scale_resizes_first_and_predicts_at_the_original_size() -> None:
    classes = random_blocks(80, 100).repeat(2, 0).repeat(2, 1)
    image = np.array([20, 120, 220], np.uint8)[classes][..., None].repeat(3, 2)
    label = predict_tiled(predictor(), image, scale=0.5).label
    assert label.shape == (160, 200)
    assert (label == np.array([1, 2, 3])[classes]).mean() > 0.95


def test_few_tiles_are_predicted_at_a_time() -> None:
    model = predictor((8, 8))
    predict_tiled(model, np.zeros((64, 64, 3), np.uint8), batch_size=3)
    assert model.model.largest == 3


def test_wrong_arguments_are_refused() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    other = Predictor(nn.Identity(), Images((8, 8)), Category(("a", "b")), torch.device("cpu"))
    with pytest.raises(
        ModelError, match=r"the model predicts category.\nExpected a model for masks.\nFix: use predict"
    ):
        predict_tiled(other, image)
    for options in ({"scale": 0.0}, {"overlap": 1.0}):
        with pytest.raises(DataError, match=r"Expected 0 < scale <= 4, 0 <= overlap < 1.\nFix: use"):
            predict_tiled(predictor(), image, **options)
    with pytest.raises(DataError, match="No such file"):
        predict_tiled(predictor(), Path("nowhere.png"))
