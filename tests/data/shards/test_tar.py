"""What is in a tar is found from its headers; damage and hostile members are told, and nothing is written."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from onecycle.data.shards import tar
from onecycle.data.shards.source import NAME, SIZE, START, ShardIndex
from onecycle.data.shards.tar import TarShards, index_tar
from onecycle.errors import DataError
from shard_files import write_tar

PAIRS = [("a.jpg", b"image a"), ("a.cls", b"cat\n"), ("b.jpg", b"image b"), ("b.cls", b"dog")]


def index(path: Path, image: str = "jpg", labels: tuple[str, ...] = ("cls",)) -> ShardIndex:
    with open(path, "rb") as file:
        return index_tar(file, frozenset(image.split(";")), labels)


def found(one: ShardIndex, column: str = NAME) -> list[object]:
    return list(one.table[column].to_pylist())


def test_items_are_the_members_of_one_name(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tar",
        [*PAIRS, ("a.json", b""), ("./x/c.0.jpg", b"no"), ("x/d.JPG", b"image d"), ("x/d.cls", b"cat")],
    )
    one = index(path)
    assert (found(one), found(one, "cls"), one.damage) == (["a.jpg", "b.jpg", "x/d.JPG"], ["cat", "dog", "cat"], None)
    assert one.skipped == [("x/c.0.jpg", "other files")]
    shards = TarShards((str(path),), 10)
    places = zip(found(one, START), found(one, SIZE), strict=True)
    read = [shards.read(tar.Place(0, int(str(start)), int(str(size))), "name") for start, size in places]
    assert [contents.data for contents in read] == [b"image a", b"image b", b"image d"]
    assert read[0].name == "name"


def test_members_of_an_item_need_not_be_together(tmp_path: Path) -> None:
    one = index(write_tar(tmp_path / "a.tar", sorted(PAIRS, key=lambda pair: pair[0][-1])))
    assert (found(one), found(one, "cls")) == (["a.jpg", "b.jpg"], ["cat", "dog"])


def test_several_suffixes_and_labels_and_none(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.png", b"1"), ("b.jpg", b"2"), ("a.cls", b"3"), ("a.age.txt", b"4")])
    assert found(index(path, "jpg;png", ())) == ["a.png", "b.jpg"]
    one = index(path, "jpg;png", ("cls", "age.txt"))
    assert (found(one), found(one, "cls"), found(one, "age.txt")) == (["a.png"], ["3"], ["4"])


def test_what_is_no_item_is_counted(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tar",
        [
            *PAIRS,
            ("c.jpg", b"alone"),
            ("d.cls", b"cat"),
            ("e.jpg", b""),
            ("e.cls", b"\xff\xfe"),
            ("f.jpg", b""),
            ("f.cls", b"x" * (tar.MOST_LABEL_BYTES + 1)),
            ("a.jpg", b"again"),
            ("notes.txt", b""),
            (".hidden.jpg", b""),
            ("../../up.jpg", b""),
            ("/etc/absolute.jpg", b""),
        ],
    )
    with tarfile.open(path, "a") as archive:
        for name, kind in (("link.jpg", tarfile.SYMTYPE), ("folder", tarfile.DIRTYPE), ("fifo.jpg", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    one = index(path)
    assert found(one) == ["a.jpg", "b.jpg"]
    assert sorted(one.skipped) == sorted(
        [
            ("c.jpg", "items without a label"),
            ("d.cls", "labels without an item"),
            ("e.jpg", "items whose label is not a short text"),
            ("f.jpg", "items whose label is not a short text"),
            ("a.jpg", "repeated names"),
            ("notes.txt", "other files"),
            (".hidden.jpg", "hidden"),
            ("../../up.jpg", "names that lead out of the shard"),
            ("/etc/absolute.jpg", "names that lead out of the shard"),
            ("link.jpg", "links and special files"),
            ("folder", "folders"),
            ("fifo.jpg", "links and special files"),
        ]
    )


def test_names_that_are_not_utf8_are_left_out(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("caf\udce9.jpg", b""), *PAIRS])
    assert index(path).skipped == [("'caf\\udce9.jpg'", "names that are not UTF-8")]


def at(path: Path, place: int) -> Path:
    """Cut a file off after some bytes."""
    path.write_bytes(path.read_bytes()[:place])
    return path


@pytest.mark.parametrize(
    ("place", "items", "damage"),
    [
        (0, 0, "it is empty (0 bytes)"),
        (100, 0, "it is not a tar"),
        (515, 0, "it ends within a.jpg, after 515 bytes"),
        (520, 0, "unexpected end of data"),
        (2048, 1, "it has no end mark, after 2,048 bytes"),
        (2060, 1, "it has no end mark, after 2,060 bytes"),
        (2048 + 512 + 3, 1, "it ends within b.jpg, after 2,563 bytes"),
    ],
)
def test_a_tar_that_is_cut_off_says_where_and_keeps_what_is_before(
    tmp_path: Path, place: int, items: int, damage: str
) -> None:
    one = index(at(write_tar(tmp_path / "a.tar", PAIRS), place))
    assert (one.damage, one.table.num_rows) == (damage, items)


def test_damage_within_a_tar_is_noticed(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "a.tar", PAIRS).read_bytes()
    broken, joined, packed = (tmp_path / name for name in ("broken.tar", "joined.tar", "packed.tar"))
    broken.write_bytes(whole[:2048] + b"x" * 512 + whole[2560:])
    joined.write_bytes(whole + whole)
    packed.write_bytes(b"\x1f\x8b" + whole)
    assert index(broken).damage == "there is no header at byte 2,048"
    assert str(index(joined).damage).startswith("there is more after its end at byte 4,096, as where tars were joined")
    assert index(packed).damage == "it is compressed; decompress it with gzip -d"


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 2**40
    path = tmp_path / "a.tar"
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert index(path).damage == "it is not a tar"
    good = write_tar(tmp_path / "b.tar", PAIRS).read_bytes()
    path.write_bytes(good[:2048] + member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    assert index(path).damage == "a header of 1,099,511,627,776 bytes"


def test_members_that_overlap_end_the_search(tmp_path: Path) -> None:
    """A negative size, by which a reader would go back and never end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.jpg")
        member.pax_headers = {"size": "-2048"}
        archive.addfile(member)
    path = tmp_path / "a.tar"
    path.write_bytes(buffer.getvalue())
    assert index(path).damage is not None


def test_an_item_that_is_too_large_or_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "a.tar", PAIRS)
    shards = TarShards((str(path),), 10)
    with pytest.raises(DataError, match=r"a\.tar/a\.jpg has 9,000,000,000 bytes\.\nExpected at most 268,435,456"):
        shards.read(tar.Place(0, 512, 9_000_000_000), "a.tar/a.jpg")
    with pytest.raises(DataError, match=r"The shard .*a\.tar is damaged: it ends within a\.tar/a\.jpg"):
        shards.read(tar.Place(0, 10_000, 9_000), "a.tar/a.jpg")
    path.unlink()
    with pytest.raises(DataError, match=r"No such shard: .*a\.tar"):
        shards.read(tar.Place(0, 512, 7), "a.tar/a.jpg")
