"""Writes models for other runtimes: from a learner by the suffix of a path, or from a loaded bundle."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onecycle.calls import check_options
from onecycle.errors import ModelError
from onecycle.registry import register, registered_name
from onecycle.ship.exports import quantising
from onecycle.ship.exports.check_items import items_of_learner
from onecycle.ship.exports.exported import Exported, describe, served_and_input
from onecycle.ship.exports.onnx_file import proved_file
from onecycle.ship.exports.openvino import write_openvino
from onecycle.ship.exports.precision import asked_for, check_full
from onecycle.ship.exports.served import check_servable
from onecycle.ship.exports.torch_program import write_program
from onecycle.ship.exports.web import write_web
from onecycle.ship.exports.writing import write_content
from onecycle.text.texts import Texts
from onecycle.train.built_model import build_model
from onecycle.train.export import model_to_config, training_card
from onecycle.train.sharded import all_whole, class_of
from onecycle.train.state import TrainState


@register("exporter", "onnx")
def export_onnx(state: TrainState, path: Path, *, precision: str = "fp32", tolerance: float | None = None) -> Path:
    """Write a learner's model as ONNX; see `write_onnx`."""
    return _of_learner(state, lambda exported: write_onnx(path, exported, precision=precision, tolerance=tolerance))


@register("exporter", "pt2")
def export_program(state: TrainState, path: Path, *, precision: str = "fp32") -> Path:
    """Write a learner's model as a program of `torch.export`; see `write_pt2`."""
    return _of_learner(state, lambda exported: write_pt2(path, exported, precision=precision))


@register("exporter", "xml")
def export_openvino(state: TrainState, path: Path, *, precision: str = "fp32") -> Path:
    """Write a learner's model for OpenVINO; see `write_openvino`."""
    return _of_learner(state, lambda exported: write_openvino(path, exported, precision=precision))


@register("exporter", "web")
def export_web(
    state: TrainState, path: Path, *, precision: str = "fp32", tolerance: float | None = None,
    runtime_files: str | Path | None = None,
) -> Path:  # fmt: skip
    """Write a page that classifies images in the browser; see `write_web`."""
    return _of_learner(
        state, lambda exported: write_web(
            path, exported, precision=precision, tolerance=tolerance, runtime_files=runtime_files
        ),
    )  # fmt: skip


def write_format(path: Path, exported: Exported, *, web: bool = False, **options: Any) -> Path:
    """Write a model in the format that the suffix of a path names, or as a page.

    Args:
        path: A file; for a page a folder.
        exported: The model.
        web: Write a page.
        options: Of the format.
    Raises:
        ModelError: There is no such format.
        CallError: The format does not have such an option.
    """
    writers: dict[str, Callable[..., Path]] = {".onnx": write_onnx, ".pt2": write_pt2, ".xml": write_openvino}
    writer = write_web if web else writers.get(path.suffix.lower())
    if writer is None:
        raise ModelError(
            f"A loaded model is not exported as {path.name!r}.", f"a name that ends in {', '.join(writers)}.",
            f"pass {path.with_suffix('.onnx').name!r}; the bundle itself is a file that can be copied.",
        )  # fmt: skip
    check_options("export", writer, options)
    return writer(path, exported, **options)


def _of_learner(state: TrainState, write: Callable[[Exported], Path]) -> Path:
    """Write in the main process; all processes have their part in collecting the weights."""
    check_servable(state.target, state.model)
    model, items = _whole_model(state), items_of_learner(state)
    card = training_card(state)
    exported = Exported(model, state.data.modality, state.target, card, items, lambda: quantising.of_learner(state))
    return state.processes.decide(lambda: write(exported))


def _whole_model(state: TrainState) -> nn.Module:
    """Return the model without what training has put around it: built again where it can be, else a copy."""
    if registered_name("model", class_of(state.model)) is None:
        return copy.deepcopy(state.model)
    weights = all_whole(state.model.state_dict())
    with torch.random.fork_rng(devices=[]):
        model = build_model(json.loads(json.dumps(model_to_config(state.model))))
    model.load_state_dict(weights)
    return model


def write_onnx(path: Path, exported: Exported, *, precision: str = "fp32", tolerance: float | None = None) -> Path:
    """Write a model as one ONNX file, once it was proved that it predicts as the model does.

    Args:
        path: The file.
        exported: The model.
        precision: "fp32", "fp16" or "int8".
        tolerance: How much it may lose, see `Asked`; None takes the usual.
    Raises:
        ModelError: It cannot be exported, or predicts something else; nothing is written then.
        BundleError: The file cannot be written.
    """
    file = proved_file(exported, path.name, asked_for(precision, tolerance))
    return write_content(path, file.content, file.proof)


def write_pt2(path: Path, exported: Exported, *, precision: str = "fp32") -> Path:
    """Write a model as a program of `torch.export`, compared as ONNX is; `torch.export.load` reads it.

    Args:
        path: The file.
        exported: The model.
        precision: Only "fp32".
    Raises:
        ModelError: It cannot be exported, or predicts something else; nothing is written then.
        BundleError: The file cannot be written.
    """
    check_full(precision, path.name, "programs of torch.export are written in 32 bits")
    served, given = served_and_input(exported)
    description = describe(exported, served, given)
    try:
        content, proof = write_program(served, given, exported.items, description, path.name)
    except ModelError as error:
        if not isinstance(exported.modality, Texts):
            raise
        onnx_name = path.with_suffix(".onnx").name
        raise ModelError(error.what, "a program for texts of any length.", f"export ONNX: {onnx_name!r}.") from error
    return write_content(path, content, proof)
