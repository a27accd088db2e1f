"""Checks that the texts of a bunch, tokenizers and encoders fit together."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.text.encoders import locate_encoder
from onecycle.text.labelled_texts import LabelledTexts
from onecycle.text.texts import Texts
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.transformer import load_encoder


def get_tokenizer(bunch: DataBunch) -> Tokenizer:
    """Return the tokenizer of a bunch's texts.

    Raises:
        ModelError: The items are not texts.
    """
    if not isinstance(bunch.modality, Texts):
        raise ModelError(
            f"The items are not tokenized texts but {type(bunch.modality).__name__}: {bunch.modality.describe().read}.",
            "a bunch that was made from a TextList.",
            "use vision_learner() for images.",
        )
    return bunch.modality.tokenizer


def load_matching_encoder(name: str | Path, tokenizer: Tokenizer) -> nn.Module:
    """Return a pretrained transformer for texts that were tokenized with `tokenizer`.

    Raises:
        ModelError: The encoder is not available, or has another tokenizer.
    """
    folder = locate_encoder(name)
    if not tokenizer.has_same_ids_as(Tokenizer.from_encoder(folder)):
        raise ModelError(
            f"The texts were tokenized with {tokenizer.name!r}, which is not the tokenizer of {str(name)!r}.",
            "the encoder's own tokenizer, since its weights belong to its token ids.",
            f"tokenize the texts with .tokenize({str(name)!r}) before databunch().",
        )
    return load_encoder(folder)


def retokenize(bunch: DataBunch, tokenizer: Tokenizer) -> DataBunch:
    """Return a bunch of the same texts, tokenized with `tokenizer`; the same bunch if the token ids do not change."""
    if get_tokenizer(bunch).has_same_ids_as(tokenizer):
        return bunch
    texts, labelled = bunch.modality, bunch.labelled
    assert isinstance(texts, Texts)
    assert isinstance(labelled, LabelledTexts)
    tokenized = labelled.tokenize(tokenizer, max_length=texts.max_length, beginning=texts.beginning)
    return DataBunch(tokenized, bunch.options, bunch.found_batch_size)
