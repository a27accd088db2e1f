"""Draws docs/images/whole_way.png: from files to predictions, in four pictures of one short training."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

import onecycle as oc
from onecycle.demo import make_planet

WIDTH, GAP, TITLE = 880, 24, 44


def panel(title: str, picture: Any) -> Image.Image:
    """Return a picture under its title."""
    file = io.BytesIO()
    picture.savefig(file, dpi=130)
    drawn = Image.open(file).convert("RGB")
    drawn = drawn.resize((WIDTH, round(drawn.height * WIDTH / drawn.width)), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (WIDTH, drawn.height + TITLE), "white")
    ImageDraw.Draw(whole).text((12, 6), title, "black", ImageFont.load_default(26))
    whole.paste(drawn, (0, TITLE))
    return whole


def main(folder: Path) -> None:
    path = make_planet(folder / "planet", train=480, test=8, pixels=128)
    bunch = (
        oc.ImageList.from_csv(path / "train_v2.csv", folder=path / "train-jpg", suffix=".jpg")
        .split_random(valid=0.2, seed=42).label_from_column("tags", delimiter=" ", classes="all")
        .transform(size=128, augment=oc.augment.satellite()).databunch(batch_size=32)
    )  # fmt: skip
    learner = oc.vision_learner(bunch, metrics=[oc.metrics.fbeta(2, threshold=0.2)], seed=1)
    rate = learner.lr_find()
    learner.fit_one_cycle(2, lr=rate.lr)
    learner.unfreeze()
    learner.fit_one_cycle(2, lr=slice(1e-5, 1e-3))
    rows = [
        (
            panel("1  Labelled files, as the model gets them", bunch.show_batch(8)),
            panel("2  A learning rate, and the reason for it", rate.plot()),
        ),
        (
            panel("3  The head on cached features, then all layers", learner.history.plot()),
            panel("4  Predictions, beside the labels", learner.show_results(4)),
        ),
    ]
    heights = [max(one.height, other.height) + GAP for one, other in rows]
    whole = Image.new("RGB", (2 * WIDTH + GAP, sum(heights)), "white")
    for top, (one, other) in zip((0, heights[0]), rows, strict=True):
        whole.paste(one, (0, top))
        whole.paste(other, (WIDTH + GAP, top))
    whole.resize((whole.width // 2 * 5 // 4, whole.height // 2 * 5 // 4), Image.Resampling.LANCZOS).quantize(256).save(
        Path(__file__).with_suffix(".png"), optimize=True
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
