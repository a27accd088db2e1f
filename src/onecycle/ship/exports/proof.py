"""The proof that a file predicts as the model does: before it is written, both predict the same items."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onecycle.data.categories import Category, MultiCategory
from onecycle.data.modality import Modality
from onecycle.data.numbers import Numbers
from onecycle.data.target import Target
from onecycle.errors import ModelError, OnecycleError, counted, some
from onecycle.ship.exports.check_items import CheckItems
from onecycle.ship.exports.served import ServedModel
from onecycle.text.texts import Texts
from onecycle.vision.masks import Mask

TOLERANCE, MARGIN = 1e-3, 1e-4
BATCH_SIZES = (1, 2, 3, 17, 33)
READ_ITEMS = 32

Floats = NDArray[np.float32]
Run = Callable[[NDArray[Any]], Floats]
ReadItem = Callable[[Any], NDArray[Any]]


@dataclass(frozen=True)
class Proof:
    """On what a file and the model it was made from were compared, and how far apart they are.

    Attributes:
        items: How many items.
        what: What they are.
        difference: The largest difference: of probabilities; of numbers, in standard deviations; of points, where an
            image reaches from -1 to 1.
        batch_sizes: Of the batches in which they were predicted.
        lengths: Of texts that were predicted as well, in tokens.
        read: How many items were read by the code without PyTorch, to the same inputs.
        tolerance: What `difference` may be at most.
        margin: Labels are the same wherever the model prefers one by more than this.
        precision: In how many bits the file computes.
    """

    items: int
    what: str
    difference: float
    batch_sizes: tuple[int, ...]
    lengths: tuple[int, ...] = ()
    read: int = 0
    tolerance: float = TOLERANCE
    margin: float = MARGIN
    precision: str = "fp32"

    def __str__(self) -> str:
        bits = "" if self.precision == "fp32" else f"{self.precision}, "
        lengths = f"; texts of {some(self.lengths, 9)} tokens" if self.lengths else ""
        return (
            f"{bits}proved on {counted(self.items, self.what.removesuffix('s'))}: same labels, largest difference "
            f"{self.difference:.1g} (batches of {some(self.batch_sizes)}{lengths})"
        )

    def to_config(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "items": self.items, "of": self.what, "largest_difference": self.difference, "tolerance": self.tolerance,
            "batch_sizes": list(self.batch_sizes), "lengths": list(self.lengths), "items_read": self.read,
            "margin": self.margin, "precision": self.precision,
        }  # fmt: skip


def prove(
    served: ServedModel, run: Run, items: CheckItems, name: str, *, read: ReadItem | None = None,
    tolerance: float = TOLERANCE, precision: str = "fp32",
) -> Proof:  # fmt: skip
    """Compare a file's predictions with the model's.

    Args:
        served: The model, computed by PyTorch in 32 bits.
        run: Predicts a batch with the file.
        items: What to predict.
        name: The file, for errors.
        read: Reads an item as the file's own reader does.
        tolerance: How much predictions may differ.
        precision: In how many bits the file computes. In less than 32, another label is one that the model does not
            prefer by more than the tolerance.
    Raises:
        ModelError: A label differs where the model is sure of it by more than `MARGIN`, or a number by more than the
            tolerance; it names the item that differs most.
    """
    shown = items.inputs.cpu().numpy()
    counted = 0 if read is None else _check_reading(items, shown, read, name)
    worst = _Worst(served.target, name, items.what, tolerance, precision)
    for rows in _batches(len(items)):
        batch = shown[rows]
        worst.compare(served.predict(batch), run_file(run, batch, name), [items.names[row] for row in rows])
    lengths = _lengths(served, shown) if isinstance(served.modality, Texts) else ()
    for length in lengths:
        batch = _text_of(length, shown, served.modality)
        names = [f"a text of {length} tokens", f"a text of 1 token beside one of {length}"]
        worst.compare(served.predict(batch), run_file(run, batch, name), names)
    return Proof(
        len(items), items.what, worst.difference, BATCH_SIZES, lengths, counted, tolerance, worst.margin, precision
    )


def run_file(run: Run, batch: NDArray[Any], name: str) -> Floats:
    """Return a file's predictions for a batch.

    Raises:
        ModelError: It does not compute them.
    """
    try:
        return run(batch)
    except OnecycleError:
        raise
    except Exception as error:  # of any runtime
        raise ModelError(
            f"{name} was not written: it does not compute a batch of shape {batch.shape}: "
            f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
            "a file that takes batches of any size, and texts of any length.",
            "take len(tensor) and branches on sizes out of the model's forward(), or export a bundle.",
        ) from error


def _batches(count: int) -> Iterator[list[int]]:
    """Yield row numbers in batches of all sizes in turn, until each row and each size has had its turn."""
    rows = itertools.cycle(range(count))
    taken = 0
    for size in itertools.chain(BATCH_SIZES, itertools.cycle(BATCH_SIZES)):
        if taken >= max(count, sum(BATCH_SIZES)):
            return
        taken += size
        yield list(itertools.islice(rows, size))


def margin_of(precision: str, tolerance: float) -> float:
    """Return by how much the model has to prefer a label for a file to have it as well."""
    return MARGIN if precision == "fp32" else tolerance


class _Worst:
    """Compares predictions, and remembers the largest difference."""

    def __init__(self, target: Target, name: str, what: str, tolerance: float, precision: str) -> None:
        self.target, self.name, self.what, self.tolerance, self.precision = target, name, what, tolerance, precision
        self.margin = margin_of(precision, tolerance)
        self.difference = 0.0

    def compare(self, reference: Floats, exported: Floats, names: Sequence[str]) -> None:
        if reference.shape != exported.shape:
            raise self._refused(
                f"for {names[0]} its predictions have the shape {exported.shape}, the model's {reference.shape}"
            )
        apart = differences(self.target, reference, exported)
        other = _other_labels(self.target, reference, exported, self.margin)
        if other.any():
            row = int(np.flatnonzero(other)[apart[other].argmax()])
            raise self._refused(
                f"it has another label for {names[row]} (probabilities differ by {apart[row]:.2g})", apart[row]
            )
        worst = int(apart.argmax())
        if not apart[worst] <= self.tolerance:
            raise self._refused(f"its prediction for {names[worst]} differs by {apart[worst]:.2g}", apart[worst])
        self.difference = max(self.difference, float(apart[worst]))

    def _refused(self, why: str, apart: float = np.inf) -> ModelError:
        fix = (
            "export a bundle, such as model.onecycle, which computes with PyTorch; or find the operation that differs: "
            "what depends on the batch, and what is random, does not belong into forward()."
        )
        if self.precision != "fp32":
            more = f", or allow more: tolerance={max(10 * self.tolerance, 2 * apart):.2g}" if np.isfinite(apart) else ""
            fix = f"leave precision={self.precision!r} out{more}."
        return ModelError(
            f"{self.name} was not written: {why}.",
            f"the model's labels on all {self.what}, and predictions within {self.tolerance:g}.", fix,
        )  # fmt: skip


def differences(target: Target, reference: Floats, exported: Floats) -> NDArray[np.float64]:
    """Return how much each item's prediction differs, (batch,); infinite where it is not a number."""
    apart = np.abs(reference.astype(np.float64) - exported)
    if isinstance(target, Numbers):
        apart = apart / np.array(target.std)
    elif target.kind == "tensor":
        apart = apart / np.maximum(np.abs(reference), 1)
    largest = apart.reshape(len(apart), -1).max(axis=1, initial=0.0)
    return np.where(np.isfinite(largest), largest, np.inf)


