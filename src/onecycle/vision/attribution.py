"""Which part of an image mattered for a prediction?

LayerCAM (Jiang et al. 2021, IEEE Transactions on Image Processing 30): each value of a layer's output, times what
raising it would add to the class, where that is positive, summed over the channels. Unlike Grad-CAM, which averages
those gradients over the image, it holds in layers of any depth, so that a small image has a map of more than a few
cells.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import ModelError
from onecycle.figure import Picture
from onecycle.inference.predictor import Predictor, geometries_of
from onecycle.train.learner import Learner
from onecycle.vision.images import Images

# Cells a side of the coarsest map that is taken. Of drawn shapes on noise, 9% of an image of 128 pixels, the highest
# point lay in the shape with at least 4, 7, 14 and 28 cells in 12%, 71%, 83% and 88%, and of the map 14%, 40%, 58% and
# 29% (EfficientNet-Lite0; Grad-CAM: 12%, 46%, 42% and 50%).
FEWEST_CELLS = 14


@dataclass(frozen=True, repr=False)
class HeatMap:
    """Where in an image the model saw a class.

    Attributes:
        label: The class.
        probability: Its probability.
        image: What the model saw, uint8, (height, width, 3).
        map: How much each of its pixels supports the class, float32 from 0 to 1, (height, width).
        box: (left, top, right, bottom) of `image` in the original, in fractions of its sides; below 0 and above 1 is
            padding.

    Example:
        >>> spot = np.zeros((4, 4), np.float32)
        >>> spot[1, 2] = 1
        >>> HeatMap("cat", 0.9, np.zeros((4, 4, 3), np.uint8), spot, (0.0, 0.0, 1.0, 1.0))
        cat 90%, most of it at 62% of the width and 38% of the height
    """

    label: str
    probability: float
    image: NDArray[np.uint8]
    map: NDArray[np.float32]
    box: tuple[float, float, float, float]

    @property
    def center(self) -> tuple[float, float]:
        """Where the map is highest, (x, y) in fractions of what the model saw."""
        row, column = np.unravel_index(int(self.map.argmax()), self.map.shape)
        return (float(column) + 0.5) / self.map.shape[1], (float(row) + 0.5) / self.map.shape[0]

    def __repr__(self) -> str:
        if not self.map.any():
            return f"{self.label} {self.probability:.0%}, nothing in the image supports it"
        x, y = self.center
        return f"{self.label} {self.probability:.0%}, most of it at {x:.0%} of the width and {y:.0%} of the height"

    def plot(self) -> Picture:
        """Draw the map over the image."""
        figure = Picture(figsize=(4, 4.3), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_title(f"{self.label} {self.probability:.0%}")
        axes.imshow(self.image)
        axes.imshow(self.map, cmap="inferno", alpha=0.6 * self.map, vmin=0, vmax=1)
        return figure.ready()

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png")
        return buffer.getvalue()

    def map_as_png(self) -> bytes:
        """Return the map as a grey PNG file, white where it is highest."""
        buffer = io.BytesIO()
        Image.fromarray((self.map * 255).round().astype(np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()


def attribute_image(source: Learner | Predictor, item: Any, *, label: str | None = None) -> HeatMap:
    """Return where in an image the model saw a class.

    Args:
        source: A learner of images, or a predictor, as `load_model` returns it.
        item: What `predict` takes: a path, a PIL image, or an array of pixels.
        label: The class to explain; None takes the most probable one.
    Raises:
        ModelError: The model does not predict classes or tags of images, or has no timm backbone.
        DataError: The image cannot be read, or there is no such class.
    """
    predictor = source.predictor() if isinstance(source, Learner) else source
    modality, target = predictor.modality, predictor.target
    if not isinstance(target, Category | MultiCategory) or not isinstance(modality, Images):
        raise ModelError(
            f"attribute() does not fit this model: it predicts {target.kind} of {type(modality).__name__}.",
            "a model of images or texts with classes or tags.", "use predict().",
        )  # fmt: skip
    number = None if label is None else target.output_of(label)
    batch = predictor.collate([predictor.read(item)])
    inputs = modality.prepare(batch.to(predictor.device), target, None).inputs
    backbone = _backbone(predictor.model)
    with torch.enable_grad(), _outputs_of_stages(backbone) as layers:
        with predictor.precision.autocast():
            outputs = predictor.model(inputs.requires_grad_())
        probabilities = target.activate(outputs.detach().float())[0]
        number = int(probabilities.argmax()) if number is None else number
        gradients = torch.autograd.grad(outputs[0, number], layers, allow_unused=True)
    cells = _deepest_map(layers, gradients, backbone)
    enlarged = interpolate(cells[None, None], inputs.shape[-2:], mode="bilinear")[0, 0]
    seen = inputs.detach()[0].permute(1, 2, 0).clamp(0, 255).to(torch.uint8).cpu().numpy()
    height, width, left, top, right, bottom = geometries_of(batch)[0].tolist()  # type: ignore[union-attr]
    return HeatMap(
        target.classes[number], float(probabilities[number]), seen,
        (enlarged / enlarged.max().clamp(min=1e-12)).cpu().numpy(),
        (left / width, top / height, right / width, bottom / height),
    )  # fmt: skip


def _backbone(model: nn.Module) -> nn.Module:
    backbone = next((each for each in model.modules() if hasattr(each, "feature_info")), None)
    if backbone is None:
        raise ModelError(
            f"attribute() finds no stages in {type(model).__name__}.",
            "a model with a backbone of timm, which names them in its feature_info.",
            "build the model with vision_learner(bunch, ...).",
        )
    return backbone


@contextmanager
def _outputs_of_stages(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """Give the list of what each stage of a backbone puts out in this thread's next pass."""
    outputs: list[Tensor] = []
    with ExitStack() as stack:
        for stage in list(backbone.feature_info):  # type: ignore[arg-type]
            layer = backbone.get_submodule(stage["module"])
            keep = partial(_keep, outputs, threading.get_ident())
            stack.callback(layer.register_forward_hook(keep).remove)
        yield outputs


def _keep(outputs: list[Tensor], thread: int, _: nn.Module, __: Any, output: Any) -> None:
    """Keep a layer's output in the graph; other threads may use the model at the same time."""
    if threading.get_ident() == thread and isinstance(output, Tensor):
        outputs.append(output)


def _deepest_map(layers: list[Tensor], gradients: tuple[Tensor | None, ...], backbone: nn.Module) -> Tensor:
    """Return the map of the deepest stage that has enough cells, or else of the one that has the most."""
    maps = [
        torch.relu(_as_planes(gradient, backbone)).mul(_as_planes(layer.detach(), backbone)).sum(0).relu()
        for layer, gradient in zip(layers, gradients, strict=True)
        if gradient is not None and gradient.any()  # the last stage's tokens do not matter where a class token is read
    ]
    if not maps:
        return torch.zeros(1, 1)
    return next(
        (each for each in reversed(maps) if min(each.shape) >= FEWEST_CELLS), max(maps, key=lambda each: each.numel())
    )


def _as_planes(output: Tensor, backbone: nn.Module) -> Tensor:
    """Return what a stage put out for one image as (channels, height, width)."""
    planes = output[0].float()
    if planes.ndim == 2:  # tokens, those of the image last
        side = math.isqrt(len(planes) - int(getattr(backbone, "num_prefix_tokens", 0)))
        return planes[-side * side :].T.reshape(-1, side, side)
    return planes.permute(2, 0, 1) if getattr(backbone, "output_fmt", "NCHW") == "NHWC" else planes
