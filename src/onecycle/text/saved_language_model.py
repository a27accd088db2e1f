"""Language models whose encoder a classifier begins with: of a learner, of a loaded model, or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn

from onecycle.bundle import differing_tensors, one_line, read_bundle
from onecycle.data.modality import Modality
from onecycle.errors import BundleError, ModelError, some, with_article
from onecycle.inference.predictor import Predictor
from onecycle.registry import lookup
from onecycle.text.language_model import LanguageModel
from onecycle.text.masked_model import MaskedModel
from onecycle.text.texts import Texts
from onecycle.text.tokenizer import Tokenizer
from onecycle.train.built_model import build_model, build_without_memory
from onecycle.train.learner import Learner


class Language(NamedTuple):
    """A language model and the tokenizer that its token ids come from."""

    model: nn.Module
    tokenizer: Tokenizer


def find_language_model(encoder: str | Path | Learner | Predictor) -> Language | None:
    """Return the language model that `encoder` is or names; None where it is the name of a pretrained encoder.

    Raises:
        ModelError: It is another model.
        BundleError: The file cannot be read.
    """
    if isinstance(encoder, Learner):
        return _checked(encoder.model, encoder.data.modality)
    if isinstance(encoder, Predictor):
        return _checked(encoder.model, encoder.modality)
    path = Path(encoder)
    if not path.exists() or _is_pretrained(path):
        return None
    tensors, config = read_bundle(path, "model")
    try:
        modality = lookup("modality", config["modality"]["kind"]).from_config(config["modality"])
        # Nothing that a file describes is made before it fits the file's weights.
        differing = differing_tensors(build_without_memory(config["model"]).state_dict(), tensors)
        if differing:
            raise ValueError(f"other weights: {some(differing, 1)}")
        model = build_model(config["model"])
        model.load_state_dict(tensors)
    except Exception as error:
        raise BundleError(
            f"{path} does not describe a model that can be built: {type(error).__name__}: {one_line(error)}.",
            "what save_encoder() or export() of a language model wrote.",
            "write it again.",
        ) from error
    return _checked(model, modality)


def _is_pretrained(path: Path) -> bool:
    """Return whether a folder holds an encoder as transformers saves it; those of onecycle have a config.json too."""
    config = path / "config.json"
    return config.is_file() and b'"model_type"' in config.read_bytes()


def _checked(model: nn.Module, modality: Modality) -> Language:
    if not isinstance(model, LanguageModel | MaskedModel) or not isinstance(modality, Texts):
        raise ModelError(
            f"encoder= is {with_article(type(model).__name__)}, which is no language model.",
            "a learner from language_model_learner(), what it saved, or the name of an encoder.",
            "pass one of them.",
        )
    return Language(model, modality.tokenizer)
