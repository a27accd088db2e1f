"""Losses of language models."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from onecycle.losses import Loss
from onecycle.text.language_model_output import DeferredLogits, LanguageModelOutput, get_logits

Outputs = Tensor | LanguageModelOutput | DeferredLogits

IGNORE_INDEX = -100
"""The label of tokens that do not count, as in torch and transformers."""


class TokenLoss(Loss):
    """Cross-entropy of tokens; `exp` of it is the perplexity.

    Tokens count where the target is not `IGNORE_INDEX`.

    Args:
        smoothing: Fraction of each label that is spread over the vocabulary (Szegedy et al. 2015, arXiv:1512.00567).

    Example:
        >>> import torch
        >>> logits, targets = torch.zeros(1, 3, 10), torch.tensor([[4, 7, IGNORE_INDEX]])
        >>> loss = TokenLoss()
        >>> loss(logits, targets), loss.weight(targets)
        (tensor(2.3026), tensor(2.))
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the mean over the counted tokens, float32, scalar; 0 where there are none.

        Args:
            outputs: Logits, (batch, length, vocabulary), or a `LanguageModelOutput` or `DeferredLogits` with them.
            targets: int64, (batch, length).
        """
        logits, token_ids = self._of_counted(outputs, targets.flatten())
        if not len(token_ids):
            return logits.float().sum()  # 0, with a gradient of zeros
        return F.cross_entropy(logits.float(), token_ids, label_smoothing=self.smoothing)

    def _of_counted(self, outputs: Outputs, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and labels of the tokens that count; the others are left out before the costly step."""
        counted = token_ids != IGNORE_INDEX
        if isinstance(outputs, DeferredLogits):
            positions = counted.nonzero()[:, 0]
            return outputs.at(positions), token_ids[positions]
        logits = get_logits(outputs).flatten(0, -2)
        return (logits, token_ids) if bool(counted.all()) else (logits[counted], token_ids[counted])

    def weight(self, targets: Tensor) -> Tensor:
        """Return the number of counted tokens, float32, scalar."""
        return (targets != IGNORE_INDEX).sum().float()

    def per_item(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the mean over each item's counted tokens, float32, (batch,); 0 for an item without any."""
        counted = targets != IGNORE_INDEX
        logits = get_logits(outputs)
        if bool(counted.all()):  # no copy of what may be large
            losses = F.cross_entropy(
                logits.flatten(0, -2).float(), targets.flatten(), label_smoothing=self.smoothing, reduction="none"
            )
            return losses.view(len(targets), -1).mean(1)
        logits = logits[counted].float()
        losses = F.cross_entropy(logits, targets[counted], label_smoothing=self.smoothing, reduction="none")
        sums = losses.new_zeros(len(targets)).index_add(0, counted.nonzero()[:, 0], losses)
        return sums / counted.sum(1).clamp_min(1)


class RegularisedTokenLoss(TokenLoss):
    """Cross-entropy of tokens, while training with activation regularisation (AR) and temporal AR (TAR).

    AR is `ar` times the mean square of the encoder's outputs after dropout; TAR is `tar` times the mean square of the
    difference of its raw outputs at neighbouring positions. Both are added where the model returns a
    `LanguageModelOutput`, that is while training. They are means over the batch; since all chunks have the same length,
    weighting them by the number of counted tokens, as `weight` does, combines parts of a batch exactly.

    Args:
        ar: Factor of AR.
        tar: Factor of TAR.
        smoothing: Fraction of each label that is spread over the vocabulary.
    Source: Merity et al. 2017, arXiv:1708.01009 and arXiv:1708.02182.

    Example:
        >>> import torch
        >>> zeros, ones = torch.zeros(1, 2, 10), torch.ones(1, 2, 4)
        >>> outputs = LanguageModelOutput(logits=zeros, raw=ones, dropped=ones)
        >>> RegularisedTokenLoss(ar=2.0, tar=1.0)(outputs, torch.tensor([[4, 7]]))
        tensor(4.3026)
    """

    def __init__(self, ar: float = 2.0, tar: float = 1.0, smoothing: float = 0.0) -> None:
        super().__init__(smoothing)
        self.ar, self.tar = ar, tar

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the mean over the counted tokens, and while training the two penalties, float32, scalar."""
        loss = super().forward(outputs, targets)
        return loss + self._penalties(outputs).mean() if isinstance(outputs, LanguageModelOutput) else loss

    def per_item(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the loss of each item alone, float32, (batch,)."""
        losses = super().per_item(outputs, targets)
        return losses + self._penalties(outputs) if isinstance(outputs, LanguageModelOutput) else losses

    def _penalties(self, outputs: LanguageModelOutput) -> Tensor:
        """Return AR and TAR of each item, (batch,)."""
        raw, dropped = outputs.raw.float(), outputs.dropped.float()
        penalties = self.ar * dropped.square().mean((1, 2))
        if raw.shape[1] > 1:
            penalties = penalties + self.tar * (raw[:, 1:] - raw[:, :-1]).square().mean((1, 2))
        return penalties
