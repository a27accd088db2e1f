"""A learner for every task, made in the same way in each process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

import onecycle as oc
from learners import photo_bunch, plain_model, tag_bunch, tiny
from onecycle.metrics import Metric, from_function, from_meter
from onecycle.train.learner import Learner
from patches import make_camvid, mask_bunch, tiny_unet

sys.path.append(str(Path(__file__).parents[1] / "text"))
from tiny_texts import language_bunch, review_bunch, save_encoder

SMALL: dict[str, Any] = {"width": 16, "hidden": 24, "layers": 1, "progress": False}


class Counted:
    """A meter of the user's own, which knows nothing of other processes."""

    def __init__(self) -> None:
        self.right = self.all = 0

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        self.right += int((predictions.argmax(1) == targets).sum())
        self.all += len(targets)

    def compute(self) -> Tensor:
        return torch.tensor(self.right / self.all)


class Added(Counted):
    """One whose counts can be added."""

    def state_dict(self) -> dict[str, int]:
        return {"right": self.right, "all": self.all}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.right, self.all = state["right"], state["all"]

    def merge(self, other: Added) -> None:
        self.right, self.all = self.right + other.right, self.all + other.all


def order_of(predictions: Tensor, targets: Tensor) -> Tensor:
    """A number that changes with the order of the items."""
    return (predictions[:, 0] * torch.arange(1, len(predictions) + 1)).sum()


EVERY_KIND_OF_METRIC: list[Any] = [
    "accuracy", "f1", "auroc", order_of,
    from_meter(lambda: MulticlassAccuracy(3, average="micro"), "torchmetrics"),
    Metric("counted", lambda target: Counted()), Metric("added", lambda target: Added()),
]  # fmt: skip


def make_files(root: Path) -> Path:
    """All that the learners read, made once."""
    make_camvid(root / "camvid", count=9, valid=5)
    save_encoder(root / "encoder")
    rng = np.random.default_rng(0)
    rows = ["file,age,left_x,left_y"]
    (root / "dots").mkdir()
    for number in range(15):
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(root / "dots" / f"{number}.png")
        rows.append(f"{number}.png,{rng.integers(90)},{rng.integers(3, 37)},{rng.integers(3, 27)}")
    (root / "dots.csv").write_text("\n".join(rows) + "\n")
    for number in range(15):
        path = root / "broken" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = (root / "dots" / f"{number}.png").read_bytes()
        path.write_bytes(content[:60] if number in (5, 7) else content)
    return root


def classes(root: Path, photos: Path, tagged: Path) -> Learner:
    bunch = photo_bunch(photos, augment=oc.augment.default(), batch_size=2, balance="loss")
    return tiny(bunch, metrics=EVERY_KIND_OF_METRIC)


def tags(root: Path, photos: Path, tagged: Path) -> Learner:
    return tiny(tag_bunch(tagged, batch_size=2), metrics=["f2", "average_precision"])


def table_of_dots(root: Path) -> Any:
    return oc.ImageList.from_csv(root / "dots.csv", folder=root / "dots").split_by_index([0, 3, 5, 6, 9, 11, 14])


def numbers(root: Path, photos: Path, tagged: Path) -> Learner:
    labelled = table_of_dots(root).label_numbers("age").transform(32, augment=oc.augment.none())
    return tiny(labelled.databunch(2), metrics=["mae", "r2", from_function(torch.nn.functional.l1_loss, "l1")])


def points(root: Path, photos: Path, tagged: Path) -> Learner:
    labelled = table_of_dots(root).label_points(["left_x", "left_y"]).transform(32, augment=oc.augment.none())
    return tiny(labelled.databunch(3))


def masks(root: Path, photos: Path, tagged: Path) -> Learner:
    return tiny_unet(mask_bunch(root / "camvid", batch_size=2), metrics=["pixel_accuracy", "mean_iou", "dice"])


def texts(root: Path, photos: Path, tagged: Path) -> Learner:
    """Batches of similar length."""
    return oc.text_learner(review_bunch(root / "encoder", batch_size=3, count=60), root / "encoder", progress=False)


def next_tokens(root: Path, photos: Path, tagged: Path) -> Learner:
    """Batches that continue one another."""
    return oc.language_model_learner(language_bunch("words"), **SMALL)


def masked_tokens(root: Path, photos: Path, tagged: Path) -> Learner:
    bunch = language_bunch(root / "encoder", masked=True, sequence=16)
    return oc.language_model_learner(bunch, root / "encoder", progress=False)


def plain(root: Path, photos: Path, tagged: Path) -> Learner:
    """Plain loaders."""
    torch.manual_seed(0)
    items = TensorDataset(torch.randint(0, 255, (22, 3, 32, 32), dtype=torch.uint8), torch.randint(3, (22,)))
    loader: Any = DataLoader(items, 4)
    return Learner.from_loaders(
        loader, loader, plain_model(), loss=torch.nn.functional.cross_entropy, metrics=[order_of], progress=False
    )


def broken(root: Path, photos: Path, tagged: Path) -> Learner:
    """A whole batch cannot be read."""
    split = oc.ImageList.from_folder(root / "broken").split_by_index([0, 1, 2, 3, 8, 9, 10, 11])
    labelled = split.label_from_folder().transform(32, augment=oc.augment.none())
    return tiny(labelled.databunch(2, on_bad_item="skip", cache=None, workers=0), metrics=["accuracy", order_of])


TASKS: list[Callable[[Path, Path, Path], Learner]] = [
    classes, tags, numbers, points, masks, texts, next_tokens, masked_tokens, plain, broken,
]  # fmt: skip
