"""A class for every pixel: how masks are placed, follow their image, and are led back to its own size."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from onecycle.data.target import no_balance
from onecycle.errors import DataError, some
from onecycle.train.losses import IGNORE, CrossEntropy
from onecycle.vision.augment import sample_pixels
from onecycle.vision.decode import Frame
from onecycle.vision.mask_files import Colour, Indices, mask_values

_FOREIGN = 254  # stands for values that are neither a class nor ignored
MOST_CLASSES = _FOREIGN


@dataclass(frozen=True)
class Mask:
    """A class for every pixel ("semantic segmentation").

    Attributes:
        classes: Names in the order of the outputs.
        values: What stands for each class in mask files.
        ignored: What stands there for pixels that do not count, neither in the loss nor in metrics.
        colours: Colour of each value, where the files are colour-coded; also used for pictures.
        class_weights: Weight of each class in the loss, or None for equal weights.
    """

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    colours: tuple[Colour, ...] | None = None
    class_weights: tuple[float, ...] | None = None

    kind: ClassVar[str] = "mask"
    default_metrics: ClassVar[tuple[str, ...]] = ("pixel_accuracy", "mean_iou")
    mixable: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = True
    label_type: ClassVar[pa.DataType] = pa.string()

    @property
    def outputs(self) -> int:
        """One a class, for each pixel."""
        return len(self.classes)

    @property
    def summary(self) -> str:
        """The classes."""
        text = f"Mask, {len(self.classes)} classes: {some(self.classes, 12)}"
        return text + (f"; value {some(self.ignored)} is ignored" if self.ignored else "")

    # --- from the file to the tensor, and with the image ---

    def encode(self, label: str | Indices) -> Tensor:
        """Return the mask in a file, or of an array of its values, as class numbers, uint8, (height, width).

        Raises:
            DataError: The file is no mask, or holds values that are no class.
        """
        values = label if isinstance(label, np.ndarray) else mask_values(label, self.colours)
        indices = self._table()[values]
        foreign = indices == _FOREIGN
        if foreign.any():
            counts = Counter(values[foreign].tolist())
            name = "The mask" if isinstance(label, np.ndarray) else label
            raise DataError(
                f"{name} holds values that are no class: "
                f"{some(f'{value} ({count:,} pixels)' for value, count in sorted(counts.items()))}.",
                f"one of {some(sorted((*self.values, *self.ignored)), 20)}, which stand for {some(self.classes, 20)}.",
                f"add the missing names to classes=, or pass ignore={min(counts)} where such pixels do not count.",
            )
        return torch.from_numpy(indices)

    def _table(self) -> Indices:
        table = np.full(256, _FOREIGN, np.uint8)
        table[list(self.values)] = np.arange(len(self.values))
        table[list(self.ignored)] = IGNORE
        return table

    def place(self, label: Any, frame: Frame, size: tuple[int, int]) -> Tensor:
        """Cut and scale to the read image, uint8, (height, width); borders that it adds are ignored.

        Raises:
            DataError: The mask is of another size than its image.
        """
        whole = self.encode(label)
        height, width = whole.shape
        if (height, width) != (frame.height, frame.width):
            raise DataError(
                f"The mask {label if isinstance(label, str) else ''} is {width}x{height} pixels, "
                f"its image {frame.width:.0f}x{frame.height:.0f}.",
                "a mask of the size of its image.",
                "check which mask belongs to which image, or scale the mask without interpolation.",
            )
        rows, columns = (
            np.floor(first + (np.arange(count) + 0.5) * (last - first) / count).astype(np.int64)
            for first, last, count in ((frame.top, frame.bottom, size[0]), (frame.left, frame.right, size[1]))
        )
        placed = whole.numpy()[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)[None, :]]
        placed[(rows < 0) | (rows >= height)] = IGNORE
        placed[:, (columns < 0) | (columns >= width)] = IGNORE
        return torch.from_numpy(placed)

    def follow(self, placed: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
        """Sample the nearest pixel where the image's matrix says."""
        moved = sample_pixels(placed[:, None].float(), matrices, size, nearest=True)
        return moved[:, 0].to(torch.uint8)

    def check_mirroring(self) -> None:
        """A mirrored mask is a good mask."""

    # --- answers ---

    def activate(self, outputs: Tensor) -> Tensor:
        """Softmax over the classes, (batch, classes, height, width)."""
        return outputs.float().softmax(dim=1)

    def decode(self, answer: Tensor, frame: Tensor | None = None) -> Indices:
        """Return the most probable class of each pixel of the original, by its value in mask files.

        Args:
            answer: Probabilities, (classes, height, width).
            frame: What the input shows of the original; None takes the input itself for the original.
        Returns:
            uint8, (height, width) of the original. What was cropped away is ignored, or 255 where nothing is.
        """
        values = np.array(self.values, np.uint8)
        if frame is None:
            return np.asarray(values[answer.argmax(dim=0).cpu().numpy()], np.uint8)
        answer, shown = _without_borders(answer, Frame(*frame.tolist()))
        height, width = round(shown.height), round(shown.width)
        matrix = _into(shown).to(answer.device)
        best = torch.full((height, width), -1.0, device=answer.device)
        chosen = torch.zeros((height, width), dtype=torch.uint8, device=answer.device)
        for number, probability in enumerate(answer):  # one class at a time: all at once may be gigabytes
            grown = sample_pixels(probability[None, None], matrix, (height, width))[0, 0]
            better = grown > best
            best, chosen = torch.where(better, grown, best), chosen.masked_fill(better, number)
        decoded: Indices = values[chosen.cpu().numpy()]
        unknown = self.ignored[0] if self.ignored else IGNORE
        x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
        decoded[(y < shown.top) | (y > shown.bottom)] = unknown
        decoded[:, (x < shown.left) | (x > shown.right)] = unknown
        return decoded

    def measured(self, answers: Tensor, targets: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """As they are."""
        return answers, targets

    def soften(self, targets: Tensor) -> Tensor:
        """One-hot, (batch, classes, height, width); all zero where ignored."""
        known = nn.functional.one_hot(targets.long().clamp(max=len(self.classes)), len(self.classes) + 1)
        return known[..., : len(self.classes)].movedim(-1, 1).float()

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Cross-entropy of the pixels that count, with the class weights."""
        return CrossEntropy(self.class_weights, smoothing)

    def item_weights(self, labels: Sequence[Any]) -> NoReturn:
        """An image holds many classes."""
        raise no_balance("masks by sampling")

    def weighted(self, labels: Sequence[Any]) -> Mask:
        """Classes are weighed by `label_masks(class_weights=)` already."""
        return self

    # --- tables and pictures ---

    def scores(self, answer: Tensor) -> dict[str, float]:
        """Each class's share of the image."""
        return dict(zip(self.classes, answer.mean(dim=(1, 2)).tolist(), strict=True))

    def columns(self, answers: Tensor, decoded: Sequence[Indices]) -> dict[str, Any]:
        """The masks as PNG files in bytes, and each class's share."""
        shares = [self.scores(answer) for answer in answers]
        columns: dict[str, Any] = {"prediction": pa.array([self.to_png(mask) for mask in decoded], pa.binary())}
        return columns | {f"p({name})": np.array([of[name] for of in shares], np.float32) for name in self.classes}

    def cells(self, label: Indices | bytes) -> dict[str, Any]:
        """Each class's share of a mask's pixels."""
        mask = np.asarray(Image.open(io.BytesIO(label))) if isinstance(label, bytes) else label
        shares = np.bincount(mask.ravel(), minlength=256)[list(self.values)] / mask.size
        return dict(zip(self.classes, shares.round(4).tolist(), strict=True))

    def caption(self, label: str | Indices | bytes) -> str:
        """The name of a mask's file; of a mask its largest classes with their share."""
        if isinstance(label, str):
            return Path(label).name
        largest = sorted(self.cells(label).items(), key=lambda cell: -cell[1])[:4]
        return ", ".join(f"{name} {share:.0%}" for name, share in largest if share > 0)

    def palette(self) -> NDArray[np.uint8]:
        """Return a colour for each value of mask files, (256, 3): the files' own, or well told apart."""
        colours = np.zeros((256, 3), np.uint8)
        if self.colours is not None:
            colours[: len(self.colours)] = self.colours
        else:
            colours[list(self.values)] = [_DISTINCT[i % len(_DISTINCT)] for i in range(len(self.values))]
        return colours

    def to_image(self, mask: Indices) -> Image.Image:
        """Return a mask as an image with a palette: its pixels are values, shown in the classes' colours."""
        image = Image.fromarray(mask).convert("P")
        image.putpalette(self.palette().tobytes())
        return image

    def to_png(self, mask: Indices) -> bytes:
        """Return a mask as the content of a PNG file with a palette."""
        buffer = io.BytesIO()
        self.to_image(mask).save(buffer, "PNG")
        return buffer.getvalue()

    def show(self, axes: Any, truth: Tensor | None, answer: Tensor | None) -> None:
        """Lay the classes' colours over the image; what is ignored stays as it is."""
        colours = self.palette()[list(self.values)]
        for indices, title in ((truth, "label"), (None if answer is None else answer.argmax(dim=0), "answer")):
            if indices is None:
                continue
            numbers = indices.cpu().numpy().astype(np.int64)
            layer = np.zeros((*numbers.shape, 4), np.uint8)
            layer[..., :3] = colours[numbers.clip(max=len(colours) - 1)]
            layer[..., 3] = np.where(numbers == IGNORE, 0, 150)
            axes.imshow(layer)
            axes.set_title(title, fontsize=8)

    def legend(self, figure: Any) -> None:
        """A patch of each class's colour below the pictures."""
        from matplotlib.patches import Patch

        colours = self.palette()[list(self.values)] / 255
        patches = [Patch(color=colour, label=name) for colour, name in zip(colours, self.classes, strict=True)]
        figure.legend(
            handles=patches, loc="outside lower center", ncols=min(len(patches), 6), fontsize=8, frameon=False
        )

    def to_config(self) -> dict[str, Any]:
        """Classes, values and colours; weights are no part of prediction."""
        return {
            "kind": self.kind, "classes": list(self.classes), "values": list(self.values),
            "ignored": list(self.ignored), "colours": None if self.colours is None else [list(c) for c in self.colours],
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Mask:
        """Return the target that `to_config` described."""
        colours = None if config["colours"] is None else tuple((r, g, b) for r, g, b in config["colours"])
        return cls(tuple(config["classes"]), tuple(config["values"]), tuple(config["ignored"]), colours)


def _without_borders(answer: Tensor, shown: Frame) -> tuple[Tensor, Frame]:
    """Return what lies in the original: of padding a model may say anything, which must not run into the edges."""
    rows, columns = answer.shape[-2:]
    down, across = (shown.bottom - shown.top) / rows, (shown.right - shown.left) / columns
    top, left = max(round(-shown.top / down), 0), max(round(-shown.left / across), 0)
    bottom = max(round((shown.bottom - shown.height) / down), 0)
    right = max(round((shown.right - shown.width) / across), 0)
    box = max(shown.left, 0), max(shown.top, 0), min(shown.right, shown.width), min(shown.bottom, shown.height)
    return answer[:, top : rows - bottom, left : columns - right], Frame(shown.height, shown.width, *box)


def _into(frame: Frame) -> Tensor:
    """Return the matrix from coordinates of the original, -1 to 1, to those of the input that shows `frame`."""
    across, down = frame.width / (frame.right - frame.left), frame.height / (frame.bottom - frame.top)
    left = (frame.width - 2 * frame.left) / (frame.right - frame.left) - 1
    top = (frame.height - 2 * frame.top) / (frame.bottom - frame.top) - 1
    return torch.tensor([[[across, 0, left], [0, down, top], [0, 0, 1]]], dtype=torch.float32)


# Twenty colours that are told apart well (Trubetskoy 2017, sashamaps.net).
_DISTINCT: tuple[Colour, ...] = (
    (0, 130, 200), (230, 25, 75), (60, 180, 75), (255, 225, 25), (245, 130, 48), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200),
    (128, 0, 0), (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128),
)  # fmt: skip
