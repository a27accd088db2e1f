"""Tokenizers trained on the training texts: whole words, or subwords that often occur together (BPE)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, cast

from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as Core

from onecycle.errors import DataError
from onecycle.text.special_tokens import BEGIN, PAD, SPECIAL_TOKEN_PATTERN, SPECIAL_TOKENS, UNKNOWN, encode_case
from onecycle.text.tokenizer import Tokenizer

Kind = Literal["words", "bpe"]
DEFAULT_VOCABULARY, DEFAULT_MIN_FREQUENCY = 30_000, 2
# BPE begins with one token for each byte and the special tokens.
MIN_VOCABULARY = 300

# A word, with "n't" and "'s" separate; a number; or one displayed character, such as an emoji of several parts.
WORD = r"[\p{L}\p{M}]+?(?=n't(?![\p{L}]))|n't(?![\p{L}])|'\p{L}+|[\p{L}\p{M}]+|\p{N}+(?:[.,]\p{N}+)*|(?!\s)\X"


def train_tokenizer(
    kind: Kind,
    texts: Iterable[str],
    *,
    vocabulary: int = DEFAULT_VOCABULARY,
    min_frequency: int = DEFAULT_MIN_FREQUENCY,
) -> Tokenizer:
    """Train a tokenizer on texts.

    Args:
        kind: "words" has whole words as tokens, as in the lesson; "bpe" has subwords, so that no word is unknown.
        texts: Cleaned training texts.
        vocabulary: The most tokens.
        min_frequency: How often a word, or a pair of subwords, must occur.

    Example:
        >>> tokenizer = train_tokenizer("words", ["A good film.", "A bad film."], min_frequency=1)
        >>> tokenizer.ids_to_tokens(tokenizer.encode("a GOOD film"))
        ['xxbos', 'a', 'xxup', 'good', 'film']
    """
    lower_case = map(encode_case, texts)
    train = _train_words if kind == "words" else _train_subwords
    core = train(lower_case, vocabulary, min_frequency)
    core.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, core.token_to_id(BEGIN))]
    )
    return Tokenizer(kind, core, pad=PAD)


def _train_words(texts: Iterable[str], vocabulary: int, min_frequency: int) -> Core:
    core = _configure(Core(models.WordLevel(unk_token=UNKNOWN)), _split_words())
    trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, min_frequency=min_frequency, show_progress=False)
    core.train_from_iterator(texts, trainer)
    found = core.get_vocab()
    words = sorted((word for word in found if word not in SPECIAL_TOKENS), key=lambda word: found[word])
    ids = {word: token_id for token_id, word in enumerate([*SPECIAL_TOKENS, *words][:vocabulary])}
    core = _configure(Core(models.WordLevel(ids, unk_token=UNKNOWN)), _split_words())
    core.add_special_tokens([UNKNOWN, PAD, BEGIN])
    return core


def _train_subwords(texts: Iterable[str], vocabulary: int, min_frequency: int) -> Core:
    core = _configure(Core(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=True))
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=min_frequency,
        special_tokens=[AddedToken(token, lstrip=True, single_word=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Subwords are not learnt from special tokens.
    core.train_from_iterator((SPECIAL_TOKEN_PATTERN.sub(" ", text) for text in texts), trainer)
    return core


def _split_words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)


def _configure(core: Core, pre_tokenizer: pre_tokenizers.PreTokenizer) -> Core:
    """Return the tokenizer with one kind of apostrophe, and with `pre_tokenizer` to split texts into words."""
    core.normalizer = normalizers.Replace(Regex("[’`´]"), "'")
    core.pre_tokenizer = pre_tokenizer
    return core


def choose_tokenizer(
    tokenizer: str | Path | Tokenizer | Core | None,
    texts: Iterable[str],
    vocabulary: int | None = None,
    min_frequency: int | None = None,
) -> Tokenizer:
    """Return the tokenizer that an argument describes; it is trained on `texts` if it is "words" or "bpe".

    Args:
        tokenizer: An encoder's name or folder, "words", "bpe", or a tokenizer; None means that of the default encoder.
        texts: Cleaned training texts.
        vocabulary: For "words" and "bpe": the most tokens.
        min_frequency: For "words" and "bpe": how often a word, or a pair of subwords, must occur.
    Raises:
        DataError: The arguments do not fit each other.
        ModelError: The encoder is not available.
    """
    if tokenizer == "words" or tokenizer == "bpe":
        return _train_checked(cast(Kind, tokenizer), texts, vocabulary, min_frequency)
    if vocabulary is not None or min_frequency is not None:
        raise DataError(
            f"vocabulary= and min_frequency= do not fit tokenizer={tokenizer!r}, whose vocabulary is fixed.",
            'tokenizer="words" or "bpe".',
            "leave them out.",
        )
    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    if isinstance(tokenizer, Core):
        return Tokenizer("custom", tokenizer)
    if tokenizer is not None and not isinstance(tokenizer, str | Path):
        raise DataError(
            f"tokenizer={tokenizer!r} ({type(tokenizer).__name__}).",
            'an encoder\'s name or folder, "words", "bpe", or a Tokenizer.',
            "pass one of them.",
        )
    return Tokenizer.from_encoder() if tokenizer is None else Tokenizer.from_encoder(tokenizer)


def _train_checked(kind: Kind, texts: Iterable[str], vocabulary: int | None, min_frequency: int | None) -> Tokenizer:
    size = DEFAULT_VOCABULARY if vocabulary is None else vocabulary
    frequency = DEFAULT_MIN_FREQUENCY if min_frequency is None else min_frequency
    if size < MIN_VOCABULARY or frequency < 1:
        raise DataError(
            f"vocabulary={size}, min_frequency={frequency}.",
            f"a vocabulary of {MIN_VOCABULARY} tokens or more, and a min_frequency of 1 or more.",
            "leave them out.",
        )
    return train_tokenizer(kind, texts, vocabulary=size, min_frequency=frequency)
