"""What pays: each question on one plot, the metric against wall time. argv: folder of the data sets [question ...].

Asked on the data that the recipes were chosen on: monkeys10 and landuse, split with seed 42, and CamVid. What CamVid at
its full size is trained with is asked on its training side alone, so that its validation set can judge it (masks.py). A
plan is what a user gets by default, but for the options that it names.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onecycle as oc
import ours
import photos
import tags
from common import RESULTS, label_axes, peak_mb, plot_curves, run, save, written
from ours import METRICS, Watch

SMALL, MIDDLE, FULL = (90, 120), (135, 180), (180, 240)


@dataclass(frozen=True)
class Plan:
    """How a learner is trained.

    Attributes:
        epochs: Of the second step, for each size.
        sizes: Input sizes in turn; None takes the bunch's.
        freeze_to: The first layer group that the second step trains; None takes the model's own.
        backbone: A model of timm, or none for the default.
        augment: A preset, or none for the default.
        options: For the learner.
    """

    epochs: tuple[int, ...] = (3,)
    sizes: tuple[Any, ...] | None = None
    freeze_to: int | None = None
    backbone: tuple[str, ...] = ()
    augment: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """Plans for one task, side by side, a run a seed."""

    task: str
    plans: dict[str, Plan]
    seeds: int = 1


HEADS = {"linear head": Plan(), "hidden layer of 512": Plan(options={"hidden": 512})}
SECOND_STEP = {"all layers, 3 epochs": Plan(freeze_to=0), "upper half, 3 epochs": Plan(freeze_to=1)}
AVERAGED = {
    "3 epochs": Plan(),
    "3 epochs, moving average": Plan(options={"ema": 0.99}),
    "2 epochs, moving average": Plan((2,), options={"ema": 0.99}),
    "96 px, then 128 px": Plan((1, 2), (96, 128)),
}
QUESTIONS = {
    "photos_second_step": Question("photos", SECOND_STEP, seeds=2),
    "tags_second_step": Question("tags", SECOND_STEP, seeds=2),
    "photos_head": Question("photos", HEADS, seeds=2),
    "tags_head": Question("tags", HEADS, seeds=2),
    "photos_averaged": Question("photos", AVERAGED, seeds=3),
    "tags_averaged": Question("tags", AVERAGED, seeds=3),
    "camvid_resizing": Question(
        "camvid",
        {
            "180x240 only": Plan((12,), (FULL,)),
            "90x120, 135x180, 180x240": Plan((4, 4, 4), (SMALL, MIDDLE, FULL)),
        },
    ),
    "camvid_decoders": Question(
        "camvid",
        {"light": Plan(sizes=(FULL,)), "unet": Plan(sizes=(FULL,), options={"decoder": "unet"})},
    ),
    "camvid_augment": Question(
        "camvid_held",
        {
            f"augment.{name}()": Plan((8,), (FULL,), backbone=("tf_efficientnet_lite2",), augment=name)
            for name in ("default", "scenes")
        },
    ),
}


def photos_of(data: Path) -> oc.DataBunch:
    folder = data / "monkeys10" / "training"
    return ours.photos(folder, str(photos.split(folder, 42)))


def tags_of(data: Path) -> oc.DataBunch:
    return ours.tags(data / "landuse", str(tags.split(data / "landuse", 42)))


def camvid_held_of(data: Path) -> oc.DataBunch:
    """Return the training side alone; the last quarter of each sequence validates, since neighbouring frames leak."""
    folder, sequences = data / "camvid", defaultdict(list)
    for path in sorted((folder / "train").iterdir()):
        sequences[path.name.split("_")[0]].append(path.name)
    last = written([name for names in sequences.values() for name in names[-len(names) // 4 :]])
    items = oc.ImageList.from_folder(folder / "train").split_from_file(last)
    masks = f"{folder}/trainannot/{{stem}}.png"
    return items.label_masks(masks, classes=folder / "codes.txt", ignore="Void").transform(FULL).databunch(8)


BUNCHES: dict[str, Callable[[Path], oc.DataBunch]] = {
    "photos": photos_of, "tags": tags_of, "camvid": lambda data: ours.camvid(data / "camvid", ""),
    "camvid_held": camvid_held_of,
}  # fmt: skip


def one(data: Path, question: str, name: str, seed: int) -> None:
    """Train as a plan says; print (seconds, metric) after every epoch, each at the size of its own stage."""
    task, plan, watch = QUESTIONS[question].task, QUESTIONS[question].plans[name], Watch()
    make = oc.unet_learner if task.startswith("camvid") else oc.vision_learner
    bunch = BUNCHES[task](data)
    if plan.augment:
        bunch = bunch.labelled.transform(plan.sizes[0], augment=plan.augment).databunch(8)
    if plan.sizes:
        bunch = bunch.resize(plan.sizes[0])  # else the first items would be read at a size that is not used
    metrics = METRICS[task.split("_")[0]][:1]
    learner = make(bunch, *plan.backbone, metrics=metrics, callbacks=[watch], progress=False, seed=seed, **plan.options)
    epochs = plan.epochs if plan.sizes else plan.epochs[0]
    learner.fine_tune(epochs, freeze_to=plan.freeze_to, sizes=plan.sizes)
    rates = [record.lr for record in learner.history]
    metric = learner.metrics[0].name
    print(json.dumps({"curve": watch.curve, "peak_mb": peak_mb(), "rates": rates, "metric": metric}))


def main(data: Path, *questions: str) -> None:
    for name in questions or QUESTIONS:
        question = QUESTIONS[name]
        runs: dict[str, list[dict[str, Any]]] = {plan: [] for plan in question.plans}
        for seed in range(question.seeds):
            for plan, found in runs.items():
                found.append(run("choices.py", "one", data, name, plan, seed))
        result = {plan: {**medians(found), "runs": found} for plan, found in runs.items()}
        for plan, found in result.items():
            print(
                f"{plan}: {found['metric_value']:.4f} after {found['seconds']:.1f} s, best {found['best']:.4f}",
                flush=True,
            )
        save(name, {"plans": result})
        draw(name, result)


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over the seeds of the last value, when it came, and the best value."""
    return {
        "metric": runs[0]["metric"],
        "metric_value": statistics.median(one["curve"][-1][1] for one in runs),
        "seconds": statistics.median(one["curve"][-1][0] for one in runs),
        "best": statistics.median(max(row[1] for row in one["curve"]) for one in runs),
        "peak_mb": statistics.median(one["peak_mb"] for one in runs),
    }


def draw(name: str, plans: dict[str, Any]) -> None:
    """Plot each run's metric against its seconds, a colour a plan."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for number, (label, found) in enumerate(plans.items()):
        plot_curves(axes, found["runs"], label, color=f"C{number}")
        label_axes(axes, found["metric"])
    axes.set_title(name)
    axes.legend(fontsize=8)
    figure.savefig(RESULTS / f"{name}.png", dpi=90)


if __name__ == "__main__":
    if sys.argv[1] == "one":
        one(Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
