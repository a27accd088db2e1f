"""The AWD-LSTM: it is a plain LSTM without dropout, each dropout does what it says, and the state is carried on."""

from __future__ import annotations

import json
import warnings
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onecycle.text.awd_lstm import AwdLstm, AwdLstmClassifier, Dropouts, WeightDropLSTM, locked_dropout
from onecycle.text.language_model import LanguageModel
from onecycle.text.losses import RegularisedTokenLoss
from onecycle.train.groups import layer_groups

NONE = Dropouts(0.0, 0.0, 0.0, 0.0, 0.0)


def encoder(dropouts: Dropouts = NONE, **sizes: Any) -> AwdLstm:
    torch.manual_seed(0)
    return AwdLstm(30, pad=0, dropouts=dropouts, **{"width": 8, "hidden": 12, "layers": 3, **sizes})


def tokens(batch: int = 4, length: int = 10) -> Tensor:
    return torch.randint(1, 30, (batch, length), generator=torch.Generator().manual_seed(1))


def test_without_dropout_it_is_torchs_own_lstm() -> None:
    ours = encoder(width=8, hidden=8).train()
    plain = nn.LSTM(8, 8, num_layers=3, batch_first=True)
    for number, layer in enumerate(ours.layers):
        for name, weight in layer.named_parameters():
            getattr(plain, name.replace("l0", f"l{number}")).data.copy_(weight.data)
    outputs, (hidden, cell) = plain(ours.embedding(tokens()))
    raw, dropped, state = ours(tokens())
    torch.testing.assert_close(raw, outputs)
    torch.testing.assert_close(dropped, outputs)
    torch.testing.assert_close(torch.cat([one for one, _ in state]), hidden)
    torch.testing.assert_close(torch.cat([one for _, one in state]), cell)


@pytest.mark.parametrize("name", [field.name for field in fields(Dropouts)])
def test_each_dropout_works_while_training_alone(name: str) -> None:
    one = encoder(replace(NONE, **{name: 0.5}))
    plain = encoder().eval()(tokens()).dropped
    torch.testing.assert_close(one.eval()(tokens()).dropped, plain)
    one.train()
    first, second = one(tokens()).dropped, one(tokens()).dropped
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)


def test_a_dropped_word_has_no_vector_wherever_it_stands() -> None:
    one = encoder(replace(NONE, embedding=0.5)).train()
    batch = tokens(20, 20)
    vectors = one.embed(batch)
    kept: dict[int, bool] = {}
    for token, vector in zip(batch.flatten().tolist(), vectors.flatten(0, 1), strict=True):
        assert kept.setdefault(token, bool(vector.any())) == bool(vector.any())
    assert len(set(kept.values())) == 2
    whole = one.embedding(batch)
    there = vectors.any(-1)
    torch.testing.assert_close(vectors[there], 2 * whole[there])


def test_locked_dropout_is_the_same_at_all_places() -> None:
    dropped = locked_dropout(torch.ones(5, 7, 40), 0.4, True)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 1 / 0.6]))


def test_weights_are_dropped_once_a_batch_and_learn_without_a_warning() -> None:
    layer = WeightDropLSTM(6, 6, 0.5).train()
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs, _ = layer(torch.ones(2, 5, 6))
    outputs.sum().backward()
    torch.manual_seed(3)
    dropped = nn.functional.dropout(layer.weight_hh_l0.data, 0.5)
    plain = nn.LSTM(6, 6, batch_first=True)
    plain.load_state_dict({**layer.state_dict(), "weight_hh_l0": dropped})
    expected, _ = plain(torch.ones(2, 5, 6))
    torch.testing.assert_close(outputs, expected)
    gradient = layer.weight_hh_l0.grad
    assert gradient is not None
    assert not gradient[dropped == 0].any()
    assert gradient[dropped != 0].any()
    assert sorted(name for name, _ in layer.named_parameters()) == sorted(name for name, _ in plain.named_parameters())


def test_the_state_is_carried_on_until_an_epoch_begins() -> None:
    model = LanguageModel(encoder()).eval()
    whole = model(tokens(4, 12))
    model.eval()
    parts = torch.cat([model(tokens(4, 12)[:, start : start + 4]) for start in (0, 4, 8)], 1)
    torch.testing.assert_close(parts, whole)
    again = model(tokens(4, 12)[:, :4])
    assert not torch.allclose(again, whole[:, :4])
    model.eval()
    torch.testing.assert_close(model(tokens(4, 12)[:, :4]), whole[:, :4])
    torch.testing.assert_close(model(tokens(4, 12)[:2, :4]), whole[:2, :4])  # other streams begin anew
    assert all(not tensor.requires_grad for pair in model.state or () for tensor in pair)


def test_the_weights_are_tied() -> None:
    model = LanguageModel(encoder())
    assert [name for name, p in model.named_parameters() if 30 in p.shape] == ["body.embedding.weight", "head.bias"]
    assert model(tokens()).shape == (4, 10, 30)
    features = torch.randn(2, 8)
    torch.testing.assert_close(model.decode(features), features @ model.body.embedding.weight.T)  # type: ignore[union-attr]


def test_the_loss_is_regularised_while_training_alone() -> None:
    model = LanguageModel(encoder(replace(NONE, output=0.5)))
    targets = tokens().roll(-1, 1)
    plain, loss = RegularisedTokenLoss(model, ar=0.0, tar=0.0), RegularisedTokenLoss(model, ar=2.0, tar=1.0)
    assert list(loss.parameters()) == []
    outputs = model.train()(tokens())
    assert model.activations is not None
    raw, dropped = model.activations
    steps = raw[:, 1:] - raw[:, :-1]
    expected = plain(outputs, targets) + 2 * dropped.square().mean() + steps.square().mean()
    torch.testing.assert_close(loss(outputs, targets), expected)
    outputs = model.eval()(tokens())
    torch.testing.assert_close(loss(outputs, targets), plain(outputs, targets))


def test_the_classifier_takes_last_highest_and_mean_of_the_real_tokens() -> None:
    one = AwdLstmClassifier(encoder(), 2).eval()
    batch = tokens(2, 6)
    batch[1, 4:] = 0
    vectors = one.body(batch)
    outputs = one.body.encoder(batch[1:, :4]).dropped[0]  # type: ignore[operator, union-attr]
    torch.testing.assert_close(vectors[1], torch.cat([outputs[-1], outputs.amax(0), outputs.mean(0)]))
    assert one(batch).shape == (2, 2)
    one.train()(batch).sum().backward()


@pytest.mark.parametrize("kind", ["language model", "classifier"])
def test_built_again_from_the_config(kind: str) -> None:
    dropouts = Dropouts().scaled(0.5)
    one: Any = LanguageModel(encoder(dropouts)) if kind == "language model" else AwdLstmClassifier(encoder(dropouts), 3)
    again = type(one).from_config(json.loads(json.dumps(one.to_config())))
    again.load_state_dict(one.state_dict())
    assert again.to_config() == one.to_config()
    torch.testing.assert_close(again.eval()(tokens()), one.eval()(tokens()), rtol=0, atol=0)
    names = [name for group in layer_groups(one) for name in group]
    assert sorted(names) == sorted(name for name, _ in one.named_parameters())
    assert len(layer_groups(one)) == 5
