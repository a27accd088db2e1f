"""Language models as targets, which predict tokens of the texts themselves; and how documents become their chunks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.data.dataset import seeded
from onecycle.data.target import WithoutClasses
from onecycle.errors import DataError
from onecycle.text.tokenizer import Tokenizer
from onecycle.train.losses import Loss

UNASKED = -100
"""The value of targets that do not count, as torch and transformers have it."""

# How many tokens are asked for; of those, how many are hidden, and how many are replaced by any other.
ASKED, HIDDEN, REPLACED = 0.15, 0.8, 0.1


class TokenLoss(Loss):
    """Cross-entropy of tokens; `exp` of it is the perplexity.

    Args:
        smoothing: Share of each token that is spread over the vocabulary.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the tokens that are asked for, scalar; 0 where none is.

        Args:
            outputs: Before the softmax, (batch, sequence, vocabulary).
            targets: int64, (batch, sequence), `UNASKED` where a token does not count.
        """
        logits, tokens = outputs.flatten(0, -2), targets.flatten()
        asked = tokens != UNASKED
        if not bool(asked.all()):  # the others are left out before the costly part
            logits, tokens = logits[asked], tokens[asked]
        if not len(tokens):
            return outputs.sum() * 0
        return F.cross_entropy(logits.float(), tokens, label_smoothing=self.smoothing)


@dataclass(frozen=True)
class NextToken(WithoutClasses):
    """At every place of a chunk, the token that comes next ("causal language model").

    Attributes:
        tokenizer: Whose tokens; None until the texts are tokenised.
    """

    tokenizer: Tokenizer | None = None

    kind: ClassVar[str] = "next_token"
    default_metrics: ClassVar[tuple[str, ...]] = ("perplexity", "token_accuracy")
    mixable: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    label_type: ClassVar[pa.DataType] = pa.list_(pa.int32())
    classes: ClassVar[tuple[str, ...]] = ()
    sequence: ClassVar[int] = 72

    @property
    def outputs(self) -> int:
        """One a token of the vocabulary."""
        return 0 if self.tokenizer is None else self.tokenizer.size

    @property
    def summary(self) -> str:
        """Kind and vocabulary."""
        known = "not tokenised yet" if self.tokenizer is None else f"{self.outputs:,} of {self.tokenizer.name}"
        return f"{type(self).__name__}, tokens: {known}"

    def encode(self, label: Sequence[int]) -> Tensor:
        """Return the tokens' numbers, int64, (sequence,)."""
        return torch.tensor(label, dtype=torch.int64)

    def activate(self, outputs: Tensor) -> Tensor:
        """Softmax over the vocabulary."""
        return outputs.float().softmax(dim=-1)

    def decode(self, answer: Tensor, frame: Tensor | None = None) -> tuple[str, ...]:
        """Return the most probable token at each place."""
        if self.tokenizer is None or not answer.numel():
            return ()
        return tuple(self.tokenizer.tokens(answer.argmax(dim=-1).flatten().tolist()))

    def measured(self, answers: Tensor, targets: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """Each token that is asked for as an item of its own: (tokens, vocabulary) and (tokens,)."""
        asked = targets != UNASKED
        if bool(asked.all()):  # no copy of what may be large
            return answers.flatten(0, -2), targets.flatten()
        return answers[asked], targets[asked]

    def soften(self, targets: Tensor) -> Tensor:
        """One-hot; zeros where nothing is asked."""
        asked = targets != UNASKED
        return F.one_hot(targets.where(asked, 0), self.outputs).float() * asked[..., None]

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Cross-entropy of the tokens that are asked for."""
        return TokenLoss(smoothing)

    def columns(self, answers: Tensor, decoded: Sequence[tuple[str, ...]]) -> dict[str, Any]:
        """The tokens, as one list an item."""
        return {"prediction": pa.array([list(tokens) for tokens in decoded], pa.list_(pa.string()))}

    def cells(self, label: Sequence[str]) -> dict[str, Any]:
        """The tokens, separated by spaces."""
        return {"tokens": " ".join(map(str, label))}

    def caption(self, label: Sequence[str]) -> str:
        """The tokens, separated by spaces."""
        return " ".join(map(str, label))

    def show(self, axes: Any, truth: Tensor | None, answer: Tensor | None) -> None:
        """As a title: the last tokens asked for, and below them those of the answer, green where the last agrees."""
        given = () if truth is None else self._asked(truth)
        said = () if answer is None else self.decode(answer)
        lines = [*([_last(given)] if given else []), *([f"→ {_last(said)}"] if said else [])]
        colour = "black" if not given or not said else "tab:green" if said[-1] == given[-1] else "tab:red"
        axes.set_title("\n".join(lines), fontsize=8, color=colour, parse_math=False)

    def _asked(self, targets: Tensor) -> tuple[str, ...]:
        asked = targets[targets != UNASKED].tolist()
        return () if self.tokenizer is None else tuple(self.tokenizer.tokens(asked))

    def legend(self, figure: Any) -> None:
        """Titles need none."""

    def to_config(self) -> dict[str, Any]:
        """The tokenizer."""
        return {"kind": self.kind, "tokenizer": None if self.tokenizer is None else self.tokenizer.to_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NextToken:
        """Return the target that `to_config` described."""
        held = config["tokenizer"]
        return cls(None if held is None else Tokenizer.from_config(held))


@dataclass(frozen=True)
class MaskedToken(NextToken):
    """The tokens that were hidden in a chunk, from those around them ("masked language model").

    Source: Devlin et al. 2018, arXiv:1810.04805.
    """

    kind: ClassVar[str] = "masked_token"
    sequence: ClassVar[int] = 128

    def hide(self, inputs: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return inputs with some tokens hidden, and what they were, `UNASKED` for all others; both (batch, sequence).

        15% are asked for. Of these, 80% are hidden behind the mask, 10% replaced by any token, 10% left as they are.

        Args:
            inputs: Whole chunks, int64.
            generator: Draws them; None draws the same ones for inputs of the same shape each time.
        """
        assert self.tokenizer is not None
        assert self.tokenizer.mask is not None
        chance = generator or seeded(0)
        asked, how = torch.rand((2, *inputs.shape), generator=chance).to(inputs.device)
        others = torch.randint(self.tokenizer.size, inputs.shape, generator=chance).to(inputs.device)
        special = torch.tensor(sorted({self.tokenizer.pad, *self.tokenizer.special}), device=inputs.device)
        chosen = (asked < ASKED) & ~torch.isin(inputs, special)
        hidden = inputs.masked_fill(chosen & (how < HIDDEN), self.tokenizer.mask)
        hidden = hidden.where(~(chosen & (how >= HIDDEN) & (how < HIDDEN + REPLACED)), others)
        return hidden, inputs.where(chosen, UNASKED)


Chunks = tuple[pa.Array, pa.Array]


def chunked(numbers: Iterable[pa.Array], target: NextToken, sequence: int) -> Chunks:
    """Join documents, and cut them into chunks of the same length; what is left at the end is dropped.

    Args:
        numbers: The documents' numbers, list<int32>, in pieces.
        target: What is predicted: the next token, or hidden ones.
        sequence: Tokens a chunk.
    Returns:
        The chunks and their labels, list<int32>, (chunks,): for the next token the chunks moved on by one token.
    Raises:
        DataError: There are not enough tokens for a single chunk.
    """
    assert target.tokenizer is not None
    parts = [piece.values.to_numpy() for piece in numbers]
    joined = np.concatenate(parts) if parts else np.empty(0, np.int32)
    if not isinstance(target, MaskedToken):
        count = (len(joined) - 1) // sequence
        _check_enough(count, len(joined), sequence)
        return _rows(joined[: count * sequence], sequence), _rows(joined[1 : count * sequence + 1], sequence)
    framed = _framed(joined, target.tokenizer, sequence)
    _check_enough(len(framed), len(joined), sequence)
    rows = _rows(framed.ravel(), sequence)
    return rows, rows


def _framed(joined: NDArray[np.int32], tokenizer: Tokenizer, sequence: int) -> NDArray[np.int32]:
    """Return chunks, (chunks, sequence), that begin and end as single texts do; documents end with the suffix."""
    prefix, suffix = (np.array(numbers, np.int32) for numbers in (tokenizer.prefix, tokenizer.suffix))
    body = sequence - len(prefix) - len(suffix)
    inner = joined[~np.isin(joined, prefix)] if len(prefix) else joined
    count = len(inner) // body
    rows = inner[: count * body].reshape(count, body)
    return np.hstack([np.tile(prefix, (count, 1)), rows, np.tile(suffix, (count, 1))])


def _rows(values: NDArray[np.int32], sequence: int) -> pa.Array:
    offsets = np.arange(0, len(values) + 1, sequence, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(values)))


def _check_enough(count: int, tokens: int, sequence: int) -> None:
    if count < 1:
        raise DataError(
            f"The texts of one side have {tokens:,} tokens in all, and a chunk has {sequence}.",
            "one chunk or more on each side.",
            "add texts, or pass a smaller sequence= to tokenize().",
        )


def _last(tokens: Sequence[str]) -> str:
    from onecycle.data.figure import wrapped

    return wrapped(" ".join(tokens[-6:]))
