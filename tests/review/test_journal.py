"""A journal keeps what it acknowledged, changes nothing, and says the last word on each input."""

from __future__ import annotations

import errno
import hashlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from onecycle.errors import DataError
from onecycle.review.journal import Journal, JournalError, journal_beside


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "photos.journal")


def record(journal: Journal, content: bytes = b"pixels", predicted: Any = "cat", **options: Any) -> str:
    given = {"name": "a.jpg", "suffix": ".jpg", "model": "m1", "probabilities": {"cat": 0.75, "dog": 0.25}, **options}
    return journal.record(content, predicted=predicted, **given)


def last_words(journal: Journal) -> list[tuple[Any, ...]]:
    return [(row["verdict"], row["predicted"], row["label"]) for row in journal.corrections().to_pylist()]


def test_a_judgement_is_kept_beside_its_prediction(journal: Journal) -> None:
    judged = journal.judge(record(journal), "wrong", "dog")
    (event,) = journal.events().to_pylist()
    assert event["judgement"] == judged
    assert {name: event[name] for name in ("name", "model", "predicted", "verdict", "label")} == {
        "name": "a.jpg", "model": "m1", "predicted": '"cat"', "verdict": "wrong", "label": '"dog"',
    }  # fmt: skip
    assert event["probabilities"] == '{"cat": 0.75, "dog": 0.25}'
    assert event["time"] <= event["judged"]


def test_inputs_are_kept_once_under_their_checksum(journal: Journal) -> None:
    first, second = record(journal), record(journal, name="b.jpg")
    assert first != second
    digest = hashlib.sha256(b"pixels").hexdigest()
    files = [path for path in (journal.folder / "inputs").rglob("*") if path.is_file()]
    assert files == [journal.folder / "inputs" / digest[:2] / f"{digest}.jpg"]
    assert files[0].read_bytes() == b"pixels"


def test_the_last_word_counts(journal: Journal) -> None:
    first, other = record(journal), record(journal, b"others", predicted="dog")
    journal.judge(first, "wrong", "dog")
    journal.judge(other, "right")
    journal.judge(first, "unknown")
    assert last_words(journal) == [("right", "dog", "dog"), ("unknown", "cat", None)]
    assert Path(journal.corrections()["path"][1].as_py()).read_bytes() == b"pixels"


def test_a_later_model_is_judged_on_the_same_input(journal: Journal) -> None:
    journal.judge(record(journal), "wrong", "dog")
    journal.judge(record(journal, predicted="dog", model="m2"), "right")
    assert last_words(journal) == [("right", "dog", "dog")]
    assert journal.corrections()["model"].to_pylist() == ["m2"]


def test_undo_takes_the_last_judgement_back_and_is_a_row_itself(journal: Journal) -> None:
    one = record(journal)
    journal.judge(one, "right")
    journal.judge(one, "wrong", "dog")
    journal.judge(one, "undo")
    assert last_words(journal) == [("right", "cat", "cat")]
    journal.judge(one, "undo")
    assert last_words(journal) == []
    assert journal.events()["verdict"].to_pylist() == ["right", "wrong", "undo", "undo"]
    with pytest.raises(DataError, match=r"Nothing was said about the prediction .*\nExpected a judgement to take back"):
        journal.judge(one, "undo")


def test_tags_are_lists_and_other_labels_json(journal: Journal, tmp_path: Path) -> None:
    journal.judge(record(journal, predicted=["haze"]), "wrong", ["haze", "road"])
    journal.judge(record(journal, b"2", predicted=[]), "right")
    assert last_words(journal) == [("wrong", ["haze"], ["haze", "road"]), ("right", [], [])]
    ages = Journal(tmp_path / "ages.journal")
    ages.judge(record(ages, predicted={"age": 31.5}), "wrong", {"age": 30})
    assert last_words(ages) == [("wrong", '{"age": 31.5}', '{"age": 30}')]


def test_it_is_opened_again_as_it_was(journal: Journal) -> None:
    one = record(journal)
    journal.close()
    with Journal(journal.folder) as again:
        again.judge(one, "right")
        assert repr(again) == f"Journal {journal.folder}: 1 prediction, 1 judgement"


@pytest.mark.parametrize("change", ["UPDATE predictions SET name = 'x'", "DELETE FROM judgements"])
def test_no_program_changes_what_was_written(journal: Journal, change: str) -> None:
    journal.judge(record(journal), "right")
    with (
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
        sqlite3.connect(journal.folder / "journal.sqlite") as other,
    ):
        other.execute(change)
    other.close()
    assert last_words(journal) == [("right", "cat", "cat")]


