"""The classifier on an AWD-LSTM: its pooling ignores padding."""

from __future__ import annotations

import json

import pytest
import torch
from test_awd_lstm import make_encoder, tokens

from onecycle.text.awd_lstm import Dropouts
from onecycle.text.awd_lstm_classifier import AwdLstmClassifier
from onecycle.train.layer_groups import layer_groups


def test_last_highest_and_mean_output_over_the_tokens() -> None:
    model = AwdLstmClassifier(make_encoder(), 2).eval()
    batch = tokens(2, 6)
    batch[1, 4:] = 0
    vectors = model.body(batch)
    outputs = model.body.encoder(batch[1:, :4]).dropped[0]  # type: ignore[operator, union-attr]
    torch.testing.assert_close(vectors[1], torch.cat([outputs[-1], outputs.amax(0), outputs.mean(0)]))
    assert model(batch).shape == (2, 2)
    model.train()(batch).sum().backward()


@pytest.mark.parametrize("size", [7, 64])
def test_a_text_has_the_same_outputs_alone_and_in_a_padded_batch(size: int) -> None:
    model = AwdLstmClassifier(make_encoder(), 3).eval()
    batch = tokens(64, 40)
    lengths = torch.randint(1, 41, (64,), generator=torch.Generator().manual_seed(2))
    batch[torch.arange(40) >= lengths[:, None]] = 0
    alone = torch.cat([model(row[None, :length]) for row, length in zip(batch, lengths, strict=True)])
    together = torch.cat([model(rows) for rows in batch.split(size)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_a_text_of_padding_alone_has_finite_outputs() -> None:
    assert AwdLstmClassifier(make_encoder(), 2).eval()(torch.zeros(2, 3, dtype=torch.int64)).isfinite().all()


def test_a_model_is_built_from_its_config() -> None:
    model = AwdLstmClassifier(make_encoder(Dropouts().scaled(0.5)), 3)
    again = AwdLstmClassifier.from_config(json.loads(json.dumps(model.to_config())))
    again.load_state_dict(model.state_dict())
    assert again.to_config() == model.to_config()
    torch.testing.assert_close(again.eval()(tokens()), model.eval()(tokens()), rtol=0, atol=0)


def test_layer_groups_contain_every_parameter_once() -> None:
    model = AwdLstmClassifier(make_encoder(), 3)
    names = [name for group in layer_groups(model) for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert len(layer_groups(model)) == 5
