from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import onecycle as oc


@pytest.mark.parametrize("name", oc.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(oc, name)
    assert value is not None
    assert getattr(value, "__name__", name).rpartition(".")[2] == name


def test_the_lazy_names_and_those_for_type_checkers_are_the_same() -> None:
    source = Path(oc.__file__).read_text()
    listed = {line.rpartition(" as ")[2].strip() for line in source.splitlines() if line.startswith("    from ")}
    assert listed == set(oc.__all__) - {"__version__"}


def test_dir_lists_them() -> None:
    assert dir(oc) == sorted(oc.__all__)
    assert len(set(oc.__all__)) == len(oc.__all__)


def test_modules_are_modules() -> None:
    assert oc.metrics.accuracy().name == "accuracy"
    assert callable(oc.augment.satellite)


@pytest.mark.parametrize("name", ["Imagelist", "learner_of_tomorrow", "__wrapped__"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'onecycle' has no attribute '{name}'"):
        getattr(oc, name)


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import onecycle", ["torch", "timm", "numpy", "pyarrow", "matplotlib"]),
        ("import onecycle; onecycle.ModelError, onecycle.StopTraining", ["torch", "timm"]),
        ("import onecycle.cli", ["torch", "timm", "pyarrow", "numpy", "matplotlib"]),
        ("import onecycle; onecycle.vision_learner, onecycle.metrics", ["torchmetrics", "matplotlib"]),
    ],
    ids=["package", "errors", "command line", "metrics"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str, absent: list[str]) -> None:
    check = f"{code}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
