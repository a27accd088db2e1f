"""What a learner answers for whole sets of items: predictions, thresholds, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from onecycle.data.dataset import seeded
from onecycle.data.items import ItemList
from onecycle.data.modality import Batch
from onecycle.data.target import MultiCategory
from onecycle.errors import ModelError
from onecycle.train.metrics import MetricLike, resolve_metrics
from onecycle.train.predictor import Predictions, frames_of, joined, predictions

if TYPE_CHECKING:
    from onecycle.data.figure import Picture
    from onecycle.train.learner import Learner


def predict_views(learner: Learner, part: str | ItemList[Any], views: Sequence[int | None]) -> Predictions:
    """Answer for the items of a part or for new ones, each view as it is (None) or augmented by its number."""
    if len(views) > 1 and not learner.target.mixable:
        raise ModelError(
            f"tta() averages answers of augmented views, but {learner.target.kind} move with the image.",
            "categories, tags or numbers.",
            "use predict_all().",
        )
    items = learner.data.loader(part).dataset.part if isinstance(part, str) else part.items
    dataset = learner.data.dataset_of(items)
    labels = dataset.labels()
    learner.model.eval()
    parts, drawn = [], [torch.empty(0, dtype=torch.int64)]
    for number, batch in enumerate(learner.data.in_order(dataset).epoch(0)):
        answers, losses = _averaged(learner, batch, number, views)
        rows = batch.index.tolist()
        names = [dataset.name(row) for row in rows]
        known = None if labels is None else [labels[row] for row in rows]
        parts.append(predictions(names, answers, learner.target, known, losses, frames_of(batch)))
        drawn.append(batch.index)
    answered, order = joined(parts, learner.target), torch.cat(drawn).argsort()
    # Batches may have come in another order, such as by length.
    return replace(answered, table=answered.table.take(order.numpy()))


@torch.no_grad()
def _averaged(learner: Learner, batch: Batch, number: int, views: Sequence[int | None]) -> tuple[Tensor, Tensor | None]:
    """Return answers, and where labels are known losses, of a batch; augmented views weigh half together."""
    answers, losses = [], []
    for view in views:
        generator = None if view is None else seeded(learner.seed, view, number)
        prepared = learner.data.modality.prepare(batch.to(learner.accelerator.device), learner.target, generator)
        with learner.precision.autocast():
            outputs = learner.model(prepared.inputs)
        answers.append(learner.target.activate(outputs).cpu())
        if prepared.targets is not None:
            losses.append(item_losses(learner.loss, outputs, prepared.targets).cpu())
    return _mean(answers), _mean(losses) if losses else None


def item_losses(loss: nn.Module, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each item by itself, (batch,): whatever the loss, it is asked for one item at a time."""
    each = ((outputs[row : row + 1].float(), targets[row : row + 1]) for row in range(len(targets)))
    return torch.stack([loss(output, target).detach() for output, target in each])


def _mean(views: list[Tensor]) -> Tensor:
    plain, augmented = views[0], views[1:]
    return (plain + torch.stack(augmented).mean(0)) / 2 if augmented else plain


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


@torch.no_grad()
def show_results(learner: Learner, count: int = 12, *, worst: bool = False) -> Picture:
    """Draw validation items with their label and the answer; `worst` draws those with the highest loss."""
    from onecycle.data.figure import grid

    dataset, target, modality = learner.data.valid.dataset, learner.target, learner.data.modality
    if worst:
        rows_of = {name: row for row, name in enumerate(dataset.part.names())}
        rows = [rows_of[name] for name in learner.predict_all("valid").worst(count)["item"].to_pylist()]
    else:  # spread over the whole set, since items often come sorted by class
        rows = sorted({int(row) for row in torch.linspace(0, len(dataset) - 1, min(count, len(dataset)))})
    batch = learner.data.prepared(dataset, rows).to(learner.accelerator.device)
    learner.model.eval()
    with learner.precision.autocast():
        answers = target.activate(learner.model(batch.inputs)).cpu()
    truths: list[Tensor | None] = [None] * len(batch) if batch.targets is None else list(batch.targets.cpu())
    copies = 2 if target.side_by_side else 1
    figure, axes = grid(len(batch) * copies, 4, height=2.7)
    for input, truth, answer in zip(batch.inputs.cpu(), truths, answers, strict=True):
        # Label and answer over one picture of the input, or each over its own.
        pairs: list[tuple[Tensor | None, Tensor | None]] = [(truth, answer)]
        if target.side_by_side:
            pairs = [(truth, None), (None, answer)]
        for label, said in pairs:
            one = next(axes)
            modality.show(one, input)
            target.show(one, label, said)
    target.legend(figure)
    figure.fit_rows()
    return figure
