"""fastai's side of the key-point race, as its documentation recommends. argv: folder valid.txt seed."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import torch
from fastai.vision.all import *
from lite0 import Watch, load_body

from common import peak_mb, since_start

SIZE = 96


class PixelError(Metric):
    """Mean distance in pixels of the original images; `sizes` are theirs, (items, 2), in the order of validation."""

    def __init__(self, sizes: Any) -> None:
        self.sizes = sizes

    def reset(self) -> None:
        self.errors: list[Any] = []

    def accumulate(self, learn: Any) -> None:
        predictions, truths = (one.detach().cpu().view(len(one), -1, 2) for one in (learn.pred, learn.y))
        self.errors.append(torch.as_tensor(predictions - truths) / 2)

    @property
    def value(self) -> float:
        return (torch.cat(self.errors) * self.sizes[:, None]).norm(dim=-1).mean().item()

    @property
    def name(self) -> str:
        return "pixel_error"


def main() -> None:
    folder, held, seed = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text().split()), int(sys.argv[3])
    set_seed(seed)
    images = folder / "images"
    with (folder / "keypoints.csv").open() as file:
        rows = {row[0]: tensor([float(value) for value in row[1:]]).view(-1, 2) for row in list(csv.reader(file))[1:]}
    names = sorted(name for name in rows if (images / name).exists())
    valid = [place for place, name in enumerate(names) if name in held]
    sizes = tensor([PILImage.create(images / names[place]).size for place in valid]).float()
    block = DataBlock(
        blocks=(ImageBlock, PointBlock),
        splitter=IndexSplitter(valid),
        get_x=lambda name: images / name,
        get_y=lambda name: rows[name],
        item_tfms=Resize(SIZE, method="squish"),
        batch_tfms=[
            *aug_transforms(do_flip=False, max_warp=0, size=SIZE),
            Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False),
        ],
    )
    loaders = block.dataloaders(names, bs=64, num_workers=2)
    points = len(rows[names[0]])
    loaders.c = 2 * points
    learner = vision_learner(
        loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, y_range=(-1, 1), n_out=2 * points,
        loss_func=MSELossFlat(), metrics=PixelError(sizes),
    )  # fmt: skip
    load_body(learner)
    watch = Watch(since_start)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(2, freeze_epochs=1, base_lr=4e-3, cbs=watch)
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
