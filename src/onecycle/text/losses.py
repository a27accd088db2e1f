"""What an AWD-LSTM learns from: the cross-entropy of tokens, and what keeps its outputs small and smooth."""

from __future__ import annotations

import torch
from torch import Tensor

from onecycle.text.language import TokenLoss
from onecycle.text.language_model import LanguageModel


class RegularisedTokenLoss(TokenLoss):
    """Cross-entropy of tokens, while training with activation regularisation (AR) and its temporal kind (TAR).

    AR is `ar` times the mean square of the encoder's outputs after dropout; TAR is `tar` times the mean square of the
    difference of its raw outputs from one place to the next.

    Args:
        model: The language model that gives the outputs, and remembers its activations.
        ar: Weight of AR.
        tar: Weight of TAR.
        smoothing: Share of each token that is spread over the vocabulary.
    Source: Merity et al. 2017, arXiv:1708.01009 and arXiv:1708.02182.
    """

    def __init__(self, model: LanguageModel, ar: float = 2.0, tar: float = 1.0, smoothing: float = 0.0) -> None:
        super().__init__(smoothing)
        # In a tuple, so that the model does not become a part of its own loss.
        self.models, self.ar, self.tar = (model,), ar, tar

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the places that count, and while training the two penalties, scalar."""
        loss = super().forward(outputs, targets)
        activations = self.models[0].activations
        if activations is None or not torch.is_grad_enabled():
            return loss
        raw, dropped = (one.float() for one in activations)
        loss = loss + self.ar * dropped.square().mean()
        return loss + self.tar * (raw[:, 1:] - raw[:, :-1]).square().mean() if raw.shape[1] > 1 else loss
