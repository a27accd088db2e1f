"""Reads the files that annotations are in; what is not such a file is told in three lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from onecycle.errors import DataError


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}.", "a text file in UTF-8.", "check the path.") from error


def read_json(path: Path, what: str) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}.", f"{what}.", "export it again.") from error


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; PyYAML comes with the libraries of models.

    Raises:
        DataError: It cannot be read.
    """
    import yaml

    try:
        return yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read as YAML: {' '.join(str(error).split())}.", "YOLO's data.yaml.",
            "correct it, or export it again.",
        ) from error  # fmt: skip


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses what entities are declared in: a few lines of them can stand for gigabytes, or for another file."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it declares a document type, as no annotation file needs")


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML file.

    Raises:
        DataError: It cannot be read, or declares entities.
    """
    try:
        return ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_WithoutDoctype()))
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataError(
            f"{path} cannot be read as XML: {error}.", "an annotation file as XML, without <!DOCTYPE>.",
            "export it again, or leave it out.",
        ) from error  # fmt: skip
