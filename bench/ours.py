"""onecycle's side of a race. argv: task folder valid.txt seed. Prints JSON in its last line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onecycle as oc
from common import peak_mb, since_start

if TYPE_CHECKING:
    from onecycle.train.events import EpochEnd
    from onecycle.train.state import TrainState

SIZE = int(os.environ.get("PHOTO_SIZE", 128))
METRICS: dict[str, list[Any]] = {
    "photos": ["accuracy"], "tags": [oc.metrics.fbeta(2, threshold=0.2)], "camvid": ["mean_iou", "pixel_accuracy"],
    "points": ["pixel_error"], "sentiment": ["accuracy"],
}  # fmt: skip
# Photos are given none, as by `onecycle train`: how hard they are decides.
EPOCHS: dict[str, Any] = {"photos": "auto", "tags": 2, "camvid": 7, "points": 1, "sentiment": 1}


class Watch(oc.Callback):
    """Notes when each epoch was over, and its metrics."""

    def __init__(self) -> None:
        self.curve: list[tuple[float, ...]] = []

    def on_epoch_end(self, state: TrainState, event: EpochEnd) -> None:
        self.curve.append((since_start(), *(event.record.metrics[metric.name] for metric in state.metrics)))


def photos(folder: Path, valid: str) -> oc.DataBunch:
    items = oc.ImageList.from_folder(folder).split_from_file(valid)
    return items.label_from_folder().transform(SIZE).databunch()


def tags(folder: Path, valid: str) -> oc.DataBunch:
    items = oc.ImageList.from_csv(folder / "tags.csv", folder=folder / "images", suffix=".jpg", missing="drop")
    labelled = items.split_from_file(valid).label_from_column("tags", delimiter=" ", classes="all")
    return labelled.transform(SIZE, augment=oc.augment.satellite()).databunch()


def camvid(folder: Path, valid: str, size: tuple[int, int] = (156, 208)) -> oc.DataBunch:
    items = oc.ImageList.from_folder(folder, include=["train", "val"]).split_by_folder(train="train", valid="val")
    masks = f"{folder}/{{folder}}annot/{{stem}}.png"
    return items.label_masks(masks, classes=folder / "codes.txt", ignore="Void").transform(size).databunch(8)


def points(folder: Path, valid: str) -> oc.DataBunch:
    items = oc.ImageList.from_csv(folder / "keypoints.csv", folder=folder / "images", missing="drop")
    return items.split_from_file(valid).label_points("all").transform(96).databunch(32)


def sentiment(folder: Path, valid: str) -> oc.DataBunch:
    labelled = oc.TextList.from_folder(folder).split_by_folder(train="train", valid="test").label_from_folder()
    return labelled.tokenize().databunch(16)


def main() -> None:
    task, folder, valid, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    watch = Watch()
    bunch = {"photos": photos, "tags": tags, "camvid": camvid, "points": points, "sentiment": sentiment}[task](
        folder, valid
    )
    make = {"camvid": oc.unet_learner, "sentiment": oc.text_learner}.get(task, oc.vision_learner)
    learner = make(bunch, metrics=METRICS[task], callbacks=[watch], seed=seed, progress=False)
    if task == "sentiment":
        learner.to_bf16()  # where the processor has it; else with a warning
    learner.fine_tune(EPOCHS[task])
    higher = learner.metrics[0].higher_is_better
    names = [metric.name for metric in learner.metrics]
    report = {"curve": watch.curve, "peak_mb": peak_mb(), "metric": names[0], "higher_is_better": higher}
    print(json.dumps({**report, "notes": learner.history.notes}))


if __name__ == "__main__":
    main()
