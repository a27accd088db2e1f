"""Points in the image: how they follow it, and are led back to pixels of the original.

Whole numbers are the middles of pixels, as OpenCV and matplotlib have it. Within an image that the model sees, points
run from -1 to 1, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.data.target import WithoutClasses
from onecycle.errors import DataError, some, suggest
from onecycle.train.losses import SmoothL1
from onecycle.vision.decode import Frame
from onecycle.vision.targets import shown


@dataclass(frozen=True)
class Points(WithoutClasses):
    """One point or several in every image; any may be missing ("key points", "landmarks").

    Attributes:
        classes: The points' names, in order.
        flip_pairs: Names of points that change places in a mirrored image, such as left and right eye.
    """

    classes: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()

    kind: ClassVar[str] = "points"
    default_metrics: ClassVar[tuple[str, ...]] = ("pixel_error",)
    mixable: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    label_type: ClassVar[pa.DataType] = pa.list_(pa.list_(pa.float32()))

    @property
    def outputs(self) -> int:
        """Two a point: x and y."""
        return 2 * len(self.classes)

    @property
    def summary(self) -> str:
        """How many, and their names."""
        return f"Points, {len(self.classes)}: {some(self.classes, 12)}"

    # --- from the label to the tensor, and with the image ---

    def encode(self, label: Sequence[Sequence[float]]) -> Tensor:
        """Return x and y in pixels of the original, float32, (points, 2); NaN where a point is missing."""
        return torch.tensor(label, dtype=torch.float32).view(len(self.classes), 2)

    def place(self, label: Any, frame: Frame, size: tuple[int, int]) -> Tensor:
        """Return x and y from -1 to 1 within the read image; beyond that where it was cropped away."""
        return self._seen(self.encode(label)[None], torch.tensor([frame]))[0]

    def follow(self, placed: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """Move points as their images' matrices say; mirrored images swap the pairs."""
        # Matrices say where an output pixel comes from; points go the other way.
        onwards = torch.linalg.inv(matrices)
        homogeneous = torch.cat([placed, torch.ones_like(placed[..., :1])], dim=-1) @ onwards.transpose(1, 2)
        moved = homogeneous[..., :2] / homogeneous[..., 2:]
        mirrored = torch.linalg.det(matrices[:, :2, :2]) < 0
        return torch.where(mirrored[:, None, None], moved[:, self._swapped()], moved)

    def _swapped(self) -> list[int]:
        order = list(range(len(self.classes)))
        for first, second in self.flip_pairs:
            i, j = self.classes.index(first), self.classes.index(second)
            order[i], order[j] = j, i
        return order

    def check_mirroring(self) -> str | None:
        """Several points change their meaning in a mirrored image, unless it is said which change places."""
        if len(self.classes) == 1 or self.flip_pairs:
            return None
        return "mirrored images swap left and right points, and flip_pairs= does not say which"

    # --- answers ---

    def activate(self, outputs: Tensor) -> Tensor:
        """x and y from -1 to 1 within the input, (batch, points, 2)."""
        return outputs.float().reshape(len(outputs), len(self.classes), 2)

    def decode(self, answer: Tensor, frame: Tensor | None = None) -> NDArray[np.float32]:
        """Return x and y in pixels of the original, float32, (points, 2); without a frame from -1 to 1."""
        decoded = answer if frame is None else self._original(answer[None], frame[None].to(answer.device))[0]
        points: NDArray[np.float32] = decoded.float().cpu().numpy()
        return points

    def measured(self, answers: Tensor, targets: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """In pixels of the original."""
        if frames is None:
            return answers, targets
        return self._original(answers, frames), self._original(targets, frames)

    def _original(self, points: Tensor, frames: Tensor) -> Tensor:
        boxes = shown(frames)[:, None]
        return boxes[..., :2] + (points + 1) / 2 * boxes[..., 2:] - 0.5

    def _seen(self, points: Tensor, frames: Tensor) -> Tensor:
        boxes = shown(frames)[:, None]
        return (points + 0.5 - boxes[..., :2]) / boxes[..., 2:] * 2 - 1

    def soften(self, targets: Tensor) -> Tensor:
        """They are floats already."""
        return targets

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Smooth L1 of the points that are known; there is nothing to smooth in a label."""
        return SmoothL1()

    # --- tables and pictures ---

    def columns(self, answers: Tensor, decoded: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
        """The points of each item, a list of x and y."""
        return {"prediction": pa.array([points.tolist() for points in decoded], self.label_type)}

    def cells(self, label: Any) -> dict[str, Any]:
        """x and y of each point, such as "nose_x" and "nose_y"."""
        values = np.asarray(label, np.float64).reshape(-1, 2)
        return {
            f"{name}_{axis}": round(float(value), 2)
            for name, point in zip(self.classes, values, strict=True)
            for axis, value in zip("xy", point, strict=True)
        }

    def caption(self, label: Any) -> str:
        """x and y of the first points."""
        points = np.asarray(label, np.float32).reshape(-1, 2)
        return some((f"({x:.1f}, {y:.1f})" for x, y in points), 4)

    def show(self, axes: Any, truth: Tensor | None, answer: Tensor | None) -> None:
        """Dots: green where the label is, red where the answer is, and a line from one to the other."""
        height, width = axes.images[0].get_array().shape[:2]
        scale = torch.tensor([width, height]) / 2
        dots = [None if one is None else ((one.float().cpu() + 1) * scale - 0.5).numpy() for one in (truth, answer)]
        size = 14 if len(self.classes) <= 5 else 3
        if dots[0] is not None and dots[1] is not None:
            for given, said in zip(*dots, strict=True):
                axes.plot([given[0], said[0]], [given[1], said[1]], color="yellow", linewidth=0.6)
        for points, colour in zip(dots, ("lime", "red"), strict=True):
            if points is not None:
                axes.scatter(points[:, 0], points[:, 1], s=size, color=colour, linewidths=0)
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)

    def legend(self, figure: Any) -> None:
        """Which dot is which."""
        figure.supxlabel("green: label, red: answer", fontsize=8)

    def to_config(self) -> dict[str, Any]:
        """Names and pairs."""
        return {"kind": self.kind, "classes": list(self.classes), "flip_pairs": [list(p) for p in self.flip_pairs]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Points:
        """Return the target that `to_config` described."""
        return cls(tuple(config["classes"]), tuple((first, second) for first, second in config["flip_pairs"]))


def points_target(names: Sequence[str], flip_pairs: Sequence[tuple[str, str]]) -> Points:
    """Return the target for points called `names`.

    Raises:
        DataError: A pair names a point that is not there, or a point twice.
    """
    paired = [name for pair in flip_pairs for name in pair]
    unknown = [name for name in paired if name not in names]
    if unknown:
        raise DataError(
            f"flip_pairs= names {some(unknown)}.", f"one of the points: {some(names, 20)}.",
            "check it." + suggest(unknown[0], names),
        )  # fmt: skip
    twice = sorted({name for name in paired if paired.count(name) > 1})
    if twice:
        raise DataError(f"flip_pairs= names {some(twice)} twice.", "each point once at most.", "check it.")
    return Points(tuple(names), tuple((first, second) for first, second in flip_pairs))
