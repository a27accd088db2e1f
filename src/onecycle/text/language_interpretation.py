"""Interpretation of language models: the chunks that surprise them, and what they write."""

from __future__ import annotations

from typing import ClassVar

from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.registry import register


@register("interpretation", "next_token")
@register("interpretation", "masked_token")
class LanguageInterpretation(Interpretation):
    """Which chunks of text a language model predicts worst."""

    available: ClassVar[tuple[str, ...]] = ("top_losses",)

    def label(self, place: int) -> str:
        """Return the beginning of the chunk."""
        tokenizer = getattr(self.target, "tokenizer", None)
        token_ids = self.source.dataset.label(int(self.evaluated.rows[place]))
        return "" if tokenizer is None else str(tokenizer.decode(list(token_ids)))[:300]
