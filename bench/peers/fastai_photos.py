"""fastai's side of the photo race, as its documentation recommends. argv: folder valid.txt seed ["tuned"]."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from fastai.vision.all import *
from lite0 import Watch, load_body, tuning

from common import peak_mb, since_start

SIZE = int(os.environ.get("PHOTO_SIZE", 128))


def main() -> None:
    folder, held, seed = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text().split()), int(sys.argv[3])
    set_seed(seed)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        splitter=FuncSplitter(lambda path: str(path.relative_to(folder)) in held),
        item_tfms=Resize(int(SIZE * 1.6)),
        batch_tfms=[*aug_transforms(size=SIZE), Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False)],
    )
    loaders = block.dataloaders(folder, bs=64, num_workers=2)
    learner = vision_learner(loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, metrics=accuracy)
    load_body(learner)
    watch = Watch(since_start)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(3, freeze_epochs=1, base_lr=2e-3, cbs=[watch, *tuning()])
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
