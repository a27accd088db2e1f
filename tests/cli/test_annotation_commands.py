"""The commands of docs/annotations.md read their data as the page says; `check` reads what `train` would."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from published import coco_folder, write_all_formats

pytest.importorskip("pycocotools")
PAGE = Path(__file__).parents[2] / "docs/annotations.md"
COMMANDS = re.findall(r"^    onecycle train (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
PREDICTED = {
    "coco/ --task segment": "Mask, 3 classes", "coco/ --task points": "Points, 2", "coco2017/": "Mask, 3 classes",
    "coco/images --labels coco/instances.json --task tag": "MultiCategory, 2 classes", "yolo/": "Mask, 3 classes",
    "VOCdevkit/ --task tag": "MultiCategory, 2 classes", "studio/": "Category, 2 classes", "cvat/": "Mask, 3 classes",
}  # fmt: skip


def test_every_command_of_the_page_reads_what_it_says(shell: Any, tmp_path: Path) -> None:
    write_all_formats(tmp_path)
    assert set(COMMANDS) == set(PREDICTED)
    for command in COMMANDS:
        done = shell("check", *shlex.split(command))
        assert done.code == 0, done.err
        assert PREDICTED[command] in done.out


def test_the_shell_names_its_own_options(shell: Any, tmp_path: Path) -> None:
    coco_folder(tmp_path / "coco")
    asked = shell("check", "coco")
    assert asked.code == 2
    assert "Fix: pass --task tag or --task segment or --task points." in asked.err
