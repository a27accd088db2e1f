"""ONNX files, in 32, 16 or 8 bits, each with the proof of what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onecycle.runtime.checksum import ONNX, with_checksum
from onecycle.runtime.inputs import READERS
from onecycle.runtime.model import open_model
from onecycle.runtime.outputs import DECODERS
from onecycle.ship.exports.exported import Exported, describe, metadata_of, served_and_input
from onecycle.ship.exports.half import to_half
from onecycle.ship.exports.int8 import to_int8
from onecycle.ship.exports.measured import MeasuredProof, measure, with_threshold_found
from onecycle.ship.exports.onnx_graph import check_installed, set_metadata, to_onnx
from onecycle.ship.exports.precision import Asked
from onecycle.ship.exports.proof import TOLERANCE, Proof, ReadItem, Run, prove

if TYPE_CHECKING:
    import onnx


class OnnxFile(NamedTuple):
    """A file that is not written yet.

    Attributes:
        content: All of it.
        description: What it says of itself.
        proof: What was found when it was compared with the model.
    """

    content: bytes
    description: dict[str, Any]
    proof: Proof | MeasuredProof


def proved_file(exported: Exported, name: str, asked: Asked) -> OnnxFile:
    """Return a model as an ONNX file that was compared with it.

    Args:
        exported: The model.
        name: What the file is called in errors.
        asked: Its precision, and what it may lose.
    Raises:
        ModelError: It cannot be exported, or predicts something else.
    """
    check_installed()
    quantising = exported.quantising() if asked.precision == "int8" else None
    served, given = served_and_input(exported)
    graph = to_onnx(served, given)
    described = describe(exported, served, given)
    opened = _Opened.of(_with(graph, described), described, name)
    tolerance = asked.tolerance if asked.precision == "fp32" else TOLERANCE
    in_fp32 = prove(served, opened.run, exported.items, name, read=opened.read, tolerance=tolerance)
    proof: Proof | MeasuredProof = in_fp32
    if asked.precision == "fp16":
        graph = to_half(graph)
        opened = _Opened.of(_with(graph, described), described, name)
        proof = prove(served, opened.run, exported.items, name, tolerance=asked.tolerance, precision="fp16")
    if quantising is not None:
        graph = to_int8(graph, given.name, np.asarray(quantising.training))
        opened = _Opened.of(_with(graph, described), described, name)
        target = with_threshold_found(served, opened.run, exported.items, name)
        described = {**described, "target": target.to_config()}
        proof = measure(served, opened.run, quantising, target, in_fp32, name, asked.tolerance)
    described = {**described, "proof": proof.to_config()}
    return OnnxFile(_with(graph, described), described, proof)


def _with(graph: onnx.ModelProto, description: Mapping[str, Any]) -> bytes:
    """Return a graph with its description as the content of a file, which ends with its checksum."""
    set_metadata(graph, metadata_of(description))
    return with_checksum(graph.SerializeToString(), ONNX)


class _Opened(NamedTuple):
    """A file in use: it predicts batches, and reads items as its own reader does, where it has one."""

    run: Run
    read: ReadItem | None

    @classmethod
    def of(cls, content: bytes, description: Mapping[str, Any], name: str) -> _Opened:
        """Open a file by the code without PyTorch, where that knows its inputs and outputs."""
        if description["modality"]["kind"] in READERS and description["target"]["kind"] in DECODERS:
            model = open_model(content, name)
            return cls(model.run_batch, lambda item: model.read(item).values)
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return cls(lambda batch: session.run(None, {description["input"]["name"]: batch})[0], None)