def test_threads_and_other_processes_write_side_by_side(journal: Journal) -> None:
    code = (
        "import sys; from onecycle.review.journal import Journal\n"
        "with Journal(sys.argv[1]) as journal:\n"
        "    for number in range(10):\n"
        "        one = journal.record(b'x', name=str(number), suffix='', model='m', predicted='cat')\n"
        "        journal.judge(one, 'right')\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(journal.folder)])
    threads = [
        threading.Thread(target=lambda: [journal.judge(record(journal), "right") for _ in range(10)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait() == 0
    assert journal.events()["verdict"].to_pylist() == ["right"] * 40


@pytest.mark.parametrize(("verdict", "label", "message"), [
    ("fine", None, "verdict='fine'.\nExpected one of: right, wrong, unknown, undo"),
    ("right", "cat", "A label, 'cat', with the verdict 'right'.\nExpected a label only where the verdict is \"wrong\""),
])  # fmt: skip
def test_a_judgement_that_cannot_be_is_refused(journal: Journal, verdict: Any, label: Any, message: str) -> None:
    one = record(journal)
    with pytest.raises(DataError) as caught:
        journal.judge(one, verdict, label)
    assert message in str(caught.value)
    assert journal.events()["verdict"].to_pylist() == [None]


@pytest.mark.parametrize(("value", "why"), [
    (float("nan"), "Out of range float values are not JSON compliant"),
    (object(), "Object of type object is not JSON serializable"),
])  # fmt: skip
def test_what_json_cannot_hold_is_refused(journal: Journal, value: Any, why: str) -> None:
    one = record(journal)
    with pytest.raises(DataError, match=rf"the label cannot be written as JSON: {why}.*\nExpected a class, tags or"):
        journal.judge(one, "wrong", value)
    with pytest.raises(DataError, match="the probabilities cannot be written as JSON"):
        journal.record(b"x", name="x", suffix="", model="m", predicted="cat", probabilities={"cat": value})
    assert len(journal.events()) == 1


@pytest.mark.parametrize("suffix", ["/../../x", ".tar.gz", "jpg", f".{'x' * 11}"])
def test_a_suffix_that_no_export_could_name_is_refused(journal: Journal, suffix: str) -> None:
    with pytest.raises(DataError, match=r"suffix='.*'\.\nExpected a dot and up to ten letters or digits"):
        journal.record(b"x", name="x", suffix=suffix, model="m", predicted="cat")


def test_odd_names_and_capital_suffixes_are_kept_so_that_they_can_be_merged(journal: Journal, tmp_path: Path) -> None:
    journal.judge(journal.record(b"x", name="a\ud800\n\0é.JPG", suffix=".JPG", model="m", predicted="cat"), "right")
    with Journal(tmp_path / "other") as other:
        assert other.merge(journal.export(tmp_path / "out.parquet")) == 1
        (row,) = other.corrections().to_pylist()
    assert (row["name"], Path(row["path"]).suffix) == ("a?\n\0é.JPG", ".jpg")


def test_a_full_disk_is_told_and_what_was_acknowledged_is_there(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.judge(record(journal), "right")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(JournalError, match=r"cannot be used: .*No space left on device\.\nExpected a folder"):
            journal.record(b"another", name="x", suffix="", model="m", predicted="cat")
    assert list(journal.folder.rglob("*.part")) == []
    assert last_words(journal) == [("right", "cat", "cat")]
    journal.record(b"another", name="x", suffix="", model="m", predicted="cat")


def test_an_unknown_prediction_is_refused(journal: Journal) -> None:
    with pytest.raises(DataError, match='There is no prediction "x\' OR 1=1"'):
        journal.judge("x' OR 1=1", "right")


def test_a_damaged_journal_and_one_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.journal").mkdir()
    (tmp_path / "model.journal/journal.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match=r"model.journal cannot be used: file is not a database\.\nExpected a folder"):
        Journal(tmp_path / "model.journal")
    newer = sqlite3.connect(Journal(tmp_path / "newer").folder / "journal.sqlite")
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    with pytest.raises(DataError, match=r"schema version 2\.\nExpected version 1 or earlier"):
        Journal(tmp_path / "newer")


def test_it_lies_beside_the_model() -> None:
    assert journal_beside("runs/photos/model.onecycle") == Path("runs/photos/model.journal")


def test_nothing_acknowledged_is_lost_when_writers_are_killed() -> None:
    script = Path(__file__).parents[1] / "crash/kill_journal_writers.py"
    done = subprocess.run([sys.executable, str(script), "12"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 lost" in done.stdout


def test_it_is_public() -> None:
    assert oc.Journal is Journal
