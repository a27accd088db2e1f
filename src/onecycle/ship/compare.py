"""Runs side by side, and how much of their difference may be the seed."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from onecycle.errors import DataError, counted, some
from onecycle.inference.interpretation.result import Result
from onecycle.train.options import changes_weights

if TYPE_CHECKING:
    from onecycle.figure import Picture

RUN, HISTORY, ITEMS = "run.json", "history.csv", "items.parquet"


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    Attributes:
        path: Its folder.
        options: What it was asked for, with the data.
        scores: On its validation items, of the weights that it kept.
        seconds: Of training and validation.
        epochs: A row an epoch: numbers by name.
        valid: Names of its validation items; None where it kept none.
    """

    path: Path
    options: Mapping[str, Any]
    scores: Mapping[str, float]
    seconds: float
    epochs: Sequence[Mapping[str, float]] = field(repr=False, default=())
    valid: frozenset[str] | None = field(repr=False, default=None)

    @classmethod
    def read(cls, path: str | Path) -> Run:
        """Return the run in a folder.

        Raises:
            DataError: It has none that is finished.
        """
        folder = Path(path)
        try:
            stored = json.loads((folder / RUN).read_text(encoding="utf-8"))
            options, finished = {"data": stored["data"], **stored["options"]}, bool(stored["finished"])
        except (OSError, ValueError, KeyError, TypeError):
            raise _no_run(folder) from None
        try:
            rows = list(csv.DictReader((folder / HISTORY).read_text(encoding="utf-8").splitlines()))
        except (OSError, ValueError):
            finished = False
        if not finished:
            raise DataError(
                f"The run in {folder} is not finished.", f"a run that came to its end, with {HISTORY} in its folder.",
                "go on with it, or leave it out: "
                f"onecycle train {shlex.quote(stored['data'])} --out {shlex.quote(str(folder))} --resume",
            )  # fmt: skip
        epochs = [_numbers(row) for row in rows]
        scores = stored.get("scores") or {}
        return cls(folder, options, scores, stored.get("seconds", 0.0), epochs, _validated_on(folder))

    @property
    def seed(self) -> Any:
        """What everything random was drawn from."""
        return self.options.get("seed")


def compare(*runs: str | Path | Iterable[str | Path]) -> Comparison:
    """Return runs side by side: how they differ, their scores, and the spread over seeds.

    Args:
        runs: Folders that `onecycle train` wrote, or a list of them. Those that differ in nothing but the seed are one
            group.
    Raises:
        DataError: There are not two folders, one is given twice, or one has no finished run.
    Example:
        >>> oc.compare("runs/photos", "runs/photos-2").plot()  # doctest: +SKIP
    """
    folders = [path for given in runs for path in ([given] if isinstance(given, str | Path) else given)]
    if len(folders) < 2:
        raise DataError(
            f"compare() of {counted(len(folders), 'run')}.", "two or more.",
            'pass their folders: "runs/photos", "runs/photos-2".',
            shell_fix="pass their folders: onecycle compare runs/photos runs/photos-2",
        )  # fmt: skip
    places = [Path(path).resolve() for path in folders]
    if twice := [str(path) for path, place in zip(folders, places, strict=True) if places.count(place) > 1]:
        raise DataError(f"A run is given twice: {some(twice)}.", "different runs.", "name the folder of each run once.")
    read = [Run.read(path) for path in folders]
    names = {name for run in read for name in run.options if changes_weights(name)}
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
            row: dict[str, Any] = {"settings": settings, "runs": len(runs), "seeds": len(_by_seed(runs))}
            for name in _score_names([run for group in self.groups.values() for run in group]):
                known = [run.scores[name] for run in runs if name in run.scores]
                of_seeds = [[run.scores[name] for run in same if name in run.scores] for same in _by_seed(runs)]
                means = [mean(scores) for scores in of_seeds if scores]
                row[name] = mean(known) if known else None
                row[f"{name}_std"] = stdev(means) if len(means) > 1 else None
            rows.append(row)
        return Result(pa.Table.from_pylist(rows), "Over seeds", "The standard deviation needs two seeds or more.")


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
    if all(len(_by_seed(runs)) < 2 for runs in groups.values()):
        notes = ["No two runs differ in the seed alone: how much of the difference is chance is not known."]
    else:
        notes = [note for note in [_note_of_splits(groups)] if note]
    every = [run for runs in groups.values() for run in runs]
    if not notes and len({run.valid for run in every if run.valid is not None}) > 1:
        notes = ["The runs were validated on different items, so that their scores differ for this reason too."]
    return " ".join(notes)


def _note_of_splits(groups: Mapping[str, Sequence[Run]]) -> str:
    """Return what to say where another seed also held back other items; empty where all held back the same."""
    seeds = [run for runs in groups.values() if len(_by_seed(runs)) > 1 for run in runs]
    splits = [{run.valid for run in runs} for runs in groups.values() if len(_by_seed(runs)) > 1]
    if any(len(each - {None}) > 1 for each in splits):
        other = "Another seed also held back other items"
    elif any(run.valid is None and _splits_by_seed(run) for run in seeds):
        other = "Another seed also holds back other items where the split is random"
    else:
        return ""
    return f"{other}, so that the spread is of the split too; --valid with a folder or a file keeps the split."


def _splits_by_seed(run: Run) -> bool:
    valid = run.options.get("valid")
    return valid is None or str(valid).replace(".", "", 1).isdigit()


def _by_seed(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs of each seed."""
    return [[run for run in runs if run.seed == seed] for seed in dict.fromkeys(run.seed for run in runs)]


def _validated_on(folder: Path) -> frozenset[str] | None:
    from pyarrow import parquet

    try:
        table = parquet.read_table(folder / ITEMS, partitioning=None)
        return frozenset(table.filter(pc.equal(table["split"], "valid"))["item"].to_pylist())
    except (OSError, KeyError, pa.ArrowException):
        return None


def _no_run(folder: Path) -> DataError:
    inside = [path.parent for path in sorted(folder.glob(f"*/{RUN}"))] if folder.is_dir() else []
    return DataError(
        f"{folder} has no run." if folder.is_dir() else f"There is no folder {folder}.",
        f"a folder that onecycle train wrote, with {RUN} and {HISTORY} in it.",
        f"pass {' '.join(map(str, inside[:4]))}." if inside else "pass the --out of runs, such as runs/photos.",
    )


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
