"""Targets of language models, which predict tokens of the texts themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.registry import register
from onecycle.text.chunks import Chunks, make_masked_chunks, make_next_token_chunks
from onecycle.text.language_model_output import LanguageModelOutput, get_logits
from onecycle.text.masking import mask_tokens
from onecycle.text.token_losses import IGNORE_INDEX, TokenLoss
from onecycle.text.tokenizer import Tokenizer

# The kinds of the targets below.
LANGUAGE_TARGETS = ("next_token", "masked_token")
TOKENS_IN_TITLE = 6


@register("target", "next_token")
@dataclass(frozen=True)
class NextToken(Target):
    """At each position of a chunk, the token that comes next ("causal language model").

    Attributes:
        tokenizer: The tokenizer of inputs and labels; None before the texts are tokenized.
        contiguous: Whether each chunk continues the one before, so that a model can carry its state on.
        sequence: Default number of tokens in a chunk.

    Example:
        >>> target = NextToken(Tokenizer("all-MiniLM-L6-v2"))
        >>> target.outputs, target.encode([1037, 2204, 2143])
        (30522, tensor([1037, 2204, 2143]))
    """

    tokenizer: Tokenizer | None = None

    kind: ClassVar[str] = "next_token"
    default_metrics: ClassVar[tuple[str, ...]] = ("perplexity", "token_accuracy")
    label_type: ClassVar[pa.DataType] = pa.list_(pa.int32())
    contiguous: ClassVar[bool] = True
    sequence: ClassVar[int] = 72

    @property
    def outputs(self) -> int:
        return 0 if self.tokenizer is None else self.tokenizer.embedding_rows

    @property
    def summary(self) -> str:
        if self.tokenizer is None:
            return f"{type(self).__name__}, tokens: not tokenized yet"
        return f"{type(self).__name__}, tokens: {self.tokenizer.vocabulary_size:,} of {self.tokenizer.name}"

    def make_chunks(self, documents: Iterable[pa.Array], length: int) -> Chunks:
        """Join tokenized documents, and cut them into chunks and their labels, see `make_next_token_chunks`."""
        return make_next_token_chunks(documents, length)

    def encode(self, label: Sequence[int]) -> Tensor:
        return torch.tensor(label, dtype=torch.int64)

    def activate(self, outputs: Tensor | LanguageModelOutput) -> Tensor:
        return get_logits(outputs).float().softmax(dim=-1)

    def decode(self, prediction: Tensor, geometry: Tensor | None = None) -> tuple[str, ...]:
        """Return the most probable token at each position."""
        if not prediction.numel():
            return ()
        return self._tokens(prediction.argmax(dim=-1).flatten())

    def _tokens(self, token_ids: Tensor) -> tuple[str, ...]:
        return () if self.tokenizer is None else tuple(self.tokenizer.ids_to_tokens(token_ids.tolist()))

    def metric_inputs(self, predictions: Tensor, targets: Tensor, geometries: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return each counted token as an item of its own: (tokens, vocabulary) and (tokens,)."""
        counted = targets != IGNORE_INDEX
        if bool(counted.all()):  # no copy of a large tensor
            return predictions.flatten(0, -2), targets.flatten()
        return predictions[counted], targets[counted]

    def to_probabilities(self, targets: Tensor) -> Tensor:
        """Return one-hot vectors, (batch, length, vocabulary); zeros for tokens that do not count."""
        counted = targets != IGNORE_INDEX
        return F.one_hot(targets.where(counted, 0), self.outputs).float() * counted[..., None]

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        return TokenLoss(smoothing)

    def columns(self, predictions: Tensor, decoded: Sequence[tuple[str, ...]]) -> dict[str, Any]:
        return {"prediction": pa.array([list(tokens) for tokens in decoded], pa.list_(pa.string()))}

    def cells(self, label: Sequence[str]) -> dict[str, Any]:
        return {"tokens": self.caption(label)}

    def caption(self, label: Sequence[str]) -> str:
        return " ".join(map(str, label))

    def show(self, axes: Any, target: Tensor | None, prediction: Tensor | None) -> None:
        """Write the last counted tokens as a title, and below them the predicted ones; green if the last are equal."""
        labels = () if target is None else self._tokens(target[target != IGNORE_INDEX])
        predicted = () if prediction is None else self.decode(prediction)
        lines = [*([_last_tokens(labels)] if labels else []), *([f"→ {_last_tokens(predicted)}"] if predicted else [])]
        color = "black"
        if labels and predicted:
            color = "tab:green" if predicted[-1] == labels[-1] else "tab:red"
        axes.set_title("\n".join(lines), fontsize=8, color=color, parse_math=False)

    def legend(self, figure: Any) -> None:
        pass

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokenizer": None if self.tokenizer is None else self.tokenizer.to_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NextToken:
        tokenizer = config["tokenizer"]
        return cls(None if tokenizer is None else Tokenizer.from_config(tokenizer))


@register("target", "masked_token")
@dataclass(frozen=True)
class MaskedToken(NextToken):
    """The masked tokens of a chunk, predicted from the tokens around them ("masked language model").

    Source: Devlin et al. 2018, arXiv:1810.04805.

    Example:
        >>> target = MaskedToken(Tokenizer("all-MiniLM-L6-v2"))
        >>> inputs, targets = target.mask_tokens(torch.full((2, 8), 2143), torch.tensor([0, 1]))
        >>> inputs.shape, targets.shape
        (torch.Size([2, 8]), torch.Size([2, 8]))
    """

    kind: ClassVar[str] = "masked_token"
    contiguous: ClassVar[bool] = False
    sequence: ClassVar[int] = 128

    def make_chunks(self, documents: Iterable[pa.Array], length: int) -> Chunks:
        """Join tokenized documents, and cut them into chunks, see `make_masked_chunks`.

        Raises:
            DataError: The tokenizer has no mask token.
        """
        assert self.tokenizer is not None
        if self.tokenizer.mask is None:
            raise DataError(
                f"The tokenizer of {self.tokenizer.name} has no mask token.",
                "the tokenizer of an encoder that was trained on masked tokens.",
                "pass its name to tokenize(), or label_for_language_model(masked=False).",
            )
        return make_masked_chunks(documents, self.tokenizer, length)

    def mask_tokens(
        self, inputs: Tensor, index: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return inputs with some tokens masked, and the tokens to predict, see `onecycle.text.masking.mask_tokens`.

        Args:
            inputs: Whole chunks, int64, (batch, length).
            index: Row number of each chunk within its split, int64, (batch,).
            generator: Draws new masks at each call; None gives each row the same mask at each call.
        """
        tokenizer = self.tokenizer
        assert tokenizer is not None
        assert tokenizer.mask is not None
        return mask_tokens(
            inputs, index, mask=tokenizer.mask, special_ids={tokenizer.pad, *tokenizer.special_ids},
            vocabulary_size=tokenizer.vocabulary_size, generator=generator,
        )  # fmt: skip


def _last_tokens(tokens: Sequence[str]) -> str:
    from onecycle.figure import wrapped

    return wrapped(" ".join(tokens[-TOKENS_IN_TITLE:]))
