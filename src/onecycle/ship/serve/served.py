"""The model that a server answers with, and the file that it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from onecycle.data.batch import Sample
from onecycle.data.character_encoding import decode_bytes
from onecycle.data.contents import Contents
from onecycle.data.modality import Modality
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.inference.predictor import Predictor
from onecycle.ship.model import find_bundle, load_model
from onecycle.vision.decode import is_image


class Upload(NamedTuple):
    """An input as it arrived.

    Attributes:
        name: What it was called by whoever sent it; only shown.
        data: The bytes of a file, or a text in UTF-8.
    """

    name: str
    data: bytes

    def as_item(self, modality: Modality) -> Any:
        """Return it as the modality reads it.

        Raises:
            DataError: It is an image, and the model reads texts.
        """
        if not modality.reads_text_directly:
            return Contents(self.name, self.data)
        if is_image(self.data[:16]):
            raise DataError(f"{self.name} is an image.", "a text: this model reads texts.", "send a text.")
        return decode_bytes(self.data)[0]


class Answer(NamedTuple):
    """A prediction.

    Attributes:
        label: A class, tags, numbers by name, points; of a mask the bytes of a PNG file.
        probabilities: As of `Prediction`.
        unfamiliar: Whether the input is unlike all training items; None where the model cannot tell.
    """

    label: Any
    probabilities: dict[str, float]
    unfamiliar: bool | None = None


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model, and where it came from.

    Another engine than torch takes its place by overriding `read` and `predict`, and for its threads
    `computes_side_by_side` and `begin_thread`: the server asks a model for nothing else but what it reads and predicts.

    Attributes:
        model: The model.
        name: What it is called.
        digest: The SHA-256 of its bundle; empty where it was never in a file.
        path: Its bundle, if it came from one.
        source: What was asked for: the bundle, or the folder of a run, whose newest version counts.
        state: What changes when another file is put in the bundle's place.
    """

    model: Predictor
    name: str
    digest: str = ""
    path: Path | None = None
    state: tuple[int, ...] = ()
    source: Path | None = None

    @property
    def computes_side_by_side(self) -> bool:
        """Whether several threads compute sooner together than one after the other, as on a processor."""
        return self.model.device.type == "cpu"

    def begin_thread(self) -> None:
        """Have this thread compute on its own: beside it are as many as there are processors."""
        torch.set_num_threads(1)

    def state_now(self) -> tuple[int, ...] | None:
        """Return the state of what is in the bundle's place now, None where nothing is."""
        try:
            return None if self.source is None else _state(find_bundle(self.source))
        except (OSError, BundleError):
            return None

    def read(self, upload: Upload) -> Sample:
        """Read one input.

        Raises:
            DataError: It cannot be read.
        """
        return self.model.read(upload.as_item(self.model.modality))

    def predict(self, samples: Sequence[Sample]) -> list[Answer]:
        """Return the predictions for inputs that were read, computed together."""
        target, answers = self.model.target, self.model.answer(self.model.collate(samples))
        outputs = answers.predictions
        decoded = [target.decode(one, place) for one, place in zip(outputs, answers.geometries, strict=True)]
        if any(isinstance(label, np.ndarray) for label in decoded):  # masks and points, as a table holds them
            decoded = target.columns(outputs, decoded)["prediction"].to_pylist()
        sure = self.model.how_sure(outputs, answers.unfamiliarity)
        unfamiliar = sure.get("unfamiliar", [None] * len(decoded))
        return [
            Answer(label, target.scores(one), far) for label, one, far in zip(decoded, outputs, unfamiliar, strict=True)
        ]


def load_served(source: str | Path | Predictor) -> ServedModel:
    """Return a model as a server needs it.

    Args:
        source: A bundle, the folder of a run, or a model that is loaded.
    Raises:
        BundleError: See `load_model`.
        ModelError: It is a language model.
    """
    if isinstance(source, Predictor):
        return _checked(ServedModel(source, type(source.model).__name__))
    while True:
        path = find_bundle(source)
        if not path.exists():
            raise BundleError(f"There is no model at {path}.", "what export() wrote.", "check the path.")
        state = _state(path)
        served = ServedModel(load_model(path), path.stem, digest_of(path), path, state, Path(source))
        if served.state_now() == state:  # if not, weights and digest may be of two files
            return _checked(served)


def _checked(served: ServedModel) -> ServedModel:
    if _is_language_model(served.model):
        raise ModelError(
            f"{served.name} is a language model.", "a model that predicts a label for each input.",
            "continue texts with onecycle.load_model(path).generate(prompt).",
        )  # fmt: skip
    return served


def _is_language_model(model: Predictor) -> bool:
    if not model.modality.reads_text_directly:
        return False
    from onecycle.text.language_targets import LANGUAGE_TARGETS  # brings tokenizers

    return model.target.kind in LANGUAGE_TARGETS


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]


def _state(path: Path) -> tuple[int, ...]:
    stats = [each.stat() for each in _files(path)]
    return tuple(value for stat in stats for value in (stat.st_ino, stat.st_mtime_ns, stat.st_size))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a bundle, a file or a folder."""
    digest = hashlib.sha256()
    for each in _files(path):
        with each.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()
