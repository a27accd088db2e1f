"""A transformer as body: pooling, windows, layer groups, and what a bundle needs to build it again."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onecycle.errors import ModelError
from onecycle.text.model import TextModel, pool
from onecycle.text.transformer import build_encoder
from onecycle.train.layer_groups import freeze_to, layer_groups

SIZES = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 20,
}  # fmt: skip
BERT = {"model_type": "bert", **SIZES}
ROBERTA = {"model_type": "roberta", "pad_token_id": 0, **SIZES}
MODERNBERT = {
    "model_type": "modernbert", "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1,
    "eos_token_id": 2, **SIZES,
}  # fmt: skip
DISTILBERT = {"model_type": "distilbert", "vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
ELECTRA = {"model_type": "electra", "embedding_size": 8, **SIZES}


def make_model(config: dict[str, Any] = BERT, **options: Any) -> TextModel:
    torch.manual_seed(0)
    return TextModel(build_encoder(config), 3, pad=0, **options).eval()


def tokens(*lengths: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.randint(1, 50, (length,), generator=generator)
    return rows


@pytest.mark.parametrize(("pooling", "width"), [("mean", 16), ("first", 16), ("max", 16), ("mean_max", 32)])
@pytest.mark.parametrize("window", [None, 6], ids=["one window", "several windows"])
@pytest.mark.parametrize("size", [7, 64])
def test_a_text_has_the_same_outputs_alone_and_in_a_padded_batch(
    pooling: Any, width: int, window: int | None, size: int
) -> None:
    model = make_model(pooling=pooling, window=window)
    lengths = torch.randint(1, 20, (64,), generator=torch.Generator().manual_seed(2)).tolist()
    batch = tokens(*lengths)
    alone = torch.cat([model(row[None, :length]) for row, length in zip(batch, lengths, strict=True)])
    together = torch.cat([model(rows) for rows in batch.split(size)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    assert model.body(batch).shape == (64, width)


@pytest.mark.parametrize("config", [ROBERTA, MODERNBERT, DISTILBERT, ELECTRA], ids=lambda config: config["model_type"])
def test_other_encoders_ignore_padding_too(config: dict[str, Any]) -> None:
    model = make_model(config)
    lengths = [17, 3, 9, 1, 12, 5, 8]
    batch = tokens(*lengths)
    alone = torch.cat([model(row[None, :length]) for row, length in zip(batch, lengths, strict=True)])
    torch.testing.assert_close(model(batch), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "first", "max", "mean_max"])
def test_a_text_of_padding_alone_has_the_vector_0(pooling: Any) -> None:
    model = make_model(pooling=pooling, window=6)
    for batch in (tokens(5, 0), tokens(15, 0), torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 9).long()):
        assert model.body(batch)[-1].tolist() == [0.0] * model.body(batch).shape[1]


def test_pooling_is_what_its_name_says() -> None:
    vectors = torch.tensor([[[1.0, 8.0], [3.0, 4.0], [50.0, 50.0]], [[5.0, 6.0], [7.0, 8.0], [9.0, 1.0]]])
    is_token = torch.tensor([[True, True, False], [True, True, True]])
    assert pool(vectors, is_token, "mean").tolist() == [[2.0, 6.0], [7.0, 5.0]]
    assert pool(vectors, is_token, "max").tolist() == [[3.0, 8.0], [9.0, 8.0]]
    assert pool(vectors, is_token, "first").tolist() == [[1.0, 8.0], [5.0, 6.0]]
    nothing = pool(vectors, torch.zeros(2, 3, dtype=torch.bool), "mean_max")
    assert nothing.tolist() == [[0.0] * 4] * 2


def test_long_texts_are_read_in_windows_weighted_by_their_tokens() -> None:
    model = make_model(window=8)
    batch = tokens(21, 5, 16)
    whole = model.body(batch)
    parts = [model.body(batch[:1, start : start + 8]) for start in (0, 8, 16)]
    torch.testing.assert_close(whole[:1], (8 * parts[0] + 8 * parts[1] + 5 * parts[2]) / 21)
    torch.testing.assert_close(whole[1:2], model.body(batch[1:2, :5]))  # windows of padding alone change nothing


def test_the_default_window_is_what_the_encoder_can_read() -> None:
    assert make_model().config["window"] == 20
    roberta = build_encoder({**ROBERTA, "pad_token_id": 1})
    assert TextModel(roberta, 2, pad=1).eval()(tokens(40) + 1).shape == (1, 2)
    with pytest.raises(ModelError, match=r"window=21, but the encoder reads at most 20 .*\nExpected 1 to 20"):
        make_model(window=21)


def test_an_unknown_pooling_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"pooling='meen'.\nExpected one of: mean, .*\nFix: .*Did you mean 'mean'"):
        make_model(pooling="meen")


def test_layer_groups_contain_every_parameter_once() -> None:
    model = make_model(hidden=5)
    groups = layer_groups(model)
    assert sorted(name for group in groups for name in group) == sorted(name for name, _ in model.named_parameters())
    assert [{name.split(".")[4] for name in group if ".layer." in name} for group in groups] == [
        set(), {"0", "1"}, {"2", "3"}, set(),
    ]  # fmt: skip
    assert all(name.startswith("body.encoder.embeddings.") for name in groups[0])
    assert all(name.startswith("head.") for name in groups[3])


@pytest.mark.parametrize("config", [DISTILBERT, ELECTRA, MODERNBERT], ids=lambda config: config["model_type"])
def test_all_parameters_of_other_encoders_are_trained(config: dict[str, Any]) -> None:
    model = make_model(config).train()
    names = [name for group in layer_groups(model) for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    model(tokens(9, 4)).sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_a_model_is_built_from_its_config() -> None:
    model = make_model(pooling="mean_max", window=8, hidden=5, dropout=0.3)
    config = json.loads(json.dumps(model.to_config()))
    again = TextModel.from_config(config)
    again.load_state_dict(model.state_dict())
    assert again.to_config() == model.to_config()
    batch = tokens(19, 6)
    torch.testing.assert_close(again.eval()(batch), model(batch), rtol=0, atol=0)


def test_recomputed_activations_give_the_same_gradients() -> None:
    batch, gradients = tokens(9, 4), []
    for recompute in (False, True):
        model = make_model()
        if recompute:
            model.checkpoint_activations()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        model.train()(batch).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


def test_frozen_up_to_the_upper_half() -> None:
    model = make_model()
    freeze_to(model, 2)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == [name for group in layer_groups(model)[2:] for name in group]
