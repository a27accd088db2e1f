"""Generating text, token by token."""

from __future__ import annotations

import secrets

import torch
from torch import Tensor

from onecycle.data.seeding import seeded
from onecycle.errors import DataError, ModelError
from onecycle.inference.predictor import Predictor
from onecycle.text.awd_lstm import State
from onecycle.text.language_model import LanguageModel
from onecycle.text.special_tokens import BEGIN, PAD, UNKNOWN
from onecycle.text.texts import Texts
from onecycle.text.tokenizer import Tokenizer
from onecycle.train.learner import Learner

# More than any word has on average, so that a model that only generates parts of words stops too.
MAX_TOKENS_PER_WORD = 6


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
    """Continue a text with a language model.

    Args:
        source: A learner of an AWD-LSTM language model, or a predictor of one, as `load_model` returns it.
        prompt: The beginning of the text; empty starts a new one.
        words: Number of words to add.
        temperature: Below 1 likely tokens become more likely, above 1 less likely.
        top_k: Only this many of the most likely tokens are drawn from (Fan et al. 2018, arXiv:1805.04833).
        top_p: Of these, only the most likely that have this probability together (Holtzman et al. 2019,
            arXiv:1904.09751).
        seed: The same seed gives the same text; None gives another text at each call.
    Returns:
        The prompt and the words.
    Raises:
        ModelError: The model is not a language model of next tokens.
        DataError: The prompt is empty and the tokenizer has no token that begins a text, or a number is out of range.
    """
    _check_options(words, temperature, top_k, top_p)
    model, tokenizer = _get_language_model(source.predictor() if isinstance(source, Learner) else source)
    generator = seeded(secrets.randbits(32) if seed is None else seed)
    token_ids = _encode_prompt(tokenizer, prompt)
    wanted = len(tokenizer.decode(token_ids).split()) + words
    excluded = torch.tensor(sorted(_excluded_ids(tokenizer)))
    logits, state = _read(model, token_ids, model.initial_state(1))
    for _ in range(words * MAX_TOKENS_PER_WORD):
        logits[excluded] = -torch.inf
        token_ids.append(sample_token(logits, generator, temperature, top_k, top_p))
        if len(tokenizer.decode(token_ids).split()) > wanted:  # a word is complete when the next one begins
            break
        logits, state = _read(model, token_ids[-1:], state)
    added = tokenizer.decode(token_ids).split()[wanted - words : wanted]
    return " ".join([*([prompt.strip()] if prompt.strip() else []), *added])


def sample_token(logits: Tensor, generator: torch.Generator, temperature: float, top_k: int, top_p: float) -> int:
    """Return the id of a random token.

    Args:
        logits: Score of each token, (vocabulary,); -inf for a token that must not be drawn.
        generator: Source of randomness.
        temperature: See `generate`.
        top_k: See `generate`.
        top_p: See `generate`.

    Example:
        >>> sample_token(torch.tensor([0.0, 5.0, 1.0]), torch.Generator(), temperature=1.0, top_k=1, top_p=1.0)
        1
    """
    best = (logits.cpu().double() / temperature).topk(min(top_k, len(logits)))
    probabilities = best.values.softmax(0)
    # A token is kept while those before it have less than `top_p` together; the first is always kept.
    probabilities[(probabilities.cumsum(0) - probabilities) >= top_p] = 0
    return int(best.indices[torch.multinomial(probabilities, 1, generator=generator)])


def _get_language_model(predictor: Predictor) -> tuple[LanguageModel, Tokenizer]:
    model, modality = predictor.model, predictor.modality
    if not isinstance(model, LanguageModel) or not isinstance(modality, Texts):
        raise ModelError(
            f"A {type(model).__name__} cannot predict the next token.",
            "a language model of next tokens.",
            "train one with language_model_learner(bunch), without encoder=.",
        )
    return model, modality.tokenizer


def _read(model: LanguageModel, token_ids: list[int], state: State) -> tuple[Tensor, State]:
    """Return the logits of the next token, float32 on the CPU, (vocabulary,), and the state after `token_ids`."""
    device = state[0][0].device
    outputs, state = model(torch.tensor([token_ids], device=device), state)
    return outputs[0, -1].float().cpu(), state


def _encode_prompt(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """Return the token ids of a prompt, with prefix and without suffix."""
    if not prompt.strip():
        token_ids = list(tokenizer.prefix)
    else:
        token_ids = tokenizer.encode(prompt)
        if tokenizer.suffix and token_ids[-len(tokenizer.suffix) :] == list(tokenizer.suffix):
            token_ids = token_ids[: -len(tokenizer.suffix)]
    if not token_ids:
        raise DataError(
            "The prompt is empty.",
            "at least one word: this tokenizer has no token that begins a text.",
            'pass generate("I liked this movie because").',
        )
    return token_ids


def _excluded_ids(tokenizer: Tokenizer) -> set[int]:
    """Return the ids of tokens that are never generated."""
    if not tokenizer.encodes_case:
        return set(tokenizer.special_ids)
    token_ids = (tokenizer.core.token_to_id(token) for token in (UNKNOWN, PAD, BEGIN))
    return {token_id for token_id in token_ids if token_id is not None}


def _check_options(words: int, temperature: float, top_k: int, top_p: float) -> None:
    if words < 1 or temperature <= 0 or top_k < 1 or not 0 < top_p <= 1:
        raise DataError(
            f"words={words}, temperature={temperature}, top_k={top_k}, top_p={top_p}.",
            "words and top_k of 1 or more, a temperature above 0, top_p above 0 and at most 1.",
            "leave out the one that is out of range.",
        )
