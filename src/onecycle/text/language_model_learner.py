"""Learners of language models, which are trained on texts without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onecycle.calls import explained, explains_calls
from onecycle.data.bunch import DataBunch, check_bunch
from onecycle.errors import ModelError
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.generate import generate
from onecycle.text.language_model import LanguageModel
from onecycle.text.language_targets import LANGUAGE_TARGETS
from onecycle.text.masked_model import MaskedModel
from onecycle.text.token_losses import RegularisedTokenLoss, TokenLoss
from onecycle.text.tokenizer_matching import get_tokenizer, load_matching_encoder
from onecycle.train.layer_groups import GroupedModel, seeded_model
from onecycle.train.learner import Learner
from onecycle.train.options import check_keywords, takes_train_options


@explains_calls
class LanguageModelLearner(Learner):
    """A learner of a language model that can generate text."""

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
        """Continue `prompt`, see `onecycle.text.generate.generate`."""
        return generate(self, prompt, words, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)

    def save_encoder(self, path: str | Path) -> Path:
        """Write the language model with its tokenizer, for `text_learner(bunch, encoder=path)`; see `export`."""
        return self.export(path)


@explained
@takes_train_options
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
    **options: Any,
) -> LanguageModelLearner:
    """Return a learner of a language model: a new AWD-LSTM, or a pretrained encoder to adapt to these texts.

    Args:
        bunch: The texts, labelled with `label_for_language_model()`; for an encoder with `masked=True`.
        encoder: None makes an AWD-LSTM; the name or folder of a transformer trains it further on masked tokens.
        width: Size of the AWD-LSTM's embedding and last layer.
        hidden: Size of its other layers.
        layers: Number of its layers.
        dropouts: Its five dropouts; None means the defaults.
        ar: Factor of its activation regularisation.
        tar: Factor of its temporal activation regularisation.
        options: See `TrainOptions`.
    Raises:
        ModelError: The bunch is not labelled for this kind of language model, or was not tokenized with the encoder's
            tokenizer.

    Example:
        >>> from onecycle.text.text_list import TextList
        >>> texts = TextList.from_texts(["a good film", "a bad film"] * 20).split_by_index(range(10))
        >>> bunch = texts.label_for_language_model().tokenize("words", sequence=8).databunch(2)
        >>> learner = language_model_learner(bunch, width=8, hidden=12, layers=2, progress=False)
        >>> learner.fit_one_cycle(1, 1e-2)
        >>> len(learner.generate("a", words=2, seed=0).split())
        3
    """
    check_keywords(language_model_learner, options)
    check_bunch(bunch, "language_model_learner")
    _check_labels(bunch, encoder)
    tokenizer = get_tokenizer(bunch)

    def build() -> GroupedModel:
        if encoder is not None:
            model = MaskedModel(load_matching_encoder(encoder, tokenizer), pad=tokenizer.pad)
            model.defer_logits = isinstance(options.get("loss"), TokenLoss | None)  # None: the target's is one
            return model
        return LanguageModel(
            AwdLstm(
                tokenizer.embedding_rows, pad=tokenizer.pad, width=width, hidden=hidden, layers=layers,
                dropouts=dropouts or Dropouts(),
            )
        )  # fmt: skip

    if encoder is None and options.get("loss") is None:
        options["loss"] = RegularisedTokenLoss(ar, tar, options.pop("label_smoothing", 0.0))
    return LanguageModelLearner(bunch, seeded_model(build, bunch, options), **options)


def _check_labels(bunch: DataBunch, encoder: str | Path | None) -> None:
    expected = LANGUAGE_TARGETS[encoder is not None]
    if bunch.target.kind != expected:
        raise ModelError(
            f"{'A transformer encoder' if encoder else 'An AWD-LSTM'} is trained on {expected} labels, "
            f"but the labels of this bunch are {bunch.target.kind}.",
            f"a bunch labelled with label_for_language_model({'masked=True' if encoder else ''}).",
            "label it this way" + ("." if encoder else ", or pass encoder=, such as 'all-MiniLM-L6-v2'."),
        )
