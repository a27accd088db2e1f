"""Changes to whole batches of pixels on their device: one interpolation for geometry, one product for colour."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sample_pixels(images: Tensor, matrices: Tensor, size: tuple[int, int], *, nearest: bool = False) -> Tensor:
    """Interpolate each image once, at the positions given by its matrix; outside the image it is reflected.

    Args:
        images: float, (batch, channels, any height, any width).
        matrices: (batch, 3, 3), from output to input coordinates, both from -1 to 1, x to the right and y down.
        size: Output (height, width).
        nearest: Use the nearest pixel instead of interpolation, as masks need.
    Returns:
        float, (batch, channels, height, width).
    Example:
        >>> import torch
        >>> mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))[None]
        >>> sample_pixels(torch.tensor([[[[1.0, 2.0, 3.0]]]]), mirror, (1, 3)).flatten().tolist()
        [3.0, 2.0, 1.0]
    """
    grid = positions(matrices, size).to(images.dtype)
    mode = "nearest" if nearest else "bilinear"
    if images.device.type == "mps":  # not every version has a padding mode but zeros there
        return functional.grid_sample(
            images, reflect(grid, (images.shape[-2], images.shape[-1])), mode, "zeros", align_corners=False
        )
    return functional.grid_sample(images, grid, mode, "reflection", align_corners=False)


def positions(matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Return where the centre of each output pixel comes from, x and y, (batch, height, width, 2).

    A product of all centres with all matrices would need the centres once for each image, and takes ten times as long.

    Args:
        matrices: (batch, 3, 3), as for `sample_pixels`.
        size: Output (height, width).
    """
    height, width = size
    x = (torch.arange(width, device=matrices.device) * 2 + 1) / width - 1
    y = ((torch.arange(height, device=matrices.device) * 2 + 1) / height - 1)[:, None]
    by_x, by_y, constant = matrices[..., None, None].unbind(2)
    points = torch.addcmul(by_y * y + constant, by_x, x)
    return (points[:, :2] / points[:, 2:]).permute(0, 2, 3, 1)


def reflect(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Return positions inside of an image that show what reflection at its edges shows at the positions of `grid`.

    On processors torch's own reflection takes half of the time and less.

    Args:
        grid: x and y, from -1 to 1 inside the image, (..., 2).
        size: (height, width) of the image.
    Example:
        >>> import torch
        >>> reflect(torch.tensor([1.5, -1.25]), (10, 20)).tolist()
        [0.5, -0.75]
    """
    folded = 1 - ((grid + 1).remainder(4) - 2).abs()
    # Between the middle of the last pixel and the edge, reflection shows the last pixel.
    middle = 1 - 1 / grid.new_tensor([size[1], size[0]])
    return folded.clamp(-middle, middle)


def change_colour(images: Tensor, matrices: Tensor) -> Tensor:
    """Multiply the colours of each image by its matrix.

    Args:
        images: float from 0 to 255, (batch, 3, height, width).
        matrices: (batch, 4, 4), applied to (red, green, blue, 1) on a scale from 0 to 1.
    Returns:
        float from 0 to 255, of the shape of `images`.
    Example:
        >>> import torch
        >>> half_as_bright = torch.diag(torch.tensor([0.5, 0.5, 0.5, 1.0]))[None]
        >>> change_colour(torch.full((1, 3, 1, 1), 200.0), half_as_bright).flatten().tolist()
        [100.0, 100.0, 100.0]
    """
    flat = images.flatten(2)
    changed = torch.baddbmm(matrices[:, :3, 3:] * 255, matrices[:, :3, :3], flat)
    return changed.clamp_(0, 255).view_as(images)
