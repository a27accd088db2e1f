"""fastai's side of the CamVid race, its U-Net as it is documented. argv: folder valid.txt seed ["tuned"]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import timm
import torch
from fastai.vision.all import *
from fastai.vision.models.unet import DynamicUnet
from lite0 import Watch, packaged_weights, tuning

from common import peak_mb, since_start

SIZE, VOID = (156, 208), 11


def pixel_accuracy(outputs: Any, targets: Any) -> Any:
    targets = targets.squeeze(1)
    counts = targets != VOID
    return (outputs.argmax(1)[counts] == targets[counts]).float().mean()


class MeanIou(Metric):
    """Over the pixels of the whole set, without void."""

    def reset(self) -> None:
        self.confusion = torch.zeros(VOID, VOID)

    def accumulate(self, learn: Any) -> None:
        truth, predicted = learn.y.squeeze(1).flatten(), learn.pred[:, :VOID].argmax(1).flatten()
        counts = truth != VOID
        pairs = truth[counts] * VOID + predicted[counts]
        self.confusion += torch.bincount(pairs, minlength=VOID * VOID).reshape(VOID, VOID).float().cpu()

    @property
    def value(self) -> float:
        right = self.confusion.diag()
        return (right / (self.confusion.sum(0) + self.confusion.sum(1) - right)).nanmean().item()

    @property
    def name(self) -> str:
        return "mean_iou"


def main() -> None:
    folder, seed = Path(sys.argv[1]), int(sys.argv[3])
    set_seed(seed)
    codes = (folder / "codes.txt").read_text().split()
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes)),
        get_items=lambda path: get_image_files(path, folders=["train", "val"]),
        get_y=lambda path: path.parent.parent / f"{path.parent.name}annot" / f"{path.stem}.png",
        splitter=FuncSplitter(lambda path: path.parent.name == "val"),
        item_tfms=Resize(SIZE),
        batch_tfms=[*aug_transforms(size=SIZE), Normalize.from_stats([0.5] * 3, [0.5] * 3, cuda=False)],
    )
    loaders = block.dataloaders(folder, bs=8, num_workers=2)
    network = timm.create_model("tf_efficientnet_lite0")
    network.load_state_dict(packaged_weights())
    model = DynamicUnet(nn.Sequential(network.conv_stem, network.bn1, *network.blocks), len(codes), SIZE, blur=False)
    learner = Learner(
        loaders,
        model,
        loss_func=CrossEntropyLossFlat(axis=1, ignore_index=VOID),
        splitter=lambda whole: L(params(whole[0]), params(whole[1:])),
        metrics=[MeanIou(), pixel_accuracy],
        wd=1e-2,
    )
    watch = Watch(since_start, 2)
    with learner.no_bar(), learner.no_logging():
        learner.freeze()
        learner.fit_one_cycle(1, 2e-3, pct_start=0.9, cbs=[watch, *tuning()])
        learner.unfreeze()
        learner.fit_one_cycle(1, slice(1e-4, 1e-3), pct_start=0.8, cbs=[watch, *tuning()])
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
