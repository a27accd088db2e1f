from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import onecycle as oc


def test_to_the_screen(shell: Any, bundle: Path, tagged: Path) -> None:
    item = tagged / "images" / "tile_0.png"
    done = shell("predict", bundle, item)
    assert done.code == 0
    model = oc.load_model(bundle)
    label, probabilities = model.predict(item)
    assert done.out == f"{item}\t{model.target.caption(label)}\t{max(probabilities.values()):.3f}\n"


def test_a_folder_into_a_csv_file(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    done = shell("predict", bundle, tagged / "images", "--out", "predictions.csv")
    assert (done.code, done.out) == (0, "24 predictions written to predictions.csv\n")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image_name", "tags"]
    assert {row["image_name"] for row in rows} == {f"tile_{number}" for number in range(24)}


def test_one_class_per_item_is_called_label(shell: Any, tmp_path: Path, tagged: Path) -> None:
    golden = Path(__file__).parent.parent / "ship" / "golden" / "v1.onecycle"
    assert shell("predict", golden, tagged / "images" / "tile_0.png", "--out", "predictions.csv").code == 0
    assert (tmp_path / "predictions.csv").read_text().splitlines()[0] == "image_name,label"


def test_a_broken_file_among_good_ones(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    good = [tagged / "images" / f"tile_{number}.png" for number in (0, 1)]
    done = shell("predict", bundle, good[0], "broken.jpg", good[1])
    assert done.code == 2
    assert [line.split("\t")[0] for line in done.out.splitlines()] == [str(path) for path in good]
    assert "broken.jpg" in done.err
    assert "Fix:" in done.err


def test_a_file_that_does_not_exist(shell: Any, bundle: Path) -> None:
    done = shell("predict", bundle, "none.jpg")
    assert (done.code, done.out) == (2, "")
    assert "none.jpg" in done.err


def test_a_file_that_is_no_bundle(shell: Any, tagged: Path) -> None:
    item = tagged / "images" / "tile_0.png"
    done = shell("predict", item, item)
    assert done.code == 2
    assert "bundle" in done.err
