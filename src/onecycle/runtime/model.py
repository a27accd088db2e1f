"""Loads a file that `export("model.onnx")` wrote, and predicts with it as the bundle of the same model does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onecycle.calls import explained, explains_calls
from onecycle.errors import BundleError, DataError, ModelError, OnecycleError, some
from onecycle.given_items import batches_of_given
from onecycle.inference.prediction import Prediction
from onecycle.runtime.checksum import ONNX, check_checksum
from onecycle.runtime.description import read_description
from onecycle.runtime.inputs import READERS, Input, Reader
from onecycle.runtime.other_files import check_is_exported
from onecycle.runtime.outputs import DECODERS, Decoder, TagsDecoder

if TYPE_CHECKING:
    import onnxruntime

    from onecycle.runtime.openvino import OpenVINOSession

    Session: TypeAlias = onnxruntime.InferenceSession | OpenVINOSession


@explains_calls
class Model:
    """An exported model, ready to use. It may be used from several threads at once.

    Args:
        session: Of onnxruntime or OpenVINO, with the file.
        description: What the file says of itself.
        reader: How items are read.
        decoder: What outputs mean.

    Attributes:
        description: See above: target, modality, training card, and the proof that it predicts as the learner did.
    """

    def __init__(self, session: Session, description: dict[str, Any], reader: Reader, decoder: Decoder) -> None:
        self.session, self.description = session, description
        self._reader, self._decoder = reader, decoder

    def __repr__(self) -> str:
        target, modality = self.description["target"]["kind"], self.description["modality"]["kind"]
        return f"Model: {modality} to {target}, {len(self.classes)} classes: {some(self.classes, 12)}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted."""
        classes: tuple[str, ...] = self._decoder.classes  # type: ignore[attr-defined]
        return classes

    @property
    def card(self) -> dict[str, Any]:
        """How it was trained: date, items, epochs, metrics."""
        card: dict[str, Any] = self.description["card"]
        return card

    @property
    def proof(self) -> dict[str, Any]:
        """On how many items it was compared with the model that was exported, and how much it differed at most."""
        proof: dict[str, Any] = self.description["proof"]
        return proof

    @property
    def threshold(self) -> float:
        """The probability above which a tag is predicted. Set it to predict more or fewer of them."""
        return self._tags().threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise DataError(f"threshold={value!r}.", "a probability, above 0 and below 1.", "set it to 0.2.")
        self._decoder = replace(self._tags(), threshold=float(value))

    def _tags(self) -> TagsDecoder:
        if not isinstance(self._decoder, TagsDecoder):
            kind = self.description["target"]["kind"]
            raise ModelError(f"Only tags have a threshold, and this predicts {kind}.", "tags.", "leave it out.")
        return self._decoder

    def __reduce__(self) -> Any:
        raise BundleError(
            "A loaded model cannot be copied, or sent to another process.", "its path, which each process loads.",
            "call load_model(path) there; in one process, threads may share one model.",
        )  # fmt: skip

    def predict(self, item: Any, *, sets: float | None = None) -> Prediction:
        """Return the prediction for one input.

        Args:
            item: For images a path, the bytes of a file, a PIL image, or an array of uint8 pixels; for texts a text,
                the `Path` of a text file, or its bytes.
            sets: Of bundles alone: an exported file has no held-back items to make sets of classes from.
        """
        return self.predict_many([item], sets=sets)[0]

    def predict_many(
        self, items: Iterable[Any], *, batch_size: int = 32, sets: float | None = None
    ) -> list[Prediction]:
        """Return the predictions for many inputs, computed in batches."""
        if sets is not None:
            raise ModelError(
                f"sets={sets!r}: an exported file has no held-back items to make sets of classes from.",
                "a bundle that was calibrated.", "leave sets= out, or predict with the bundle: oc.load_model(bundle).",
            )  # fmt: skip
        decoder = self._decoder
        return [
            Prediction(decoder.decode(output, input.geometry), decoder.scores(output))
            for inputs in self._batches(items, batch_size)
            for output, input in zip(self.run([input.values for input in inputs]), inputs, strict=True)
        ]

    def probabilities(self, items: Iterable[Any], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Return the outputs, for classes their probabilities, float32, (items, ...)."""
        parts = [self.run([input.values for input in inputs]) for inputs in self._batches(items, batch_size)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes)), np.float32)

    def read(self, item: Any) -> Input:
        """Read one input.

        Raises:
            DataError: It cannot be read.
        """
        return self._reader.read(item)

    def run(self, values: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return the outputs for inputs that were read, (inputs, ...)."""
        return self.run_batch(self._reader.collate(values))

    def run_batch(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return the outputs for a batch as the file takes it, (batch, ...)."""
        output: NDArray[np.float32] = self.session.run(None, {self.session.get_inputs()[0].name: batch})[0]
        return output

    def _batches(self, items: Iterable[Any], batch_size: int) -> Iterator[list[Input]]:
        self._reader.check_given_list(items)
        return batches_of_given(items, batch_size, self._read_given)

    def _read_given(self, item: Any) -> Input:
        self._reader.check_given(item)
        return self.read(item)


@explained
def load_model(path: str | Path, *, threads: int | None = None) -> Model:
    """Load a file that `export` wrote: ONNX, or the .xml file of OpenVINO.

    Args:
        path: The file.
        threads: How many compute at the same time; None takes a thread a core. A server with several workers takes 1.
    Raises:
        BundleError: It is damaged, or does not say how its inputs are read and what its outputs mean; or onnxruntime
            is not installed.
    Example:
        >>> path = learner.export("photos.onnx")
        photos.onnx: proved on 6 validation items: same labels, largest difference ...
        >>> load_model(path).predict(photos / "red" / "red_0.jpg").label in learner.data.classes
        True
    """
    path = Path(path)
    check_is_exported(path)
    if isinstance(threads, bool) or (threads is not None and threads < 1):
        raise ModelError(f"threads={threads!r}.", "a whole number, 1 or more.", "pass threads=1, or leave it out.")
    if path.suffix.lower() == ".xml":
        from onecycle.runtime.openvino import open_openvino

        return _model_of(open_openvino(path, threads), path.name)
    return open_model(str(path), path.name, threads)


def open_model(source: str | bytes, name: str, threads: int | None = None) -> Model:
    """Load what `export` wrote, from its path or its bytes.

    Args:
        source: Where it is, or all of it.
        name: What it is called in errors.
        threads: See `load_model`.
    Raises:
        BundleError: See `load_model`.
    """
    check_checksum(source if isinstance(source, bytes) else Path(source), ONNX, name)
    return _model_of(_open_session(source, name, threads), name)


def _model_of(session: Session, name: str) -> Model:
    """Return the model in an opened file, by what the file says of itself."""
    description = read_description(session.get_modelmeta().custom_metadata_map, name)
    parts: dict[str, dict[str, Any]] = {"modality": READERS, "target": DECODERS}
    made: dict[str, Any] = {}
    for part, known in parts.items():
        config = description[part]
        if config.get("kind") not in known:
            raise BundleError(
                f"{name} has a {part} of kind {config.get('kind')!r}, which is read with its own code alone.",
                f"one of: {', '.join(known)}.",
                "give its inputs to onnxruntime.InferenceSession yourself, or load the bundle with oc.load_model().",
            )
        try:
            made[part] = known[config["kind"]](config)
        except OnecycleError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{name} does not describe its {part}: {type(error).__name__}: {error}",
                "a file as export() writes it.", "export it again.",
            ) from error  # fmt: skip
    return Model(session, description, made["modality"], made["target"])


def _open_session(source: str | bytes, name: str, threads: int | None) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise BundleError(
            "onnxruntime is not installed.", "it, to compute with exported models.", "pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own, which has many kinds
        raise BundleError(
            f"{name} is not a model that onnxruntime reads: {str(error).splitlines()[0][:200]}",
            "a whole file as export() writes it.", "copy it again, or export it again.",
        ) from error  # fmt: skip
