"""From inputs to predictions: what validation, a learner and a loaded bundle share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from onecycle.calls import explains_calls
from onecycle.data.batch import Batch, Sample, even_slices
from onecycle.data.modality import Modality, collate
from onecycle.data.nested import join, move, to_float32
from onecycle.data.prefetch import prefetched
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.inference.carried_state import CarriedState
from onecycle.inference.microbatches import in_microbatches, microbatch_size
from onecycle.inference.precision import Mode, Precision
from onecycle.inference.prediction import Prediction


class Output(NamedTuple):
    """What a model gave for a batch.

    Attributes:
        batch: The batch as the model got it, on its device.
        outputs: The model's outputs, (batch, ...).
        predictions: The target's reading of them, for classes probabilities, on the same device, (batch, ...).
    """

    batch: Batch
    outputs: Any
    predictions: Any


def run_model(
    model: nn.Module, batches: Iterable[Batch], target: Target, precision: Precision, *, most_items: int | None = None
) -> Iterator[Output]:
    """Yield the outputs of a model in inference mode for prepared batches.

    Every prediction of the library comes from here, so that all of them have the same numbers.

    Args:
        model: The model, on the batches' device.
        batches: Prepared batches.
        target: What an output means.
        precision: How passes are computed.
        most_items: Compute larger batches in parts of so many items; None computes them as the model asks for.
    """
    if model.training:  # to visit all layers takes longer than to read an image
        model.eval()
    carried = CarriedState(model, contiguous=target.contiguous)
    for batch in batches:
        parts = even_slices(len(batch), -(-len(batch) // (most_items or len(batch))))
        state = carried.batch(len(batch))
        for rows in parts:
            part = batch if len(parts) == 1 else batch.take(rows)
            # The contexts end before `yield`: they must not reach into the caller's code.
            with torch.no_grad(), precision.autocast():
                outputs = state.forward(partial(_call, model), part.inputs, rows)
            outputs = to_float32(outputs)  # losses and metrics compute in 32 bits
            yield Output(part, outputs, target.activate(outputs))
        carried.finish(state)


def _call(model: nn.Module, inputs: Any, *state: Any) -> Any:
    if state:
        return model(inputs, *state)
    return in_microbatches(model, inputs, microbatch_size(model, inputs))


@explains_calls
class Predictor:
    """A model with what it needs to predict: how inputs are read, and what its outputs mean.

    Predictors may be used from several threads at once.

    Args:
        model: Takes what `modality` prepares, gives what `target` decodes.
        modality: How an input is read.
        target: What an output means.
        device: Where to run; the model is moved there.
        precision: "fp32", "bf16" or "fp16", as the model was trained.
        tf32: See `Precision`.
    """

    def __init__(
        self,
        model: nn.Module,
        modality: Modality,
        target: Target,
        device: torch.device,
        precision: Mode = "fp32",
        tf32: bool = True,
    ) -> None:
        self.model = model.to(device).eval()
        self.modality, self.target, self.device = modality, target, device
        self.precision = Precision(precision, device, tf32)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}: {type(self.model).__name__} on {self.device}, {self.precision.mode}\n"
            f"  reads {self.modality.describe().model}\n  predicts {self.target.summary}"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted."""
        classes: tuple[str, ...] = self.target.classes
        return classes

    def predict(self, item: Any) -> Prediction:
        """Return the prediction for one input: for images a path, a PIL image, or an array of uint8 pixels."""
        return self.predict_many([item])[0]

    def predict_many(self, items: Sequence[Any], *, batch_size: int = 32) -> list[Prediction]:
        """Return the predictions for many inputs, computed in batches."""
        return [
            Prediction(self.target.decode(prediction, geometry), self.target.scores(prediction))
            for batch in self._batches(items, batch_size)
            for prediction, geometry in zip(self.predict_batch(batch), geometries_of(batch), strict=True)
        ]

    def probabilities(self, items: Sequence[Any], *, batch_size: int = 32) -> Any:
        """Return the activated outputs, for classes their probabilities, float32 on the CPU, (items, ...)."""
        parts = [self.predict_batch(batch) for batch in self._batches(items, batch_size)]
        return join(parts) if parts else torch.empty(0, self.target.outputs)

    def predict_batch(self, batch: Batch) -> Any:
        """Return the activated outputs for a batch as it was read, on the CPU, (batch, ...)."""
        outputs = self.run([batch])
        return join([move(output.predictions, torch.device("cpu")) for output in outputs])

    def run(
        self,
        batches: Iterable[Batch],
        generator_of: Callable[[int], torch.Generator] | None = None,
        most_items: int | None = None,
    ) -> Iterator[Output]:
        """Yield the model's outputs for batches as they were read.

        Args:
            batches: As loaders give them.
            generator_of: Gives the generator that augments a batch, by its number; None prepares it as at prediction.
            most_items: See `run_model`.
        """
        prepared = (
            self._prepare(batch, None if generator_of is None else generator_of(batch.number)) for batch in batches
        )
        ready = prefetched(prepared, self.device)
        return run_model(self.model, ready, self.target, self.precision, most_items=most_items)

    def _prepare(self, batch: Batch, generator: torch.Generator | None) -> Batch:
        prepared = self.modality.prepare(batch.to(self.device), self.target, generator)
        prepared.number = batch.number
        return prepared

    def read(self, item: Any) -> Sample:
        """Read one input.

        Raises:
            DataError: It cannot be read.
        """
        return self.modality.sample(item, None, self.target, 0, training=False)

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Return samples that were read as a batch."""
        return collate(samples, self.modality, self.target)

    def _batches(self, items: Sequence[Any], batch_size: int) -> Iterator[Batch]:
        if isinstance(items, str | Path):
            raise DataError(f"One path, {str(items)!r}.", "a list of inputs.", "call predict(path), or pass [path].")
        for start in range(0, len(items), batch_size):
            yield self.collate([self.read(item) for item in items[start : start + batch_size]])


def geometries_of(batch: Batch) -> Sequence[Tensor | None]:
    """Return each sample's geometry on the CPU, None where there is none."""
    return [None] * len(batch) if batch.geometries is None else list(batch.geometries)
