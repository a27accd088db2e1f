"""Every item is read once, and what is broken or there twice is reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from onecycle.data.bunch import DataBunch
from onecycle.vision import decode
from onecycle.vision.labelled_images import LabelledImages


def split_of(folder: Path, valid: list[int] | None = None) -> LabelledImages:
    split = oc.ImageList.from_folder(folder).split_by_index(valid or [3, 7])
    return split.label_from_folder().transform(16, augment=oc.augment.none())


def test_check_finds_nothing_wrong_with_good_data(bunch: DataBunch) -> None:
    report = bunch.labelled.databunch(8).check()
    assert (report.count, report.broken) == (40, ())
    assert len(report.duplicates) == 10, "the test set repeats the red photos"


def test_check_finds_broken_files_and_leaks(own: Path) -> None:
    (own / "dogs" / "3.jpg").write_bytes((own / "cats" / "0.jpg").read_bytes())  # 3 and 7 are held back
    (own / "cats" / "2.jpg").write_bytes((own / "cats" / "1.jpg").read_bytes())
    bunch = split_of(own).databunch(2, cache=None)
    path = own / "dogs" / "1.jpg"
    path.write_bytes(path.read_bytes()[:300])
    (own / "dogs" / "0.jpg").write_bytes(b"")

    report = bunch.check()
    assert report.count == 8
    assert sorted((split, name) for split, name, _ in report.broken) == [
        ("train", "dogs/0.jpg"),
        ("train", "dogs/1.jpg"),
    ]
    assert report.leaks == ((("train", "cats/0.jpg"), ("valid", "dogs/3.jpg")),)
    assert set(report.duplicates) == {*report.leaks, (("train", "cats/1.jpg"), ("train", "cats/2.jpg"))}
    text = repr(report)
    assert text.startswith("8 items read, 2 broken.\n")
    assert f"broken, train: dogs/0.jpg: {own / 'dogs' / '0.jpg'} is empty (0 bytes)." in text
    assert "2 groups of exact duplicates, 1 of them in both splits" in text
    assert "train:cats/0.jpg = valid:dogs/3.jpg" in text


@pytest.mark.filterwarnings("ignore::onecycle.errors.SkippedItemWarning")
def test_where_all_items_are_broken_some_are_shown(own: Path) -> None:
    listed = oc.ImageList.from_folder(own).read_as(page=5).split_by_index([3, 7]).label_from_folder()
    report = listed.transform(16, augment="none").databunch(2, cache=None, on_bad_item="skip").check()
    lines = repr(report).splitlines()
    assert lines[0] == "8 items read, 8 broken."
    assert (len(lines), lines[4]) == (5, "  and 5 more, which are all that there are")
    assert all("has 1 page, and page=5 was asked for" in line for line in lines[1:4])


def test_check_goes_on_after_an_unreadable_file(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bunch = split_of(own).databunch(2, cache=None)
    locked = own / "cats" / "1.jpg"

    def locked_out(opened: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(path: Any, *args: Any) -> Any:
            if Path(path) == locked:
                raise PermissionError(13, "Permission denied")
            return opened(path, *args)

        return maybe

    # Tests may run as root, whom no mode of a file hinders.
    monkeypatch.setattr(decode.Image, "open", locked_out(decode.Image.open))
    monkeypatch.setattr(Path, "read_bytes", locked_out(Path.read_bytes))
    assert bunch.check().broken == (("train", "cats/1.jpg", f"{locked} cannot be read: permission denied."),)
