"""Writes what a training run leaves behind: numbers, pictures, the report and the model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from onecycle.inference import show_results as pictures
from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.ship.report.page import PreviousRun, write_page
from onecycle.train.learner import Learner
from onecycle.train.reported import interpret

if TYPE_CHECKING:
    from onecycle.figure import Picture


def write_report(
    learner: Learner,
    folder: str | Path,
    *,
    found: Interpretation | None = None,
    explain: bool = False,
    previous: PreviousRun | None = None,
) -> dict[str, Path]:
    """Write history, pictures, the report and the bundle into `folder`; return what was written, by what it is.

    Of several processes, all must call it, and the main process writes. Without jinja2 there is no page.

    Args:
        learner: Of the run.
        folder: Where to.
        found: What is known of the validation items already; None looks at them.
        explain: See `Learner.report`.
        previous: The run to compare with.
    """
    folder = Path(folder)
    model = learner.export(folder / "model.onecycle")
    known = found or interpret(learner.state)
    written = learner.state.processes.decide(
        lambda: {"model": model, **_write_numbers_and_pictures(learner, known, folder)}
    )
    if importlib.util.find_spec("jinja2") is not None:
        page = write_page(learner, folder / "report.html", found=known, explain=explain, previous=previous)
        written["report"] = page
    return written


def _write_numbers_and_pictures(learner: Learner, found: Interpretation, folder: Path) -> dict[str, Path]:
    written = {"history": folder / "history.csv"}
    learner.history.to_csv(written["history"])
    worst = found.top_losses(12)
    drawn: dict[str, Picture] = {
        "history picture": learner.history.plot(),
        "training batch": learner.data.show_batch(),
        "example predictions": learner.show_results(),
        "worst mistakes": worst.plot() if len(worst) else pictures.no_mistakes(len(found)),
    }
    for number, result in enumerate(learner.lr_finder_results, 1):
        drawn[f"learning rate {number}"] = result.plot()
    for name, picture in drawn.items():
        written[name] = folder / f"{name.replace(' ', '_')}.png"
        picture.savefig(written[name], dpi=110)
    return written
