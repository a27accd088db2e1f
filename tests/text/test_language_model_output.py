"""The outputs of a language model in training and at prediction."""

from __future__ import annotations

import torch

from onecycle.text.language_model_output import LanguageModelOutput, get_logits


def test_logits_are_found_in_both() -> None:
    logits, other = torch.ones(1, 2, 3), torch.zeros(1, 2, 4)
    assert get_logits(logits) is logits
    assert get_logits(LanguageModelOutput(logits, other, other)) is logits
