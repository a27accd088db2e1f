"""Points in the image ("key points"): the target. See `point_coordinates` for what coordinates mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.errors import DataError, some, suggest
from onecycle.losses import SmoothL1
from onecycle.registry import register
from onecycle.vision.decode import ImageGeometry
from onecycle.vision.point_coordinates import to_original, to_resized
from onecycle.vision.targets import SpatialTarget


@register("target", "points")
@dataclass(frozen=True)
class Points(SpatialTarget):
    """One point or several in every image; any of them may be missing ("key points", "landmarks").

    Attributes:
        classes: The points' names, in order.
        flip_pairs: Names of points that swap places in a mirrored image, such as left and right eye.
    Example:
        >>> import onecycle as oc
        >>> oc.Points(("nose", "chin")).encode([[10, 20], [11, 40]]).tolist()
        [[10.0, 20.0], [11.0, 40.0]]
    """

    classes: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()

    kind: ClassVar[str] = "points"
    default_metrics: ClassVar[tuple[str, ...]] = ("pixel_error",)
    label_type: ClassVar[pa.DataType] = pa.list_(pa.list_(pa.float32()))

    @property
    def outputs(self) -> int:
        """Return the number of outputs: x and y of each point."""
        return 2 * len(self.classes)

    @property
    def summary(self) -> str:
        return f"Points, {len(self.classes)}: {some(self.classes, 12)}"

    # --- from the label to the tensor, and together with the image ---

    def encode(self, label: Sequence[Sequence[float]]) -> Tensor:
        """Return x and y in pixels of the original, float32, (points, 2); NaN where a point is missing."""
        return torch.tensor(label, dtype=torch.float32).view(len(self.classes), 2)

    def crop_and_scale(self, label: Any, geometry: ImageGeometry, size: tuple[int, int]) -> Tensor:
        """Return x and y from -1 to 1 in the read image, (points, 2); beyond that range where it was cropped."""
        resized: Tensor = to_resized(self.encode(label)[None], torch.tensor([geometry]))
        return resized[0]

    def transform(self, encoded: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the points, (batch, points, 2), after augmentation; pairs are swapped in mirrored images."""
        # The matrices map output to input positions; points move in the opposite direction.
        inverse = torch.linalg.inv_ex(matrices).inverse  # to check for singular ones, a GPU would wait
        homogeneous = torch.cat([encoded, torch.ones_like(encoded[..., :1])], dim=-1) @ inverse.transpose(1, 2)
        moved = homogeneous[..., :2] / homogeneous[..., 2:]
        mirrored = matrices[:, 0, 0] * matrices[:, 1, 1] < matrices[:, 0, 1] * matrices[:, 1, 0]
        swapped = torch.stack([moved[:, number] for number in self._mirrored_order()], dim=1)
        return torch.where(mirrored[:, None, None], swapped, moved)

    def _mirrored_order(self) -> list[int]:
        order = list(range(len(self.classes)))
        for first, second in self.flip_pairs:
            i, j = self.classes.index(first), self.classes.index(second)
            order[i], order[j] = j, i
        return order

    def check_mirroring(self) -> str | None:
        if len(self.classes) == 1 or self.flip_pairs:
            return None
        return "mirrored images swap left and right points, but flip_pairs= does not name them"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        points = super().from_config(config)
        unknown = [name for pair in points.flip_pairs for name in pair if name not in points.classes]
        if unknown:
            raise DataError(
                f"flip_pairs= names {some(unknown)}.", f"some of: {some(points.classes)}.", "export the model again."
            )
        return points

    # --- predictions ---

    def activate(self, outputs: Tensor) -> Tensor:
        """Return x and y from -1 to 1 in the input, float32, (batch, points, 2)."""
        return outputs.float().reshape(-1, len(self.classes), 2)

    def decode(self, prediction: Tensor, geometry: Tensor | None = None) -> NDArray[np.float32]:
        """Return x and y in pixels of the original, float32, (points, 2); without geometry from -1 to 1."""
        decoded = prediction
        if geometry is not None:
            decoded = to_original(prediction[None], geometry[None].to(prediction.device))[0]
        points: NDArray[np.float32] = decoded.float().cpu().numpy()
        return points

    def metric_inputs(self, predictions: Tensor, targets: Tensor, geometries: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return predictions and targets in pixels of the original."""
        if geometries is None:
            return predictions, targets
        return to_original(predictions, geometries), to_original(targets, geometries)

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return the smooth L1 loss of the points that are known; label smoothing does not apply."""
        return SmoothL1()

    # --- tables and pictures ---

    def columns(self, predictions: Tensor, decoded: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
        """Return the points of each item, a list of x and y."""
        return {"prediction": pa.array([points.tolist() for points in decoded], self.label_type)}

    def cells(self, label: Any) -> dict[str, Any]:
        """Return x and y of each point, named such as "nose_x" and "nose_y"."""
        values = np.asarray(label, np.float64).reshape(-1, 2)
        return {
            f"{name}_{axis}": round(float(value), 2)
            for name, point in zip(self.classes, values, strict=True)
            for axis, value in zip("xy", point, strict=True)
        }

    def caption(self, label: Any) -> str:
        """Return x and y of the first points."""
        points = np.asarray(label, np.float32).reshape(-1, 2)
        return some((f"({x:.1f}, {y:.1f})" for x, y in points), 4)

    def show(self, axes: Any, target: Tensor | None, prediction: Tensor | None) -> None:
        """Draw green dots for the label, red dots for the prediction, and a line between each two."""
        height, width = axes.images[0].get_array().shape[:2]
        scale = torch.tensor([width, height]) / 2
        target_dots, predicted_dots = (
            None if points is None else ((points.float().cpu() + 1) * scale - 0.5).numpy()
            for points in (target, prediction)
        )
        if target_dots is not None and predicted_dots is not None:
            for (x, y), (predicted_x, predicted_y) in zip(target_dots, predicted_dots, strict=True):
                axes.plot([x, predicted_x], [y, predicted_y], color="yellow", linewidth=0.6)
        size = 14 if len(self.classes) <= 5 else 3
        for dots, colour in ((target_dots, "lime"), (predicted_dots, "red")):
            if dots is not None:
                axes.scatter(dots[:, 0], dots[:, 1], s=size, color=colour, linewidths=0)
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)

    def legend(self, figure: Any) -> None:
        figure.supxlabel("green: label, red: prediction", fontsize=8)


def points_target(names: Sequence[str], flip_pairs: Sequence[tuple[str, str]]) -> Points:
    """Return the target for points called `names`.

    Raises:
        DataError: A pair names a point that does not exist, or a point twice.
    """
    paired = [name for pair in flip_pairs for name in pair]
    unknown = [name for name in paired if name not in names]
    if unknown:
        raise DataError(
            f"flip_pairs= names {some(unknown)}.", f"the points' names: {some(names, 20)}.",
            "check flip_pairs=." + suggest(unknown[0], names),
        )  # fmt: skip
    twice = sorted({name for name in paired if paired.count(name) > 1})
    if twice:
        raise DataError(f"flip_pairs= names {some(twice)} twice.", "each point at most once.", "check flip_pairs=.")
    return Points(tuple(names), tuple((first, second) for first, second in flip_pairs))
