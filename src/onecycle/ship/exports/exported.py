"""What is exported, and what a file says of itself."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from onecycle.data.modality import Modality
from onecycle.data.plain import Tensors
from onecycle.data.target import Target
from onecycle.runtime.description import KEY, SCHEMA
from onecycle.ship.exports.check_items import CheckItems
from onecycle.ship.exports.quantising import QuantisingItems
from onecycle.ship.exports.served import ServedInput, ServedModel, check_servable, served_input


class Exported(NamedTuple):
    """What is exported, and what it is compared on.

    Attributes:
        model: Of any device.
        modality: How its inputs are read.
        target: What its outputs mean.
        card: How it was trained.
        items: What it is compared on.
        quantising: Finds what an export in 8 bits needs besides.
    """

    model: nn.Module
    modality: Modality
    target: Target
    card: Mapping[str, Any]
    items: CheckItems
    quantising: Callable[[], QuantisingItems]


def served_and_input(exported: Exported) -> tuple[ServedModel, ServedInput]:
    """Return the model as a file holds it, and the file's input.

    Raises:
        ModelError: Such models are not exported.
    """
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


def metadata_of(description: Mapping[str, Any]) -> dict[str, str]:
    """Return a file's metadata: the description, and for other readers the classes and the threshold by themselves."""
    target = description["target"]
    metadata = {KEY: json.dumps(description), "classes": json.dumps(list(target.get("classes", ())))}
    threshold = target.get("threshold")
    return metadata if threshold is None else {**metadata, "threshold": repr(threshold)}
