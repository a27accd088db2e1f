"""A model as an exported file holds it: pixels or token ids in, predictions out."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onecycle.data.batch import Batch
from onecycle.data.modality import Modality
from onecycle.data.nested import to_float32
from onecycle.data.numbers import Numbers
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.text.texts import Texts
from onecycle.vision.images import Images
from onecycle.vision.points import Points

SHORTEST_EXAMPLE = 3
"""Tokens of the example that a program is traced with: a length of 1 would stay 1."""


class ServedModel(nn.Module):
    """What is between reading an item and decoding its prediction: preparing, the model, softmax and the like.

    Args:
        model: The model; a copy is made, on the CPU.
        modality: Prepares a batch, as at prediction.
        target: Activates the outputs; numbers come out in their own units.
    """

    def __init__(self, model: nn.Module, modality: Modality, target: Target) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.modality, self.target = modality, target

    def forward(self, inputs: Tensor) -> Tensor:
        """Return predictions, (batch, ...), for a batch as it was read."""
        batch = self.modality.prepare(Batch(inputs, None, torch.zeros(1)), self.target, None)
        return self.finish(self.target.activate(to_float32(self.model(batch.inputs))))

    def finish(self, activated: Any) -> Tensor:
        """Return what `Target.activate` gave as a file gives it."""
        if isinstance(self.target, Numbers):
            return self.target.in_own_units(activated)
        if not isinstance(activated, Tensor):
            raise ModelError(
                f"The target gives a {type(activated).__name__} for a batch.", "one tensor (batch, ...).",
                "export a bundle, such as model.onecycle.",
            )  # fmt: skip
        return activated

    def predict(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Return predictions, (batch, ...), as a file gives them."""
        with torch.no_grad():
            outputs: NDArray[np.float32] = self(torch.from_numpy(batch)).numpy()
        return outputs

    def as_activated(self, outputs: Tensor) -> Tensor:
        """Return what a file gives as `Target.activate` gives it, which metrics are computed from."""
        if isinstance(self.target, Numbers):
            return (outputs - outputs.new_tensor(self.target.mean)) / outputs.new_tensor(self.target.std)
        return outputs

    @property
    def output_name(self) -> str:
        """What the output is called in a file."""
        if isinstance(self.target, Numbers):
            return "numbers"
        if isinstance(self.target, Points):
            return "points"
        return "predictions" if self.target.kind == "tensor" else "probabilities"


class ServedInput(NamedTuple):
    """The input of an exported file.

    Attributes:
        name: "pixels", "token_ids" or "inputs".
        example: A batch of two.
        dimensions: Names of the dimensions that may have any size, by their numbers.
    """

    name: str
    example: Tensor
    dimensions: dict[int, str]


def served_input(modality: Modality, batch: Any) -> ServedInput:
    """Return the input of a file for models of a modality.

    Args:
        modality: Images, texts, or others that are tensors.
        batch: Items as they were read, (items, ...).
    Raises:
        ModelError: Batches are no tensors.
    """
    if not isinstance(batch, Tensor):
        raise ModelError(
            f"A batch of these inputs is a {type(batch).__name__}.", "one tensor (batch, ...).",
            "export a bundle, such as model.onecycle.",
        )  # fmt: skip
    example = torch.cat([batch, batch])[:2].cpu()
    if isinstance(modality, Images):
        return ServedInput("pixels", example, {0: "batch"})
    if isinstance(modality, Texts):
        missing = max(SHORTEST_EXAMPLE - example.shape[1], 0)
        padded = nn.functional.pad(example, (0, missing), value=modality.tokenizer.pad)
        return ServedInput("token_ids", padded, {0: "batch", 1: "length"})
    return ServedInput("inputs", example, {0: "batch"})


def check_servable(target: Target, model: nn.Module) -> None:
    """Refuse models whose predictions do not come from single items.

    Raises:
        ModelError: It is a language model.
    """
    if target.contiguous or hasattr(model, "initial_state") or target.kind in ("next_token", "masked_token"):
        raise ModelError(
            f"A model of {target.kind} is exported as a bundle alone.",
            "a model that predicts something of each item: classes, tags, numbers, masks or points.",
            "export a bundle, such as model.onecycle.",
        )
