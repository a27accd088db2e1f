"""What a description may not say, and how it is told; the whole corpus is in `crafted_bundles.py`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import onecycle as oc
from onecycle.cli import app
from onecycle.errors import BundleError
from ship.tiny_bundles import MODELS, Content

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]


def changed(kind: str, path: Path, change: Change) -> Path:
    content = MODELS[kind]()
    config = copy.deepcopy(content.config)
    change(config, content.tensors)
    return Content(content.tensors, config).write(path)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("photos", lambda c, t: c.pop("card"), r"does not describe its card\.\nExpected a bundle as export"),
        ("photos", lambda c, t: c.update(target=[]), r"does not describe its target\."),
        ("photos", lambda c, t: c["target"].pop("kind"), r"does not describe its target\."),
        ("photos", lambda c, t: c.update(precision="fp4"), r"The precision 'fp4'\.\nExpected one of: fp32, bf16, fp16"),
        ("photos", lambda c, t: c["model"].update(outputs=10**9), r"has outputs=1000000000, and its weights allow 0 to \d"),
        ("photos", lambda c, t: c["model"].update(dropout=float("inf")), r"The model has dropout=inf\.\nExpected finite"),
        ("photos", lambda c, t: c["target"].update(classes=["a", "b"]), r"has 3 outputs, and the classes are a, b\."),
        ("photos", lambda c, t: c["target"].update(classes=["a", "b", "a"]), r"one class for each output, without doubles"),
        ("photos", lambda c, t: c["modality"].update(size=[6000, 6000]), r"36,000,000 pixels\.\nExpected at most 33,554,432"),
        ("photos", lambda c, t: c["modality"].update(method="melt"), r"Images has method='melt'"),
        ("photos", lambda c, t: t.popitem(), r"of another model: 1 tensors differ, such as head"),
        ("photos", lambda c, t: t["body.0.mean"].fill_(float("nan")), r"3 of the 3 numbers in body\.0\.mean are not finite"),
        ("ages", lambda c, t: c["target"].update(std=[0]), r"1 columns, 1 means, deviations 0\.\nExpected a mean and a"),
        ("masks", lambda c, t: c["target"].update(values=[1, 300]), r"2 classes with the values 1, 300\.\nExpected a value"),
        ("masks", lambda c, t: c["model"].update(pretrained=True), r"says pretrained=True\.\nExpected a config that names no"),
        ("points", lambda c, t: c["target"].update(flip_pairs=[["a", "b"]]), r"flip_pairs= names a, b\.\nExpected some of"),
        ("texts", lambda c, t: c["modality"]["tokenizer"].update(tokenizer="{}"), r"The tokenizer cannot be built: "),
        ("texts", lambda c, t: c["modality"]["tokenizer"].update(name=7), r"The tokenizer has the name and tokens \(7, "),
        ("texts", lambda c, t: c["model"].update(pad=99), r"the model 15, with 99 for padding\.\nExpected a model that knows"),
        ("texts", lambda c, t: c["model"]["encoder"].update(num_hidden_layers=2_000_000), "its weights allow 0 to 64"),
        ("language", lambda c, t: c["model"]["encoder"]["dropouts"].update(input="x"), "Dropouts has input='x'"),
    ],
)  # fmt: skip
def test_refused_and_told(kind: str, change: Change, says: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=says) as caught:
        oc.load_model(changed(kind, tmp_path / "x.onecycle", change))
    assert len(str(caught.value).split("\n")) == 3


def test_constants_that_take_more_memory_than_the_weights(tmp_path: Path) -> None:
    def no_positions(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["model"]["encoder"].update(max_position_embeddings=10**12)

    with pytest.raises(BundleError, match=r"would take 8,000,000,000,\d+ bytes|of another model"):
        oc.load_model(changed("texts", tmp_path / "x.onecycle", no_positions))


@pytest.mark.parametrize("name", ["os; import evil", "evil\nimport evil", 7])
def test_no_module_is_named_that_is_none(name: Any, tmp_path: Path) -> None:
    def mine(config: dict[str, Any], tensors: Any) -> None:
        config["model"]["kind"], config["modules"] = "mine", {"model": name}

    with pytest.raises(BundleError, match=r"Unknown model 'mine'\.") as caught:
        oc.load_model(changed("photos", tmp_path / "x.onecycle", mine))
    assert "import" not in str(caught.value)


def test_a_mask_in_a_buffer_may_be_infinite() -> None:
    from onecycle.ship.rebuild import _check_finite

    module = torch.nn.Module()
    module.register_buffer("causal_mask", torch.full((2, 2), -torch.inf))
    _check_finite(module, module.state_dict())


def test_info_prints_a_line_a_fact_whatever_the_file_says(tmp_path: Path) -> None:
    def draw(config: dict[str, Any], tensors: Any) -> None:
        config["card"]["date"] = "\x1b[2J\nFake: line"

    path = changed("photos", tmp_path / "x.onecycle", draw)
    said = CliRunner().invoke(app, ["info", str(path)]).output
    assert "date: [2J Fake: line\n" in said
    assert "\x1b[2J" not in said


def test_info_of_a_description_of_other_types(tmp_path: Path) -> None:
    path = changed("tags", tmp_path / "x.onecycle", lambda config, tensors: config["target"].update(threshold="x"))
    done = CliRunner().invoke(app, ["info", str(path)])
    assert done.exit_code != 0
    assert isinstance(done.exception, BundleError | SystemExit)
