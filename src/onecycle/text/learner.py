"""Learners for texts: one answer a text, or a language model that learns from texts alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Unpack

from torch import nn

from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.text.awd_lstm import CLASSIFIER, AwdLstm, AwdLstmClassifier, Dropouts
from onecycle.text.encoders import DEFAULT_ENCODER, locate_encoder
from onecycle.text.generate import generate
from onecycle.text.labelled import LabelledTexts
from onecycle.text.language_model import LanguageModel
from onecycle.text.losses import RegularisedTokenLoss
from onecycle.text.masked_model import MaskedModel
from onecycle.text.model import Pooling, TextModel
from onecycle.text.texts import Texts
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.transformer import load_encoder
from onecycle.train.groups import GroupedModel
from onecycle.train.learner import Learner, LearnerOptions, seeded_model

LANGUAGE_TARGETS = ("next_token", "masked_token")


def text_learner(
    bunch: DataBunch,
    encoder: str | Path | Learner = DEFAULT_ENCODER,
    *,
    pooling: Pooling = "mean",
    window: int | None = None,
    hidden: int | None = None,
    dropout: float = 0.1,
    dropouts: Dropouts = CLASSIFIER,
    **options: Unpack[LearnerOptions],
) -> Learner:
    """Return a learner that gives every text a class, tags or numbers, frozen up to its head for step one.

    Args:
        bunch: The data, its texts tokenised as the encoder wants.
        encoder: A transformer by the name Hugging Face knows it by, or its folder; the default comes as a package and
            needs no internet. Or a learner that `language_model_learner` made: its encoder is copied, and its
            vocabulary taken over; where the texts were tokenised in another way, that is done again.
        pooling: For transformers: how the tokens' vectors become one, see `TextModel`.
        window: For transformers: how many tokens are read at once; longer texts are read in windows.
        hidden: Width of the head's hidden layer; 0 for a linear head; None takes 0 for transformers, else 50.
        dropout: In the head.
        dropouts: For an AWD-LSTM: its own five.
        options: As for `Learner`.
    Raises:
        ModelError: The bunch is for a language model, its tokens are not the encoder's, or the encoder cannot be had.
    """
    if bunch.target.kind in LANGUAGE_TARGETS:
        raise ModelError(
            f"text_learner gives a text one answer, but the labels are {bunch.target.kind}.",
            "categories, tags or numbers.",
            "use language_model_learner().",
        )
    given, bunch = bunch, _retokenised(bunch, encoder) if isinstance(encoder, Learner) else bunch
    tokenizer = _tokenizer_of(bunch)

    def build() -> GroupedModel:
        outputs = bunch.target.outputs
        if isinstance(encoder, Learner) and isinstance(encoder.model, LanguageModel):
            return AwdLstmClassifier(
                copied(encoder.model, dropouts), outputs, hidden=50 if hidden is None else hidden, dropout=dropout
            )
        transformer = _transformer(encoder, tokenizer)
        return TextModel(
            transformer, outputs, pad=tokenizer.pad, pooling=pooling, window=window, hidden=hidden or 0, dropout=dropout
        )

    learner = Learner(bunch, seeded_model(bunch, build, options.get("seed")), **options)
    if bunch is not given:
        learner.history.notes.append("the texts were tokenised again, with the language model's tokenizer")
    learner.freeze()
    return learner


class LanguageModelLearner(Learner):
    """A learner of a language model that can go on with a text."""

    def generate(
        self,
        prompt: str = "",
        words: int = 40,
        *,
        temperature: float = 0.8,
        top_k: int = 50,
        top_p: float = 0.95,
        seed: int | None = None,
    ) -> str:
        """Go on with `prompt`, see `onecycle.text.generate.generate`."""
        return generate(self, prompt, words, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)


def language_model_learner(
    bunch: DataBunch,
    encoder: str | Path | None = None,
    *,
    width: int = 400,
    hidden: int = 1152,
    layers: int = 3,
    dropouts: Dropouts | None = None,
    ar: float = 2.0,
    tar: float = 1.0,
    **options: Unpack[LearnerOptions],
) -> LanguageModelLearner:
    """Return a learner of a language model: an AWD-LSTM from the beginning, or an encoder that learns its field.

    Args:
        bunch: The texts, labelled with `label_for_language_model()`; for an encoder with `masked=True`.
        encoder: None makes an AWD-LSTM; the name or folder of a transformer trains that on with masked tokens.
        width: Of the AWD-LSTM's embedding and last layer.
        hidden: Of its other layers.
        layers: How many it has.
        dropouts: Its five dropouts.
        ar: Weight of its activation regularisation.
        tar: Weight of its temporal activation regularisation.
        options: As for `Learner`.
    Raises:
        ModelError: The bunch is not labelled for this kind of language model, or its tokens are not the encoder's.
    """
    wanted = LANGUAGE_TARGETS[encoder is not None]
    if bunch.target.kind != wanted:
        raise ModelError(
            f"{'This encoder' if encoder else 'An AWD-LSTM'} learns by {wanted.replace('_', ' ')}, "
            f"but the labels are {bunch.target.kind}.",
            f"a bunch labelled with label_for_language_model({'masked=True' if encoder else ''}).",
            "label it so" + ("." if encoder else ", or name an encoder such as 'all-MiniLM-L6-v2'."),
        )
    tokenizer = _tokenizer_of(bunch)

    def build() -> GroupedModel:
        if encoder is not None:
            return MaskedModel(_transformer(encoder, tokenizer), pad=tokenizer.pad)
        return LanguageModel(
            AwdLstm(
                _numbers(tokenizer), pad=tokenizer.pad, width=width, hidden=hidden, layers=layers,
                dropouts=dropouts or Dropouts(),
            )
        )  # fmt: skip

    model = seeded_model(bunch, build, options.get("seed"))
    if isinstance(model, LanguageModel) and options.get("loss") is None:
        options["loss"] = RegularisedTokenLoss(model, ar, tar, options.get("label_smoothing", 0.0))
    return LanguageModelLearner(bunch, model, **options)


def copied(model: LanguageModel, dropouts: Dropouts) -> AwdLstm:
    """Return a copy of a language model's encoder, with other dropouts."""
    encoder = model.body
    assert isinstance(encoder, AwdLstm)
    copy_of = AwdLstm.from_config({**encoder.config, "dropouts": vars(dropouts)})
    copy_of.load_state_dict(encoder.state_dict())
    return copy_of


