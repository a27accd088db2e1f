from pathlib import Path

import numpy as np
import pytest
import torch

import onecycle as oc
from onecycle.data.explain import _described


def test_explain_names_every_stage_with_shapes_units_and_the_label(photos: Path, capsys: pytest.CaptureFixture) -> None:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder")
    bunch = split.label_from_folder().transform((16, 24), augment=oc.augment.satellite()).databunch(8)
    text = bunch.explain(0)
    assert capsys.readouterr().out == text + "\n"
    name, label = bunch.train.dataset.name(0), bunch.train.dataset.label(0)
    lines = text.splitlines()
    assert lines[0] == f"1. item: {name!r}, row 0 of 24"
    assert lines[1] == f"2. label: {label!r}"
    assert lines[2].startswith("3. read (in a worker): decode at the smallest scale that covers 18x28 pixels")
    assert lines[3].strip().startswith("-> uint8, (18, 28, 3), from ")
    assert lines[4] == f"4. encoded by Category: {label!r} -> int64 {bunch.classes.index(label)}"
    assert lines[5].startswith("5. batch: 8 items stacked -> uint8, (8, 18, 28, 3), from ")
    assert lines[
        6
    ] == "6. on the device, training: augment: Dihedral (1), Zoom 1.1 1 (0.75), Brightness 0.1 (0.75), " + (
        "Contrast 0.1 (0.75)"
    )
    assert lines[7].strip().startswith("-> float32, (8, 3, 16, 24), from ")
    assert lines[8] == "7. on the device, prediction: 16x24 pixels"
    assert lines[9].strip().startswith("-> float32, (8, 3, 16, 24), from ")
    assert lines[10] == f"8. decoded again: {label!r}"


def test_explain_shows_tags_as_numbers(tagged: Path) -> None:
    split = oc.ImageList.from_csv(tagged / "labels.csv", folder=tagged / "images", suffix=".png").split_random(0.2)
    bunch = split.label_from_column("tags", delimiter=" ").transform(16).databunch(8)
    tags = bunch.train.dataset.label(0)
    encoded = [float(name in tags) for name in bunch.classes]
    assert f"encoded by MultiCategory: {tags!r} -> float32 {encoded}" in bunch.explain(0)
    assert f"decoded again: {tuple(tags)!r}" in bunch.explain(0)


def test_anything_can_be_described() -> None:
    assert _described(None) == "none"
    assert _described("some words") == "str 'some words'"
    assert _described(torch.tensor(3)) == "int64 3"
    assert _described(np.array([[0.5, 2.0]], np.float32)) == "float32, (1, 2), from 0.5 to 2"
