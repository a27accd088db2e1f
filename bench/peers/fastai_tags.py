"""fastai's side of the tag race, as its documentation recommends. argv: folder valid.txt seed ["tuned"]."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from fastai.vision.all import *
from lite0 import Watch, load_body, tuning

from common import peak_mb, since_start

SIZE = 128


def main() -> None:
    folder, held, seed = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text().split()), int(sys.argv[3])
    set_seed(seed)
    with (folder / "tags.csv").open() as file:
        labels = {row["image_name"]: row["tags"].split() for row in csv.DictReader(file)}
    names = sorted(name for name in labels if (folder / "images" / f"{name}.jpg").exists())
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_items=noop,
        get_x=lambda name: folder / "images" / f"{name}.jpg",
        get_y=lambda name: labels[name],
        splitter=FuncSplitter(lambda name: name in held),
        item_tfms=Resize(int(SIZE * 1.6)),
        batch_tfms=[
            *aug_transforms(size=SIZE, flip_vert=True, max_warp=0),
            Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False),
        ],
    )
    loaders = block.dataloaders(names, bs=64, num_workers=2)
    metric = FBetaMulti(beta=2, average="samples", thresh=0.2)
    learner = vision_learner(loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, metrics=[metric])
    load_body(learner)
    watch = Watch(since_start)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(2, freeze_epochs=1, base_lr=4e-3, cbs=[watch, *tuning()])
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
