"""What a model is made of: its layers, the shapes of what they give, and which of them learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from onecycle.data.nested import tensors_in
from onecycle.inference.predictor import run_model
from onecycle.notebook import html_lines, html_table
from onecycle.train.state import TrainState


@dataclass(frozen=True)
class LayerSummary:
    """One layer, or a module of layers.

    Attributes:
        name: Its name in the model.
        kind: Its class.
        shape: Of what it gives for one item, without the batch; None where it was not called.
        parameters: How many numbers it learns, or could.
        learns: "yes", "no", or "partly".
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    learns: str

    def cells(self) -> dict[str, str]:
        """Return what a table shows, by column."""
        shape = "" if self.shape is None else " x ".join(map(str, self.shape))
        return {
            "layer": self.name, "kind": self.kind, "output": shape, "parameters": f"{self.parameters:,}",
            "learns": self.learns if self.parameters else "",
        }  # fmt: skip


@dataclass(frozen=True, repr=False)
class ModelSummary:
    """The layers of a model.

    Attributes:
        layers: From the input to the output.
        parameters: Of the whole model.
        learning: How many of them learn now.
    """

    layers: tuple[LayerSummary, ...]
    parameters: int
    learning: int

    def __repr__(self) -> str:
        rows = [layer.cells() for layer in self.layers]
        names = list(rows[0]) if rows else []
        lengths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
        lines = ["  ".join(row[name].ljust(lengths[name]) for name in names).rstrip() for row in rows]
        head = "  ".join(name.ljust(lengths[name]) for name in names).rstrip()
        return "\n".join([head, *lines, self._total()])

    def _repr_html_(self) -> str:
        return html_table([layer.cells() for layer in self.layers]) + html_lines(self._total())

    def _total(self) -> str:
        return f"{self.parameters:,} parameters, of which {self.learning:,} learn"


def summarize(state: TrainState, depth: int) -> ModelSummary:
    """Return the layers of a model down to `depth`, with the shapes that one validation item gives them."""
    shapes = _shapes(state)
    layers = [
        LayerSummary(name, type(module).__name__, shapes.get(name), _count(module), _learns(module))
        for name, module in _walk(state.model, depth)
    ]
    learning = sum(one.numel() for one in state.model.parameters() if one.requires_grad)
    return ModelSummary(tuple(layers), _count(state.model), learning)


def _walk(module: nn.Module, depth: int, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules at `depth`, and those above that have none below them."""
    children = list(module.named_children())
    if prefix and (not depth or not children):
        yield prefix, module
        return
    for name, child in children:
        yield from _walk(child, depth - 1, f"{prefix}.{name}" if prefix else name)


def _shapes(state: TrainState) -> dict[str, tuple[int, ...]]:
    """Return the shape of each module's output for one validation item."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Any) -> None:
        first: Tensor | None = next(iter(tensors_in(output)), None)
        if first is not None and name not in shapes:
            shapes[name] = tuple(first.shape[1:])

    batch = state.data.prepared(state.data.watched, [0]).to(state.device)
    with ExitStack() as hooks:
        for name, module in state.model.named_modules():
            handle = module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
            hooks.callback(handle.remove)
        for _ in run_model(state.model, [batch], state.target, state.precision):
            pass
    return shapes


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _learns(module: nn.Module) -> str:
    found = {parameter.requires_grad for parameter in module.parameters()}
    return "partly" if len(found) == 2 else "yes" if True in found else "no"
