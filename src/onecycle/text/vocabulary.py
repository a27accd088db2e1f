"""Tokenizers trained on the training texts: whole words, or pieces of words that are often seen together (BPE)."""

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
from onecycle.text.marks import BEGIN, MARKED, MARKS, PAD, UNKNOWN, mark
from onecycle.text.tokenizer import Tokenizer

Kind = Literal["words", "bpe"]
# Fewer tokens than BPE begins with: a byte each, and the marks.
LEAST = 300

# A word, its "n't" and its "'s" apart; a number; or one character as it is seen, such as an emoji of several parts.
WORD = r"[\p{L}\p{M}]+?(?=n't(?![\p{L}]))|n't(?![\p{L}])|'\p{L}+|[\p{L}\p{M}]+|\p{N}+(?:[.,]\p{N}+)*|(?!\s)\X"


def train_tokenizer(kind: Kind, texts: Iterable[str], *, vocabulary: int = 30_000, min_frequency: int = 2) -> Tokenizer:
    """Learn a vocabulary from texts.

    Args:
        kind: "words" takes whole words, and is the lesson's way; "bpe" takes pieces of words, so that none is unknown.
        texts: Cleaned texts of the training side.
        vocabulary: The most tokens.
        min_frequency: How often a word, or a pair of pieces, must be seen.
    """
    marked = map(mark, texts)
    core = _words(marked, vocabulary, min_frequency) if kind == "words" else _pieces(marked, vocabulary, min_frequency)
    core.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, core.token_to_id(BEGIN))]
    )
    return Tokenizer(kind, core, pad=PAD)


def _words(texts: Iterable[str], vocabulary: int, min_frequency: int) -> Core:
    core = _around(Core(models.WordLevel(unk_token=UNKNOWN)), _split())
    trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, min_frequency=min_frequency, show_progress=False)
    core.train_from_iterator(texts, trainer)
    found = core.get_vocab()
    words = sorted((word for word in found if word not in MARKS), key=lambda word: found[word])
    numbers = {word: number for number, word in enumerate([*MARKS, *words][:vocabulary])}
    core = _around(Core(models.WordLevel(numbers, unk_token=UNKNOWN)), _split())
    core.add_special_tokens([UNKNOWN, PAD, BEGIN])
    return core


def _pieces(texts: Iterable[str], vocabulary: int, min_frequency: int) -> Core:
    core = _around(Core(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=True))
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=min_frequency,
        special_tokens=[AddedToken(token, lstrip=True, single_word=True) for token in MARKS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((MARKED.sub(" ", text) for text in texts), trainer)  # marks are no words to cut up
    return core


def _split() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)


def _around(core: Core, cutting: pre_tokenizers.PreTokenizer) -> Core:
    """Return a tokenizer that writes all apostrophes alike, and cuts texts so before it looks pieces up."""
    core.normalizer = normalizers.Replace(Regex("[’`´]"), "'")
    core.pre_tokenizer = cutting
    return core


def choose_tokenizer(
    asked: str | Path | Tokenizer | Core | None,
    texts: Iterable[str],
    vocabulary: int | None = None,
    min_frequency: int | None = None,
) -> Tokenizer:
    """Return the tokenizer that is asked for, trained on `texts` where that is asked for.

    Raises:
        DataError: The arguments do not fit each other.
        ModelError: The encoder cannot be had.
    """
    if asked == "words" or asked == "bpe":
        size, least = 30_000 if vocabulary is None else vocabulary, 2 if min_frequency is None else min_frequency
        if size < LEAST or least < 1:
            raise DataError(
                f"vocabulary={size}, min_frequency={least}.",
                f"{LEAST} tokens or more, each seen once or more.",
                "leave them out.",
            )
        return train_tokenizer(cast(Kind, asked), texts, vocabulary=size, min_frequency=least)
    if vocabulary is not None or min_frequency is not None:
        raise DataError(
            f"vocabulary= and min_frequency= do not fit tokenizer={asked!r}, whose vocabulary is fixed.",
            'tokenizer="words" or "bpe".',
            "leave them out.",
        )
    if isinstance(asked, Tokenizer):
        return asked
    if isinstance(asked, Core):
        return Tokenizer("custom", asked)
    if asked is not None and not isinstance(asked, str | Path):
        raise DataError(
            f"tokenizer={asked!r}.",
            'an encoder\'s name or folder, "words", "bpe", or a Tokenizer.',
            "pass one of them.",
        )
    return Tokenizer.of_encoder() if asked is None else Tokenizer.of_encoder(asked)
