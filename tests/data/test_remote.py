"""Files at addresses: copied once, anew where they change, and refused in a line where that cannot be."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest

from onecycle.data import remote
from onecycle.data.remote import address_of, as_local, is_remote, list_remote, local_copy, open_remote, parent_of
from onecycle.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.pipe({"/data/a/1.txt": b"one", "/data/a/2 x.txt": b"two", "/data/b.csv": b"three"})
    yield system
    system.rm("/data", recursive=True)


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("s3://bucket/a", True),
        (Path("s3://bucket/a"), True),
        ("hf://datasets/a/b", True),
        ("https://example.org/a.csv", True),
        ("photos/a", False),
        ("/a/b:c/d", False),
        ("C:/photos", False),
        ("file:///a", False),
        ("What? s3://bucket", False),
        ("s3:", False),
    ],
)
def test_what_an_address_is(path: str | Path, remote: bool) -> None:
    assert is_remote(path) is remote
    if remote:
        assert address_of(path) == address_of(Path(path)) == address_of(str(path))
        assert address_of(Path(path)).count("://") == 1
    else:
        assert as_local(path) == Path(path)


def test_a_file_beside_which_others_are() -> None:
    assert (parent_of("s3://b/x/a.csv"), parent_of(Path("s3://b/x/a.csv"))) == ("s3://b/x", "s3://b/x")
    assert parent_of("x/a.csv") == "x"


def test_a_folder_is_copied_once_and_what_changes_anew(
    memory: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = local_copy("memory://data")
    assert contents(folder) == {"a/1.txt": "one", "a/2 x.txt": "two", "b.csv": "three"}
    assert folder.name == "data"
    assert capsys.readouterr().err == f"# memory://data: copied 3 of 3 files, 0.0 MB, to {folder}.\n"
    monkeypatch.setattr(remote, "_download", lambda *_: pytest.fail("copied again"))
    assert as_local(Path("memory://data")) == folder
    assert capsys.readouterr().err == ""
    monkeypatch.undo()


def test_what_changes_is_copied_again_and_what_is_gone_is_deleted(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = local_copy("memory://data")
    memory.pipe("/data/b.csv", b"four!")
    memory.rm("/data/a/1.txt")
    (folder / "a/2 x.txt").unlink()
    assert local_copy("memory://data") == folder
    assert contents(folder) == {"a/2 x.txt": "two", "b.csv": "four!"}
    (folder.parent / "index.json").write_text("[")
    assert contents(local_copy("memory://data")) == {"a/2 x.txt": "two", "b.csv": "four!"}


def test_only_what_is_wanted_is_copied(memory: fsspec.AbstractFileSystem) -> None:
    assert contents(local_copy("memory://data", lambda name: name.startswith("a/"))) == {
        "a/1.txt": "one",
        "a/2 x.txt": "two",
    }
    assert local_copy("memory://data/b.csv").read_text() == "three"


def test_files_are_listed_and_opened(memory: fsspec.AbstractFileSystem) -> None:
    assert list_remote("memory://data", [".csv"]) == ["memory:///data/b.csv"]
    assert list_remote("memory://data/a/*.txt", []) == ["memory:///data/a/1.txt", "memory:///data/a/2 x.txt"]
    assert list_remote("memory://data/a/1.txt", []) == ["memory:///data/a/1.txt"]
    with open_remote("memory://data/a/1.txt") as file:
        assert (file.seek(1), file.read()) == (1, b"ne")
    assert remote.read_range("memory://data/b.csv", 1, 3) == b"hre"


def test_a_page_of_links(tmp_path: Path) -> None:
    (tmp_path / "web/a b").mkdir(parents=True)
    (tmp_path / "web/a b/1.txt").write_text("one")
    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert contents(local_copy(f"{address}/")) == {"a b/1.txt": "one"}
        assert local_copy(f"{address}/a%20b/1.txt").read_text() == "one"
        (tmp_path / "web/a b/1.txt").write_text("another")
        assert contents(local_copy(f"{address}/")) == {"a b/1.txt": "another"}
        with pytest.raises(DataError, match=r"/none cannot be read: FileNotFoundError"):
            local_copy(f"{address}/none")
    finally:
        server.shutdown()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_what_cannot_be_read_is_told(memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"memory://none cannot be read: FileNotFoundError: there is no such") as error:
        local_copy("memory://none")
    assert error.value.fix == "check the address, the network, and your credentials."
    with pytest.raises(DataError, match=r"nope://x cannot be read: Protocol not known: nope\.\nExpected an address"):
        local_copy("nope://x")
    monkeypatch.setattr(remote.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(DataError, match=r"memory://data has 0 MB to copy, and .* has room for 0 MB\.") as error:
        local_copy("memory://data")
    assert "ONECYCLE_CACHE to another folder, or read shards with from_shards()" in error.value.fix


def test_a_package_that_is_missing_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(DataError, match=r"gs://bucket/x needs a package that is not installed: Please") as error:
        local_copy("gs://bucket/x")
    assert error.value.fix == "pip install gcsfs, or pip install 'onecycle[data]' for s3, gs, https and hf."
