"""What a saved notebook holds after training in it, read in a browser; run by `make test-notebooks`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from notebooks.pages import execute, text_in_browser

SETUP = """
import signal
import onecycle as oc
from onecycle.demo import make_patterns
make_patterns("photos", each=6, pixels=32)
bunch = (
    oc.ImageList.from_folder("photos").split_random(0.25).label_from_folder()
    .transform(32).databunch(4, workers=0)
)

class Interrupt(oc.Callback):
    def on_batch_end(self, state, event):
        if event.step == 7 and len(state.history) == 1:
            signal.raise_signal(signal.SIGINT)

learner = oc.vision_learner(bunch, "test_efficientnet", pretrained=False, metrics=["accuracy"])
"""
CELLS = {
    "setup": SETUP,
    "fit": "learner.fit(3, 1e-3)",
    "batch last": "bunch.show_batch(4)",
    "batch first": "bunch.show_batch(4)\nprint('after it')",
    "saved": "bunch.show_batch(4).savefig('batch.png')",
    "with pyplot": "%matplotlib inline\nlearner.history.plot()",
    "in a variable, changed": "figure = learner.show_results(4)\nfigure.suptitle('changed')\nfigure",
    "explain": "bunch.explain()",
    "interrupted": (
        "learner = oc.vision_learner(bunch, 'test_efficientnet', pretrained=False, callbacks=[Interrupt()])\n"
        "learner.fit(2, 1e-3)\nprint('not reached')"
    ),
    "resumed": "learner.resume()",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def notebook(folder: Path) -> Any:
    return execute(list(CELLS.values()), folder)


def outputs(notebook: Any, cell: str) -> list[Any]:
    return list(notebook.cells[list(CELLS).index(cell)].outputs)


def kinds(notebook: Any, cell: str) -> list[str]:
    return [kind for output in outputs(notebook, cell) for kind in output.get("data", {}) if kind != "text/plain"]


def test_the_training_table_is_one_output_with_every_epoch(notebook: Any) -> None:
    (table,) = outputs(notebook, "fit")
    rows = table.data["text/html"].split("<tr>")[2:]
    assert [row.split("</td>")[0] for row in rows] == ["<td>1", "<td>2", "<td>3"]
    assert "%" not in table.data["text/html"], "the progress of a step is gone"


def test_no_widget_is_left(notebook: Any) -> None:
    assert "widget" not in str(notebook)


def test_a_browser_shows_the_last_epoch_of_the_saved_page(notebook: Any, folder: Path) -> None:
    text = text_in_browser(notebook, folder)
    last = re.sub(r"<[^>]+>", " ", outputs(notebook, "fit")[0].data["text/html"].split("<tr>")[-1])
    assert " ".join(last.split()) in text


@pytest.mark.parametrize("cell", ["batch last", "batch first", "with pyplot", "in a variable, changed"])
def test_a_picture_is_shown_once_wherever_it_is_made(notebook: Any, cell: str) -> None:
    assert kinds(notebook, cell)[0] == "image/png"
    assert kinds(notebook, cell).count("image/png") == 1


def test_the_names_of_its_items_can_be_copied(notebook: Any) -> None:
    _, names = outputs(notebook, "batch last")
    assert names.data["text/html"].count(".jpg</div>") == 4


def test_a_picture_that_is_saved_to_a_file_is_not_shown_as_well(notebook: Any, folder: Path) -> None:
    assert outputs(notebook, "saved") == []
    assert (folder / "batch.png").stat().st_size > 0


def test_an_explanation_is_printed_once(notebook: Any) -> None:
    (printed,) = outputs(notebook, "explain")
    assert printed.output_type == "stream"
    assert printed.text.count("1. item") == 1


def test_an_interrupted_fit_ends_with_one_line_and_can_be_resumed(notebook: Any) -> None:
    table, error = outputs(notebook, "interrupted")
    assert "interrupted in epoch 2" in table.data["text/html"]
    assert error.traceback == ["Interrupted in epoch 2. learner.resume() goes on from here."]
    (resumed,) = outputs(notebook, "resumed")
    assert "<td>2</td>" in resumed.data["text/html"]
