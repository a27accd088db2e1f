"""Going on with a text, token by token."""

from __future__ import annotations

import secrets

import torch
from torch import Tensor

from onecycle.data.dataset import seeded
from onecycle.errors import DataError, ModelError
from onecycle.text.awd_lstm import AwdLstm, State
from onecycle.text.language_model import LanguageModel
from onecycle.text.marks import BEGIN, PAD, UNKNOWN
from onecycle.text.tokenizer import Tokenizer
from onecycle.train.learner import Learner
from onecycle.train.predictor import Predictor

# A word is at most so many tokens on average; a model that only makes parts of words must come to an end too.
TOKENS_A_WORD = 6


@torch.inference_mode()
def generate(
    source: Learner | Predictor,
    prompt: str = "",
    words: int = 40,
    *,
    temperature: float = 0.8,
    top_k: int = 50,
    top_p: float = 0.95,
    seed: int | None = None,
) -> str:
    """Go on with a text in the words of a language model.

    Args:
        source: A learner of an AWD-LSTM, or a predictor of one, as `load_model` gives it.
        prompt: How the text begins; empty begins a new one.
        words: How many words to add.
        temperature: Below 1 the probable tokens become more probable, above 1 less.
        top_k: Only so many of the most probable tokens are drawn from (Fan et al. 2018, arXiv:1805.04833).
        top_p: And only as many of them as have this probability together (Holtzman et al. 2019, arXiv:1904.09751).
        seed: The same seed gives the same text; None gives another each time.
    Returns:
        The prompt and the words.
    Raises:
        ModelError: The model is no language model of next tokens.
        DataError: The prompt is empty, and the tokenizer has no token that begins a text; or a number is out of range.
    """
    predictor = source.predictor() if isinstance(source, Learner) else source
    model = predictor.model
    if not isinstance(model, LanguageModel):
        raise ModelError(
            f"A {type(model).__name__} does not say what comes next.",
            "a language model of next tokens.",
            "train one with language_model_learner(bunch), without encoder=.",
        )
    _check(words, temperature, top_k, top_p)
    tokenizer: Tokenizer = predictor.modality.tokenizer  # type: ignore[attr-defined]
    chance = seeded(secrets.randbits(32) if seed is None else seed)
    tokens = _beginning(tokenizer, prompt)
    wanted = len(tokenizer.decode(tokens).split()) + words
    forbidden = torch.tensor(sorted(_unspoken(tokenizer)))
    reader = _Reader(model, predictor.device)
    scores = reader.read(tokens)
    for _ in range(words * TOKENS_A_WORD):
        scores[forbidden] = -torch.inf
        tokens.append(draw(scores, chance, temperature, top_k, top_p))
        if len(tokenizer.decode(tokens).split()) > wanted:  # only the next word tells that a word is whole
            break
        scores = reader.read(tokens[-1:])
    added = tokenizer.decode(tokens).split()[wanted - words : wanted]
    return " ".join([*([prompt.strip()] if prompt.strip() else []), *added])


def draw(scores: Tensor, chance: torch.Generator, temperature: float, top_k: int, top_p: float) -> int:
    """Draw a token.

    Args:
        scores: Logits, (vocabulary,); -inf where a token must not be drawn.
        chance: What decides.
        temperature: See `generate`.
        top_k: See `generate`.
        top_p: See `generate`.
    """
    best = (scores.double() / temperature).topk(min(top_k, len(scores)))
    shares = best.values.softmax(0)
    # The first token is always kept, and each one until those before it have `top_p` together.
    shares[(shares.cumsum(0) - shares) >= top_p] = 0
    return int(best.indices[torch.multinomial(shares, 1, generator=chance)])


class _Reader:
    """Reads tokens and remembers what it has read, apart from the model's own memory."""

    def __init__(self, model: LanguageModel, device: torch.device) -> None:
        self.model, self.device = model, device
        self.state: State | None = None

    def read(self, tokens: list[int]) -> Tensor:
        """Return the scores of the token that comes next, float32 on the CPU, (vocabulary,)."""
        assert isinstance(self.model.body, AwdLstm)
        _, outputs, self.state = self.model.body(torch.tensor([tokens], device=self.device), self.state)
        return self.model.decode(outputs[0, -1]).float().cpu()


def _beginning(tokenizer: Tokenizer, prompt: str) -> list[int]:
    tokens = list(tokenizer.encode(prompt)) if prompt.strip() else list(tokenizer.prefix)
    ends = len(tokenizer.suffix)
    if prompt.strip() and ends and tokens[-ends:] == list(tokenizer.suffix):
        tokens = tokens[:-ends]
    if not tokens:
        raise DataError(
            "The prompt is empty.",
            "a word or more: this tokenizer has no token that begins a text.",
            'pass generate("I liked this movie because").',
        )
    return tokens


def _unspoken(tokenizer: Tokenizer) -> set[int]:
    """Return the tokens that are no part of what a text says."""
    if not tokenizer.marked:
        return set(tokenizer.special)
    numbers = (tokenizer.core.token_to_id(token) for token in (UNKNOWN, PAD, BEGIN))
    return {number for number in numbers if number is not None}


def _check(words: int, temperature: float, top_k: int, top_p: float) -> None:
    if words < 1 or temperature <= 0 or top_k < 1 or not 0 < top_p <= 1:
        raise DataError(
            f"words={words}, temperature={temperature}, top_k={top_k}, top_p={top_p}.",
            "words and top_k of 1 or more, a temperature above 0, top_p above 0 and at most 1.",
            "leave out what is wrong.",
        )
