"""Models for OpenVINO: an .xml file with the graph, and a .bin file with the weights beside it."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onecycle.disk import replacing
from onecycle.errors import ModelError
from onecycle.runtime.checksum import XML, with_checksum
from onecycle.runtime.description import KEY
from onecycle.runtime.openvino import compile_model
from onecycle.ship.exports.exported import Exported, describe, served_and_input
from onecycle.ship.exports.onnx_graph import check_installed, to_onnx
from onecycle.ship.exports.precision import check_full
from onecycle.ship.exports.proof import prove
from onecycle.ship.exports.writing import write_content, writing_to


def write_openvino(path: Path, exported: Exported, *, precision: str = "fp32") -> Path:
    """Write a model for OpenVINO, compared as ONNX is, by OpenVINO itself, told to compute in 32 bits.

    Args:
        path: A name that ends in .xml; the weights are written beside it, with .bin.
        exported: The model.
        precision: Only "fp32".
    Raises:
        ModelError: It cannot be exported, or predicts something else; nothing is written then. Or openvino is not
            installed.
        BundleError: The files cannot be written.
    """
    quantised = "OpenVINO predicts something else with graphs that onnxruntime quantised"
    check_full(precision, path.name, quantised if precision == "int8" else "files for OpenVINO are proved in 32 bits")
    check_installed()
    if importlib.util.find_spec("openvino") is None:
        raise ModelError("openvino is not installed.", "the extra openvino.", "pip install 'onecycle[openvino]'")
    import openvino

    served, given = served_and_input(exported)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "model.onnx"), Path(folder, "model.xml")
        source.write_bytes(to_onnx(served, given).SerializeToString())
        converted = openvino.convert_model(source)
        compiled = compile_model(converted)

        def run(batch: NDArray[Any]) -> NDArray[np.float32]:
            return np.asarray(compiled({given.name: batch})[0])

        proof = prove(served, run, exported.items, path.name)
        described = {**describe(exported, served, given), "proof": proof.to_config()}
        converted.set_rt_info(json.dumps(described), [KEY])
        openvino.save_model(converted, made, compress_to_fp16=False)
        weights, content = path.with_suffix(".bin"), made.with_suffix(".bin").read_bytes()
        with writing_to(weights), replacing(weights) as part:
            part.write_bytes(content)
        return write_content(path, with_checksum(made.read_bytes(), XML, content), proof)
