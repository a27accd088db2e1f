from __future__ import annotations

from pathlib import Path

import pytest

from onecycle.errors import DataError
from onecycle.vision.annotations.files import read_json, read_text, read_xml, read_yaml

BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>"""
OTHER_FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>'


@pytest.mark.parametrize("text", [BOMB, OTHER_FILE, "<a>", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_entities_or_errors_is_refused(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=r"a\.xml cannot be read as XML"):
        read_xml(tmp_path / "a.xml")


def test_xml_without_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotation><name>K&#228;tzchen &amp; Co</name></annotation>")
    assert read_xml(tmp_path / "a.xml").findtext("name") == "Kätzchen & Co"


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json cannot be read as JSON[^$]*Expected COCO's annotations"):
        read_json(tmp_path / "a.json", "COCO's annotations")
    (tmp_path / "a.yaml").write_text("names: [")
    with pytest.raises(DataError, match=r"a\.yaml cannot be read as YAML"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(DataError, match=r"a\.yaml cannot be read as YAML"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match=r"Cannot read .*a\.txt"):
        read_text(tmp_path / "a.txt")
