"""Hugging Face encoders: loaded in silence and without pickles, and what is changed in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from onecycle.errors import ModelError
from onecycle.text.transformer import (
    NO_LIMIT,
    build_encoder,
    checkpoint_encoder,
    encoder_config,
    encoder_groups,
    load_encoder,
    max_tokens,
    silence_transformers,
)

SIZES = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 20,
}  # fmt: skip


def test_attention_has_no_dropout_and_the_pooler_is_removed() -> None:
    encoder = build_encoder({"model_type": "bert", **SIZES})
    assert encoder.config.attention_probs_dropout_prob == 0  # type: ignore[union-attr]
    assert encoder.pooler is None


def test_an_encoder_is_loaded_from_its_folder_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = BertModel(BertConfig(**SIZES))
    saved.save_pretrained(tmp_path)
    capsys.readouterr()
    loaded = load_encoder(tmp_path)
    assert capsys.readouterr() == ("", "")
    batch = torch.randint(1, 50, (2, 9), generator=torch.Generator().manual_seed(0))
    expected = saved.eval()(input_ids=batch).last_hidden_state
    torch.testing.assert_close(loaded.eval()(input_ids=batch).last_hidden_state, expected)
    assert str(tmp_path) not in json.dumps(encoder_config(loaded))


def test_weights_are_never_unpickled(tmp_path: Path) -> None:
    encoder = RobertaModel(RobertaConfig(**SIZES))
    encoder.config.save_pretrained(tmp_path)
    torch.save(encoder.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"No encoder can be read from .*\nExpected a folder with the config.json"):
        load_encoder(tmp_path)


def test_the_number_of_tokens_that_can_be_read_at_once() -> None:
    assert max_tokens(build_encoder({"model_type": "bert", **SIZES})) == 20
    # RoBERTa counts positions from the padding id plus one.
    assert max_tokens(build_encoder({"model_type": "roberta", "pad_token_id": 1, **SIZES})) == 18
    unlimited = nn.Linear(1, 1)
    unlimited.config = BertConfig(max_position_embeddings=-1)  # type: ignore[assignment]
    assert max_tokens(unlimited) == NO_LIMIT


def test_groups_are_embeddings_lower_and_upper_blocks() -> None:
    groups = encoder_groups(build_encoder({"model_type": "bert", **SIZES}))
    assert [{name.split(".")[2] for name in group if name.startswith("encoder.layer.")} for group in groups] == [
        set(), {"0", "1"}, {"2", "3"},
    ]  # fmt: skip


def test_a_model_without_blocks_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"A Linear has no list of blocks.\nExpected a transformer encoder"):
        encoder_groups(nn.Linear(1, 1))


def test_an_encoder_that_cannot_recompute_activations_is_an_error() -> None:
    class Fixed(nn.Module):
        def gradient_checkpointing_enable(self, options: object) -> None:
            raise ValueError("not supported")

    with pytest.raises(ModelError, match=r"A Fixed cannot recompute its activations.\nExpected an encoder"):
        checkpoint_encoder(Fixed())


def test_settings_of_transformers_are_restored() -> None:
    log = transformers.utils.logging
    before = (log.get_verbosity(), log.is_progress_bar_enabled())
    with silence_transformers():
        assert log.get_verbosity() == log.ERROR
        assert not log.is_progress_bar_enabled()
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before
