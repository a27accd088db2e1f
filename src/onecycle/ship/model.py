"""Loads a bundle for use, without the training data and without running any code from the file."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from onecycle.data.modality import collate
from onecycle.errors import BundleError, DataError
from onecycle.imports import without_collecting
from onecycle.train.bundle import read_bundle
from onecycle.train.fold import folded
from onecycle.train.predictor import Predictions, Predictor, frames_of, joined, predictions

# Only these can be built from a bundle, by name; a bundle never says which code to run. They are imported when needed,
# so that a model of images does not wait for the library of texts.
MODELS = {
    "image_model": "onecycle.vision.model.ImageModel",
    "heatmap_model": "onecycle.vision.heatmaps.HeatmapModel",
    "segmentation_model": "onecycle.vision.segmentation.SegmentationModel",
    "text_model": "onecycle.text.model.TextModel",
    "awd_lstm_classifier": "onecycle.text.awd_lstm.AwdLstmClassifier",
    "awd_lstm_language_model": "onecycle.text.language_model.LanguageModel",
    "masked_model": "onecycle.text.masked_model.MaskedModel",
}
MODALITIES = {"images": "onecycle.vision.images.Images", "texts": "onecycle.text.texts.Texts"}
TARGETS = {
    "category": "onecycle.data.target.Category",
    "multi_category": "onecycle.data.target.MultiCategory",
    "numbers": "onecycle.data.numbers.Numbers",
    "mask": "onecycle.vision.masks.Mask",
    "points": "onecycle.vision.points.Points",
    "next_token": "onecycle.text.language.NextToken",
    "masked_token": "onecycle.text.language.MaskedToken",
}


class Model(Predictor):
    """A trained model, ready to use.

    Attributes:
        config: The bundle's description: model, modality, target, package versions and training card.
    """

    config: dict[str, Any]

    @property
    def card(self) -> dict[str, Any]:
        """How it was trained: date, items, epochs, metrics."""
        card: dict[str, Any] = self.config["card"]
        return card


def load_model(path: str | Path, *, device: str | torch.device | None = None) -> Model:
    """Load what `Learner.export` wrote.

    Args:
        path: The bundle, a file or a folder.
        device: Where to run; None takes the best there is.
    Raises:
        BundleError: It is damaged, edited, of a newer schema, or names parts that this version does not know.
    """
    tensors, config = read_bundle(path, "model")
    try:
        with torch.random.fork_rng():  # weights are drawn before they are loaded: not from the user's generator
            model = _known(MODELS, config["model"]["kind"], path).from_config(config["model"])
        modality = _known(MODALITIES, config["modality"]["kind"], path).from_config(config["modality"])
        target = _known(TARGETS, config["target"]["kind"], path).from_config(config["target"])
        model.load_state_dict(tensors)
    except BundleError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(
            f"{path} does not describe a model that can be built: {type(error).__name__}: {error}",
            "a bundle as export() writes it.",
            f"load it with the version that wrote it: onecycle {config.get('onecycle', 'unknown')}.",
        ) from error
    model.eval()
    if config["modality"]["kind"] == "images":
        chance = torch.Generator().manual_seed(0)  # not the user's
        example = torch.randint(0, 256, (1, 3, *modality.size), dtype=torch.uint8, generator=chance)
        model = folded(model, example)
    loaded = Model(model, modality, target, torch.device(device or _best_device()))
    loaded.config = config
    return loaded


def predict_files(
    model: Predictor, paths: Sequence[str | Path], *, batch_size: int = 32, tile_scale: float | None = None
) -> tuple[Predictions, list[DataError]]:
    """Answer for files, leaving out those that cannot be read; return the answers and the errors.

    Args:
        model: What answers.
        paths: The files; for texts, what is no `Path` is a text itself.
        batch_size: Files at a time.
        tile_scale: For masks: answer in tiles, of images shrunk by this; see `predict_tiled`.
    """
    if tile_scale is not None:
        return _predict_tiled_files(model, paths, tile_scale)
    errors: list[DataError] = []
    parts: list[Predictions] = []
    for start in range(0, len(paths), batch_size):
        names, samples = [], []
        for path in paths[start : start + batch_size]:
            try:
                samples.append(model.read(path))
                names.append(str(path))
            except DataError as error:
                errors.append(error)
        if samples:
            batch = collate(samples, model.modality)
            parts.append(predictions(names, model.answers(batch), model.target, frames=frames_of(batch)))
    return joined(parts, model.target), errors


def _predict_tiled_files(
    model: Predictor, paths: Sequence[str | Path], scale: float
) -> tuple[Predictions, list[DataError]]:
    from onecycle.vision.tiles import predict_tiled

    errors: list[DataError] = []
    rows: list[pa.Table] = []
    for path in paths:
        try:
            answer = predict_tiled(model, path, scale=scale)
        except DataError as error:
            errors.append(error)
            continue
        shares = torch.tensor([list(answer.probabilities.values())])[..., None, None]
        rows.append(pa.table({"item": [str(path)], **model.target.columns(shares, [answer.label])}))
    answers = Predictions(pa.concat_tables(rows), model.target) if rows else joined([], model.target)
    return answers, errors


def _best_device() -> torch.device:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")


def _known(table: dict[str, str], name: str, path: str | Path) -> Any:
    if name not in table:
        raise BundleError(
            f"{path} needs {name!r}, which this version does not know.",
            f"one of: {', '.join(table)}.",
            "upgrade onecycle, or check where the file is from.",
        )
    module, _, part = table[name].rpartition(".")
    with without_collecting():
        return getattr(importlib.import_module(module), part)
