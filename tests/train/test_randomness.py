"""One seed decides what is drawn, and generators are as before."""

import contextlib

import pytest
import torch

from devices import DEVICE
from onecycle.train.randomness import seeded_generators


def drawn() -> list[float]:
    return [float(torch.rand(1)), float(torch.rand(1, device=DEVICE))]


def test_the_seed_decides_on_the_cpu_and_on_the_device() -> None:
    values = []
    for seed in (1, 1, 2):
        with seeded_generators(DEVICE, seed):
            values.append(drawn())
    assert values[0] == values[1] != values[2]


def test_generators_are_restored_after_an_error_too() -> None:
    torch.manual_seed(0)
    expected = drawn()
    torch.manual_seed(0)
    with contextlib.suppress(KeyError), seeded_generators(DEVICE, 1):
        drawn()
        raise KeyError
    assert drawn() == expected


def test_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No context is made on GPUs that are not used."""
    one, other = torch.Generator(), torch.Generator()
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "default_generators", (other, one))
    before = other.get_state()
    for device in ("cuda", "cuda:1"):
        with seeded_generators(torch.device(device), 7):
            assert one.initial_seed() == 7
            torch.rand(1, generator=one)
    assert torch.equal(other.get_state(), before)
    assert one.initial_seed() != 7