def _other_labels(target: Target, reference: Floats, exported: Floats, margin: float) -> NDArray[np.bool_]:
    """Return which items have another label, at any pixel, where the model prefers its own by more than `margin`."""
    if isinstance(target, MultiCategory):
        sure = np.abs(reference - target.threshold) > margin
        other = sure & ((reference > target.threshold) != (exported > target.threshold))
    elif isinstance(target, Category | Mask) and reference.shape[1] > 1:
        highest = np.partition(reference, -2, axis=1)
        sure = highest[:, -1] - highest[:, -2] > margin
        other = sure & (reference.argmax(axis=1) != exported.argmax(axis=1))
    else:
        return np.zeros(len(reference), bool)
    return np.asarray(other.reshape(len(reference), -1).any(axis=1))


def _check_reading(items: CheckItems, shown: NDArray[Any], read: ReadItem, name: str) -> int:
    """Check that items are read to the same inputs without PyTorch; return how many were."""
    chosen = list(range(len(items.sources)))[:: max(len(items.sources) // READ_ITEMS, 1)][:READ_ITEMS]
    for row in chosen:
        again = read(items.sources[row])
        own = shown[row][: len(again)] if again.ndim == 1 else shown[row]
        if not np.array_equal(again, own):
            raise ModelError(
                f"{name} was not written: {items.names[row]} is read differently without PyTorch.",
                "the same pixels or tokens.", "report this as an error of onecycle, with the item.",
            )  # fmt: skip
    return len(chosen)


def _lengths(served: ServedModel, shown: NDArray[Any]) -> tuple[int, ...]:
    """Return the lengths of texts, in tokens, at which a model may behave differently."""
    window = getattr(getattr(served.model, "body", None), "window", None)
    around = () if window is None else (window - 1, window, window + 1, 2 * window + 1)
    return tuple(sorted({length for length in (1, 2, *around, shown.shape[1]) if length > 0}))


def _text_of(length: int, shown: NDArray[Any], modality: Modality) -> NDArray[Any]:
    """Return a text of `length` tokens, made of the items', and beside it one that is nearly all padding."""
    assert isinstance(modality, Texts)
    tokens = shown[shown != modality.tokenizer.pad]
    text = np.resize(tokens, length)
    short = np.full(length, modality.tokenizer.pad, np.int64)
    short[0] = tokens[0]
    return np.stack([text, short])
