"""A report in one HTML file, which opens offline: no script, and nothing that is loaded from elsewhere."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from onecycle.bundle.replace import writing
from onecycle.data.split_names import items_of
from onecycle.errors import ModelError
from onecycle.inference.interpretation.classes import TagInterpretation
from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.registry import register
from onecycle.ship.exports.writing import writing_to
from onecycle.ship.report.blocks import Note, Section, as_sentence
from onecycle.ship.report.calibration import measured_calibration
from onecycle.ship.report.data_checks import data_checks
from onecycle.ship.report.findings import findings
from onecycle.ship.report.training import differences, how_it_went, score_rows, time_and_memory, what_was_trained
from onecycle.ship.report.words import words_that_mattered
from onecycle.train.learner import Learner
from onecycle.train.reported import interpret
from onecycle.train.state import TrainState
from onecycle.train.threshold import threshold_note


@dataclass(frozen=True)
class PreviousRun:
    """The run of the same name before this one.

    Attributes:
        name: Of its folder.
        scores: On its validation items.
        options: What it was asked for, by name.
        own_options: What this run was asked for.
    """

    name: str
    scores: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    own_options: Mapping[str, Any] = field(default_factory=dict)


@register("report", "html")
def write_page(
    learner: Learner,
    path: str | Path,
    *,
    explain: bool = True,
    found: Interpretation | None = None,
    previous: PreviousRun | None = None,
) -> Path:
    """Write the report of a learner; see `Learner.report`.

    Args:
        learner: What is reported on.
        path: The file.
        explain: Also look for what takes passes over all items: doubtful labels, near-duplicates, and the words of a
            text that mattered.
        found: What is known of the validation items already; None looks at them.
        previous: The run to compare with.
    Raises:
        ModelError: The path is not one of an HTML file, or jinja2 is not installed.
        BundleError: The file cannot be written.
    """
    path = Path(path)
    _check_is_html(path)
    template = load_template()
    with writing_to(path):  # before anything is computed
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    began, state = time.perf_counter(), learner.state
    found = found or interpret(state)
    calibrated, checks = measured_calibration(state, found), data_checks(learner) if explain else []

    def write() -> Path:
        sections = [
            *findings(state, found, calibrated),
            *checks,
            *(words_that_mattered(state, found) if explain else []),
        ]
        html = template.render(**page_of(state, found, sections, previous, began))
        with writing_to(path), writing(path.parent, path.name) as part:
            part.file.write(html.encode("utf-8", "replace"))
            part.become(path)
        return path

    return state.processes.decide(write)


def _check_is_html(path: Path) -> None:
    if path.suffix.lower() not in ("", ".html", ".htm"):
        raise ModelError(
            f"A report is not written as {path.name!r}.", "a name that ends in .html or .htm.",
            f"pass {path.with_suffix('.html').name!r}; for a PDF, open it in a browser and print it.",
        )  # fmt: skip


def page_of(
    state: TrainState, found: Interpretation, known: Sequence[Section], previous: PreviousRun | None, began: float
) -> dict[str, Any]:
    """Return what the template shows."""
    scores = Section(
        "Scores", [score_rows(found.scores, previous.scores if previous else {}, items_of(found.source.split))]
    )
    if isinstance(found, TagInterpretation) and (note := threshold_note(state)):
        scores.blocks.append(Note(as_sentence(note)))
    if previous and (differ := differences(previous.options, previous.own_options)):
        scores.blocks.append(differ)
    sections = [scores, what_was_trained(state), how_it_went(state), *known]
    sections.append(time_and_memory(state, {"This report": time.perf_counter() - began}))
    return {
        "title": f"{type(state.model).__name__}: {state.target.summary.split(':')[0]}",  # the classes are below
        "sections": sections,
        "previous": previous.name if previous else "",
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


@cache
def load_template() -> Any:
    """Return the template of the page, which escapes whatever is put into it.

    Raises:
        ModelError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise ModelError(
            "jinja2 is not installed.", "jinja2, for a report.", 'pip install "onecycle[report]".'
        ) from error
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    folder = files("onecycle.ship.report")
    environment.globals["style"] = (folder / "style.css").read_text(encoding="utf-8")
    return environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
