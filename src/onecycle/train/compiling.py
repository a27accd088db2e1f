"""The forward pass of training as one compiled graph (Ansel et al. 2024, PyTorch 2, doi:10.1145/3620665.3640366)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from onecycle.errors import ModelError
from onecycle.losses.loss import num_items
from onecycle.train.state import TrainState


class CompiledForward:
    """Calls a module: compiled for batches of one size, as it is for others.

    The batches of an epoch have the same size, but for a last one that is smaller. To compile that one too would double
    the time before training begins, for one step an epoch.

    Args:
        module: Stays as it is: its weights keep their names.
        items: Items a batch that is compiled, all of one shape; None compiles for any number and any shape.
        cuda_graphs: Record what the GPU is asked for, and replay it: no time is spent on launching kernels. What one
            call returns is overwritten by the next.
    """

    def __init__(self, module: nn.Module, *, items: int | None, cuda_graphs: bool = False) -> None:
        self.module, self.items, self.cuda_graphs = module, items, cuda_graphs
        self.compiled = torch.compile(
            module, dynamic=None if items is None else False, mode="reduce-overhead" if cuda_graphs else None
        )

    def __call__(self, inputs: Any, *state: Any) -> Any:
        if self.items is not None and num_items(inputs) != self.items:
            return self.module(inputs, *state)
        if self.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        try:
            return self.compiled(inputs, *state)
        except RuntimeError as error:
            if _is_of_compiler(error):
                raise _not_compiled(error) from error
            raise


def compiled_forward(state: TrainState, module: nn.Module) -> CompiledForward:
    """Return the forward pass of `module`, which is trained, compiled as it suits the data and the device."""
    loader: Any = state.data.train
    # Texts are padded to many lengths; of plain loaders nothing is known.
    fixed = state.data.random_access and loader.lengths is None
    # Gradients that are added up, and a state that is carried on, live longer than what a CUDA graph returns.
    steps_alone = state.options.accumulate == state.num_microbatches == 1 and not state.target.contiguous
    cuda_graphs = fixed and steps_alone and state.device.type == "cuda"
    note = "the forward pass is compiled" + (", and replayed as a CUDA graph" if cuda_graphs else "")
    if note not in state.history.notes:
        state.history.notes.append(note)
    world = state.processes.world
    items = -(-loader.global_size(world) // (world * state.num_microbatches)) if fixed else None
    return CompiledForward(module, items=items, cuda_graphs=cuda_graphs)


def _is_of_compiler(error: RuntimeError) -> bool:
    from torch._dynamo.exc import TorchDynamoException  # takes seconds to import, and a compiler has imported it

    return isinstance(error, TorchDynamoException)


def _not_compiled(error: RuntimeError) -> ModelError:
    cause = str(error).strip().splitlines()
    return ModelError(
        f"torch.compile failed with {type(error).__name__}: {cause[0] if cause else 'no message'}",
        "a model that it can compile, and a compiler: Triton on a GPU, a C++ compiler on a processor.",
        "leave compile= out; training then gives the same, and each step takes a little longer.",
    )
