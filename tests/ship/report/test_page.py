"""The page is one file without a script, escapes hostile names, and puts each item where it belongs."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.data.categories import tag_target
from onecycle.errors import BundleError, ModelError
from onecycle.inference.interpretation.confusion import confusion_result
from onecycle.ship.report.blocks import Interval, Section, Table
from onecycle.ship.report.findings import MOST_CLASSES, _pair_galleries, findings, matrix_block, result_table
from onecycle.ship.report.page import PreviousRun, load_template, write_page
from onecycle.ship.report.training import differences
from onecycle.train.learner import Learner

HOSTILE = "<script>alert(1)</script>&'\"$x$"


class Parsed(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos))
    learner.fit_one_cycle(2, 1e-3)
    return learner


@pytest.fixture(scope="module")
def page(learner: Learner, tmp_path_factory: pytest.TempPathFactory) -> str:
    return learner.report(tmp_path_factory.mktemp("page") / "new" / "report.html").read_text()


class TestPage:
    def test_it_is_whole_and_loads_nothing(self, page: str) -> None:
        parsed = Parsed(page)
        assert not parsed.open
        assert not {tag for tag, _ in parsed.elements} & {"script", "link", "iframe", "object"}
        addresses = [str(value) for _, attributes in parsed.elements for name, value in attributes.items()
                     if name in ("src", "href", "srcset")]  # fmt: skip
        assert all(address.startswith(("data:image/webp;base64,", "#s")) for address in addresses)
        assert "default-src 'none'" in page
        assert len(page) < 5e6

    def test_it_says_what_was_found(self, page: str, learner: Learner) -> None:
        text = Parsed(page).text
        found = learner.interpret()
        for name, value in found.scores.items():
            assert name in text
            assert f"{value:.4f}" in text
        for heading in (
            "What was trained",
            "Training",
            "Confusions",
            "Calibration",
            "Time and memory",
            "Worst mistakes",
        ):
            assert heading in text
        for name in found.top_losses(12).table["item"].to_pylist():
            assert name in text

    def test_items_of_a_pair_are_of_that_pair(self, learner: Learner) -> None:
        found = learner.interpret("train")
        labels = {
            row["item"]: (row["label"], row["prediction"]) for row in learner.predict_all("train").table.to_pylist()
        }
        galleries = _pair_galleries(learner.state, found)
        assert len(galleries) > 1
        for gallery in galleries:
            assert gallery.cards
            for card in gallery.cards:
                assert gallery.title == "{}, taken for {}".format(*labels[card.name])
                assert card.lines[0] == f"label: {labels[card.name][0]}"

    def test_hostile_names_stay_text(self, tmp_path: Path) -> None:
        for name in (HOSTILE.replace("/", "|"), "other"):
            (tmp_path / "data" / name).mkdir(parents=True)
            for number in range(6):
                pixels = np.random.default_rng(number).integers(0, 255, (24, 24, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / name / f"<img src=x onerror=alert({number})>.png")
        images = oc.ImageList.from_folder(tmp_path / "data").split_random(0.5, seed=1)
        learner = tiny(images.label_from_folder().transform(24, augment=oc.augment.none()).databunch(4))
        learner.fit(1, 1e-3)
        learner.state.command = f"onecycle train '{HOSTILE}'"
        parsed = Parsed(learner.report(tmp_path / "report.html").read_text())
        assert "script" not in {tag for tag, _ in parsed.elements}
        assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
        assert "<script>alert(1)<|script>" in parsed.text
        assert f"onecycle train '{HOSTILE}'" in parsed.text

    def test_the_previous_run_is_beside_it(self, learner: Learner, tmp_path: Path) -> None:
        previous = PreviousRun("runs/photos", {"accuracy": 0.25}, {"lr": "auto", "seed": 1}, {"lr": "0.1", "seed": 1})
        path = write_page(learner, tmp_path / "report.html", previous=previous)
        text = Parsed(path.read_text()).text
        accuracy = learner.interpret().scores["accuracy"]
        assert f"0.2500 ({accuracy - 0.25:+.4f})" in text
        assert "compared with runs/photos" in text
        assert re.search(r"lr\s*auto\s*0\.1", text)

    def test_of_tags_it_has_the_threshold_curves(self, tagged: Path, tmp_path: Path) -> None:
        learner = tiny(tag_bunch(tagged))
        page = learner.report(tmp_path / "tags.html").read_text()
        assert "Precision, recall and F1" in page
        assert "Nothing was trained yet" in page
        assert "Confusion" not in page

    def test_without_jinja2_it_says_what_to_install(
        self, learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_template.cache_clear()
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(
            ModelError,
            match=r'jinja2 is not installed\.\nExpected jinja2, for a report\.\nFix: pip install "onecycle\[report\]"',
        ):
            learner.report(tmp_path / "report.html")


def numbers_of(folder: Path) -> Learner:
    """A learner of two numbers in small images, one ten times as large as the other."""
    rows = ["image,small,large"]
    for number in range(8):
        Image.new("RGB", (24, 24), (number * 30, 0, 0)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{number / 80},{number}")
    (folder / "numbers.csv").write_text("\n".join(rows))
    images = oc.ImageList.from_csv(folder / "numbers.csv", folder=folder).split_by_index([6, 7])
    return tiny(images.label_numbers(["small", "large"]).transform(24, augment=oc.augment.none()).databunch(4))


class TestMatrix:
    def test_a_small_one_is_whole(self) -> None:
        block = matrix_block(confusion_result(("a", "b"), np.array([[3, 1], [0, 2]]), "items"))
        assert [[cell.count for cell in row] for row in block.rows] == [[3, 1], [0, 2]]
        assert block.rows[0][1].share == 0.25
        assert not block.overview
        assert not block.shows_shares

    def test_pixels_are_shown_as_shares(self) -> None:
        block = matrix_block(confusion_result(("a", "b"), np.array([[30_000, 10_000], [0, 2]]), "pixels"))
        assert block.shows_shares
        html = load_template().render(title="", date="", previous="", sections=[Section("Confusions", [block])])
        assert re.findall(r">(\d+%)</td>", html) == ["75%", "25%", "100%"]

    def test_one_of_300_classes_can_be_read(self) -> None:
        matrix = np.diag(np.full(300, 9))
        matrix[7, 200], matrix[200, 7], matrix[5, 6] = 8, 7, 6
        classes = tuple(f"class {number}" for number in range(300))
        block = matrix_block(confusion_result(classes, matrix, "items"))
        assert len(block.classes) == MOST_CLASSES + 1
        assert {block.classes[0], block.classes[1]} == {"class 7", "class 200"}
        assert {"class 5", "class 6", "others"} <= set(block.classes)
        assert sum(cell.count for row in block.rows for cell in row) == matrix.sum()
        assert block.overview.startswith("data:image/webp")
        assert "20 of 300 classes" in block.note


def test_a_table_of_errors_begins_with_the_largest_and_has_no_bars(tmp_path: Path) -> None:
    result = numbers_of(tmp_path).interpret("train").per_class()
    table = result_table(result)
    errors = {row["number"]: row["rmse"] for row in result.table.to_pylist()}
    assert [row[0] for row in table.rows] == sorted(errors, key=lambda name: -errors[name])
    assert not any(one.share for row in table.rows for one in row if isinstance(one, Interval))


def test_what_is_predicted_as_another_class_is_counted_with_its_share(learner: Learner) -> None:
    section = next(one for one in findings(learner.state, learner.interpret("train")) if one.title == "Confusions")
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert all(re.fullmatch(r"\d+\.\d%", str(row[3])) for row in table.rows)


def test_options_that_were_not_given_are_left_empty() -> None:
    table = differences({"lr": "auto", "labels": "a.csv"}, {"lr": "auto", "labels": None})
    assert table is not None
    assert table.rows == [["labels", "a.csv", ""]]


def test_what_is_said_once_is_not_said_again(tagged: Path, tmp_path: Path) -> None:
    learner = tiny(tag_bunch(tagged))
    learner.fit(1, 1e-3)
    learner.calibrate()
    text = Parsed(learner.report(tmp_path / "tags.html", explain=False).read_text()).text
    assert text.count("scores on them are a little too good") == 1
    assert f"in use: {tag_target(learner.target).threshold:g}" in text
    assert "1 threads" not in text
    assert "Slowest epoch epoch 1: " in " ".join(text.replace("Slowest epoch", "Slowest epoch ").split())


def test_a_path_that_cannot_be_written_is_refused_before_anything_is_computed(
    learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("onecycle.ship.report.page.interpret", lambda state: pytest.fail("it was computed"))
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "file" / "report.html", "File exists")):
        with pytest.raises(BundleError, match=rf"Cannot write .*: {why}\.\n.*\nFix: free some room or choose another"):
            learner.report(path)


def test_a_report_in_another_format_is_refused_and_the_fix_works(learner: Learner, tmp_path: Path) -> None:
    for name in ("x.pdf", "x.MD"):
        with pytest.raises(
            ModelError, match=rf"A report is not written as '{name}'\.\nExpected .* \.html or \.htm\.\n"
            r"Fix: pass 'x\.html'; for a PDF, open it in a browser and print it\.$",
        ):  # fmt: skip
            learner.report(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    for name in ("x.html", "x.HTM"):
        assert learner.report(tmp_path / name, explain=False).is_file()


def test_a_table_of_scores_begins_with_the_lowest(learner: Learner) -> None:
    result = learner.interpret("train").per_class()
    table = result_table(result)
    scores = {row["class"]: row["f1"] for row in result.table.to_pylist()}
    assert [row[0] for row in table.rows] == sorted(scores, key=lambda name: scores[name])
    assert table.columns == ["class", "items", "precision", "recall", "f1"]
