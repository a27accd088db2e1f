"""Graphs in 16 and in 8 bits."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from onnx import TensorProto

from onecycle.errors import ModelError
from onecycle.ship.exports.half import to_half
from onecycle.ship.exports.int8 import to_int8
from onecycle.ship.exports.precision import Asked, asked_for, check_full
from ship.exports.small_graph import outputs_of, small_graph

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)


def test_half_keeps_what_goes_in_and_what_comes_out() -> None:
    graph = small_graph()
    halved = to_half(graph)
    assert halved.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert halved.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    kinds = {one.name: one.data_type for one in halved.graph.initializer}
    assert (kinds["conv"], kinds["layer"]) == (TensorProto.FLOAT16, TensorProto.FLOAT16)
    assert (kinds["mean"], kinds["std"]) == (TensorProto.FLOAT, TensorProto.FLOAT)  # pixels are normalised in 32 bits
    assert {one.data_type for one in graph.graph.initializer} == {TensorProto.FLOAT}
    difference = np.abs(outputs_of(halved, PIXELS) - outputs_of(graph, PIXELS)).max()
    assert 0 < difference < 0.01


def test_int8_has_a_scale_for_each_channel_and_the_last_layer_as_it_was() -> None:
    graph, level = small_graph(), logging.getLogger().level
    quantised = to_int8(graph, "pixels", PIXELS[:10])
    weights = {one.name: one for one in quantised.graph.initializer}
    assert weights["conv_quantized"].data_type == TensorProto.INT8
    assert list(weights["conv_scale"].dims) == [8]
    assert weights["layer"].data_type == TensorProto.FLOAT
    assert [(each.domain, each.version) for each in quantised.opset_import] == [("", 18)]
    side = quantised.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert side == "batch"
    expected, found = outputs_of(graph, PIXELS), outputs_of(quantised, PIXELS)
    assert 0 < np.abs(found - expected).max() < 0.05
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.9
    assert logging.getLogger().level == level


def test_what_is_asked_for() -> None:
    assert asked_for() == Asked("fp32", 1e-3)
    assert asked_for("fp16") == Asked("fp16", 0.03)
    assert asked_for("int8", 2) == Asked("int8", 2.0)
    with pytest.raises(
        ModelError, match=r"precision='int4'\.\nExpected one of: fp32, fp16, int8\.\nFix: pass precision='int8'"
    ):
        asked_for("int4")
    with pytest.raises(
        ModelError, match=r"tolerance=0\.\nExpected a number above 0\.\nFix: leave it out: it is 0\.5 points for int8\."
    ):
        asked_for("int8", 0)


def test_formats_of_one_precision() -> None:
    check_full("fp32", "x.xml", "why")
    with pytest.raises(ModelError, match=r"x\.xml is not written with precision='int8': why\.\n.*\nFix: leave prec"):
        check_full("int8", "x.xml", "why")
