"""Loads a bundle for use, without the training data and without running any code from the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from onecycle.bundle import read_bundle
from onecycle.data.batch import Batch
from onecycle.data.modality import Modality
from onecycle.data.seeding import seeded
from onecycle.data.target import Target
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.imports import without_collecting
from onecycle.inference.fuse_batchnorm import fuse_batchnorm
from onecycle.inference.precision import MODES, supported
from onecycle.inference.predictions import Predictions, concatenate, predictions_table
from onecycle.inference.predictor import Predictor, geometries_of
from onecycle.registry import lookup
from onecycle.train.export import build_model


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


def load_model(path: str | Path, *, device: str | torch.device | None = None, fuse: bool = False) -> Model:
    """Load what `Learner.export` wrote.

    Args:
        path: The bundle, a file or a folder.
        device: Where to run; None takes the best there is.
        fuse: Fuse batch norms into the convolutions before them: less time for each image, and predictions that differ
            from the learner's in the last digits (by up to 1e-4 of the largest output). Without it they are the same.
    Raises:
        BundleError: It is damaged, edited, of a newer schema, or names parts that are not registered.
    """
    tensors, config = read_bundle(path, "model")
    try:
        with without_collecting(), torch.random.fork_rng():  # weights are drawn before they are loaded
            model = build_model(config["model"], hint_module=_module(config, "model"))
            modality, target = (_part(kind, config) for kind in ("modality", "target"))
        model.load_state_dict(tensors)
    except BundleError:
        raise
    except ModelError as unknown:
        raise BundleError(f"{path}: {unknown.what}", unknown.expected, unknown.fix) from unknown
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(
            f"{path} does not describe a model that can be built: {type(error).__name__}: {error}",
            "a bundle as export() writes it.",
            f"load it with the version that wrote it: onecycle {config.get('onecycle', 'unknown')}.",
        ) from error
    place = torch.device(device or _best_device())
    mode = config.get("precision", "fp32")
    if mode not in MODES:
        raise BundleError(f"{path} asks for precision {mode!r}.", f"one of: {', '.join(MODES)}.", "export it again.")
    model = _fused(model.eval(), modality, target) if fuse else model
    loaded = Model(model, modality, target, place, supported(mode, place)[0])
    loaded.config = config
    return loaded


def _part(kind: str, config: dict[str, Any]) -> Any:
    part = config[kind]
    return lookup(kind, part["kind"], hint_module=_module(config, kind)).from_config(part)


def _module(config: dict[str, Any], kind: str) -> str | None:
    """Return the module that registered a part when it was exported; bundles of the first edition do not say."""
    return (config.get("modules") or {}).get(kind)


def _fused(model: nn.Module, modality: Modality, target: Target) -> nn.Module:
    """Return the model with its batch norms fused, where its inputs have one shape, so that it can be tried."""
    shape = modality.item_shape(training=False)
    if shape is None:
        return model
    item = torch.randint(0, 256, (1, *shape), dtype=torch.uint8, generator=seeded(0))
    return fuse_batchnorm(model, modality.prepare(Batch(item, None, torch.zeros(1)), target, None).inputs)


def predict_files(
    model: Predictor, paths: Sequence[str | Path], *, batch_size: int = 32, tile_scale: float | None = None
) -> tuple[Predictions, list[DataError]]:
    """Predict files, leaving out those that cannot be read; return the predictions and the errors.

    Args:
        model: The model.
        paths: The files; for texts, a `str` is a text itself.
        batch_size: Files at a time.
        tile_scale: For masks: predict in tiles, of images shrunk by this; see `predict_tiled`.
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
            batch = model.collate(samples)
            parts.append(
                predictions_table(names, model.predict_batch(batch), model.target, geometries=geometries_of(batch))
            )
    return concatenate(parts, model.target), errors


def _predict_tiled_files(
    model: Predictor, paths: Sequence[str | Path], scale: float
) -> tuple[Predictions, list[DataError]]:
    from onecycle.vision.tiles import predict_tiled

    errors: list[DataError] = []
    rows: list[pa.Table] = []
    for path in paths:
        try:
            prediction = predict_tiled(model, path, scale=scale)
        except DataError as error:
            errors.append(error)
            continue
        shares = torch.tensor([list(prediction.probabilities.values())])[..., None, None]
        rows.append(pa.table({"item": [str(path)], **model.target.columns(shares, [prediction.label])}))
    table = Predictions(pa.concat_tables(rows), model.target) if rows else concatenate([], model.target)
    return table, errors


def _best_device() -> torch.device:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")
