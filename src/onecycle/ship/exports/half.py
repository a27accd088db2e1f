"""Graphs in 16 bits: half the size, and half the memory on a GPU."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

# Pixels and token ids are prepared, and outputs become probabilities, in 32 bits. Until opset 20, IsInf has no other.
KEPT = ("Softmax", "Sigmoid", "IsInf")
LAYERS = frozenset({"Conv", "Gather", "Gemm", "LSTM", "MatMul"})


def to_half(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph that computes in 16 bits; what goes in and comes out stays as it is."""
    import onnx
    from onnxruntime.transformers import float16

    copied = onnx.ModelProto()
    copied.CopyFrom(graph)
    # Of each weight that is too small for 16 bits something is said; the proof tells whether that matters.
    with quiet("onnxruntime.transformers.float16"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        halved: onnx.ModelProto = float16.convert_float_to_float16(
            copied, keep_io_types=True, op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *KEPT],
            node_block_list=_preparing(graph),
        )  # fmt: skip
    return halved


def _preparing(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes between the input and the first layers, such as those that normalise pixels."""
    reached = {one.name for one in graph.graph.input}
    constant = {one.name for one in graph.graph.initializer}
    found = []
    for node in graph.graph.node:
        if node.op_type not in LAYERS and reached.issuperset(set(node.input) - constant - {""}):
            found.append(node.name)
            reached.update(node.output)
    return found


@contextlib.contextmanager
def quiet(name: str | None = None) -> Iterator[None]:
    """Log nothing below errors on the way: of the logger of a name, or of all."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
