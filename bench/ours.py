"""onecycle's side of a race. argv: task folder valid.txt seed. Prints JSON in its last line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onecycle as oc
from common import peak_mb, since_start
from onecycle.train.events import EpochEnd

SIZE, EPOCHS = 128, 3


class Watch(oc.Callback):
    """Notes when each epoch was over, and its metric."""

    def __init__(self) -> None:
        self.curve: list[tuple[float, float]] = []

    def on_epoch_end(self, learner: oc.Learner, event: EpochEnd) -> None:
        self.curve.append((since_start(), event.record.metrics[learner.metrics[0].name]))


def photos(folder: Path, valid: str) -> oc.DataBunch:
    items = oc.ImageList.from_folder(folder).split_from_file(valid)
    return items.label_from_folder().transform(SIZE).databunch()


def tags(folder: Path, valid: str) -> oc.DataBunch:
    items = oc.ImageList.from_csv(folder / "tags.csv", folder=folder / "images", suffix=".jpg", missing="drop")
    labelled = items.split_from_file(valid).label_from_column("tags", delimiter=" ", classes="all")
    return labelled.transform(SIZE, augment=oc.augment.satellite()).databunch()


def main() -> None:
    task, folder, valid, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    watch = Watch()
    bunch = {"photos": photos, "tags": tags}[task](folder, valid)
    metric = {"photos": "accuracy", "tags": oc.metrics.fbeta(2, threshold=0.2)}[task]
    learner = oc.vision_learner(bunch, metrics=[metric], callbacks=[watch], seed=seed, progress=False)
    learner.fine_tune(EPOCHS)
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb(), "metric": learner.metrics[0].name}))


if __name__ == "__main__":
    main()
