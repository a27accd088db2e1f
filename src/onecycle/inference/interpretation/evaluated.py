"""One pass over the items of a split: scores, each item's loss, and what an interpretation reads from its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from onecycle.data.nested import move
from onecycle.data.target import Target
from onecycle.inference.evaluation import evaluate, item_losses
from onecycle.inference.predictor import Output
from onecycle.losses import Loss
from onecycle.metrics import Metric
from onecycle.processes import ALONE, Processes

CPU = torch.device("cpu")


class Reads(Protocol):
    """What an interpretation reads from the outputs of a batch."""

    def per_item(self, output: Output, target: Target) -> dict[str, Tensor]:
        """Return tensors with an entry for each item, by name."""

    def total(self, output: Output, target: Target) -> Tensor | None:
        """Return what is summed over all batches, in any fixed shape; None for nothing."""


@dataclass(frozen=True)
class Evaluated:
    """What one pass found out.

    Attributes:
        scores: The loss, called after the split, such as "valid_loss", and each metric.
        rows: Number of each item in the dataset, int64, ascending, (items,); what could not be read is left out.
        losses: Of each item, float32, (items,).
        values: What `Reads.per_item` returned, (items, ...), by name.
        total: What `Reads.total` returned, summed, int64; None for nothing.
    """

    scores: dict[str, float]
    rows: Tensor
    losses: Tensor
    values: dict[str, Tensor]
    total: Tensor | None


@dataclass(frozen=True)
class _Part:
    index: Tensor
    losses: Tensor
    values: dict[str, Tensor]
    total: Tensor | None


def evaluate_items(
    outputs: Iterable[Output],
    target: Target,
    loss: Loss,
    metrics: Sequence[Metric],
    reads: Reads,
    processes: Processes = ALONE,
) -> Evaluated:
    """Evaluate a labelled split as `evaluate` does, and keep what an interpretation reads.

    Args:
        outputs: Of all items, or in each process of the items that are its own.
        target: What is predicted.
        loss: Gives the loss of all items, and of each.
        metrics: What is measured.
        reads: What is kept of each batch.
        processes: Which share the items; all of them return the same.
    Raises:
        ModelError: The items have no labels.
    """
    parts: list[_Part] = []

    def kept() -> Iterator[Output]:
        for output in outputs:
            yield output  # first: evaluate() refuses items without labels
            values = {name: move(tensor, CPU) for name, tensor in reads.per_item(output, target).items()}
            total = reads.total(output, target)
            part = _Part(output.batch.index.cpu(), item_losses(loss, output), values, move(total, CPU))
            parts.append(part)

    scores = evaluate(kept(), target, loss, metrics, processes)
    return _joined(scores, [part for each in processes.each(lambda: parts) for part in each])


def _joined(scores: dict[str, float], parts: Sequence[_Part]) -> Evaluated:
    index = torch.cat([torch.empty(0, dtype=torch.int64), *(part.index for part in parts)])
    losses = torch.cat([torch.empty(0), *(part.losses for part in parts)])
    order = index.argsort()
    names = parts[0].values if parts else {}
    values = {name: torch.cat([part.values[name] for part in parts])[order] for name in names}
    totals = [part.total for part in parts if part.total is not None]
    return Evaluated(scores, index[order], losses[order], values, torch.stack(totals).sum(0) if totals else None)
