from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from learners import Grouped, photo_bunch, plain_model
from onecycle.errors import ModelError
from onecycle.train.layer_groups import (
    FineTuning,
    GroupedModel,
    body_is_frozen,
    freeze_to,
    group_lrs,
    layer_groups,
    parameter_groups,
    seeded_model,
    set_training_mode,
)


def learning(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(("group", "first"), [(0, 0), (1, 1), (2, 2), (-1, 2), (-3, 0)])
def test_freeze_to_freezes_the_groups_before(group: int, first: int) -> None:
    model = Grouped()
    freeze_to(model, group)
    assert learning(model) == {name for names in model.layer_groups()[first:] for name in names}


def test_freeze_to_unfreezes_groups_again() -> None:
    model = Grouped()
    freeze_to(model, -1)
    freeze_to(model, 0)
    assert learning(model) == set(dict(model.named_parameters()))


@pytest.mark.parametrize("group", [3, -4])
def test_freeze_to_a_group_that_is_not_there_is_refused(group: int) -> None:
    with pytest.raises(
        ModelError, match=rf"freeze_to\({group}\), but the model has 3 layer groups.\nExpected .* -3 to 2"
    ):
        freeze_to(Grouped(), group)


def test_a_plain_model_is_one_group() -> None:
    model = plain_model()
    assert layer_groups(model) == [list(dict(model.named_parameters()))]
    assert not body_is_frozen(model)


def test_frozen_layers_stay_in_inference_mode_while_the_rest_trains() -> None:
    model = Grouped()
    freeze_to(model, 1)
    set_training_mode(model)
    convolution, norm, later = model.body[1], model.body[2], model.body[4]  # type: ignore[index]
    assert [module.training for module in (convolution, norm, later, model.head)] == [False, False, True, True]


def test_a_frozen_body_is_in_inference_mode_with_all_its_parts() -> None:
    model = Grouped()
    model.body.append(nn.Dropout(0.5))  # type: ignore[operator]
    freeze_to(model, -1)
    set_training_mode(model)
    assert body_is_frozen(model)
    assert not any(module.training for module in model.body.modules())
    assert model.head.training


def test_frozen_statistics_are_those_of_the_batch_norms_of_the_body_alone() -> None:
    model = Grouped()
    model.fine_tuning = FineTuning(freeze_batchnorm_statistics=True)
    set_training_mode(model)
    assert [module.training for module in model.body] == [True, True, False, True, True, True, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lr", "count", "rates"),
    [
        (0.01, 3, [0.01, 0.01, 0.01]),
        (1, 2, [1.0, 1.0]),
        (slice(1e-5, 1e-3), 3, [1e-5, 1e-4, 1e-3]),  # each ten times the one before
        (slice(1e-4, 8e-4), 4, [1e-4, 2e-4, 4e-4, 8e-4]),  # each twice
        (slice(1e-4, 8e-4), 1, [8e-4]),
        (slice(1e-3), 3, [1e-4, 1e-4, 1e-3]),
    ],
)
def test_rates_are_spread_geometrically_over_the_groups(lr: float | slice, count: int, rates: list[float]) -> None:
    assert group_lrs(lr, count) == pytest.approx(rates)


@pytest.mark.parametrize("lr", [0, -1e-3, float("nan"), "1e-3", None, slice(0, 1e-3), slice(1e-3, -1), slice(None)])
def test_a_rate_that_is_not_a_positive_number_is_refused(lr: object) -> None:
    with pytest.raises(ModelError, match=r"Learning rate .*\nExpected a positive number, slice\(first, last\)"):
        group_lrs(lr, 3)  # type: ignore[arg-type]


def test_norms_and_biases_have_no_weight_decay_and_every_group_has_its_rate() -> None:
    model = Grouped()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, [1e-4, 1e-3, 1e-2], weight_decay=0.1)
    assert [([names[id(p)] for p in g["params"]], g["lr"], g["peak_lr"], g["weight_decay"]) for g in groups] == [
        (["body.1.weight"], 1e-4, 1e-4, 0.1),
        (["body.1.bias", "body.2.weight", "body.2.bias"], 1e-4, 1e-4, 0.0),
        (["body.4.weight"], 1e-3, 1e-3, 0.1),
        (["body.4.bias"], 1e-3, 1e-3, 0.0),
        (["head.weight"], 1e-2, 1e-2, 0.1),
        (["head.bias"], 1e-2, 1e-2, 0.0),
    ]


def test_parameters_of_the_same_rate_and_decay_share_a_group() -> None:
    one = parameter_groups(Grouped(), [1e-3, 1e-3, 1e-3], weight_decay=0.1)
    assert [(len(group["params"]), group["weight_decay"]) for group in one] == [(3, 0.1), (5, 0.0)]
    assert len(parameter_groups(Grouped(), [1e-3, 1e-3, 1e-3], weight_decay=0.0)) == 1


def test_frozen_parameters_are_not_passed_to_the_optimizer() -> None:
    model = Grouped()
    freeze_to(model, -1)
    groups = parameter_groups(model, [1, 1, 1], weight_decay=0.1)
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) == 16 * 3 + 3


def test_a_grouped_model_returns_the_outputs_of_its_head_on_its_body() -> None:
    model, inputs = Grouped().eval(), torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(model(inputs), model.head(model.body(inputs)))


def test_a_model_that_defines_no_groups_has_body_and_head() -> None:
    class Small(GroupedModel):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(2, 3), nn.Linear(3, 1, bias=False)

    assert Small().layer_groups() == [["body.weight", "body.bias"], ["head.weight"]]


class Drawn(GroupedModel):
    """Its weights come from torch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Identity(), nn.Linear(2, 2)


def test_weights_depend_on_the_seed_alone(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # to read their states starts a context on each GPU
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: pytest.fail(f"asked GPU {device}"))
    bunch, before = photo_bunch(photos), torch.get_rng_state()
    one, same, other = (seeded_model(Drawn, bunch, options).head for options in ({}, {"seed": 42}, {"seed": 1}))
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert torch.equal(torch.get_rng_state(), before)
