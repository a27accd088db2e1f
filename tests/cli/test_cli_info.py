from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from onecycle.cli.info import describe_card, describe_config, describe_target


def test_info_shows_what_a_model_is(shell: Any, bundle: Path) -> None:
    done = shell("info", bundle)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith(f"{bundle}: test_efficientnet, 0.4 MB, written by onecycle ")
    assert lines[1:3] == ["predicts multi_category: blue, green, red", "threshold 0.5"]
    assert lines[3].startswith("reads images, size 32x32, method ")
    assert "training_items: 20" in lines or "training_items: 19" in lines


def test_info_of_a_run_is_of_its_newest_version(shell: Any, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    refused = shell("info", tmp_path / "run")
    assert refused.code == 2
    assert "has no model.onecycle yet" in refused.err
    for name in ("model.onecycle", "model-2.onecycle"):
        shutil.copy(bundle, tmp_path / "run" / name)
    assert shell("info", tmp_path / "run").out.startswith(f"{tmp_path / 'run' / 'model-2.onecycle'}: test_efficientnet")


def test_what_a_version_learned_is_a_line_each() -> None:
    learned = {
        "accepted": True, "trained": {"new": 3}, "unused": {}, "measured": [{"items": 2}], "metrics": {}, "notes": [],
    }  # fmt: skip
    assert describe_card("learned", learned) == ["learned, accepted: yes", "learned, trained, new: 3"]
    assert describe_card("parent", "model.onecycle") == ["parent: model.onecycle"]
    assert describe_card("tags", ["one", "two"]) == ["tags: one, two"]
    assert describe_card("notes", ["one, and two", "three"]) == ["notes: one, and two", "notes: three"]
    calibrated = {"split": "valid", "ece": [0.2, 0.1], "brier": [0.3, 0.25], "unknown": None}
    assert describe_card("calibration", calibrated) == [
        "calibration, split: valid", "calibration, ece: 0.2 before, 0.1 after",
        "calibration, brier: 0.3 before, 0.25 after",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"kind": "images", "size": [96, 128], "method": "crop"}, "images, size 96x128, method crop"),
        (
            {"kind": "texts", "max_length": 48, "beginning": 0.75, "rules": ["html", "spaces"], "tokenizer": {"a": 1}},
            "texts, max length 48, beginning 0.75, rules html spaces",
        ),
        ({"kind": "sound", "mono": True, "mel": False, "none": None}, "sound, mono yes, mel no"),
        ({"kind": "words", "vocabulary": ["a"] * 100, "empty": [], "nested": [[1, 2]], "mixed": [1, "a"]}, "words"),
        ({"kind": "flags", "values": [True, False]}, "flags"),
    ],
)
def test_a_description_has_the_plain_values(config: dict[str, Any], text: str) -> None:
    assert describe_config(config) == text


def test_what_is_predicted() -> None:
    assert describe_target({"kind": "next_token"}) == ["predicts next_token"]
    assert describe_target({"kind": "category", "classes": ["a", "b"]}) == ["predicts category: a, b"]
    many = describe_target({"kind": "category", "classes": [str(number) for number in range(60)]})[0]
    assert many.endswith("48, 49 and 10 more")
