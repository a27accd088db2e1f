"""The AWD-LSTM encoder: without dropout it is a plain LSTM, and each dropout drops what its description says."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onecycle.text.awd_lstm import AwdLstm, Dropouts, WeightDropLSTM, locked_dropout

NO_DROPOUT = Dropouts(0.0, 0.0, 0.0, 0.0, 0.0)


def make_encoder(dropouts: Dropouts = NO_DROPOUT, **sizes: Any) -> AwdLstm:
    torch.manual_seed(0)
    return AwdLstm(30, pad=0, dropouts=dropouts, **{"width": 8, "hidden": 12, "layers": 3, **sizes})


def tokens(batch: int = 4, length: int = 10) -> Tensor:
    return torch.randint(1, 30, (batch, length), generator=torch.Generator().manual_seed(1))


def test_without_dropout_it_is_torch_s_lstm() -> None:
    ours = make_encoder(width=8, hidden=8).train()
    plain = nn.LSTM(8, 8, num_layers=3, batch_first=True)
    for number, layer in enumerate(ours.layers):
        for name, weight in layer.named_parameters():
            getattr(plain, name.replace("l0", f"l{number}")).data.copy_(weight.data)
    outputs, (hidden, cell) = plain(ours.embedding(tokens()))
    raw, dropped, state = ours(tokens())
    torch.testing.assert_close(raw, outputs)
    torch.testing.assert_close(dropped, outputs)
    torch.testing.assert_close(torch.stack([layer for layer, _ in state]), hidden)
    torch.testing.assert_close(torch.stack([layer for _, layer in state]), cell)


def test_the_state_has_the_batch_first_and_starts_as_zeros() -> None:
    encoder = make_encoder().eval()
    state = encoder.initial_state(4)
    assert [(hidden.shape, cell.shape) for hidden, cell in state] == [((4, size), (4, size)) for size in (12, 12, 8)]
    assert not any(tensor.any() for layer in state for tensor in layer)
    assert [hidden.shape for hidden, _ in encoder(tokens()).state] == [(4, 12), (4, 12), (4, 8)]
    torch.testing.assert_close(encoder(tokens(), state).raw, encoder(tokens()).raw, rtol=0, atol=0)


def test_reading_on_from_a_state_is_reading_at_once() -> None:
    encoder = make_encoder().eval()
    whole = encoder(tokens(4, 12))
    state, parts = encoder.initial_state(4), []
    for start in (0, 5, 6):
        raw, _, state = encoder(tokens(4, 12)[:, start : {0: 5, 5: 6, 6: 12}[start]], state)
        parts.append(raw)
    torch.testing.assert_close(torch.cat(parts, 1), whole.raw)
    for ours, expected in zip(state, whole.state, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("name", [field.name for field in fields(Dropouts)])
def test_each_dropout_is_active_only_while_training(name: str) -> None:
    encoder = make_encoder(replace(NO_DROPOUT, **{name: 0.5}))
    plain = make_encoder().eval()(tokens()).dropped
    torch.testing.assert_close(encoder.eval()(tokens()).dropped, plain)
    encoder.train()
    first, second = encoder(tokens()).dropped, encoder(tokens()).dropped
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)


def test_a_dropped_word_is_dropped_at_all_its_positions() -> None:
    encoder = make_encoder(replace(NO_DROPOUT, embedding=0.5)).train()
    batch = tokens(20, 20)
    vectors = encoder.embed(batch)
    is_kept: dict[int, bool] = {}
    for token, vector in zip(batch.flatten().tolist(), vectors.flatten(0, 1), strict=True):
        assert is_kept.setdefault(token, bool(vector.any())) == bool(vector.any())
    assert len(set(is_kept.values())) == 2
    kept = vectors.any(-1)
    torch.testing.assert_close(vectors[kept], 2 * encoder.embedding(batch)[kept])


def test_locked_dropout_is_the_same_at_all_positions() -> None:
    dropped = locked_dropout(torch.ones(5, 7, 40), 0.4, True)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 1 / 0.6]))


def test_weights_are_dropped_once_per_batch_and_trained_without_a_warning() -> None:
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


def test_a_state_can_be_carried_on_in_16_bits() -> None:
    encoder = make_encoder()
    with torch.autocast("cpu", torch.bfloat16):
        _, _, state = encoder(tokens(), encoder.initial_state(4))
        raw, _, _ = encoder(tokens(), state)
    assert raw.isfinite().all()


def test_an_encoder_is_built_from_its_config() -> None:
    encoder = make_encoder(Dropouts().scaled(0.5))
    again = AwdLstm.from_config(encoder.config)
    again.load_state_dict(encoder.state_dict())
    assert (again.config, again.dropouts) == (encoder.config, encoder.dropouts)
    torch.testing.assert_close(again.eval()(tokens()).raw, encoder.eval()(tokens()).raw, rtol=0, atol=0)
