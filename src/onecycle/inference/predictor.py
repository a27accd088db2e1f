"""From inputs to predictions: what validation, a learner and a loaded bundle share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from onecycle.calls import explains_calls
from onecycle.data.batch import Batch, Sample, even_slices
from onecycle.data.categories import Category
from onecycle.data.modality import Modality, collate
from onecycle.data.nested import join, move, to_float32
from onecycle.data.prefetch import prefetched
from onecycle.data.target import Target
from onecycle.errors import users_level
from onecycle.given_items import batches_of_given
from onecycle.inference.calibration import Calibration, check_coverage, few_for_sets, no_sets_of, not_calibrated
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
        features: What the model's body gave, where it was asked for; else None.
    """

    batch: Batch
    outputs: Any
    predictions: Any
    features: Any = None


class Answers(NamedTuple):
    """What is known of the items of a batch, on the CPU.

    Attributes:
        predictions: The activated outputs, (batch, ...).
        geometries: Each item's geometry, None where there is none.
        unfamiliarity: How far each is from the training items, (batch,); None where the model cannot tell.
    """

    predictions: Any
    geometries: Sequence[Tensor | None]
    unfamiliarity: Tensor | None


def run_model(
    model: nn.Module,
    batches: Iterable[Batch],
    target: Target,
    precision: Precision,
    *,
    most_items: int | None = None,
    features: bool = False,
) -> Iterator[Output]:
    """Yield the outputs of a model in inference mode for prepared batches.

    Every prediction of the library comes from here, so that all of them have the same numbers.

    Args:
        model: The model, on the batches' device.
        batches: Prepared batches.
        target: What an output means.
        precision: How passes are computed.
        most_items: Compute larger batches in parts of so many items; None computes them as the model asks for.
        features: Give what the model's body gave too, of a model that has a body and a head.
    """
    if model.training:  # to visit all layers takes longer than to read an image
        model.eval()
    carried = CarriedState(model, contiguous=target.contiguous)
    call = _call_both if features else _call
    for batch in batches:
        parts = even_slices(len(batch), -(-len(batch) // (most_items or len(batch))))
        state = carried.batch(len(batch))
        for rows in parts:
            part = batch if len(parts) == 1 else batch.take(rows)
            # The contexts end before `yield`: they must not reach into the caller's code.
            with torch.no_grad(), precision.autocast():
                outputs = state.forward(partial(call, model), part.inputs, rows)
            outputs = to_float32(outputs)  # losses and metrics compute in 32 bits
            outputs, vectors = outputs if features else (outputs, None)
            yield Output(part, outputs, target.activate(outputs), vectors)
        carried.finish(state)


def _call(model: nn.Module, inputs: Any, *state: Any) -> Any:
    if state:
        return model(inputs, *state)
    return in_microbatches(model, inputs, microbatch_size(model, inputs))


def _call_both(model: Any, inputs: Any) -> Any:
    """Return what `_call` returns, and what the body gave."""
    return in_microbatches(_BodyAndHead(model), inputs, microbatch_size(model, inputs))


class _BodyAndHead(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body, self.head = model.body, model.head
        self.training = model.training

    def forward(self, inputs: Any) -> tuple[Any, Any]:
        features = self.body(inputs)
        return self.head(features), features


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
        calibration: What is known of how sure it may be.
    """

    def __init__(
        self,
        model: nn.Module,
        modality: Modality,
        target: Target,
        device: torch.device,
        precision: Mode = "fp32",
        tf32: bool = True,
        calibration: Calibration | None = None,
    ) -> None:
        self.calibration = calibration or Calibration()
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

    def predict(self, item: Any, *, sets: float | None = None) -> Prediction:
        """Return the prediction for one input.

        Args:
            item: For images a path, the bytes of a file, a PIL image, or an array of uint8 pixels; for texts a text,
                the `Path` of a text file, or its bytes.
            sets: Give the classes too that hold the right one in this share of all cases, see `Calibration.sets`.
        """
        return self.predict_many([item], sets=sets)[0]

    def predict_many(
        self, items: Iterable[Any], *, batch_size: int = 32, sets: float | None = None
    ) -> list[Prediction]:
        """Return the predictions for many inputs, computed in batches."""
        return [
            prediction
            for batch in self._batches(items, batch_size)
            for prediction in self.predictions(self.answer(batch), sets)
        ]

    def predictions(self, answers: Answers, sets: float | None = None) -> list[Prediction]:
        """Return each item's prediction in the user's terms."""
        columns = self.how_sure(answers.predictions, answers.unfamiliarity, sets)
        count = len(answers.geometries)
        held, far, away = (columns.get(name, [None] * count) for name in ("set", "unfamiliar", "unfamiliarity"))
        return [
            Prediction(
                self.target.decode(one, geometry), self.target.scores(one), label_set=None if held[row] is None
                else tuple(held[row]), unfamiliar=far[row], unfamiliarity=None if away[row] is None
                else float(away[row]),
            )
            for row, (one, geometry) in enumerate(zip(answers.predictions, answers.geometries, strict=True))
        ]  # fmt: skip

    def how_sure(self, predictions: Any, unfamiliarity: Tensor | None, sets: float | None = None) -> dict[str, Any]:
        """Return columns of a table of predictions: `set` where it is asked for, likeliest first; and where the model
        can tell `unfamiliar` and `unfamiliarity`.

        Raises:
            ModelError: Sets are asked for, and the model has no held-back items, or not one class an item.
        """
        columns: dict[str, Any] = {}
        if sets is not None:
            columns["set"] = self._sets(predictions, sets)
        known = self.calibration.familiarity
        if unfamiliarity is not None and known is not None:
            columns["unfamiliar"] = (unfamiliarity > known.threshold).tolist()
            columns["unfamiliarity"] = unfamiliarity.numpy()
        return columns

    def check_sets(self, coverage: float) -> int:
        """Return from how many held-back items sets are made.

        Raises:
            DataError: `coverage` is no share.
            ModelError: There are none.
        """
        check_coverage(coverage)
        if not isinstance(self.target, Category):
            raise no_sets_of(self.target.kind)
        if self.calibration.scores is None:
            raise not_calibrated()
        return len(self.calibration.scores)

    def _sets(self, predictions: Any, coverage: float) -> list[list[str]]:
        if few := few_for_sets(self.check_sets(coverage), coverage):
            warnings.warn(few, stacklevel=users_level())
        chosen, order = self.calibration.sets(predictions, coverage), predictions.argsort(1, descending=True)
        rows = zip(chosen.tolist(), order.tolist(), strict=True)
        return [[self.classes[place] for place in likely if row[place]] for row, likely in rows]

    def unfamiliarity(self, outputs: Output) -> Tensor | None:
        """Return how far each item of a batch is from the training items; None where the model cannot tell."""
        known = self.calibration.familiarity
        return None if known is None or outputs.features is None else known.unfamiliarity(outputs.features)

    def probabilities(self, items: Iterable[Any], *, batch_size: int = 32) -> Any:
        """Return the activated outputs, for classes their probabilities, float32 on the CPU, (items, ...)."""
        parts = [self.predict_batch(batch) for batch in self._batches(items, batch_size)]
        return join(parts) if parts else torch.empty(0, self.target.outputs)

    def predict_batch(self, batch: Batch) -> Any:
        """Return the activated outputs for a batch as it was read, on the CPU, (batch, ...)."""
        return self.answer(batch).predictions

    def answer(self, batch: Batch) -> Answers:
        """Return what is known of the items of a batch as it was read."""
        outputs = list(self.run([batch]))
        distances = [one for output in outputs if (one := self.unfamiliarity(output)) is not None]
        predictions = join([move(output.predictions, torch.device("cpu")) for output in outputs])
        return Answers(predictions, geometries_of(batch), torch.cat(distances) if distances else None)

    def run(
        self,
        batches: Iterable[Batch],
        generator_of: Callable[[int], torch.Generator] | None = None,
        most_items: int | None = None,
        features: bool | None = None,
    ) -> Iterator[Output]:
        """Yield the model's outputs for batches as they were read.

        Args:
            batches: As loaders give them.
            generator_of: Gives the generator that augments a batch, by its number; None prepares it as at prediction.
            most_items: See `run_model`.
            features: See `run_model`; None gives them where something is known of unfamiliar inputs.
        """
        prepared = (
            self._prepare(batch, None if generator_of is None else generator_of(batch.number)) for batch in batches
        )
        ready = prefetched(prepared, self.device)
        return run_model(
            self.model, ready, self.target, self.precision, most_items=most_items,
            features=self.calibration.familiarity is not None if features is None else features,
        )  # fmt: skip

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

    def _batches(self, items: Iterable[Any], batch_size: int) -> Iterator[Batch]:
        self.modality.check_given_list(items)
        return map(self.collate, batches_of_given(items, batch_size, self._read_given))

    def _read_given(self, item: Any) -> Sample:
        self.modality.check_given(item)
        return self.read(item)


def geometries_of(batch: Batch) -> Sequence[Tensor | None]:
    """Return each sample's geometry on the CPU, None where there is none."""
    return [None] * len(batch) if batch.geometries is None else list(batch.geometries)
