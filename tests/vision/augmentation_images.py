"""Images and generators for the tests of augmentation."""

import torch
from torch import Tensor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=seeded(), dtype=torch.uint8)


def smooth(count: int, height: int, width: int) -> Tensor:
    """Colours that grow to the right, downwards, and to the right and down."""
    y, x = torch.meshgrid(torch.linspace(20, 235, height), torch.linspace(20, 235, width), indexing="ij")
    return torch.stack([x, y, (x + y) / 2]).round().to(torch.uint8).repeat(count, 1, 1, 1)


def blob(height: int, width: int, row: float, column: float) -> Tensor:
    """A bright round dot, float, (1, 1, height, width)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (255 * torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 4))[None, None]


def middle_of(image: Tensor, near: tuple[float, float] | None = None) -> tuple[float, float]:
    """Row and column of the centre of mass of an image, (1, 1, height, width).

    With `near`, only pixels at most 9 pixels away count: at the edges a dot may appear again, reflected.
    """
    weights = image[0, 0].clone()
    if near is not None:
        weights[(torch.arange(weights.shape[0]) - near[0]).abs() > 9] = 0
        weights[:, (torch.arange(weights.shape[1]) - near[1]).abs() > 9] = 0
    weights /= weights.sum()
    rows, columns = weights.sum(1), weights.sum(0)
    return (rows * torch.arange(len(rows))).sum().item(), (columns * torch.arange(len(columns))).sum().item()
