"""Files for OpenVINO in use: computed in 32 bits, as they were proved."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import BundleError
from onecycle.runtime.checksum import XML, check_checksum
from onecycle.runtime.description import KEY


class OpenVINOSession(NamedTuple):
    """A compiled model with the methods of `onnxruntime.InferenceSession` that are used here."""

    compiled: Any
    metadata: dict[str, str]

    def run(self, names: None, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs for a batch by the name of its input."""
        return [np.asarray(output) for output in self.compiled.create_infer_request().infer(inputs).values()]

    def get_inputs(self) -> list[Any]:
        """Return the inputs, each with a `name`."""
        return [SimpleNamespace(name=one.get_any_name()) for one in self.compiled.inputs]

    def get_modelmeta(self) -> Any:
        """Return what the file says of itself."""
        return SimpleNamespace(custom_metadata_map=self.metadata)


def open_openvino(path: Path, threads: int | None) -> OpenVINOSession:
    """Open an .xml file that `export` wrote.

    Raises:
        BundleError: It is damaged, or openvino is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise BundleError(
            "openvino is not installed.", "it, to compute with models for OpenVINO.", "pip install openvino"
        ) from error
    weights = path.with_suffix(".bin")
    if weights.is_file():
        check_checksum(path, XML, path.name, weights)
    try:
        model = openvino.Core().read_model(path)
        metadata = {KEY: model.get_rt_info([KEY]).astype(str)} if model.has_rt_info([KEY]) else {}
        return OpenVINOSession(compile_model(model, threads), metadata)
    except Exception as error:  # its own
        raise BundleError(
            f"{path.name} is not a model that OpenVINO reads: {(str(error).splitlines() or [''])[0][:200]}",
            "a whole file as export() writes it, and its .bin file beside it.", "copy both again, or export it again.",
        ) from error  # fmt: skip


def compile_model(model: Any, threads: int | None = None) -> Any:
    """Return a model ready to use on the CPU, in 32 bits: by itself OpenVINO takes 16 where a CPU has them."""
    import openvino

    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    return openvino.Core().compile_model(model, "CPU", options)
