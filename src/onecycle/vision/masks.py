"""A class for every pixel: the target of semantic segmentation."""

from __future__ import annotations

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
from onecycle.data.temperature import Temperatures, check_temperatures, scaled
from onecycle.errors import DataError, some
from onecycle.losses import IGNORE_INDEX, CrossEntropy
from onecycle.registry import register
from onecycle.vision.annotations.drawing import classes_of, draw_mask, is_drawn
from onecycle.vision.batch_transforms import sample_pixels
from onecycle.vision.decode import ImageGeometry
from onecycle.vision.mask_files import Colour, Indices, read_mask_values
from onecycle.vision.mask_palette import make_palette, read_png, to_palette_image, to_png
from onecycle.vision.mask_restoring import restore_mask
from onecycle.vision.targets import SpatialTarget

_UNKNOWN = 254  # marks values that are neither a class nor ignored
MAX_CLASSES = _UNKNOWN
# Neighbouring pixels say the same.
CALIBRATION_PIXELS = 1000


@register("target", "mask")
@dataclass(frozen=True)
class Mask(SpatialTarget):
    """A class for every pixel ("semantic segmentation").

    Attributes:
        classes: Names in the order of the outputs.
        values: The value of each class in mask files.
        ignored: Values in mask files of pixels that count neither in the loss nor in metrics.
        colours: Colour of each value, where the files are colour-coded; also used in pictures.
        class_weights: Weight of each class in the loss, or None for equal weights.
        temperatures: One number that the outputs are divided by, found by `learner.calibrate`, or None.
    Example:
        >>> import numpy as np
        >>> import onecycle as oc
        >>> mask = oc.Mask(("sky", "road"), values=(1, 2), ignored=(0,))
        >>> mask.encode(np.array([[0, 1, 2]], np.uint8)).tolist()
        [[255, 0, 1]]
    """

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    colours: tuple[Colour, ...] | None = None
    class_weights: tuple[float, ...] | None = None
    temperatures: Temperatures | None = None

    kind: ClassVar[str] = "mask"
    default_metrics: ClassVar[tuple[str, ...]] = ("pixel_accuracy", "mean_iou")
    side_by_side: ClassVar[bool] = True
    label_type: ClassVar[pa.DataType] = pa.string()

    @property
    def summary(self) -> str:
        text = f"Mask, {len(self.classes)} classes: {some(self.classes, 12)}"
        return text + (f"; value {some(self.ignored)} is ignored" if self.ignored else "")

    # --- from the file to the tensor, and together with the image ---

    def encode(self, label: str | Indices) -> Tensor:
        """Return a mask as class numbers, uint8, (height, width); 255 where a pixel is ignored.

        Args:
            label: The path of a mask file, an array of its values, or the text that a mask is drawn from.
        Raises:
            DataError: The file is not a mask, or contains values that are not classes.
        """
        if isinstance(label, np.ndarray):
            values = label
        else:
            values = draw_mask(label) if is_drawn(label) else read_mask_values(label, self.colours)
        indices = self._lookup_table()[values]
        unknown = indices == _UNKNOWN
        if unknown.any():
            counts = Counter(values[unknown].tolist())
            name = "The mask" if isinstance(label, np.ndarray) or is_drawn(label) else label
            raise DataError(
                f"{name} contains values that are not classes: "
                f"{some(f'{value} ({count:,} pixels)' for value, count in sorted(counts.items()))}.",
                f"one of {some(sorted((*self.values, *self.ignored)), 20)}, which stand for {some(self.classes, 20)}.",
                f"add the missing names to classes=, or pass ignore={min(counts)} where such pixels do not count.",
            )
        return torch.from_numpy(indices)

    def _lookup_table(self) -> Indices:
        table = np.full(256, _UNKNOWN, np.uint8)
        table[list(self.values)] = np.arange(len(self.values))
        table[list(self.ignored)] = IGNORE_INDEX
        return table

    def crop_and_scale(self, label: Any, geometry: ImageGeometry, size: tuple[int, int]) -> Tensor:
        """Return the mask of the read image, uint8, (height, width); padding is ignored.

        Raises:
            DataError: The mask and its image have different sizes.
        """
        whole = self.encode(label)
        height, width = whole.shape
        if (height, width) != (geometry.height, geometry.width):
            name = label if isinstance(label, str) and not is_drawn(label) else ""
            raise DataError(
                f"The mask {name} is {width}x{height} pixels, its image {geometry.width:.0f}x{geometry.height:.0f}.",
                "a mask of the size of its image.",
                "check which mask belongs to which image, or resize the mask without interpolation.",
            )
        rows, columns = (
            np.floor(first + (np.arange(count) + 0.5) * (last - first) / count).astype(np.int64)
            for first, last, count in (
                (geometry.top, geometry.bottom, size[0]),
                (geometry.left, geometry.right, size[1]),
            )
        )
        resized = whole.numpy()[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)[None, :]]
        resized[(rows < 0) | (rows >= height)] = IGNORE_INDEX
        resized[:, (columns < 0) | (columns >= width)] = IGNORE_INDEX
        return torch.from_numpy(resized)

    def transform(self, encoded: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
        moved = sample_pixels(encoded[:, None].float(), matrices, size, nearest=True)
        return moved[:, 0].to(torch.uint8)

    def check_mirroring(self) -> None:
        return None

    # --- predictions ---

    def activate(self, outputs: Tensor) -> Tensor:
        """Return probabilities, (batch, classes, height, width)."""
        return scaled(outputs, self.temperatures).softmax(dim=1)

    def decode(self, prediction: Tensor, geometry: Tensor | None = None) -> Indices:
        """Return the most probable class of each pixel of the original, as its value in mask files.

        Args:
            prediction: Probabilities, (classes, height, width).
            geometry: `ImageGeometry` as a tensor, (6,); None treats the input itself as the original.
        Returns:
            uint8, (height, width) of the original. Pixels that were cut off get the ignored value, or 255 where there
            is none.
        """
        shown = None if geometry is None else ImageGeometry(*geometry.tolist())
        return restore_mask(prediction.float().cpu().numpy(), shown, self.values, self.ignored)

    def calibration_inputs(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and classes of some pixels, spread over each image; those that are ignored are left out."""
        pixels, labels = outputs.flatten(2).movedim(1, 2), targets.flatten(1).long()
        places = torch.linspace(0, labels.shape[1] - 1, min(CALIBRATION_PIXELS, labels.shape[1])).long()
        pixels, labels = pixels[:, places].flatten(0, 1), labels[:, places].flatten()
        counts = labels != IGNORE_INDEX
        return pixels[counts], labels[counts]

    def to_probabilities(self, targets: Tensor) -> Tensor:
        """Return one-hot probabilities, (batch, classes, height, width); all zero where ignored."""
        known = nn.functional.one_hot(targets.long().clamp(max=len(self.classes)), len(self.classes) + 1)
        return known[..., : len(self.classes)].movedim(-1, 1).float()

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Return the cross-entropy of the pixels that count, with the class weights."""
        return CrossEntropy(self.class_weights, smoothing, num_classes=self.outputs)

    def item_weights(self, labels: Sequence[Any]) -> NoReturn:
        """Raise a `DataError`: an image contains many classes, so images cannot be balanced by class."""
        raise no_balance("masks by sampling")

    def weighted(self, labels: Sequence[Any]) -> Mask:
        """Return the same target: `label_masks(class_weights=)` has set the weights."""
        return self

    # --- tables and pictures ---

    def scores(self, prediction: Tensor) -> dict[str, float]:
        """Return the share of each class in the image."""
        return dict(zip(self.classes, prediction.mean(dim=(1, 2)).tolist(), strict=True))

    def columns(self, predictions: Tensor, decoded: Sequence[Indices]) -> dict[str, Any]:
        """Return the masks as PNG files in bytes, and the share of each class."""
        shares = [self.scores(prediction) for prediction in predictions]
        columns: dict[str, Any] = {"prediction": pa.array([self.to_png(mask) for mask in decoded], pa.binary())}
        return columns | {f"p({name})": np.array([row[name] for row in shares], np.float32) for name in self.classes}

    def cells(self, label: Indices | bytes) -> dict[str, Any]:
        """Return the share of each class in a mask's pixels."""
        mask = read_png(label) if isinstance(label, bytes) else label
        shares = np.bincount(mask.ravel(), minlength=256)[list(self.values)] / mask.size
        return dict(zip(self.classes, shares.round(4).tolist(), strict=True))

    def caption(self, label: str | Indices | bytes) -> str:
        """Return the name of a mask file, or the classes of one that is drawn; else the largest, with their shares."""
        if isinstance(label, str):
            return ", ".join(classes_of(label)) if is_drawn(label) else Path(label).name
        largest = sorted(self.cells(label).items(), key=lambda cell: -cell[1])[:4]
        return ", ".join(f"{name} {share:.0%}" for name, share in largest if share > 0)

    def palette(self) -> NDArray[np.uint8]:
        """Return a colour for each value of mask files, (256, 3): those of the files, or distinct ones."""
        return make_palette(self.values, self.colours)

    def to_image(self, mask: Indices) -> Image.Image:
        """Return a mask as an image with a palette: its pixels are values, drawn in the classes' colours."""
        return to_palette_image(mask, self.palette())

    def to_png(self, mask: Indices) -> bytes:
        """Return a mask as the content of a PNG file with a palette."""
        return to_png(mask, self.palette())

    def show(self, axes: Any, target: Tensor | None, prediction: Tensor | None) -> None:
        """Draw the classes' colours over the image, except where pixels are ignored."""
        colours = self.palette()[list(self.values)]
        predicted = None if prediction is None else prediction.argmax(dim=0)
        for indices, title in ((target, "label"), (predicted, "prediction")):
            if indices is None:
                continue
            numbers = indices.cpu().numpy().astype(np.int64)
            layer = np.zeros((*numbers.shape, 4), np.uint8)
            layer[..., :3] = colours[numbers.clip(max=len(colours) - 1)]
            layer[..., 3] = np.where(numbers == IGNORE_INDEX, 0, 150)
            axes.imshow(layer)
            axes.set_title(title, fontsize=8)

    def legend(self, figure: Any) -> None:
        from matplotlib.patches import Patch

        colours = self.palette()[list(self.values)] / 255
        patches = [Patch(color=colour, label=name) for colour, name in zip(colours, self.classes, strict=True)]
        columns = max(2, min(len(patches), 6, int(figure.get_figwidth() // 1.4)))
        figure.legend(handles=patches, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)

    def to_config(self) -> dict[str, Any]:
        """Return classes, values, colours and temperature; class weights play no role in prediction."""
        config = {
            "kind": self.kind, "classes": list(self.classes), "values": list(self.values),
            "ignored": list(self.ignored), "colours": None if self.colours is None else [list(c) for c in self.colours],
        }  # fmt: skip
        return config if self.temperatures is None else config | {"temperatures": list(self.temperatures)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Mask:
        colours = None if config["colours"] is None else tuple((r, g, b) for r, g, b in config["colours"])
        mask = cls(
            tuple(config["classes"]), tuple(config["values"]), tuple(config["ignored"]), colours,
            temperatures=tuple(config["temperatures"]) if config.get("temperatures") is not None else None,
        )  # fmt: skip
        check_temperatures(mask.temperatures, (1,))
        bytes_of_mask = [*mask.values, *mask.ignored, *(part for colour in colours or () for part in colour)]
        if len(mask.values) != len(mask.classes) or not all(0 <= number <= 255 for number in bytes_of_mask):
            raise DataError(
                f"{len(mask.classes)} classes with the values {some(mask.values)}.",
                "a value from 0 to 255 for each class, and colours of three such numbers.",
                "export the model again.",
            )
        return mask
