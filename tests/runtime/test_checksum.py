"""Whether an exported file is as it was written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from onecycle.errors import BundleError
from onecycle.runtime import load_model
from onecycle.runtime.checksum import ONNX, XML, check_checksum, with_checksum
from runtime.tiny_onnx import write_colours

COLOURS = {"kind": "category", "classes": ["red", "green", "blue"]}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = write_colours(tmp_path / "x.onnx", COLOURS)
    path.write_bytes(with_checksum(path.read_bytes(), ONNX))
    return path


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_weights_with_a_flipped_bit_are_refused_and_the_fix_works(whole: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copy(whole, tmp_path / "copied.onnx"))
    flip(copied, copied.read_bytes().index(np.float32(64).tobytes()))
    with pytest.raises(BundleError) as caught:
        load_model(copied)
    what, expected, fix = str(caught.value).splitlines()
    assert what.startswith("copied.onnx is not as it was written: its checksum is ")
    assert expected == "Expected all bytes as export() wrote them."
    assert fix == "Fix: copy it again, or export it again."
    shutil.copy(whole, copied)
    assert load_model(copied).predict(np.full((8, 12, 3), (9, 90, 9), np.uint8)).label == "green"


def test_each_byte_counts(whole: Path) -> None:
    content = whole.read_bytes()
    own = range(len(content) - len(ONNX.before) - 8, len(content) - 8)  # what says that there is a checksum
    for place in set(range(len(content))) - set(own):
        flipped = bytearray(content)
        flipped[place] ^= 1
        with pytest.raises(BundleError, match="its checksum is"):
            check_checksum(bytes(flipped), ONNX, "x.onnx")


def test_others_read_the_file_and_its_checksum(whole: Path) -> None:
    graph = onnx.load(str(whole))
    assert {entry.key for entry in graph.metadata_props} == {"onecycle", "onecycle_crc32"}
    onnx.save(graph, str(whole))
    assert load_model(whole).classes == ("red", "green", "blue")


@pytest.mark.parametrize("content", [b"", b"<net/>", b"<net/>\n<!-- onecycle_crc32 1234567 -->\n"])
def test_what_has_no_checksum_is_left_to_its_reader(content: bytes, tmp_path: Path) -> None:
    check_checksum(content, XML, "x.xml")
    check_checksum(content, ONNX, "x.onnx")
    assert load_model(write_colours(tmp_path / "older.onnx", COLOURS)).classes == ("red", "green", "blue")


def test_weights_in_a_file_of_their_own_count(tmp_path: Path) -> None:
    graph, weights = tmp_path / "x.xml", tmp_path / "x.bin"
    weights.write_bytes(b"weights")
    graph.write_bytes(with_checksum(b"<net/>\n", XML, weights.read_bytes()))
    check_checksum(graph, XML, "x.xml", weights)
    for path in (graph, weights):
        flip(path, 2)
        with pytest.raises(BundleError, match=r"x\.xml with x\.bin is not as .*\n.*\nFix: copy both again, or export"):
            check_checksum(graph, XML, "x.xml", weights)
        flip(path, 2)
    check_checksum(graph, XML, "x.xml", weights)
