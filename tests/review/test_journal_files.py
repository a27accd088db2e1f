"""A journal goes to another machine as Parquet or as CSV with its inputs, and comes together with another one there."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onecycle.errors import DataError
from onecycle.review.journal import Journal

FORMS = ["journal.parquet", "journal"]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "model.journal")
    for number, text in enumerate(['good, "fine"\nfilm', "bad film", "nobody judged it"]):
        one = journal.record(text.encode(), name=f"text {number}", suffix=".txt", model="m", predicted="pos")
        if number < 2:
            journal.judge(one, "right" if number == 0 else "wrong", None if number == 0 else "neg")
    journal.judge(one := journal.record(b"x", name="x", suffix=".txt", model="m", predicted="neg"), "right")
    journal.judge(one, "undo")
    return journal


@pytest.mark.parametrize("form", FORMS)
def test_an_export_merges_into_an_empty_journal_as_the_same(journal: Journal, tmp_path: Path, form: str) -> None:
    path = journal.export(tmp_path / "out" / form)
    other = Journal(tmp_path / "other")
    assert other.merge(path) == 4
    assert other.events().equals(journal.events())
    assert other.corrections().drop(["path"]).equals(journal.corrections().drop(["path"]))
    contents = {Path(path).read_bytes() for path in other.corrections()["path"].to_pylist()}
    assert contents == {b'good, "fine"\nfilm', b"bad film"}
    assert other.merge(path) == 0
    assert other.events().equals(journal.events())


def test_other_programs_read_it(journal: Journal, tmp_path: Path) -> None:
    table = pq.read_table(journal.export(tmp_path / "journal.parquet"))
    assert table.slice(1, 1).select(["name", "predicted", "verdict", "label", "content"]).to_pylist() == [
        {"name": "text 1", "predicted": '"pos"', "verdict": "wrong", "label": '"neg"', "content": b"bad film"}
    ]
    folder = journal.export(tmp_path / "journal")
    with (folder / "journal.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (folder / "inputs" / rows[1]["input"]).read_text() == "bad film"
    assert [row["verdict"] for row in rows] == ["right", "wrong", "right", "undo", ""]


@pytest.mark.parametrize("form", FORMS)
def test_an_export_replaces_nothing(journal: Journal, tmp_path: Path, form: str) -> None:
    (tmp_path / form).write_text("mine")
    with pytest.raises(DataError, match=rf"{form} exists\.\nExpected a file or folder that is new"):
        journal.export(tmp_path / form)
    assert (tmp_path / form).read_text() == "mine"


def forged(journal: Journal, path: Path, **changed: object) -> Path:
    table = pq.read_table(journal.export(path))
    for name, value in changed.items():
        column = pa.array([value] * len(table), table.schema.field(name).type)
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(("changed", "why"), [
    ({"input": "../../escaped.txt"}, "'../../escaped.txt' is no name of an input"),
    ({"input": f"00/{'0' * 64}.txt"}, "has another content"),
    ({"content": b"damaged"}, "has another content"),
    ({"verdict": "perfect"}, "CHECK constraint failed"),
    ({"predicted": "not json"}, "CHECK constraint failed"),
    ({"name": None}, "NOT NULL constraint failed"),
])  # fmt: skip
def test_a_forged_export_is_refused(journal: Journal, tmp_path: Path, changed: dict[str, object], why: str) -> None:
    other = Journal(tmp_path / "other")
    with pytest.raises(DataError, match=why):
        other.merge(forged(journal, tmp_path / "forged.parquet", **changed))
    assert len(other.events()) == 0
    assert not (tmp_path / "escaped.txt").exists()


def test_a_journal_is_merged_as_it_lies_there(journal: Journal, tmp_path: Path) -> None:
    with Journal(tmp_path / "other") as other:
        assert other.merge(journal.folder) == 4
        assert other.events().equals(journal.events())
        assert other.merge(journal.folder) == other.merge(other.folder) == 0
        for path in (journal.folder / "inputs").rglob("*.txt"):
            path.unlink()
        with pytest.raises(DataError, match=r"cannot be merged into the journal: FileNotFoundError"):
            other.merge(journal.folder)


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_fails_leaves_nothing_behind(journal: Journal, tmp_path: Path, form: str) -> None:
    lost = journal.input_path(journal.events()["input"][0].as_py())
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(DataError, match=rf"cannot be exported to .*{form}: .*\nExpected every input in "):
        journal.export(tmp_path / "out" / form)
    assert list((tmp_path / "out").iterdir()) == []
    lost.write_bytes(content)
    assert journal.export(tmp_path / "out" / form).exists()  # as the fix says


def test_what_is_no_export_is_refused(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("no parquet")
    pq.write_table(pa.table({"input": ["a"]}), tmp_path / "other.parquet")
    for name, why in (
        ("empty", "it has no journal.csv"), ("text.parquet", "it is no Parquet file"),
        ("other.parquet", "it has no column prediction, content"),
    ):  # fmt: skip
        with pytest.raises(DataError) as error:
            journal.merge(tmp_path / name)
        assert error.value.what == f"{tmp_path / name} cannot be merged into the journal: {why}."
        assert error.value.expected == "what Journal.export() wrote."
    with pytest.raises(DataError, match=r"No such file or folder: .*missing\.\nExpected what .*\nFix: check the path"):
        journal.merge(tmp_path / "missing")


def test_a_folder_is_not_called_as_a_file_is(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"exported to .*judged\.txt: it would be a folder of that name") as error:
        journal.export(tmp_path / "judged.txt")
    assert error.value.fix == "pass 'judged.parquet', or 'judged' for a folder with a CSV file and the inputs."
    assert list(tmp_path.glob("judged*")) == []
    assert journal.export(tmp_path / "judged.parquet").is_file()
    assert journal.export(tmp_path / "judged").is_dir()
