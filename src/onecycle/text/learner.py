"""Learners that predict a class, tags or numbers for each text."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from torch import nn

from onecycle.calls import explained
from onecycle.data.bunch import DataBunch, check_bunch
from onecycle.errors import ModelError
from onecycle.inference.predictor import Predictor
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.awd_lstm_classifier import CLASSIFIER_DROPOUTS, AwdLstmClassifier
from onecycle.text.encoders import DEFAULT_ENCODER
from onecycle.text.language_model import LanguageModel
from onecycle.text.language_targets import LANGUAGE_TARGETS
from onecycle.text.masked_model import MaskedModel
from onecycle.text.model import Pooling, TextModel
from onecycle.text.saved_language_model import find_language_model
from onecycle.text.tokenizer_matching import get_tokenizer, load_matching_encoder, retokenize
from onecycle.train.layer_groups import GroupedModel, seeded_model
from onecycle.train.learner import Learner
from onecycle.train.options import check_keywords, takes_train_options

CLASSIFIER_HIDDEN = 50


@explained
@takes_train_options
def text_learner(
    bunch: DataBunch,
    encoder: str | Path | Learner | Predictor = DEFAULT_ENCODER,
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
            needs no internet. Or a language model: a learner from `language_model_learner`, the file that its
            `save_encoder` or `export` wrote, or what `load_model` returned. Its encoder is copied, and the texts are
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
    language = find_language_model(encoder)
    if language is not None:
        bunch = retokenize(bunch, language.tokenizer)
    tokenizer = get_tokenizer(bunch)

    def build() -> GroupedModel:
        outputs = bunch.target.outputs
        if language is not None and isinstance(language.model, LanguageModel):
            size = CLASSIFIER_HIDDEN if hidden is None else hidden
            return AwdLstmClassifier(copy_encoder(language.model, dropouts), outputs, hidden=size, dropout=dropout)
        if language is not None:
            transformer = _copy_transformer(language.model)
        else:
            assert isinstance(encoder, str | Path)
            transformer = load_matching_encoder(encoder, tokenizer)
        return TextModel(
            transformer, outputs, pad=tokenizer.pad, pooling=pooling, window=window, hidden=hidden or 0,
            dropout=dropout,
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


def _copy_transformer(model: nn.Module) -> nn.Module:
    """Return a copy of the encoder of a masked language model, on the CPU."""
    assert isinstance(model, MaskedModel)
    copied: nn.Module = copy.deepcopy(model.body.encoder)  # type: ignore[assignment]
    return copied.cpu()


def _check_labels(bunch: DataBunch) -> None:
    if bunch.target.kind in LANGUAGE_TARGETS:
        raise ModelError(
            f"text_learner() predicts one label for each text, but the labels are {bunch.target.kind}.",
            "categories, tags or numbers.",
            "use language_model_learner().",
        )
