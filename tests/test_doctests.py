"""Every example in a docstring runs, and every public class and function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.data.numbers import Numbers
from onecycle.text.language_targets import NextToken

pytestmark = pytest.mark.usefixtures("only_built_in_names")

MODULES = [
    module.name
    for module in pkgutil.walk_packages(oc.__path__, "onecycle.")
    if not module.ispkg and not module.name.endswith("__main__")
]


@pytest.fixture(scope="module")
def names(photos: Path, shards: Path) -> dict[str, Any]:
    """What examples may use without making it."""
    bunch = photo_bunch(photos)
    loader = [(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]))] * 2
    targets = {target.__name__: target for target in (oc.Category, oc.MultiCategory, oc.Mask, oc.Points)}
    return {
        "oc": oc, "torch": torch, "nn": nn, "np": np, "dataclass": dataclass, "photos": photos, "shards": shards,
        "bunch": bunch, "learner": tiny(bunch), "model": tiny(bunch).model, "train": loader, "valid": loader,
        "split": oc.ImageList.from_folder(photos).split_random(0.2), "Numbers": Numbers, "NextToken": NextToken,
        "register": oc.register, "from_function": oc.metrics.from_function,
        "resolve_metrics": oc.metrics.resolve_metrics, **targets,
    }  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(
    name: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)  # where an example may write
    module = importlib.import_module(name)
    # A name that the module itself defines is the module's own.
    extra = {key: value for key, value in names.items() if not hasattr(module, key)}
    result = doctest.testmod(module, extraglobs=extra, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in oc.__all__ if callable(getattr(oc, name))])
def test_a_public_class_or_function_has_an_example(name: str) -> None:
    public = getattr(oc, name)
    if inspect.isclass(public) and issubclass(public, Exception):
        pytest.skip("errors are raised by the library, not made by users")
    assert "Example:" in (public.__doc__ or ""), f"{name} has no Example: in its docstring"
