"""A transformer as body: pooling, windows, layer groups, and what a bundle needs to build it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from onecycle.errors import ModelError
from onecycle.text.model import TextModel, pooled
from onecycle.text.transformer import load_encoder, most_tokens, random_encoder
from onecycle.train.groups import freeze_to, layer_groups

SIZES = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 20,
}  # fmt: skip
BERT = {"model_type": "bert", **SIZES}


def bert(seed: int = 0, **changes: Any) -> nn.Module:
    torch.manual_seed(seed)
    return random_encoder({**BERT, **changes})


def model(**options: Any) -> TextModel:
    return TextModel(bert(), 3, pad=0, **options).eval()


def tokens(*lengths: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    rows = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.randint(1, 50, (length,), generator=chance)
    return rows


@pytest.mark.parametrize(("pooling", "width"), [("mean", 16), ("first", 16), ("max", 16), ("mean_max", 32)])
def test_a_text_gives_the_same_however_much_it_is_padded(pooling: Any, width: int) -> None:
    one = model(pooling=pooling)
    batch = tokens(12, 7, 3)
    assert one.body(batch).shape == (3, width)
    assert one(batch).shape == (3, 3)
    torch.testing.assert_close(one.body(batch[1:2, :7]), one.body(batch)[1:2])


def test_pooling_is_what_its_name_says() -> None:
    states = torch.tensor([[[1.0, 8.0], [3.0, 4.0], [50.0, 50.0]], [[5.0, 6.0], [7.0, 8.0], [9.0, 1.0]]])
    there = torch.tensor([[True, True, False], [True, True, True]])
    assert pooled(states, there, "mean").tolist() == [[2.0, 6.0], [7.0, 5.0]]
    assert pooled(states, there, "max").tolist() == [[3.0, 8.0], [9.0, 8.0]]
    assert pooled(states, there, "first").tolist() == [[1.0, 8.0], [5.0, 6.0]]
    nothing = pooled(states, torch.zeros(2, 3, dtype=torch.bool), "mean_max")
    assert nothing.tolist() == [[0.0] * 4] * 2


def test_long_texts_are_read_in_windows_weighted_by_their_tokens() -> None:
    one = model(window=8)
    batch = tokens(21, 5, 16)
    whole = one.body(batch)
    parts = [one.body(batch[:1, start : start + 8]) for start in (0, 8, 16)]
    torch.testing.assert_close(whole[:1], (8 * parts[0] + 8 * parts[1] + 5 * parts[2]) / 21)
    torch.testing.assert_close(whole[1:2], one.body(batch[1:2, :5]))  # windows of padding alone change nothing


def test_the_window_is_what_the_encoder_can_read() -> None:
    assert model().config["window"] == 20
    roberta = random_encoder({"model_type": "roberta", "pad_token_id": 1, **SIZES})
    assert most_tokens(roberta) == 18  # positions are counted from the padding's number on
    long = TextModel(roberta, 2, pad=1).eval()(tokens(40) + 1)
    assert long.shape == (1, 2)
    with pytest.raises(ModelError, match="window=21, but the encoder reads at most 20"):
        model(window=21)
    with pytest.raises(ModelError, match="pooling='meen'"):
        model(pooling="meen")


def test_layer_groups_hold_every_parameter_once() -> None:
    one = model(hidden=5)
    groups = layer_groups(one)
    assert sorted(name for group in groups for name in group) == sorted(name for name, _ in one.named_parameters())
    assert [{name.split(".")[4] for name in group if ".layer." in name} for group in groups] == [
        set(), {"0", "1"}, {"2", "3"}, set(),
    ]  # fmt: skip
    assert all(name.startswith("body.encoder.embeddings.") for name in groups[0])
    assert all(name.startswith("head.") for name in groups[3])


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "distilbert", "vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
        {"model_type": "electra", "embedding_size": 8, **SIZES},
        {"model_type": "modernbert", "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1,
         "eos_token_id": 2, **SIZES},
    ],
    ids=lambda config: config["model_type"],
)  # fmt: skip
def test_other_encoders_do_as_well(config: dict[str, Any]) -> None:
    one = TextModel(random_encoder(config), 2, pad=0)
    names = [name for group in layer_groups(one) for name in group]
    assert sorted(names) == sorted(name for name, _ in one.named_parameters())
    one(tokens(9, 4)).sum().backward()
    assert [name for name, parameter in one.named_parameters() if parameter.grad is None] == []


def test_attention_has_no_dropout_and_the_pooler_is_gone() -> None:
    encoder = bert()
    assert encoder.config.attention_probs_dropout_prob == 0  # type: ignore[union-attr]
    assert encoder.pooler is None


def test_a_model_is_built_again_from_its_config() -> None:
    one = model(pooling="mean_max", window=8, hidden=5, dropout=0.3)
    config = json.loads(json.dumps(one.to_config()))
    again = TextModel.from_config(config)
    again.load_state_dict(one.state_dict())
    assert again.to_config() == one.to_config()
    batch = tokens(19, 6)
    torch.testing.assert_close(again.eval()(batch), one(batch), rtol=0, atol=0)


def test_an_encoder_is_loaded_from_its_folder_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = BertModel(BertConfig(**SIZES))
    saved.save_pretrained(tmp_path)
    capsys.readouterr()
    loaded = load_encoder(tmp_path)
    assert capsys.readouterr() == ("", "")
    batch = tokens(9, 4)
    there = (batch != 0).long()
    expected = saved.eval()(input_ids=batch, attention_mask=there).last_hidden_state
    got = loaded.eval()(input_ids=batch, attention_mask=there).last_hidden_state
    torch.testing.assert_close(got, expected)
    assert str(tmp_path) not in json.dumps(TextModel(loaded, 2, pad=0).to_config())


def test_weights_are_never_unpickled(tmp_path: Path) -> None:
    encoder = RobertaModel(RobertaConfig(**SIZES))
    encoder.config.save_pretrained(tmp_path)
    torch.save(encoder.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="No encoder can be read from"):
        load_encoder(tmp_path)


def test_recomputed_activations_give_the_same_gradients() -> None:
    batch, gradients = tokens(9, 4), []
    for recomputed in (False, True):
        one = model()
        if recomputed:
            one.checkpoint_activations()
        for module in one.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        one.train()(batch).square().sum().backward()
        gradients.append([parameter.grad for parameter in one.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


def test_frozen_up_to_the_upper_half() -> None:
    one = model()
    freeze_to(one, 2)
    learning = [name for name, parameter in one.named_parameters() if parameter.requires_grad]
    assert learning == [name for group in layer_groups(one)[2:] for name in group]
