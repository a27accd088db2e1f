"""Notebooks that are executed, saved, turned into a page, and read in a browser."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def execute(cells: Sequence[str], folder: Path) -> Any:
    """Run cells in a kernel, save the notebook, and return it as it was saved; errors stay in it as outputs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True, resources=resources).execute()
    path = folder / "saved.ipynb"
    nbformat.write(notebook, path)
    return nbformat.read(path, as_version=4)


def text_in_browser(notebook: Any, folder: Path) -> str:
    """Return the text of the notebook's page, as a browser has it when its scripts have run."""
    body, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    page = folder / "page.html"
    page.write_text(body, encoding="utf-8")
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    shown = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    reader = _Text()
    reader.feed(shown.stdout)
    return " ".join(" ".join(reader.parts).split())


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