def _transformer(encoder: str | Path | Learner, tokenizer: Tokenizer) -> nn.Module:
    """Return a transformer by name, or a copy of the one that a masked language model has trained."""
    if isinstance(encoder, Learner):
        assert isinstance(encoder.model, MaskedModel)
        trained: nn.Module = copy.deepcopy(encoder.model.body.encoder)  # type: ignore[assignment]
        return trained.cpu()
    folder = locate_encoder(encoder)
    if not _same_tokens(tokenizer, Tokenizer.of_encoder(folder)):
        raise ModelError(
            f"The texts were tokenised with {tokenizer.name!r}, which is not the tokenizer of {str(encoder)!r}.",
            "the encoder's own tokenizer: to any other tokens its weights mean nothing.",
            f"tokenise them with .tokenize({str(encoder)!r}) before databunch().",
        )
    return load_encoder(folder)


def _same_tokens(one: Tokenizer, other: Tokenizer) -> bool:
    """Tell whether two tokenizers give the same numbers, whatever they are called."""
    return one.marked == other.marked and one.core.to_str() == other.core.to_str()


def _retokenised(bunch: DataBunch, language: Learner) -> DataBunch:
    """Return a bunch of the same texts whose tokens are those of a language model."""
    if not isinstance(language.model, LanguageModel | MaskedModel):
        raise ModelError(
            f"The encoder is a learner of a {type(language.model).__name__}.",
            "a learner that language_model_learner() made, or the name of an encoder.",
            "pass one of them.",
        )
    own, wanted = _tokenizer_of(bunch), _tokenizer_of(language.data)
    if _same_tokens(own, wanted):
        return bunch
    assert isinstance(bunch.labelled, LabelledTexts)
    assert isinstance(bunch.modality, Texts)
    texts = bunch.modality
    labelled = bunch.labelled.tokenize(wanted, max_length=texts.max_length, beginning=texts.beginning)
    return DataBunch(labelled, bunch.options, bunch.fitting)


def _numbers(tokenizer: Tokenizer) -> int:
    """Return how many rows an embedding of the tokens needs; numbers that no token has are counted."""
    return max(tokenizer.core.get_vocab().values()) + 1


def _tokenizer_of(bunch: DataBunch) -> Tokenizer:
    tokenizer = getattr(bunch.modality, "tokenizer", None)
    if tokenizer is None:
        raise ModelError(
            f"The items are no tokenised texts: {bunch.modality.describe().read}.",
            "a bunch that began with a TextList.",
            "use vision_learner() for images.",
        )
    return tokenizer  # type: ignore[no-any-return]
