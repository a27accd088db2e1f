"""Writes models for other runtimes: from a learner by the suffix of a path, or from a loaded bundle."""

from __future__ import annotations

import copy
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from onecycle.data.modality import Modality
from onecycle.data.plain import Tensors
from onecycle.data.target import Target
from onecycle.disk import replacing
from onecycle.errors import BundleError, ModelError
from onecycle.registry import register, registered_name
from onecycle.runtime.description import KEY, SCHEMA
from onecycle.runtime.inputs import READERS
from onecycle.runtime.model import open_model
from onecycle.runtime.outputs import DECODERS
from onecycle.ship.exports.check_items import CheckItems, items_of_learner
from onecycle.ship.exports.onnx_graph import check_installed, set_metadata, to_onnx
from onecycle.ship.exports.proof import Proof, prove
from onecycle.ship.exports.served import ServedInput, ServedModel, check_servable, served_input
from onecycle.ship.exports.torch_program import write_program
from onecycle.train.built_model import build_model
from onecycle.train.export import model_to_config, training_card
from onecycle.train.sharded import all_whole, class_of
from onecycle.train.state import TrainState

if TYPE_CHECKING:
    import onnx

    from onecycle.runtime.model import Model


class Exported(NamedTuple):
    """What is exported, and what it is compared on.

    Attributes:
        model: Of any device.
        modality: How its inputs are read.
        target: What its outputs mean.
        card: How it was trained.
        items: What it is compared on.
    """

    model: nn.Module
    modality: Modality
    target: Target
    card: Mapping[str, Any]
    items: CheckItems


@register("exporter", "onnx")
def export_onnx(state: TrainState, path: Path) -> Path:
    """Write a learner's model as ONNX; see `write_onnx`."""
    return _of_learner(state, lambda exported: write_onnx(path, exported))


@register("exporter", "pt2")
def export_program(state: TrainState, path: Path) -> Path:
    """Write a learner's model as a program of `torch.export`; see `write_pt2`."""
    return _of_learner(state, lambda exported: write_pt2(path, exported))


def write_format(path: Path, exported: Exported) -> Path:
    """Write a model in the format that the suffix of a path names.

    Raises:
        ModelError: There is no such format.
    """
    writers = {".onnx": write_onnx, ".pt2": write_pt2}
    if path.suffix.lower() not in writers:
        raise ModelError(
            f"A loaded model is not exported as {path.name!r}.", f"a name that ends in {' or '.join(writers)}.",
            f"pass {path.with_suffix('.onnx').name!r}; the bundle itself is a file that can be copied.",
        )  # fmt: skip
    return writers[path.suffix.lower()](path, exported)


def _of_learner(state: TrainState, write: Callable[[Exported], Path]) -> Path:
    """Write in the main process; all processes have their part in collecting the weights."""
    check_servable(state.target, state.model)
    model, items = _whole_model(state), items_of_learner(state)
    card = training_card(state)
    return state.processes.decide(lambda: write(Exported(model, state.data.modality, state.target, card, items)))


def _whole_model(state: TrainState) -> nn.Module:
    """Return the model without what training has put around it: built again where it can be, else a copy."""
    if registered_name("model", class_of(state.model)) is None:
        return copy.deepcopy(state.model)
    weights = all_whole(state.model.state_dict())
    with torch.random.fork_rng(devices=[]):
        model = build_model(json.loads(json.dumps(model_to_config(state.model))))
    model.load_state_dict(weights)
    return model


def write_onnx(path: Path, exported: Exported) -> Path:
    """Write a model as one ONNX file, once it was proved that it predicts as the model does.

    Raises:
        ModelError: It cannot be exported, or predicts something else; nothing is written then.
        BundleError: The file cannot be written.
    """
    check_installed()
    served, given = _served(exported)
    graph = to_onnx(served, given)
    description = describe(exported, served, given)
    proof = _proved(graph, served, given, exported.items, description, path.name)
    set_metadata(graph, metadata_of({**description, "proof": proof.to_config()}, exported.target))
    return _write(path, graph.SerializeToString(), proof)


def write_pt2(path: Path, exported: Exported) -> Path:
    """Write a model as a program of `torch.export`, compared as ONNX is; `torch.export.load` reads it.

    Raises:
        ModelError: It cannot be exported, or predicts something else; nothing is written then.
        BundleError: The file cannot be written.
    """
    served, given = _served(exported)
    description = describe(exported, served, given)
    content, proof = write_program(served, given, exported.items, description, path.name)
    return _write(path, content, proof)


def _served(exported: Exported) -> tuple[ServedModel, ServedInput]:
    check_servable(exported.target, exported.model)
    served = ServedModel(exported.model, exported.modality, exported.target)
    return served, served_input(exported.modality, exported.items.inputs)


def describe(exported: Exported, served: ServedModel, given: ServedInput) -> dict[str, Any]:
    """Return what a file says of itself, all but the proof."""
    modality = exported.modality.to_config()
    if isinstance(exported.modality, Tensors):
        modality["dtype"] = str(given.example.dtype).removeprefix("torch.")
    return {
        "schema": SCHEMA,
        "onecycle": importlib.metadata.version("onecycle"),
        "target": exported.target.to_config(),
        "modality": modality,
        "input": {"name": given.name, "shape": _shape(given), "dtype": str(given.example.dtype).removeprefix("torch.")},
        "output": served.output_name,
        "card": dict(exported.card),
        "proof": {},
    }


def _shape(given: ServedInput) -> list[int | str]:
    return [given.dimensions.get(number, side) for number, side in enumerate(given.example.shape)]


def metadata_of(description: Mapping[str, Any], target: Target) -> dict[str, str]:
    """Return a file's metadata: the description, and for other readers the classes and the threshold by themselves."""
    metadata = {KEY: json.dumps(description), "classes": json.dumps(list(target.classes))}
    threshold = getattr(target, "threshold", None)
    return metadata if threshold is None else {**metadata, "threshold": repr(threshold)}


def _proved(
    graph: onnx.ModelProto, served: ServedModel, given: ServedInput, items: CheckItems,
    description: Mapping[str, Any], name: str,
) -> Proof:  # fmt: skip
    """Compare the graph with the model, through the reader without PyTorch where it knows these inputs and outputs."""
    set_metadata(graph, metadata_of(description, served.target))
    content = graph.SerializeToString()
    if description["modality"]["kind"] in READERS and description["target"]["kind"] in DECODERS:
        model: Model = open_model(content, name)
        return prove(served, model.run_batch, items, name, read=lambda item: model.read(item).values)
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return prove(served, lambda batch: session.run(None, {given.name: batch})[0], items, name)


def _write(path: Path, content: bytes, proof: Proof) -> Path:
    """Write a whole file in one step, and say what was proved."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise BundleError(
            f"Cannot write {path}: {error.strerror or error}.", "a folder with enough room that may be written to.",
            "free some room or choose another path; what was there before is untouched.",
        ) from error  # fmt: skip
    print(f"{path.name}: {proof}")
    return path
