"""Learners that predict a class, tags or numbers for each text."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from torch import nn

from onecycle.calls import explained
from onecycle.data.bunch import DataBunch, check_bunch
from onecycle.errors import ModelError
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.awd_lstm_classifier import CLASSIFIER_DROPOUTS, AwdLstmClassifier
from onecycle.text.encoders import DEFAULT_ENCODER
from onecycle.text.language_model import LanguageModel
from onecycle.text.language_targets import LANGUAGE_TARGETS
from onecycle.text.masked_model import MaskedModel
from onecycle.text.model import Pooling, TextModel
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.tokenizer_matching import get_tokenizer, load_matching_encoder, retokenize
from onecycle.train.layer_groups import GroupedModel, seeded_model
from onecycle.train.learner import Learner
from onecycle.train.options import check_keywords, takes_train_options

CLASSIFIER_HIDDEN = 50


@explained
@takes_train_options
def text_learner(
    bunch: DataBunch,
    encoder: str | Path | Learner = DEFAULT_ENCODER,
    *,
    pooling: Pooling = "mean",
    window: int | None = None,
    hidden: int | None = None,
    dropout: float = 0.1,
    dropouts: Dropouts = CLASSIFIER_DROPOUTS,
    **options: Any,
) -> Learner:
    """Return a learner that predicts a class, tags or numbers for each text, frozen up to its head.

    Args:
        bunch: The data, tokenized with the encoder's tokenizer.
        encoder: The name of a transformer on Hugging Face, or its folder; the default is installed as a package and
            needs no internet. Or a learner from `language_model_learner`: its encoder is copied, and the texts are
            tokenized again if they were tokenized in another way.
        pooling: For transformers: how the tokens' vectors become one, see `TextModel`.
        window: For transformers: how many tokens are read at once; longer texts are read in windows.
        hidden: Size of the head's hidden layer; 0 for a linear head; None means 0 for transformers, otherwise 50.
        dropout: Dropout of the head.
        dropouts: For an AWD-LSTM: its own five dropouts.
        options: See `TrainOptions`.
    Raises:
        ModelError: The bunch is for a language model, was tokenized with another tokenizer, or the encoder is not
            available.

    Example:
        >>> from onecycle.text.text_list import TextList
        >>> texts = TextList.from_texts(["a good film", "a bad film"] * 10, ["pos", "neg"] * 10).split_random(0.2)
        >>> bunch = texts.label_from_column("label").databunch(4)
        >>> text_learner(bunch, progress=False).model.config["pooling"]
        'mean'
    """
    check_keywords(text_learner, options)
    check_bunch(bunch, "text_learner")
    _check_labels(bunch)
    original = bunch
    if isinstance(encoder, Learner):
        _check_language_model(encoder)
        bunch = retokenize(bunch, get_tokenizer(encoder.data))
    tokenizer = get_tokenizer(bunch)

    def build() -> GroupedModel:
        outputs = bunch.target.outputs
        if isinstance(encoder, Learner) and isinstance(encoder.model, LanguageModel):
            size = CLASSIFIER_HIDDEN if hidden is None else hidden
            return AwdLstmClassifier(copy_encoder(encoder.model, dropouts), outputs, hidden=size, dropout=dropout)
        return TextModel(
            _get_transformer(encoder, tokenizer), outputs, pad=tokenizer.pad, pooling=pooling, window=window,
            hidden=hidden or 0, dropout=dropout,
        )  # fmt: skip

    learner = Learner(bunch, seeded_model(build, bunch, options), **options)
    if bunch is not original:
        learner.history.notes.append("the texts were tokenized again, with the language model's tokenizer")
    learner.freeze()
    return learner


def copy_encoder(model: LanguageModel, dropouts: Dropouts) -> AwdLstm:
    """Return a copy of a language model's encoder, with other dropouts."""
    encoder = model.body
    assert isinstance(encoder, AwdLstm)
    copied = AwdLstm.from_config({**encoder.config, "dropouts": vars(dropouts)})
    copied.load_state_dict(encoder.state_dict())
    return copied


def _get_transformer(encoder: str | Path | Learner, tokenizer: Tokenizer) -> nn.Module:
    """Return a transformer by name, or a copy of the one of a masked language model."""
    if not isinstance(encoder, Learner):
        return load_matching_encoder(encoder, tokenizer)
    assert isinstance(encoder.model, MaskedModel)
    copied: nn.Module = copy.deepcopy(encoder.model.body.encoder)  # type: ignore[assignment]
    return copied.cpu()


def _check_labels(bunch: DataBunch) -> None:
    if bunch.target.kind in LANGUAGE_TARGETS:
        raise ModelError(
            f"text_learner() predicts one label for each text, but the labels are {bunch.target.kind}.",
            "categories, tags or numbers.",
            "use language_model_learner().",
        )


def _check_language_model(encoder: Learner) -> None:
    if not isinstance(encoder.model, LanguageModel | MaskedModel):
        raise ModelError(
            f"encoder= is a learner of a {type(encoder.model).__name__}.",
            "a learner from language_model_learner(), or the name of an encoder.",
            "pass one of them.",
        )
