"""Loads a bundle for use, without the training data and without running any code from the file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import nn

from onecycle.allocator import keep_freed_memory
from onecycle.bundle.layout import holds_weights
from onecycle.calls import explained, explains_calls
from onecycle.data.batch import Batch, Sample
from onecycle.data.categories import tag_target
from onecycle.data.dataset import Dataset
from onecycle.data.loader import DataLoader, OnBadItem, default_num_workers
from onecycle.data.modality import Modality
from onecycle.data.new_items import NewItems, rows_of
from onecycle.data.seeding import seeded
from onecycle.data.target import Target
from onecycle.errors import BundleError, DataError
from onecycle.imports import without_collecting
from onecycle.inference.evaluation import predict_loader
from onecycle.inference.fuse_batchnorm import fuse_batchnorm
from onecycle.inference.precision import supported
from onecycle.inference.predictions import Predictions, concatenate, predictions_table
from onecycle.inference.predictor import Predictor
from onecycle.metrics import MetricLike
from onecycle.review.versions import FIRST as MODEL_NAME
from onecycle.review.versions import current_version
from onecycle.ship.hub.download import downloaded, hub_address
from onecycle.ship.rebuild import read_model, rebuild, rebuild_calibration, refused_as_bundle

if TYPE_CHECKING:
    from onecycle.ship.exports.check_items import CheckItems

# In the folder of a run.
RUN_NAME = "run.json"


@explains_calls
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

    @property
    def threshold(self) -> float:
        """The probability above which a tag is predicted. Set it to predict more or fewer of them."""
        return tag_target(self.target).threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.target = tag_target(self.target).with_threshold(value)

    def predict_all(
        self,
        items: NewItems,
        *,
        batch_size: int = 64,
        workers: int | None = None,
        on_bad_item: OnBadItem = "raise",
        sets: float | None = None,
    ) -> Predictions:
        """Return the predictions for many items as a table, such as for `to_csv`.

        Args:
            items: A list such as `ImageList.from_folder(...)`, a folder, or a list of files; for texts, of texts.
            batch_size: Items at a time.
            workers: Processes that read items; None chooses for this machine.
            on_bad_item: "raise" stops at an item that cannot be read, "skip" leaves it out with a warning.
            sets: See `predict`.
        """
        dataset = Dataset(rows_of(items, self.modality), self.modality, self.target, training=False)
        few = dataset.holds_contents or len(dataset) < 4 * batch_size
        count = (0 if few else default_num_workers()) if workers is None else workers
        loader = DataLoader(dataset, batch_size=batch_size, workers=count, on_bad_item=on_bad_item)
        return predict_loader(self, loader, sets=sets)

    def export(
        self,
        path: str | Path,
        *,
        items: NewItems | CheckItems | None = None,
        training_items: NewItems | None = None,
        metrics: Sequence[MetricLike] | None = None,
        **options: Any,
    ) -> Path:
        """Write the model for another runtime: ONNX where the path ends in .onnx, `torch.export` where in .pt2,
        OpenVINO where in .xml.

        Before it is written, its predictions are compared with this model's; a learner does that on its validation
        items, which a bundle does not have.

        Args:
            path: The file.
            items: What to compare on: a folder, or a list of files or texts; None draws some. For precision="int8"
                they have labels, such as `labelled.valid`.
            training_items: For precision="int8": items that were trained on, such as `labelled.train`.
            metrics: For precision="int8": what is measured; None takes the usual of the target.
            options: See `Learner.export`.
        Raises:
            ModelError: It cannot be exported, or predicts something else; nothing is written then.
        """
        from onecycle.ship.exports import quantising
        from onecycle.ship.exports.check_items import CheckItems, drawn_items, items_given
        from onecycle.ship.exports.exported import Exported
        from onecycle.ship.exports.formats import write_format

        if isinstance(items, CheckItems):
            named, given = None, items
        else:
            named = items
            given = drawn_items(self.modality) if items is None else items_given(items, self.modality, self.target)

        def for_int8() -> quantising.QuantisingItems:
            return quantising.of_rows(named, training_items, self.modality, self.target, metrics)

        exported = Exported(self.model, self.modality, self.target, self.card, given, for_int8)
        return write_format(Path(path), exported, **options)

    def generate(self, prompt: str = "", words: int = 40, **options: Any) -> str:
        """Continue a text with a language model; the options are those of `onecycle.text.generate.generate`."""
        from onecycle.text.generate import generate

        return generate(self, prompt, words, **options)


@explained
def load_model(path: str | Path, *, device: str | torch.device | None = None, fuse: bool = False) -> Model:
    """Load what `Learner.export` wrote.

    Args:
        path: The bundle, a file or a folder; the folder of a run that `onecycle train` wrote; or of a model on the
            Hugging Face hub "hf://user/name", with "@revision" behind it where you want one, see `from_hub`.
        device: Where to run; None takes the best there is.
        fuse: Fuse batch norms into the convolutions before them: less time for each image, and predictions that differ
            from the learner's in the last digits (by up to 1e-4 of the largest output). Without it they are the same.
    Raises:
        BundleError: It is damaged, edited, of a newer schema, names parts that are not registered, or is no description
            of a model that fits the weights.
    Example:
        >>> from onecycle import load_model
        >>> path = learner.export("photos.onecycle")
        >>> load_model(path).classes
        ('blue', 'green', 'red')
    """
    keep_freed_memory()
    if address := hub_address(path):
        with downloaded(*address) as folder:
            return load_model(folder, device=device, fuse=fuse)
    path = find_bundle(path)
    tensors, config = read_model(path)
    with (
        refused_as_bundle(path, config),
        without_collecting(),
        torch.random.fork_rng(devices=[]),
    ):  # weights are drawn first
        calibration = rebuild_calibration(tensors, config)
        model, modality, target = rebuild(tensors, config)
        place = torch.device(device or _best_device())
        model = _fused(model.eval(), modality, target) if fuse else model
        precision = supported(config.get("precision", "fp32"), place)[0]
        loaded = Model(model, modality, target, place, precision, calibration=calibration)
    loaded.config = config
    return loaded


def find_bundle(path: str | Path) -> Path:
    """Return the bundle at a path, or the newest version of the one in the folder of a run.

    Raises:
        BundleError: It is no path, or the run has no model yet.
    """
    if not isinstance(path, str | Path) or not str(path).strip():
        raise BundleError(
            f"load_model() was given {path!r} ({type(path).__name__}).", "the path of a model.",
            "pass what export() returned, such as 'photos.onecycle'.",
        )  # fmt: skip
    if address := hub_address(path):
        raise BundleError(
            f"The model {address[0]} is on the hub, and is read as a file here.", "a file, or the folder of a run.",
            f"use onecycle predict or onecycle export, or in Python oc.from_hub({address[0]!r}).",
        )  # fmt: skip
    folder = Path(path)
    if (current := current_version(folder)).exists():
        return current
    if (folder / RUN_NAME).is_file():
        raise BundleError(
            f"The run in {folder} has no {MODEL_NAME} yet.", "a run that came to its end.",
            "wait for it, or write the model of its best epoch: "
            f"onecycle report {shlex.quote(str(folder))} --out {shlex.quote(str(folder))}",
        )  # fmt: skip
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) and not any(map(holds_weights, os.listdir(folder))):
        inside = [path.parent for path in sorted(folder.glob(f"*/{RUN_NAME}"))] + sorted(folder.glob("*.onecycle"))
        raise BundleError(
            f"{folder} is neither a model nor the folder of a run.", "what export() or onecycle train wrote.",
            f"pass {' or '.join(map(str, inside[:4]))}." if inside else "pass the --out of a run, or a model.",
        )  # fmt: skip
    return folder


def _fused(model: nn.Module, modality: Modality, target: Target) -> nn.Module:
    """Return the model with its batch norms fused, where its inputs have one shape, so that it can be tried."""
    shape = modality.item_shape(training=False)
    if shape is None:
        return model
    item = torch.randint(0, 256, (1, *shape), dtype=torch.uint8, generator=seeded(0))
    return fuse_batchnorm(model, modality.prepare(Batch(item, None, torch.zeros(1)), target, None).inputs)


def predict_files(
    model: Predictor,
    paths: Sequence[str | Path | Callable[[], Any]],
    *,
    names: Sequence[str] | None = None,
    batch_size: int = 32,
    tile_scale: float | None = None,
    sets: float | None = None,
) -> tuple[Predictions, list[DataError]]:
    """Predict files, leaving out those that cannot be read; return the predictions and the errors.

    Args:
        model: The model.
        paths: The files; for texts, a `str` is a text itself; or functions that return what the model reads.
        names: What each is called in the predictions; None takes the paths.
        batch_size: Files at a time.
        tile_scale: For masks: predict in tiles, of images shrunk by this; see `predict_tiled`.
        sets: See `Predictor.predict`.
    """
    named = list(zip(map(str, paths) if names is None else names, paths, strict=True))
    if tile_scale is not None:
        return _predict_tiled_files(model, named, tile_scale)
    errors: list[DataError] = []
    parts: list[Predictions] = []
    for start in range(0, len(named), batch_size):
        read, samples = [], []
        for name, path in named[start : start + batch_size]:
            try:
                samples.append(model.read(path() if callable(path) else path))
                read.append(name)
            except DataError as error:
                errors.append(error)
        if samples:
            parts.append(answers_table(model, read, samples, sets))
    return concatenate(parts, model.target), errors


def answers_table(
    model: Predictor, names: Sequence[str], samples: Sequence[Sample], sets: float | None = None
) -> Predictions:
    """Return the predictions for items that were read."""
    answers = model.answer(model.collate(samples))
    sure = model.how_sure(answers.predictions, answers.unfamiliarity, sets)
    return predictions_table(
        names, answers.predictions, model.target, geometries=answers.geometries, how_sure=sure
    )  # fmt: skip


def _predict_tiled_files(
    model: Predictor, named: Sequence[tuple[str, str | Path | Callable[[], Any]]], scale: float
) -> tuple[Predictions, list[DataError]]:
    from onecycle.vision.tiles import predict_tiled

    errors: list[DataError] = []
    rows: list[pa.Table] = []
    for name, path in named:
        try:
            prediction = predict_tiled(model, path() if callable(path) else path, scale=scale)
        except DataError as error:
            errors.append(error)
            continue
        shares = torch.tensor([list(prediction.probabilities.values())])[..., None, None]
        rows.append(pa.table({"item": [name], **model.target.columns(shares, [prediction.label])}))
    table = Predictions(pa.concat_tables(rows), model.target) if rows else concatenate([], model.target)
    return table, errors


def _best_device() -> torch.device:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")
