"""The lesson's notebooks run from the first cell to the last; run by `make test-notebooks`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from notebooks.pages import execute

LESSON = Path(__file__).parents[2] / "docs/lesson3"


@pytest.mark.parametrize("name", ["planet", "camvid", "head_pose", "imdb"])
def test_a_notebook_of_the_lesson_runs(name: str, tmp_path: Path) -> None:
    shutil.copy(LESSON / f"{name}.ipynb", tmp_path)
    saved = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    cells = [cell.source for cell in saved.cells if cell.cell_type == "code"]
    notebook = execute(cells, tmp_path)
    assert [output for cell in notebook.cells for output in cell.outputs if output.output_type == "error"] == []
    tables = [str(output) for cell in notebook.cells for output in cell.outputs if "valid loss" in str(output)]
    assert tables, "the training table is in the saved notebook"


def test_the_sentence_of_the_lesson_is_positive_in_the_saved_notebook() -> None:
    saved = nbformat.read(LESSON / "imdb.ipynb", as_version=4)
    cell = next(cell for cell in saved.cells if "I really loved that movie" in cell.source)
    assert str(cell.outputs[0].data["text/plain"]).startswith("Prediction('pos'")
