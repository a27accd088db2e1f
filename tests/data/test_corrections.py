"""The table of corrections: what is read is what was written, and the last word on an item counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import onecycle as oc
from onecycle.data.corrections import COLUMNS


@pytest.mark.parametrize("name", ["corrections.parquet", "corrections.csv"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    corrections = oc.Corrections.open(tmp_path / "new" / name)
    corrections.append("a/1.jpg", "relabel", 'a "quoted", label\nof two lines')
    corrections.append(["a/2.jpg", "a/3.jpg"], "relabel", ["x", "y z"], source="free")
    read = oc.Corrections.read(tmp_path / "new" / name)
    assert read.table.equals(corrections.table)
    assert read.table.column_names == list(COLUMNS)
    assert read.table["label"].to_pylist() == ['a "quoted", label\nof two lines', '["x", "y z"]', '["x", "y z"]']
    assert read.table["source"].to_pylist() == ["review", "free", "free"]
    assert all(moment.endswith("+00:00") for moment in read.table["time"].to_pylist())
    read.write(tmp_path / "copy.parquet")
    assert parquet.read_table(tmp_path / "copy.parquet").equals(read.table)


def test_the_last_decision_counts_and_undo_takes_it_back() -> None:
    corrections = oc.Corrections()
    for item, decision, label in [
        ("a", "keep", ""), ("b", "remove", ""), ("a", "relabel", "x"), ("c", "relabel", "y"), ("b", "undo", ""),
        ("c", "remove", ""), ("c", "undo", ""), ("d", "undo", ""),
    ]:  # fmt: skip
        corrections.append(item, decision, label)
    standing = corrections.standing().select(["item", "decision", "label"]).to_pylist()
    assert standing == [
        {"item": "a", "decision": "relabel", "label": "x"}, {"item": "c", "decision": "relabel", "label": "y"},
    ]  # fmt: skip
    assert len(corrections) == 2
    assert repr(corrections) == "Corrections: 2 items: 2 relabelled"
    assert "<td>relabel</td>" in corrections._repr_html_()
    assert pa.table(corrections).num_rows == 8


def test_a_table_of_another_program_needs_two_columns(tmp_path: Path) -> None:
    corrections = oc.Corrections(pa.table({"decision": ["keep", "remove"], "item": ["a", "b"], "who": ["me", "me"]}))
    assert corrections.counts() == {"kept": 1, "relabelled": 0, "removed": 1}
    (tmp_path / "own.csv").write_text("item,decision\na,keep\n")
    assert len(oc.Corrections.read(tmp_path / "own.csv")) == 1


def test_threads_that_append_to_one_file_lose_nothing(tmp_path: Path) -> None:
    tables = [oc.Corrections.open(tmp_path / "corrections.parquet") for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: tables[number % 2].append(str(number), "keep"), range(20)))
    items = oc.Corrections.read(tmp_path / "corrections.parquet").table["item"].to_pylist()
    assert sorted(items, key=int) == [str(number) for number in range(20)]


APPENDING = """
import sys
import onecycle as oc
corrections = oc.Corrections.open(sys.argv[1])
for number in range(100_000):
    corrections.append(str(number), "keep")
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_what_append_has_returned_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "corrections.parquet"
    with subprocess.Popen([sys.executable, "-c", APPENDING, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(10)]
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    said = int([line for line in lines if line.endswith("\n")][-1])
    items = oc.Corrections.read(path).table["item"].to_pylist()
    assert items == [str(number) for number in range(len(items))]
    assert len(items) in (said + 1, said + 2)
    oc.Corrections.open(path).append("after", "remove")  # its lock died with it


def test_a_journal_as_corrections(tmp_path: Path) -> None:
    journal = oc.Journal(tmp_path / "model.journal")
    for number, (verdict, label) in enumerate(
        [("right", None), ("wrong", "dog"), ("wrong", None), ("unknown", None), ("right", None)]
    ):
        key = journal.record(b"%d" % number, name="a.jpg", suffix=".jpg", model="m", predicted="cat")
        journal.judge(key, verdict, label)  # type: ignore[arg-type]
    journal.judge(key, "undo")
    found = oc.Corrections.from_journal(journal).table.to_pylist()
    assert [(row["decision"], row["label"], row["source"]) for row in found] == [
        ("keep", "cat", "serve"), ("relabel", "dog", "serve"),
    ]  # fmt: skip
    assert [Path(row["item"]).read_bytes() for row in found] == [b"0", b"1"]


def test_tags_of_a_journal_are_json_lists(tmp_path: Path) -> None:
    journal = oc.Journal(tmp_path / "model.journal")
    key = journal.record(b"x", name="a.jpg", suffix=".jpg", model="m", predicted=["cloudy"])
    journal.judge(key, "wrong", ["clear", "river"])
    assert oc.Corrections.from_journal(journal).table["label"].to_pylist() == ['["clear", "river"]']


# --- errors, and their fixes ---


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(oc.DataError, match=r"Corrections in .*corrections\.txt") as error:
        oc.Corrections().write(tmp_path / "corrections.txt")
    assert "call it corrections.parquet" in error.value.fix
    oc.Corrections().write(tmp_path / "corrections.parquet")
    assert len(oc.Corrections.read(tmp_path / "corrections.parquet")) == 0


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(oc.DataError, match="No such file"):
        oc.Corrections.read(tmp_path / "corrections.parquet")
    oc.Corrections.open(tmp_path / "corrections.parquet").append("a", "keep")
    assert len(oc.Corrections.read(tmp_path / "corrections.parquet")) == 1


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "corrections.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(oc.DataError, match="cannot be read"):
        oc.Corrections.read(tmp_path / "corrections.parquet")


def test_a_missing_column_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("file,decision\na,keep\n")
    with pytest.raises(oc.DataError, match="has no column 'item'; it has file, decision") as error:
        oc.Corrections.read(tmp_path / "c.csv")
    assert "rename the columns" in error.value.fix


def test_an_unknown_decision_is_told_with_a_suggestion() -> None:
    corrections = oc.Corrections()
    with pytest.raises(oc.DataError, match="has the decision 'relable'") as error:
        corrections.append("a", "relable", "x")  # type: ignore[arg-type]
    assert "relabel" in error.value.fix
    assert not len(corrections)


def test_a_label_needs_a_decision_that_takes_one() -> None:
    with pytest.raises(oc.DataError, match="A label, 'x', with the decision 'remove'"):
        oc.Corrections().append("a", "remove", "x")


@pytest.mark.parametrize(
    ("arguments", "what", "fix", "fixed"),
    [
        (("a", "relabel"), 'The decision "relabel" without a label.', "pass label=", ("a", "relabel", [])),
        (("", "keep"), "A decision about the item ''.", "pass its path relative", ("cats/1.jpg", "keep")),
        ((["a", " "], "keep"), r"A decision about the item \['a', ' '\].", "pass its path", (["a", "b"], "keep")),
        ((3, "keep"), "A decision about the item 3.", "pass its path relative", ("3", "keep")),
        (("a", "relabel", 3), "The label 3.", "pass '3'", ("a", "relabel", "3")),
        (("a", "keep", "x"), "A label, 'x', with the decision \"keep\"", "leave out the label, or", ("a", "keep")),
    ],
)
def test_a_decision_that_says_too_little_or_too_much_is_refused(
    arguments: Any, what: str, fix: str, fixed: Any
) -> None:
    corrections = oc.Corrections()
    with pytest.raises(oc.DataError, match=what) as error:
        corrections.append(*arguments)
    assert fix in error.value.fix
    assert not len(corrections)
    corrections.append(*fixed)
    assert len(corrections)


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_what_separates_the_fields_is_found(tmp_path: Path, separator: str) -> None:
    rows = [("decision", "label", "item"), ("keep", "", "a, b.jpg"), ("relabel", "x", "c")]
    text = "\n".join(separator.join(f'"{value}"' for value in row) for row in rows)
    (tmp_path / "c.csv").write_text(text, encoding="utf-8-sig")
    assert oc.Corrections.read(tmp_path / "c.csv").table["item"].to_pylist() == ["a, b.jpg", "c"]
    oc.Corrections.read(tmp_path / "c.csv").append("d", "keep")
    assert len(oc.Corrections.read(tmp_path / "c.csv")) == 3


@pytest.mark.parametrize(("text", "what"), [("", "is empty"), ("item,decision\na,keep,more\n", "cannot be read")])
def test_advice_on_a_csv_file_names_no_option_that_corrections_lack(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(oc.DataError, match=what) as error:
        oc.Corrections.read(tmp_path / "c.csv")
    assert "separator" not in str(error.value)
    assert "write" in error.value.fix
    oc.Corrections().write(tmp_path / "c.csv")
    assert not len(oc.Corrections.read(tmp_path / "c.csv"))


def test_a_file_of_another_program_is_saved_as_csv_and_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "good.xlsx").write_bytes(b"PK")
    with pytest.raises(oc.DataError, match="Corrections in") as error:
        oc.Corrections.read(tmp_path / "good.xlsx")
    assert error.value.fix == "save it as good.csv with the program that wrote it."
    with pytest.raises(oc.DataError, match="is a folder") as error:
        oc.Corrections.read(tmp_path)
    assert error.value.fix == f"pass the file of corrections, such as {tmp_path / 'corrections.parquet'}."
    oc.Journal(tmp_path / "all.journal").close()
    with pytest.raises(oc.DataError, match="is the folder of a journal") as error:
        oc.Corrections.read(tmp_path / "all.journal")
    assert error.value.fix == f"pass oc.Journal({str(tmp_path / 'all.journal')!r})."
    assert error.value.shell_fix == f"pass --journal {tmp_path / 'all.journal'}."


def test_one_item_is_one() -> None:
    assert repr(oc.Corrections(pa.table({"item": ["a"], "decision": ["keep"]}))) == "Corrections: 1 item: 1 kept"
