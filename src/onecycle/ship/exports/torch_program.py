"""Programs of `torch.export`: what PyTorch's own runtimes and compilers read."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from onecycle.runtime.description import KEY
from onecycle.ship.exports.check_items import CheckItems
from onecycle.ship.exports.onnx_graph import dynamic_shapes, not_exported
from onecycle.ship.exports.proof import Proof, prove
from onecycle.ship.exports.served import ServedInput, ServedModel


def write_program(
    served: ServedModel, given: ServedInput, items: CheckItems, description: Mapping[str, Any], name: str
) -> tuple[bytes, Proof]:
    """Return a program as the content of a file, and the proof that it predicts as the model does.

    `torch.export.load(path, extra_files={"onecycle": ""})` gives the program and, in that dict, the description.

    Raises:
        ModelError: The model cannot be exported, or the program predicts something else.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(served, (given.example,), dynamic_shapes=dynamic_shapes(given))
        except Exception as error:  # of the compiler, of any kind
            raise not_exported(served.model, error) from error
        module = program.module()

        def run(batch: Any) -> Any:
            with torch.no_grad():
                return module(torch.from_numpy(batch)).numpy()

        proof = prove(served, run, items, name)
        for node in program.graph.nodes:  # where each came from, in files of this machine
            node.meta.pop("stack_trace", None)
        file = io.BytesIO()
        text = json.dumps({**description, "proof": proof.to_config()})
        torch.export.save(program, file, extra_files={KEY: text})
    return file.getvalue(), proof
