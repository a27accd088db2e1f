from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from onecycle.train.pieces import PIECE_PIXELS, in_pieces


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
