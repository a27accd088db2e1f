"""A small network as an ONNX graph, made by hand: pixels, normalised, a convolution, the mean, a layer, softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE, CLASSES = 16, 3


def small_graph() -> onnx.ModelProto:
    """Return images of uint8, (batch, 16, 16, 3), to probabilities, (batch, 3)."""
    random = np.random.default_rng(0)
    weights = {
        "mean": np.full((1, 3, 1, 1), 127, np.float32), "std": np.full((1, 3, 1, 1), 64, np.float32),
        "conv": random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32), "bias": np.zeros(8, np.float32),
        "layer": random.normal(0, 2, (8, CLASSES)).astype(np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], "planes", perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"], "centre"),
        helper.make_node("Div", ["centred", "std"], ["normalised"], "scale"),
        helper.make_node("Conv", ["normalised", "conv", "bias"], ["features"], "conv"),
        helper.make_node("Relu", ["features"], ["rectified"], "relu"),
        helper.make_node("GlobalAveragePool", ["rectified"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "layer"], ["logits"], "layer"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax"),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def outputs_of(graph: onnx.ModelProto, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return what a graph gives for a batch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"pixels": pixels})[0]
    return found
