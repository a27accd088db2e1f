"""Outputs of a split's items, kept from one look at them for the next: after training, several things are found out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from onecycle.data.loader import DataLoader
from onecycle.data.nested import tensors_in
from onecycle.inference.predictor import Output, Predictor
from onecycle.processes import ALONE, Processes
from onecycle.train.hash_weights import hash_weights

# Outputs that take more memory, such as those of masks, are computed again.
MOST_BYTES = 2**26


class KeptOutputs:
    """The outputs of the last pass over a split, without the inputs; void once a weight or the way of an input changes.

    Example:
        >>> kept = KeptOutputs()
        >>> first = list(kept.run(learner.predictor(), learner.data.valid))
        >>> again = list(kept.run(learner.predictor(), learner.data.valid))
        >>> torch.equal(first[0].predictions, again[0].predictions), again[0].batch.inputs
        (True, None)
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop the outputs."""
        self._made_by: tuple[Any, ...] = ()
        self._loader: DataLoader | None = None
        self._outputs: list[Output] = []

    def run(
        self, predictor: Predictor, loader: DataLoader, processes: Processes = ALONE, *, features: bool = False
    ) -> Iterator[Output]:
        """Yield the outputs for all items of a loader, or for this process's share of them; kept ones, where there are.

        What is predicted is read anew from them: temperatures and thresholds may have changed since.

        Args:
            predictor: Model, target and precision.
            loader: Goes over the items once.
            processes: Which share the items.
            features: What the model's body gave is needed too.
        """
        made_by = _made_by(predictor, processes)
        if self._loader is loader and self._made_by == made_by and (not features or _have_features(self._outputs)):
            for output in self._outputs:
                yield output._replace(predictions=predictor.target.activate(output.outputs))
            return
        self.forget()
        held: list[Output] | None = []
        size = 0
        batches = loader.share(processes.rank, processes.world, predictor.device)
        for output in predictor.run(batches, most_items=loader.batch_size, features=features):
            yield output
            if held is not None:
                held.append(output._replace(batch=replace(output.batch, inputs=None), predictions=None))
                size += _bytes_of(held[-1])
                held = None if size > MOST_BYTES else held
        if held is not None:
            self._loader, self._made_by, self._outputs = loader, made_by, held


def _have_features(outputs: list[Output]) -> bool:
    return all(output.features is not None for output in outputs)


def _made_by(predictor: Predictor, processes: Processes) -> tuple[Any, ...]:
    """Return what outputs depend on besides the items."""
    model: nn.Module = predictor.model
    weights, precision = hashlib.sha256(), predictor.precision
    hash_weights(model, weights)
    return (id(model), weights.digest(), precision.mode, precision.tf32, predictor.modality, processes)


def _bytes_of(output: Output) -> int:
    tensors: list[Tensor] = tensors_in((output.outputs, output.batch.targets, output.features))
    return sum(tensor.nbytes for tensor in tensors)
