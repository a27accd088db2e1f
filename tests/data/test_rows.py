"""Items as rows of an Arrow table."""

import os
import pickle
from multiprocessing.context import set_spawning_popen
from pathlib import Path

import pyarrow as pa
import pytest

from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.data.shared_file import _remove
from onecycle.errors import DataError


def test_a_missing_column_lists_those_there_and_the_nearest() -> None:
    rows = Rows(pa.table({ITEM: ["1"], LABEL: ["x"], "tags": ["a"], "kind": ["b"]}))
    with pytest.raises(DataError, match=r"no column 'tag'.\nExpected one of: tags, kind.\nFix: .* Did you mean 'tags'"):
        rows.column("tag")


def test_onecycles_own_columns_are_not_the_users() -> None:
    with pytest.raises(DataError, match="no column '#label'"):
        Rows(pa.table({ITEM: ["1"], LABEL: ["x"]})).column(LABEL)


def test_a_rows_locates_files_below_its_root_and_leaves_other_inputs_alone() -> None:
    table = pa.table({ITEM: ["a/1.jpg"]})
    assert Rows(table, Path("/data")).locate("a/1.jpg") == "/data/a/1.jpg"
    assert Rows(table).locate("any text") == "any text"


def test_taking_rows_leaves_the_rows_as_it_was() -> None:
    rows = Rows(pa.table({ITEM: ["1", "2", "3"]}))
    assert rows.take([2, 0]).names() == ["3", "1"]
    assert rows.names() == ["1", "2", "3"]


class Spawning:
    """Pickles as `multiprocessing` does for a process that it spawns."""

    def __enter__(self) -> None:
        set_spawning_popen(object())

    def __exit__(self, *error: object) -> None:
        set_spawning_popen(None)


def test_a_spawned_process_maps_large_rows_and_the_file_goes_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.jpg" for number in range(1000)]
    labels = pa.chunked_array([pa.array(["a"] * 500).dictionary_encode(), pa.array(["b"] * 500).dictionary_encode()])
    rows = Rows(pa.table({ITEM: names, LABEL: labels}), Path("photos"))
    with Spawning():
        assert len(pickle.dumps(rows)) > 5000, "few are copied"
    monkeypatch.setattr("onecycle.data.shared_file.LEAST_SHARED", 1000)
    with Spawning():
        sent = pickle.dumps(rows)
        assert pickle.dumps(rows) == sent, "one file serves all"
    assert len(sent) < 500
    file = Path(rows._file)
    mapped = pickle.loads(sent)
    assert (mapped.names(), mapped.table[LABEL].to_pylist(), mapped.root) == (
        names,
        ["a"] * 500 + ["b"] * 500,
        rows.root,
    )
    del rows
    assert not file.exists()
    assert mapped.names() == names, "what is mapped stays"


def test_rows_that_no_process_waits_for_are_pickled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecycle.data.shared_file.LEAST_SHARED", 0)
    rows = Rows(pa.table({ITEM: ["1", "2"]}))
    assert pickle.loads(pickle.dumps(rows)).names() == ["1", "2"]
    assert "_file" not in vars(rows)


def test_a_forked_process_leaves_the_file_to_the_others(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    path.touch()
    _remove(str(path), os.getpid() + 1)
    assert path.exists()
    _remove(str(path), os.getpid())
    assert not path.exists()


def test_some_rows_are_taken_in_any_order() -> None:
    rows = Rows(pa.table({ITEM: pa.chunked_array([["a", "b"], ["c", "d"]])}))
    for places in ([0, 2], [3, 1, 1], [], range(4)):
        assert rows.take(places).names() == ["abcd"[place] for place in places]


def test_rows_of_more_than_2_gb_of_text_can_be_taken_from() -> None:
    """Arrow's own take would join the chunks: the same bytes stand for all of them here."""
    chunk = pa.array(["x" * 2**20] * 32)
    rows = Rows(pa.table({ITEM: pa.chunked_array([chunk] * 72)}))
    assert len(rows.take([0, 2303])) == 2


def test_folders_are_what_is_before_the_last_slash() -> None:
    rows = Rows(pa.table({ITEM: ["a/b/1.jpg", "2.jpg", "a/b/3", "/4"]}))
    assert rows.folders().to_pylist() == ["a/b/", "", "a/b/", "/"]
