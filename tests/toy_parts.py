"""Parts of a user's own: series of numbers in JSON files, and any number of boxes to be found in each.

Neither is an image or a text, boxes differ in number, and nothing here is known to onecycle but by registration.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import torch
from torch import Tensor, nn

import onecycle as oc
from onecycle.data.items import ItemList
from onecycle.data.label import LabelledList, SplitList
from onecycle.data.rows import ITEM, Rows
from onecycle.losses import Loss
from onecycle.train.layer_groups import GroupedModel

LENGTH, SLOTS = 8, 3


@oc.register("modality", "toy_series")
@dataclass(frozen=True)
class Series(oc.Modality):
    """Series of numbers from 0 to 255.

    Attributes:
        whole: Keep them as whole numbers in 8 bits, which a cache can hold.
        noise: Deviation of what is added in training.
    """

    whole: bool = False
    noise: float = 0.0
    kind: ClassVar[str] = "toy_series"

    def read(self, item: Any, *, training: bool) -> oc.Reading:
        try:
            numbers = json.loads(Path(item).read_text())["numbers"]
        except (OSError, ValueError, KeyError) as error:
            raise oc.DataError(f"{item} holds no series: {error!r}.", "a JSON file with numbers.", "fix it.") from error
        return oc.Reading(torch.tensor(numbers, dtype=torch.uint8 if self.whole else torch.float32))

    def prepare(self, batch: oc.Batch, target: oc.Target, generator: torch.Generator | None) -> oc.Batch:
        inputs = batch.inputs.float() / 255
        if generator is not None and self.noise:
            inputs = inputs + self.noise * torch.randn(inputs.shape, generator=generator).to(inputs.device)
        return replace(batch, inputs=inputs)

    def item_shape(self, *, training: bool) -> tuple[int, ...] | None:
        return (LENGTH,) if self.whole else None


@oc.register("target", "toy_boxes")
@dataclass(frozen=True)
class Boxes(oc.Target):
    """Any number of boxes of four numbers; those that are predicted with a score above the threshold count."""

    least_score: float = 0.0
    kind: ClassVar[str] = "toy_boxes"
    label_type: ClassVar[pa.DataType] = pa.list_(pa.list_(pa.float64()))

    def encode(self, label: Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor([list(box) for box in label], dtype=torch.float32).reshape(-1, 4)

    def collate(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        return list(encoded)

    def activate(self, outputs: dict[str, Tensor]) -> list[Tensor]:
        pairs = zip(outputs["boxes"].float(), outputs["scores"].float(), strict=True)
        return [boxes[scores > self.least_score] for boxes, scores in pairs]

    def show(self, axes: Any, target: Tensor | None, prediction: Tensor | None) -> None:
        axes.set_title(f"{0 if target is None else len(target)} boxes")


class BoxLayers(nn.Module):
    """Vectors to boxes, (batch, slots, 4), and their scores, (batch, slots)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.boxes, self.scores = nn.Linear(width, SLOTS * 4), nn.Linear(width, SLOTS)

    def forward(self, vectors: Tensor) -> dict[str, Tensor]:
        return {"boxes": self.boxes(vectors).view(-1, SLOTS, 4), "scores": self.scores(vectors)}


@oc.register("model", "toy_boxes_model")
class BoxModel(nn.Module):
    """A plain network."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.config = {"width": width}
        self.layers = nn.Sequential(nn.Linear(LENGTH, width), nn.Tanh(), BoxLayers(width))

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return self.layers(inputs)


@oc.register("model", "toy_grouped_model")
class GroupedBoxModel(GroupedModel):
    """The same in two parts."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.config = {"width": width}
        self.body, self.head = nn.Sequential(nn.Linear(LENGTH, width), nn.Tanh()), BoxLayers(width)

    def layer_groups(self) -> list[list[str]]:
        names = [name for name, _ in self.named_parameters()]
        return [[name for name in names if name.startswith(part)] for part in ("body.", "head.")]

    def to_config(self) -> dict[str, Any]:
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GroupedBoxModel:
        return cls(config["width"])


def box_loss(outputs: dict[str, Tensor], targets: list[Tensor]) -> Tensor:
    """Return the mean over items of the squared distance of each box to the slot nearest to it, and of the count."""
    return torch.stack(_losses(outputs, targets)).mean()


class BoxLoss(Loss):
    """The mean over boxes instead of items: an item with more boxes weighs more."""

    def forward(self, outputs: dict[str, Tensor], targets: list[Tensor]) -> Tensor:
        weights = torch.tensor([float(len(boxes)) for boxes in targets], device=outputs["scores"].device)
        return (torch.stack(_losses(outputs, targets)) * weights).sum() / weights.sum().clamp_min(1e-7)

    def weight(self, targets: list[Tensor]) -> Tensor:
        device = targets[0].device if targets else None
        return torch.tensor(float(sum(map(len, targets))), device=device)


def _losses(outputs: dict[str, Tensor], targets: list[Tensor]) -> list[Tensor]:
    losses = []
    for boxes, scores, target in zip(outputs["boxes"], outputs["scores"], targets, strict=True):
        distances = (boxes[None] - target[:, None]).square().sum(-1)  # (boxes, slots)
        nearest = distances.min(dim=1).values.mean() if len(target) else boxes.sum() * 0
        losses.append(nearest + (scores.sigmoid().sum() - len(target)).square())
    return losses


def count_error(predictions: list[Tensor], targets: list[Tensor]) -> float:
    """Return the mean absolute difference between the number of boxes predicted and true."""
    return sum(abs(len(one) - len(other)) for one, other in zip(predictions, targets, strict=True)) / len(targets)


class LabelledSeries(LabelledList):
    pass


class SplitSeries(SplitList[LabelledSeries]):
    def _labelled(
        self, train: Rows, valid: Rows, test: Rows | None, target: oc.Target, labeller: Any
    ) -> LabelledSeries:
        return LabelledSeries(train, valid, test, target, self.modality, labeller)


class SeriesList(ItemList[SplitSeries]):
    @classmethod
    def from_folder(cls, folder: Path, modality: Series) -> SeriesList:
        return cls(Rows(pa.table({ITEM: modality.find_items(folder)}), folder), modality)

    def _split(self, train: Rows, valid: Rows, test: Rows | None) -> SplitSeries:
        return SplitSeries(train, valid, test, self.modality)


def write_series(folder: Path, count: int = 40) -> Path:
    """Write JSON files of series with none to three boxes, which depend on the series."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        numbers = torch.randint(0, 256, (LENGTH,), generator=generator).tolist()
        boxes = [[value / 255 for value in numbers[place : place + 4]] for place in range(number % 4)]
        content = {"numbers": numbers, "boxes": boxes}
        (folder / f"{number:03}.json").write_text(json.dumps(content))
    return folder


def boxes_of(path: Path) -> list[list[float]]:
    """Return the boxes in a file of `write_series`."""
    boxes: list[list[float]] = json.loads(path.read_text())["boxes"]
    return boxes


def box_bunch(folder: Path, batch_size: int = 8, *, whole: bool = False, noise: float = 0.0, **options: Any) -> Any:
    """Return a bunch of the series in a folder, of which every fifth is for validation."""
    items = SeriesList.from_folder(folder, Series(whole, noise))
    split = items.split_by(lambda path: int(path.stem) % 5 == 0)
    return split.label_from_function(boxes_of, target=Boxes()).databunch(batch_size, **{"workers": 0, **options})
