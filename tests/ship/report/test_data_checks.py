from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import onecycle as oc
from learners import photo_bunch, plain_model, tag_bunch, tiny
from onecycle.errors import DataError
from onecycle.ship.report import data_checks as checks
from onecycle.ship.report.blocks import Gallery, Note, Section, Table
from onecycle.ship.report.data_checks import data_checks
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """Twelve scenes of two classes; two of the validation items are smaller copies of training items."""
    root, generator = tmp_path_factory.mktemp("copied"), np.random.default_rng(0)
    for number in range(12):
        small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        scene = small.resize((160, 160), Image.Resampling.BICUBIC)
        path = root / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        scene.save(path)
        if number < 2:
            scene.resize((80, 80)).save(path.with_name(f"{number}_copy.jpg"), quality=60)
    held = lambda path: path.stem.endswith("_copy") or int(path.stem) > 9  # noqa: E731
    labelled = oc.ImageList.from_folder(root).split_by(held).label_from_folder()
    learner = tiny(labelled.transform(64, augment=oc.augment.none()).databunch(8), metrics=["accuracy"])
    learner.fit(1, 1e-2)
    return learner


@pytest.fixture(scope="module")
def wrong(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """A photo among the training items has a wrong label."""
    root = tmp_path_factory.mktemp("wrong") / "photos"
    shutil.copytree(photos, root)
    shutil.move(root / "red" / "red_3.jpg", root / "blue" / "wrong.jpg")
    held = lambda path: path.stem.endswith(("_8", "_9"))  # noqa: E731
    labelled = oc.ImageList.from_folder(root).split_by(held).label_from_folder()
    return tiny(labelled.transform(32, augment=oc.augment.none()).databunch(8))


def only(section: Section, kind: Any) -> Any:
    found = [block for block in section.blocks if isinstance(block, kind)]
    assert len(found) == 1
    return found[0]


def test_a_wrong_label_is_shown_first_with_its_reason_and_no_count(
    wrong: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "near_duplicates", lambda learner: [])
    gallery = only(data_checks(wrong)[0], Gallery)
    first = gallery.cards[0]
    assert first.name == "train: blue/wrong.jpg"
    assert first.picture.startswith("data:image/webp")
    assert first.lines[0] == "label: blue"
    assert "says red" in first.lines[1]
    assert "no count of errors" in gallery.note


def test_copies_across_the_split_are_beside_each_other_with_the_metric_without_them(
    copied: Learner,
) -> None:
    section = data_checks(copied)[1]
    cards = {card.name: card for card in only(section, Gallery).cards}
    assert {name: card.beside_name for name, card in cards.items()} == {
        "valid: a/0_copy.jpg": "train: a/0.png", "valid: b/1_copy.jpg": "train: b/1.png",
    }  # fmt: skip
    assert all(card.beside.startswith("data:image/webp") and card.beside != card.picture for card in cards.values())
    found = oc.near_duplicates(copied)
    everything, rest = found.metrics["accuracy"]
    table = only(section, Table)
    assert table.rows == [["accuracy", f"{everything:.4f}", f"{rest:.4f} ({rest - everything:+.4f})"]]
    assert f"{everything:.4f}" == f"{copied.validate()['accuracy']:.4f}"
    notes = " ".join(block.text for block in section.blocks if isinstance(block, Note))
    assert "Training has near-copies of 2 of 4 validation items" in notes


def test_copies_on_one_side_of_the_split_are_shown_once(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = ["image,x,y"]
    for number in range(6):
        small = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        scene = small.resize((64, 64), Image.Resampling.BICUBIC)
        scene.save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{number + 3},5")
    scene.resize((48, 48)).save(tmp_path / "copy.jpg")
    (tmp_path / "points.csv").write_text("\n".join([*rows, "copy.jpg,20,30"]))
    images = oc.ImageList.from_csv(tmp_path / "points.csv", folder=tmp_path).split_by_index([0, 1])
    labelled = images.label_points(["x", "y"])
    [section] = data_checks(tiny(labelled.transform(32, augment=oc.augment.none()).databunch(4), head="regression"))
    assert only(section, Note).text == "1 pair of near-copies, none on both sides of the split."
    [card] = only(section, Gallery).cards
    assert {card.name, card.beside_name} == {"train: 5.png", "train: copy.jpg"}
    assert "labelled" not in card.lines[0]  # points of two frames always differ


def test_what_was_not_looked_for_is_said(copied: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOST_ITEMS", 5)
    texts = [only(section, Note).text for section in data_checks(copied)]
    assert texts[0].endswith("items: oc.doubtful_labels(learner) does.")
    assert texts[1].endswith("items: oc.near_duplicates(learner) does.")

    def offline(learner: Learner) -> Any:
        raise DataError("The weights could not be downloaded.", "a network.", "connect.")

    monkeypatch.setattr(checks, "MOST_ITEMS", 20_000)
    monkeypatch.setattr(checks, "near_duplicates", offline)
    assert only(data_checks(copied)[1], Note).text == "Not looked for: The weights could not be downloaded."


def test_without_body_there_are_no_doubtful_labels(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "near_duplicates", lambda learner: [])
    learner = Learner(photo_bunch(photos), plain_model(), progress=False)
    assert only(data_checks(learner)[0], Note).text.startswith("Not looked for: A Sequential has no body")


def test_nothing_found_is_said(tagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "near_duplicates", lambda learner: [])
    monkeypatch.setattr(checks, "doubtful_labels", lambda learner: oc.doubtful_labels(learner).head(0))
    with torch.random.fork_rng():
        found = data_checks(tiny(tag_bunch(tagged)))
    assert [only(section, Note).text for section in found] == [
        "No label is so doubtful that it would be listed.", "No image is nearly the same as another one.",
    ]  # fmt: skip


def test_plain_loaders_are_left_alone() -> None:
    items = torch.utils.data.TensorDataset(torch.randn(8, 3), torch.randint(0, 2, (8,)))
    loader = torch.utils.data.DataLoader(items, batch_size=4)
    learner = oc.Learner.from_loaders(
        loader, loader, torch.nn.Linear(3, 2), loss=torch.nn.functional.cross_entropy, progress=False
    )
    assert data_checks(learner) == []
