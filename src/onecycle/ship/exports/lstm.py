"""LSTM layers as the one operator that ONNX has for them, which PyTorch's exporter would unroll, step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onecycle.text.awd_lstm import WeightDropLSTM


class OnnxLSTM(nn.Module):
    """A layer whose forward pass becomes an LSTM node, for texts of any length; in Python it computes nothing.

    Args:
        layer: Its weights, and what it computes.
    """

    weights: Tensor
    recurrent: Tensor
    biases: Tensor

    def __init__(self, layer: WeightDropLSTM) -> None:
        super().__init__()
        self.hidden_size = layer.hidden_size
        self.register_buffer("weights", _in_onnx_order(layer.weight_ih_l0)[None])
        self.register_buffer("recurrent", _in_onnx_order(layer.weight_hh_l0)[None])
        biases = torch.cat([_in_onnx_order(layer.bias_ih_l0), _in_onnx_order(layer.bias_hh_l0)])
        self.register_buffer("biases", biases[None])

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return outputs, (batch, length, hidden), and the state after the last position, each (1, batch, hidden)."""
        batch, length, _ = inputs.shape
        last = [1, batch, self.hidden_size]
        outputs, hidden, cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            [inputs.transpose(0, 1), self.weights, self.recurrent, self.biases],
            {"hidden_size": self.hidden_size},
            dtypes=[torch.float32] * 3,
            shapes=[[length, *last], last, last],
        )
        return outputs[:, 0].transpose(0, 1), (hidden, cell)


def _in_onnx_order(gates: Tensor) -> Tensor:
    """Return input, output, forget and cell gate, where PyTorch has input, forget, cell and output."""
    input, forget, cell, output = gates.detach().chunk(4)
    return torch.cat([input, output, forget, cell])


def use_onnx_lstms(model: nn.Module) -> None:
    """Put an `OnnxLSTM` in the place of each LSTM layer of an AWD-LSTM."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, WeightDropLSTM):
                setattr(parent, name, OnnxLSTM(layer))
