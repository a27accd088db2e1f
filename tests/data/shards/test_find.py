"""Which shards are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from onecycle.data.shards import find
from onecycle.data.shards.find import expand_braces, find_shards
from onecycle.errors import DataError


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("t-{000..002}.tar", ["t-000.tar", "t-001.tar", "t-002.tar"]),
        ("t-{8..10}.tar", ["t-8.tar", "t-9.tar", "t-10.tar"]),
        ("t-{08..10}.tar", ["t-08.tar", "t-09.tar", "t-10.tar"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
        ("{stem}.tar", ["{stem}.tar"]),
    ],
)
def test_braces_stand_for_names_as_in_a_shell(pattern: str, expected: list[str]) -> None:
    assert list(expand_braces(pattern)) == expected


def test_shards_are_files_patterns_or_folders_once_each_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b-0.tar", "b-1.tar", "a/c.tar", "a/other.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths = [str(tmp_path / name) for name in ("b-0.tar", "b-1.tar")]
    assert find_shards(f"{tmp_path}/b-{{0..1}}.tar") == ("tar", paths)
    assert find_shards(f"{tmp_path}/b-*.tar") == ("tar", paths)
    assert find_shards([tmp_path / "b-1.tar", f"{tmp_path}/b-?.tar"]) == ("tar", paths[::-1])
    assert find_shards(tmp_path) == ("tar", [str(tmp_path / "a/c.tar"), *paths])
    monkeypatch.chdir(tmp_path)
    assert find_shards(["b-0.tar", paths[1]]) == ("tar", paths)
    (tmp_path / "odd{0..1}.parquet").touch()  # a file of just that name
    assert find_shards(tmp_path / "odd{0..1}.parquet")[0] == "parquet"


def test_what_is_no_shard_is_told(tmp_path: Path) -> None:
    for name in ("a.tar", "b.parquet", "c.tar.gz", "d.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"No shards are named\.\nExpected one or more tars"):
        find_shards([])
    with pytest.raises(DataError, match=r"No such shard: .*b-3\.tar\.\n.*\nFix: check the path, and the numbers"):
        find_shards(f"{tmp_path}/b-{{3..4}}.tar")
    with pytest.raises(DataError, match=r"No file matches '.*x\*\.tar'"):
        find_shards(f"{tmp_path}/x*.tar")
    with pytest.raises(DataError, match=r"No shards in .*empty\."):
        find_shards(tmp_path / "empty")
    with pytest.raises(DataError, match=r"c\.tar\.gz is compressed\.\nExpected a plain tar.*\nFix: decompress it"):
        find_shards(tmp_path / "c.tar.gz")
    with pytest.raises(DataError, match=r"The shards end in \.parquet, \.tar, such as .*a\.tar"):
        find_shards([tmp_path / "a.tar", tmp_path / "b.parquet"])
    with pytest.raises(DataError, match=r"The shards end in \.txt"):
        find_shards(tmp_path / "d.txt")


def test_a_pattern_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"\{0\.\.99999999\} in 't-\{0\.\.99999999\}\.tar'"):
        list(expand_braces("t-{0..99999999}.tar"))
    monkeypatch.setattr(find, "MOST_SHARDS", 3)
    assert len(list(expand_braces("t-{0..2}.tar"))) == 3
