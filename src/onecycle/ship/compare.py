"""Runs side by side, and how much of their difference may be the seed."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from onecycle.errors import DataError
from onecycle.inference.interpretation.result import Result

if TYPE_CHECKING:
    from onecycle.figure import Picture

RUN, HISTORY = "run.json", "history.csv"


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes:
        path: Its folder.
        options: What it was asked for, with the data.
        scores: On its validation items, of the weights that it kept.
        seconds: Of training and validation.
        epochs: A row an epoch: numbers by name.
    """

    path: Path
    options: Mapping[str, Any]
    scores: Mapping[str, float]
    seconds: float
    epochs: Sequence[Mapping[str, float]] = field(repr=False, default=())

    @classmethod
    def read(cls, path: str | Path) -> Run:
        """Return the run in a folder.

        Raises:
            DataError: It has none that is finished.
        """
        folder = Path(path)
        try:
            stored = json.loads((folder / RUN).read_text(encoding="utf-8"))
            rows = list(csv.DictReader((folder / HISTORY).read_text(encoding="utf-8").splitlines()))
            options = {"data": stored["data"], **stored["options"]}
            finished = bool(stored["finished"])
        except (OSError, ValueError, KeyError, TypeError):
            finished = False
        if not finished:
            raise DataError(
                f"{folder} has no finished run.",
                f"the folder of a run that onecycle train finished, with {RUN} and {HISTORY} in it.",
                f"check the path, or go on with it: onecycle train DATA --out {folder} --resume.",
            )
        epochs = [_numbers(row) for row in rows]
        scores = stored.get("scores") or {}
        return cls(folder, options, scores, stored.get("seconds", 0.0), epochs)


def compare(*runs: str | Path) -> Comparison:
    """Return runs side by side: how they differ, their scores, and the spread over seeds.

    Args:
        runs: Folders that `onecycle train` wrote. Those that differ in nothing but the seed are one group.
    Raises:
        DataError: There are not two folders, or one has no finished run.
    Example:
        >>> oc.compare("runs/photos", "runs/photos-2").plot()  # doctest: +SKIP
    """
    if len(runs) < 2:
        raise DataError(
            f"compare() of {len(runs)} runs.", "two or more.", 'pass their folders: "runs/photos", "runs/photos-2".'
        )
    read = [Run.read(path) for path in runs]
    names = {name for run in read for name in run.options}
    first = read[0].options
    differ = sorted(name for name in names if any(run.options.get(name) != first.get(name) for run in read))
    groups: dict[str, list[Run]] = {}
    for run in read:
        groups.setdefault(_settings(run, differ), []).append(run)
    return Comparison(_table(read, differ), "Runs side by side", _note(groups), lambda: _draw(groups), groups)


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Runs side by side: a row a run.

    Attributes:
        groups: The runs that differ in nothing but the seed, by what they were asked for.
    """

    groups: Mapping[str, Sequence[Run]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n\n{self.spread()!r}"

    def spread(self) -> Result:
        """Return the mean score of each group, and where it has several runs their standard deviation."""
        rows = []
        for settings, runs in self.groups.items():
            row: dict[str, Any] = {"settings": settings, "runs": len(runs)}
            for name in _score_names([run for group in self.groups.values() for run in group]):
                known = [run.scores[name] for run in runs if name in run.scores]
                row[name] = mean(known) if known else None
                row[f"{name}_std"] = stdev(known) if len(known) > 1 else None
            rows.append(row)
        return Result(pa.Table.from_pylist(rows), "Over seeds", "The standard deviation needs two runs or more.")


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    numbers = {}
    for name, text in row.items():
        try:
            numbers[name] = float(text)
        except (TypeError, ValueError):
            continue
    return numbers


def _settings(run: Run, differ: Sequence[str]) -> str:
    shown = [f"{name}={run.options.get(name)}" for name in differ if name != "seed"]
    return ", ".join(shown) or "the same"


def _score_names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.scores))


def _table(runs: Sequence[Run], differ: Sequence[str]) -> pa.Table:
    columns: dict[str, list[Any]] = {"run": [str(run.path) for run in runs]}
    columns |= {name: [_text(run.options.get(name)) for run in runs] for name in differ}
    columns |= {name: [run.scores.get(name) for run in runs] for name in _score_names(runs)}
    columns["epochs"] = [len(run.epochs) for run in runs]
    columns["seconds"] = [round(run.seconds, 1) for run in runs]
    return pa.table(columns)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _note(groups: Mapping[str, Sequence[Run]]) -> str:
    if max(map(len, groups.values())) < 2:
        return "No two runs differ in the seed alone: how much of the difference is chance is not known."
    return ""


def _draw(groups: Mapping[str, Sequence[Run]]) -> Picture:
    """Draw the curves of all runs, and their scores, each group in a colour."""
    from onecycle.figure import Picture

    names = _score_names([run for runs in groups.values() for run in runs]) or ["valid_loss"]
    figure = Picture(figsize=(9, 2.8 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 2, squeeze=False, width_ratios=(2, 1))
    for name, (curves, dots) in zip(names, panels, strict=True):
        for number, (settings, runs) in enumerate(groups.items()):
            colour = f"C{number % 10}"
            for place, run in enumerate(runs):
                shown = [(epoch["epoch"], epoch[name]) for epoch in run.epochs if {"epoch", name} <= epoch.keys()]
                label = settings if place == 0 else None
                curves.plot(*zip(*shown, strict=True), "-o", color=colour, markersize=3, label=label)
            known = [run.scores[name] for run in runs if name in run.scores]
            dots.plot([number] * len(known), known, "o", color=colour, alpha=0.7)
            if known:
                dots.plot(number, mean(known), "_", color=colour, markersize=18)
        curves.set(xlabel="epoch", ylabel=name)
        curves.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        dots.set_xticks([])
        dots.set(xlabel="kept weights")
    legend = panels[0, 0].legend(frameon=False, fontsize=7)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure.ready()
