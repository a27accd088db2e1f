"""Writes what a training run leaves behind: numbers, pictures and the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onecycle.train.learner import Learner

if TYPE_CHECKING:
    from onecycle.figure import Picture


def write_report(learner: Learner, folder: str | Path) -> dict[str, Path]:
    """Write history, pictures and the bundle into `folder`; return what was written, by what it is.

    Of several processes, all must call it, and the main process writes.
    """
    folder = Path(folder)
    model = learner.export(folder / "model.onecycle")
    return learner.state.processes.decide(lambda: {"model": model, **_write_numbers_and_pictures(learner, folder)})


def _write_numbers_and_pictures(learner: Learner, folder: Path) -> dict[str, Path]:
    written = {"history": folder / "history.csv"}
    learner.history.to_csv(written["history"])
    pictures: dict[str, Picture] = {
        "history picture": learner.history.plot(),
        "training batch": learner.data.show_batch(),
        "example predictions": learner.show_results(),
        "worst mistakes": learner.show_results(worst=True),
    }
    for number, result in enumerate(learner.lr_finder_results, 1):
        pictures[f"learning rate {number}"] = result.plot()
    for name, picture in pictures.items():
        written[name] = folder / f"{name.replace(' ', '_')}.png"
        picture.savefig(written[name], dpi=110)
    return written
