"""From a model to an ONNX graph, without what belongs to the machine that made it."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from onecycle.errors import ModelError, OnecycleError
from onecycle.ship.exports.lstm import use_onnx_lstms
from onecycle.ship.exports.served import ServedInput, ServedModel

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""The version of ONNX's operators: the one that PyTorch's exporter writes without converting them."""

LARGEST_FILE = 2**31 - 1
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def to_onnx(served: ServedModel, given: ServedInput) -> onnx.ModelProto:
    """Return a model as an ONNX graph that takes batches of any size, and texts of any length.

    Raises:
        ModelError: It cannot be exported, or the graph is not what was asked for; or a package is missing.
    """
    check_installed()
    copied = copy.deepcopy(served)
    use_onnx_lstms(copied.model)
    try:
        with _quiet():
            program = torch.onnx.export(
                copied, (given.example,), dynamo=True, opset_version=OPSET, external_data=False, verbose=False,
                input_names=[given.name], output_names=[served.output_name], dynamic_shapes=dynamic_shapes(given),
            )  # fmt: skip
    except OnecycleError:
        raise
    except Exception as error:  # torch.export and its converters raise all kinds
        raise not_exported(served.model, error) from error
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    _check(graph, given)
    forget_machine(graph)
    if graph.ByteSize() > LARGEST_FILE:
        raise ModelError(
            f"The model takes {graph.ByteSize():,} bytes as ONNX.", f"at most {LARGEST_FILE:,} bytes in one file.",
            "export a bundle, such as model.onecycle.",
        )  # fmt: skip
    return graph


def check_installed() -> None:
    """Refuse to begin where a package is missing.

    Raises:
        ModelError: One is.
    """
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        raise ModelError(
            f"Not installed: {', '.join(absent)}.", f"the extra onnx: {', '.join(PACKAGES)}.",
            "pip install 'onecycle[onnx]'",
        )  # fmt: skip


def not_exported(model: nn.Module, error: Exception) -> ModelError:
    """Return the error for a model that `torch.export` refuses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The exporter tells its steps first, and the reason below them.
    cause = error.__cause__
    reason = str(cause).strip().splitlines()[0] if cause is not None and str(cause).strip() else (lines or [""])[0]
    return ModelError(
        f"{type(model).__name__} cannot be exported: {type(cause or error).__name__}: {reason[:300]}",
        "a forward pass of tensor operations that do not depend on what is in a batch, or on how many items it has.",
        "take len(tensor), .item() and branches on tensors out of forward(), or export a bundle, such as "
        "model.onecycle.",
    )


def dynamic_shapes(given: ServedInput) -> tuple[dict[int, Any]]:
    """Return which dimensions may have any size, as `torch.export` takes it."""
    return ({number: torch.export.Dim(name) for number, name in given.dimensions.items()},)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of its own steps."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check(graph: onnx.ModelProto, given: ServedInput) -> None:
    """Check that the exporter did what it was asked for: it has been seen to fix a batch, and to raise the opset."""
    versions = {opset.domain or "ai.onnx": opset.version for opset in graph.opset_import}
    if versions != {"ai.onnx": OPSET}:
        raise ModelError(f"The graph has the operators {versions}.", f"opset {OPSET} alone.", "pip install -U torch")
    (input,) = graph.graph.input
    fixed = {
        name: dimension.dim_value
        for number, name in given.dimensions.items()
        if not (dimension := input.type.tensor_type.shape.dim[number]).dim_param
    }
    if fixed:
        raise ModelError(
            f"The graph has fixed dimensions: {fixed}.",
            f"any size of {', '.join(given.dimensions.values())}.",
            "take len(tensor) and branches on sizes out of the model's forward().",
        )


def forget_machine(model: onnx.ModelProto) -> None:
    """Take out where each node came from: files, lines and code of the machine that exported it."""
    del model.metadata_props[:]
    model.doc_string = ""
    for graph in (model.graph, *model.functions):
        _forget_graph(graph)


def _forget_graph(graph: Any) -> None:
    graph.doc_string = ""
    values = [getattr(graph, name, ()) for name in ("initializer", "value_info")]
    # Inputs and outputs of functions are names alone.
    values += [[one for one in getattr(graph, name) if not isinstance(one, str)] for name in ("input", "output")]
    for part in (graph, *graph.node, *(value for group in values for value in group)):
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = ""
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                _forget_graph(inner)


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Write texts by name into a model."""
    del model.metadata_props[:]
    for name, text in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
