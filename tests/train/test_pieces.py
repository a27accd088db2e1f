"""Large batches of images go through the model in pieces on a processor, and nothing but time and memory changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from learners import photo_bunch, tiny
from onecycle.data.bunch import DataBunch
from onecycle.train import pieces
from onecycle.train.learner import Learner
from onecycle.train.pieces import PIECE_PIXELS, in_pieces
from onecycle.vision.model import ImageModel


class Counted(nn.Module):
    """Gives each image's mean, and remembers how many came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.sizes.append(len(inputs))
        return inputs.float().flatten(1).mean(1)


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (40, 128, [16, 16, 8]),
        (16, 128, [16]),
        (3, 32, [3]),
        (2, 1024, [1, 1]),  # one image is never cut
    ],
)
def test_images_come_in_pieces_of_so_many_pixels(count: int, size: int, expected: list[int]) -> None:
    model, images = Counted(), torch.arange(count).view(-1, 1, 1, 1).expand(-1, 1, size, size)
    assert in_pieces(model, images).tolist() == list(range(count))
    assert model.sizes == expected
    assert expected[0] == 1 or expected[0] * size**2 <= PIECE_PIXELS


def test_the_outputs_are_those_of_the_whole_batch() -> None:
    model = timm.create_model("test_efficientnet", num_classes=4).eval()
    images = torch.randn(20, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(in_pieces(model, images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inputs", [torch.zeros(5000, 300), {"tokens": [1, 2]}], ids=["tokens", "no tensor"])
def test_what_are_no_images_comes_at_once(inputs: Any) -> None:
    seen: list[Any] = []

    class Whole(nn.Module):
        def forward(self, inputs: Any) -> Any:
            seen.append(inputs)
            return inputs

    assert in_pieces(Whole(), inputs) is inputs
    assert len(seen) == 1


def test_outputs_of_several_parts_are_not_torn() -> None:
    class Parts(nn.Module):
        def forward(self, inputs: Tensor) -> tuple[int, str]:
            return len(inputs), "parts"

    assert in_pieces(Parts(), torch.zeros(40, 3, 128, 128)) == (40, "parts")


# --- training steps ---


def trained(bunch: DataBunch, *, fixed: bool = True) -> tuple[Learner, list[int]]:
    """Return a learner after a fit, and how many images each training pass of its body saw at a time."""
    learner = tiny(bunch, frozen=False, dropout=0.0, seed=1, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1))
    assert isinstance(learner.model, ImageModel)
    learner.model.fixed_statistics = fixed
    sizes: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if torch.is_grad_enabled():
            sizes.append(len(inputs[0]))

    learner.model.body.register_forward_pre_hook(note)
    learner.fit(1, lr=1e-2)
    return learner, sizes


def test_a_step_in_pieces_is_the_step_on_the_batch(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head has batch norms that learn the whole batch's statistics."""
    bunch = photo_bunch(photos)
    whole, sizes = trained(bunch)
    assert sizes == [8, 8, 8]
    monkeypatch.setattr(pieces, "PIECE_PIXELS", 3 * 32**2)
    cut, sizes = trained(bunch)
    assert sizes == [3, 3, 2] * 3
    assert cut.history[0].train_loss == pytest.approx(whole.history[0].train_loss, rel=1e-4)
    assert cut.history[0].valid_loss == pytest.approx(whole.history[0].valid_loss, rel=1e-4)
    for one, other in zip(whole.model.state_dict().values(), cut.model.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_batch_norms_that_learn_see_the_whole_batch(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_PIXELS", 3 * 32**2)
    assert trained(photo_bunch(photos), fixed=False)[1] == [8, 8, 8]
