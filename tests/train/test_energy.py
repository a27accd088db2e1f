"""What counters of energy say; the reference are counts made up here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from onecycle.train import energy
from onecycle.train.energy import Counter, EnergyMeter

CPU = torch.device("cpu")


class Machine:
    """A folder as Linux shows its processors' counters."""

    def __init__(self, root: Path, packages: int) -> None:
        self.root = root
        for number in range(packages):
            self.set(number, 0)
            (root / f"intel-rapl:{number}" / "max_energy_range_uj").write_text("100000000\n")
            inner = root / f"intel-rapl:{number}:0"
            inner.mkdir()
            (inner / "energy_uj").write_text("1")

    def set(self, number: int, joules: float) -> None:
        folder = self.root / f"intel-rapl:{number}"
        folder.mkdir(exist_ok=True)
        (folder / "energy_uj").write_text(f"{int(joules * 1e6)}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    return Machine(tmp_path, 2)


def test_all_packages_count_and_none_twice(machine: Machine) -> None:
    meter = EnergyMeter.of(CPU)
    machine.set(0, 5)
    machine.set(1, 7.5)
    assert meter.joules() == {"processors": pytest.approx(12.5)}
    machine.set(0, 6)
    assert meter.joules() == {"processors": pytest.approx(13.5)}


def test_one_that_goes_round_is_counted_on(machine: Machine) -> None:
    machine.set(0, 99)
    meter = EnergyMeter.of(CPU)
    machine.set(0, 2)
    assert meter.joules() == {"processors": pytest.approx(3)}


def test_nothing_is_said_where_it_may_have_gone_round_unseen() -> None:
    seconds = iter([0.0, 0.2, 0.3])
    counter = Counter(lambda: 1.0, 100.0, lambda: next(seconds))
    counter.sample()
    assert counter.joules is None
    counter.sample()
    assert counter.joules is None


def test_nothing_is_said_where_a_counter_cannot_be_read(machine: Machine, tmp_path: Path) -> None:
    meter = EnergyMeter.of(CPU)
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.joules() == {}
    assert EnergyMeter.of(CPU).joules() == {"processors": 0.0}


def test_without_counters_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "none")
    assert EnergyMeter.of(CPU).joules() == {}


def test_a_gpu_counts_millijoules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([1_000, 3_500])
    library = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"GPU-12ab": next(counts)}[handle],
    )  # fmt: skip
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "none")
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12ab"))
    assert EnergyMeter.of(torch.device("cuda")).joules() == {"GPU": 2.5}


def test_without_the_library_of_the_gpu_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "none")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert EnergyMeter.of(torch.device("cuda")).joules() == {}
