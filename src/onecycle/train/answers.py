"""What a learner answers for whole sets of items: predictions, thresholds, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from onecycle.data.dataset import DataLoader
from onecycle.data.figure import Picture, grid, wrapped
from onecycle.data.items import ItemList
from onecycle.data.modality import Batch
from onecycle.data.target import MultiCategory
from onecycle.errors import ModelError
from onecycle.train.metrics import MetricLike, resolve_metrics
from onecycle.train.predictor import Predictions, predictions

if TYPE_CHECKING:
    from onecycle.train.learner import Learner


@torch.no_grad()
def predict_views(learner: Learner, part: str | ItemList[Any], views: Sequence[int | None]) -> Predictions:
    """Answer for the items of a part or for new ones, each view as it is (None) or augmented by its number."""
    items = learner.data.loader(part).dataset.part if isinstance(part, str) else part.items
    dataset = learner.data.dataset_of(items)
    loader = learner.data.in_order(dataset)
    learner.model.eval()
    plain, augmented = (
        [_probabilities(learner, loader, view) for view in views if (view is None) == is_plain]
        for is_plain in (True, False)
    )
    probabilities, rows = plain[0]
    if augmented:
        probabilities = (probabilities + torch.stack([views for views, _ in augmented]).mean(0)) / 2
    labels = dataset.labels()
    names = [dataset.name(row) for row in rows.tolist()]
    if labels is None:
        return predictions(names, probabilities, learner.target, None, None)
    labels = [labels[row] for row in rows.tolist()]
    encoded = torch.stack([learner.target.encode(label) for label in labels])
    losses = -(learner.target.soften(encoded) * probabilities.clamp_min(1e-12).log()).sum(1)
    if isinstance(learner.target, MultiCategory):
        losses = nn.functional.binary_cross_entropy(probabilities, encoded, reduction="none").sum(1)
    return predictions(names, probabilities, learner.target, labels, losses)


def tune_threshold(learner: Learner, metric: MetricLike | None = None) -> float:
    """Find the threshold for tags that is best on the validation items, and keep it with the model.

    Args:
        metric: What to be best at; None takes the first that is watched.
    """
    if not isinstance(learner.target, MultiCategory):
        raise ModelError("Only tags have a threshold.", "a MultiCategory target.", "leave it out.")
    chosen = resolve_metrics([metric or learner.metrics[0]], learner.target)[0]
    answers = learner.predict_all("valid")
    encoded = torch.stack([learner.target.encode(label) for label in answers.table["label"].to_pylist()])
    sign = 1 if chosen.higher_is_better else -1

    def score(threshold: float) -> float:
        meter = chosen.meter(replace(learner.target, threshold=threshold))  # type: ignore[type-var]
        meter.update(answers.probabilities, encoded)
        return sign * float(meter.compute())

    scores = {step / 100: score(step / 100) for step in range(2, 99)}
    top = max(scores.values())
    # Of the many that may be equally good, the middle one is the least likely to be luck.
    best = [threshold for threshold, value in scores.items() if value >= top - 1e-9]
    learner.target = replace(learner.target, threshold=best[len(best) // 2])
    return learner.target.threshold


def show_results(learner: Learner, count: int = 12, *, worst: bool = False) -> Picture:
    """Draw validation items with their label and the answer; `worst` draws those with the highest loss."""
    answers = learner.predict_all("valid")
    table = answers.worst(count) if worst else answers.table.slice(0, count)
    if not worst:  # spread over the whole set, since items often come sorted by class
        table = answers.table.take(torch.linspace(0, len(answers) - 1, min(count, len(answers))).long().numpy())
    part = learner.data.valid.dataset.part
    caption = learner.target.caption
    figure, axes = grid(table.num_rows, 4, height=2.7)
    for row, one in zip(table.select(["item", "label", "prediction", "confidence"]).to_pylist(), axes, strict=False):
        sample = learner.data.modality.sample(part.locate(row["item"]), None, learner.target, 0, training=False)
        batch = Batch(learner.data.modality.stack([sample.input]), None, torch.zeros(1, dtype=torch.long))
        learner.data.modality.show(one, learner.data.modality.prepare(batch, learner.target, None).inputs[0])
        right = learner.target.same(row["label"], row["prediction"])
        sure = f" {row['confidence']:.0%}" if isinstance(row["prediction"], str) else ""
        truth, answer = wrapped(caption(row["label"])), wrapped(f"→ {caption(row['prediction'])}{sure}")
        one.set_title(f"{truth}\n{answer}", fontsize=8, color="tab:green" if right else "tab:red")
    return figure


def _probabilities(learner: Learner, loader: DataLoader, view: int | None) -> tuple[Tensor, Tensor]:
    parts, rows = [], []
    for batch in learner.plain_batches(loader, view):
        with learner.accelerator.autocast():
            parts.append(learner.target.activate(learner.model(batch.inputs)).cpu())
        rows.append(batch.index)
    return torch.cat(parts), torch.cat(rows)
