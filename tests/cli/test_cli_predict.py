from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import onecycle as oc
from ship.tiny_bundles import calibrated


def test_to_the_screen(shell: Any, bundle: Path, tagged: Path) -> None:
    item = tagged / "images" / "tile_0.png"
    done = shell("predict", bundle, item)
    assert done.code == 0
    model = oc.load_model(bundle)
    label, probabilities = model.predict(item)
    tags = ", ".join(f"{tag} {probabilities[tag]:.3f}" for tag in label) or "–"
    assert done.out == f"{item}\t{tags}\n"


def test_a_folder_into_a_csv_file(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    done = shell("predict", bundle, tagged / "images", "--out", "predictions.csv")
    assert (done.code, done.out) == (0, "24 predictions written to predictions.csv\n")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image_name", "tags", "confidence"]
    assert {row["image_name"] for row in rows} == {f"tile_{number}.png" for number in range(24)}


def test_one_class_per_item_is_called_label(shell: Any, tmp_path: Path, tagged: Path) -> None:
    golden = Path(__file__).parent.parent / "ship" / "golden" / "v1.onecycle"
    assert shell("predict", golden, tagged / "images" / "tile_0.png", "--out", "predictions.csv").code == 0
    assert (tmp_path / "predictions.csv").read_text().splitlines()[0] == "image_name,label,confidence"


def test_a_broken_file_among_good_ones(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    good = [tagged / "images" / f"tile_{number}.png" for number in (0, 1)]
    done = shell("predict", bundle, good[0], "broken.jpg", good[1])
    assert done.code == 2
    assert [line.split("\t")[0] for line in done.out.splitlines()] == [str(path) for path in good]
    assert "broken.jpg" in done.err
    assert "Fix:" in done.err


def test_advice_for_a_damaged_file_names_no_option_that_predict_lacks(
    shell: Any, bundle: Path, tagged: Path, tmp_path: Path
) -> None:
    good = tagged / "images" / "tile_0.png"
    (tmp_path / "half.png").write_bytes(good.read_bytes()[:-40])
    done = shell("predict", bundle, "half.png", good)
    assert (done.code, len(done.out.splitlines())) == (2, 1)
    assert done.err.splitlines()[1:3] == ["Expected a complete image file.", "Fix: replace it."]
    (tmp_path / "half.png").write_bytes(good.read_bytes())
    assert shell("predict", bundle, "half.png", good).code == 0


def test_a_file_that_does_not_exist(shell: Any, bundle: Path) -> None:
    done = shell("predict", bundle, "none.jpg")
    assert (done.code, done.out) == (2, "")
    assert "none.jpg" in done.err


def test_a_file_that_is_no_bundle(shell: Any, tagged: Path) -> None:
    item = tagged / "images" / "tile_0.png"
    done = shell("predict", item, item)
    assert done.code == 2
    assert "bundle" in done.err


def test_the_folder_of_a_run(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    (tmp_path / "runs/tags").mkdir(parents=True)
    (tmp_path / "runs/tags/run.json").write_text("{}")
    item = tagged / "images" / "tile_0.png"
    unfinished = shell("predict", "runs/tags", item)
    assert unfinished.code == 2
    assert "The run in runs/tags has no model.onecycle yet." in unfinished.err
    (tmp_path / "runs/tags/model.onecycle").write_bytes(bundle.read_bytes())
    assert shell("predict", "runs/tags", item).out == shell("predict", bundle, item).out


def test_folders_keep_images_of_the_same_name_apart(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / "items" / folder).mkdir(parents=True)
        (tmp_path / "items" / folder / "0.png").write_bytes((tagged / "images" / "tile_0.png").read_bytes())
    assert shell("predict", bundle, "items", "--out", "new/folder/x.csv").code == 0
    with (tmp_path / "new/folder/x.csv").open(newline="") as file:
        assert [row["image_name"] for row in csv.DictReader(file)] == ["a/0.png", "b/0.png"]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
def test_a_table_gets_one_answer_a_row_in_any_format(
    shell: Any, bundle: Path, tagged: Path, tmp_path: Path, suffix: str
) -> None:
    names = ["tile_3.png", "tile_1.png", "none.png", "tile_3.png"]
    (tagged / "items.csv").write_text("id,file\n" + "".join(f"{row},{name}\n" for row, name in enumerate(names)))
    done = shell("predict", bundle, tagged / "items.csv", "--out", f"x.{suffix}")
    (tagged / "items.csv").unlink()
    assert done.code == 2
    assert "none.png" in done.err
    path = tmp_path / f"x.{suffix}"
    if suffix == "csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["tags"] == "" for row in rows] == [False, False, True, False]
    elif suffix == "parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        text = path.read_text()
        rows = json.loads(text) if suffix == "json" else [json.loads(line) for line in text.splitlines()]
        model = oc.load_model(bundle)
        expected = model.predict(tagged / "images" / "tile_1.png").probabilities["red"]
        assert rows[1]["p(red)"] == pytest.approx(expected, abs=1e-6)
        assert rows[2]["p(red)"] is None
    assert [row["file"] for row in rows] == names
    assert rows[0] == rows[3]


def test_images_inside_a_parquet_file(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    files = sorted((tagged / "images").iterdir())[:3]
    images: list[Any] = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    images += [{"bytes": None, "path": "none.png"}]
    pq.write_table(pa.table({"image": images}), tmp_path / "items.parquet")
    done = shell("predict", bundle, "items.parquet", "--out", "x.json")
    assert done.code == 2
    assert "none.png (row 3) has no bytes." in done.err
    rows = json.loads((tmp_path / "x.json").read_text())
    names = [*(file.name for file in files), "none.png"]
    assert [row["image"] for row in rows] == names  # the column, as of a CSV file
    expected = oc.load_model(bundle).predict(files[1]).probabilities["red"]
    assert rows[1]["p(red)"] == pytest.approx(expected, abs=1e-6)
    assert "on-bad-item" not in done.err
    refused = shell("predict", bundle, "items.parquet", "--out", "y.json", "--engine", "ray")
    assert "items.parquet with --engine ray: its images are inside Parquet files." in refused.err
    (tmp_path / "shards").mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"image": images[:2]}), tmp_path / f"shards/{name}.parquet")
    assert shell("predict", bundle, "shards", "--out", "z.json").code == 0
    named = [row["image"] for row in json.loads((tmp_path / "z.json").read_text())]
    assert named == [f"{name}.parquet/{file.name}" for name in ("a", "b") for file in files[:2]]


def test_nothing_is_overwritten_unless_asked(shell: Any, bundle: Path, tagged: Path, tmp_path: Path) -> None:
    item = tagged / "images" / "tile_0.png"
    (tmp_path / "x.csv").write_text("mine")
    refused = shell("predict", bundle, item, "--out", "x.csv")
    assert (refused.code, (tmp_path / "x.csv").read_text()) == (2, "mine")
    assert (
        refused.err == "x.csv exists.\nExpected a new file or folder.\nFix: pass another --out, or add --overwrite.\n"
    )
    assert shell("predict", bundle, item, "--out", "x.csv", "--overwrite").code == 0
    unknown = shell("predict", bundle, item, "--out", "x.xlsx")
    assert "--out x.xlsx has the suffix '.xlsx'.\nExpected one of: .csv, .json, .jsonl, .parquet.\nFix: " in unknown.err
    (tmp_path / "y.csv").mkdir()
    assert "y.csv is a folder." in shell("predict", bundle, item, "--out", "y.csv").err


class TestHowSure:
    @pytest.fixture
    def sure(self, tmp_path: Path) -> Path:
        return calibrated().write(tmp_path / "sure.onecycle")

    def test_sets_are_printed_with_what_they_promise(self, shell: Any, sure: Path, tagged: Path) -> None:
        item = tagged / "images" / "tile_0.png"
        done = shell("predict", sure, item, "--sets", "0.5")
        assert done.code == 0
        with pytest.warns(UserWarning, match="40 held-back items"):
            expected = oc.load_model(sure).predict(item, sets=0.5)
        assert expected.label_set is not None
        assert done.out.endswith(f"\t{{{', '.join(expected.label_set)}}}\n")
        assert done.err.splitlines() == [
            "Sets have the right class in 50% of cases on average, not for each class. Sets of classes come from 40 "
            "held-back items, fewer than 400: those for 50% have the right class in 35% to 65% of all cases.",
            f"1 of 1 input is unlike the training items: {item}",
        ]

    def test_sets_and_unfamiliar_inputs_in_files(self, shell: Any, sure: Path, tagged: Path, tmp_path: Path) -> None:
        item = tagged / "images" / "tile_0.png"
        for name in ("a.csv", "a.json"):
            assert shell("predict", sure, item, "--sets", "0.5", "--out", name).code == 0
        row = json.loads((tmp_path / "a.json").read_text())[0]
        assert row["unfamiliar"] is True
        with (tmp_path / "a.csv").open(newline="") as file:
            written = next(csv.DictReader(file))
        assert written["set"] == ";".join(row["set"])
        assert (written["unfamiliar"], written["confidence"]) == ("True", f"{row['confidence']:.4f}")

    def test_a_model_that_cannot_is_refused_before_anything_is_read(
        self, shell: Any, bundle: Path, sure: Path, tagged: Path
    ) -> None:
        done = shell("predict", bundle, tagged / "images", "--sets", "0.9")
        assert done.code == 2
        assert "for one class an item, and this model predicts multi_category.\nExpected a model of one" in done.err
        assert done.err.endswith("Fix: leave --sets out.\n")
        assert shell("predict", bundle, tagged / "images").code == 0  # as the fix says
        done = shell("predict", sure, tagged / "images", "--sets", "90")
        assert (done.code, done.err.splitlines()[0]) == (2, "--sets 90.0.")
        assert done.err.endswith("above 0 and below 1.\nFix: pass --sets 0.9.\n")
        assert shell("predict", sure, tagged / "images", "--sets", "0.9").code == 0  # as the fix says
        done = shell("predict", sure, tagged / "images", "--sets", "0.9", "--engine", "ray", "--out", "x.csv")
        assert (done.code, "--sets with --engine ray" in done.err) == (2, True)


@pytest.mark.parametrize("column", ["who", "flie"])
def test_a_column_that_names_no_images_is_told_with_options_that_predict_has(
    shell: Any, bundle: Path, tagged: Path, tmp_path: Path, column: str
) -> None:
    image = (tagged / "images" / "tile_1.png").read_bytes()
    (tmp_path / "tile_1.png").write_bytes(image)
    (tmp_path / "items.csv").write_text("who,file\nme,tile_1.png\n")
    refused = shell("predict", bundle, "items.csv", "--column", column)
    assert refused.code == 2
    fix = refused.err.splitlines()[2]
    assert fix == "Fix: name the column as --column, or put the table into the folder of the images."
    assert shell("predict", bundle, "items.csv", "--column", "file").out.startswith("tile_1.png\t")  # as the fix says
    (tmp_path / "tile_1.png").unlink()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "tile_1.png").write_bytes(image)
    shutil.move(tmp_path / "items.csv", tmp_path / "images")  # as it says too
    assert shell("predict", bundle, "images/items.csv").out.startswith("tile_1.png\t")
