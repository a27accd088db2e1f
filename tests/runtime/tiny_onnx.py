"""Files as export() writes them, made by hand: mean colours, or the mean token, and what a target does with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

IMAGES = {"kind": "images", "size": [8, 12], "method": "crop"}
CARD, PROOF = {"epochs": 1}, {"items": 3, "largest_difference": 0.0}


def description(target: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1, "onecycle": "0.1.0", "target": target, "modality": IMAGES,
        "input": {"name": "pixels", "shape": ["batch", 8, 12, 3], "dtype": "uint8"}, "output": "probabilities",
        "card": CARD, "proof": PROOF, **changes,
    }  # fmt: skip


def write_colours(path: Path, target: dict[str, Any], *, last: str = "Softmax", **changes: Any) -> Path:
    """Images to the activated mean of each colour, (batch, 3); with last="Identity" to the mean itself."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "scale"], ["scaled"]),
        helper.make_node(last, ["scaled"], ["y"]),
    ]
    return _write(
        path, nodes, ("pixels", TensorProto.UINT8, ["batch", 8, 12, 3]), [1, 2], description(target, **changes)
    )


def write_map(path: Path, target: dict[str, Any]) -> Path:
    """Images to the three colours of each pixel as probabilities, (batch, 3, 8, 12)."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Softmax", ["planes"], ["y"], axis=1),
    ]
    return _write(path, nodes, ("pixels", TensorProto.UINT8, ["batch", 8, 12, 3]), [1], description(target))


def write_tokens(path: Path, modality: dict[str, Any]) -> Path:
    """Token ids to their mean, (batch, 1)."""
    nodes = [
        helper.make_node("Cast", ["token_ids"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["y"], keepdims=1),
    ]
    target = {"kind": "numbers", "classes": ["mean"], "mean": [0.0], "std": [1.0]}
    made = description(target, modality=modality)
    return _write(path, nodes, ("token_ids", TensorProto.INT64, ["batch", "length"]), [1], made)


def _write(path: Path, nodes: list[Any], given: tuple[str, int, list[Any]], axes: list[int], made: Any) -> Path:
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes),
        helper.make_tensor("scale", TensorProto.FLOAT, [], [64.0]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [constant for constant in constants if constant.name in used],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"onecycle": json.dumps(made)} if made is not None else {})
    onnx.save(model, str(path))
    return path
