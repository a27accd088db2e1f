"""The AWD-LSTM language model: pure, with an explicit state whose rows can be taken."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from test_awd_lstm import NO_DROPOUT, make_encoder, tokens
from torch import Tensor

from onecycle.text.awd_lstm import Dropouts, State
from onecycle.text.language_model import LanguageModel
from onecycle.text.language_model_output import LanguageModelOutput
from onecycle.text.token_losses import RegularisedTokenLoss
from onecycle.train.layer_groups import layer_groups


def take(state: State, rows: slice) -> State:
    return tuple((hidden[rows], cell[rows]) for hidden, cell in state)


def test_reading_on_from_a_state_is_reading_the_whole_text() -> None:
    model = LanguageModel(make_encoder()).eval()
    whole = model(tokens(4, 12))
    state, parts = model.initial_state(4), []
    for start in (0, 4, 8):
        logits, state = model(tokens(4, 12)[:, start : start + 4], state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert all(not tensor.requires_grad for layer in state for tensor in layer)


def test_forward_without_a_state_is_pure() -> None:
    model = LanguageModel(make_encoder()).eval()
    before = {name: value for name, value in vars(model).items() if name != "training"}
    first, second = model(tokens()), model(tokens())
    assert torch.equal(first, second)
    model(tokens(), model.initial_state(4))
    assert torch.equal(model(tokens()), first)
    assert {name: value for name, value in vars(model).items() if name != "training"} == before
    torch.testing.assert_close(model(tokens(), model.initial_state(4))[0], first, rtol=0, atol=0)


def test_rows_of_a_state_belong_to_rows_of_the_batch() -> None:
    model = LanguageModel(make_encoder()).eval()
    _, state = model(tokens(), model.initial_state(4))
    whole, after = model(tokens(), state)
    for rows in (slice(0, 1), slice(1, 4)):
        logits, part = model(tokens()[rows], take(state, rows))
        torch.testing.assert_close(logits, whole[rows])
        torch.testing.assert_close(part, take(after, rows))


def gradients_of(model: LanguageModel, batches: list[tuple[Tensor, Tensor]], state: State, sizes: list[int]) -> Any:
    """Train on two consecutive batches in slices of `sizes` rows; return the gradients and the last state."""
    loss = RegularisedTokenLoss(ar=2.0, tar=1.0)
    model.zero_grad()
    states = [take(state, rows) for rows in slices(sizes)]
    for inputs, targets in batches:
        total = loss.weight(targets)
        for number, rows in enumerate(slices(sizes)):
            outputs, states[number] = model(inputs[rows], states[number])
            share = loss.weight(targets[rows]) / total
            (loss(outputs, targets[rows]) * share).backward()
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None], states


def slices(sizes: list[int]) -> list[slice]:
    ends = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


@pytest.mark.parametrize("sizes", [[2, 2], [1, 3], [1, 1, 1, 1]])
def test_gradients_of_a_batch_are_the_weighted_sum_over_row_slices(sizes: list[int]) -> None:
    model = LanguageModel(make_encoder()).double().train()
    text = tokens(4, 15)
    batches = [(text[:, start : start + 7], text[:, start + 1 : start + 8]) for start in (0, 7)]
    whole, whole_states = gradients_of(model, batches, model.initial_state(4), [4])
    parts, part_states = gradients_of(model, batches, model.initial_state(4), sizes)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)
    for rows, state in zip(slices(sizes), part_states, strict=True):
        torch.testing.assert_close(state, take(whole_states[0], rows))


def test_outputs_while_training_hold_what_the_loss_regularises() -> None:
    model = LanguageModel(make_encoder(replace(NO_DROPOUT, output=0.5))).train()
    outputs = model(tokens())
    assert isinstance(outputs, LanguageModelOutput)
    assert [part.shape for part in outputs] == [(4, 10, 30), (4, 10, 8), (4, 10, 8)]
    torch.testing.assert_close(outputs.logits, model.to_logits(outputs.dropped))
    assert not torch.equal(outputs.raw, outputs.dropped)
    assert isinstance(model.eval()(tokens()), Tensor)


def test_the_state_is_on_the_device_and_of_the_type_of_the_weights() -> None:
    model = LanguageModel(make_encoder()).double()
    assert {tensor.dtype for layer in model.initial_state(2) for tensor in layer} == {torch.float64}
    if torch.cuda.is_available():
        assert {tensor.device.type for layer in model.cuda().initial_state(2) for tensor in layer} == {"cuda"}


def test_the_weights_are_tied() -> None:
    model = LanguageModel(make_encoder()).eval()
    assert [name for name, p in model.named_parameters() if 30 in p.shape] == ["body.embedding.weight", "head.bias"]
    assert model(tokens()).shape == (4, 10, 30)
    vectors = torch.randn(2, 8)
    torch.testing.assert_close(model.to_logits(vectors), vectors @ model.body.embedding.weight.T)  # type: ignore[union-attr]


def test_a_model_is_built_from_its_config() -> None:
    model = LanguageModel(make_encoder(Dropouts().scaled(0.5)))
    again = LanguageModel.from_config(json.loads(json.dumps(model.to_config())))
    again.load_state_dict(model.state_dict())
    assert again.to_config() == model.to_config()
    torch.testing.assert_close(again.eval()(tokens()), model.eval()(tokens()), rtol=0, atol=0)


def test_layer_groups_contain_every_parameter_once() -> None:
    model = LanguageModel(make_encoder())
    names = [name for group in layer_groups(model) for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert len(layer_groups(model)) == 5
