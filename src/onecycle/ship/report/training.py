"""The sections of a report that every run has: what was trained, how it went, how long it took."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from onecycle.errors import counted
from onecycle.ship.report.blocks import Block, Chart, Code, Facts, Interval, Note, Section, Table, as_sentence
from onecycle.ship.report.svg import Band, Line, Mark, chart, thinned
from onecycle.train.history import History, running_mean
from onecycle.train.layer_groups import trained_layers
from onecycle.train.options import changes_weights
from onecycle.train.state import TrainState
from onecycle.train.threshold import threshold_note


def what_was_trained(state: TrainState) -> Section:
    """Return what was trained on what, with the command and the Python that repeat it."""
    lines = repr(state.data).splitlines()
    config = getattr(state.model, "config", None)
    name = _body_of(config) if isinstance(config, Mapping) else None
    model = f"{type(state.model).__name__}{f' of {name}' if name else ''}"
    parameters = sum(parameter.numel() for parameter in state.model.parameters())
    kept = state.weights_record
    rows = [
        ("Model", f"{model}, {parameters / 1e6:.1f} million parameters, trained: {_trained(state)}"),
        ("Predicts", state.target.summary),
        ("Data", "\n".join(lines)),
        ("Weights", f"of epoch {kept.epoch} of {len(state.history)}" if kept else "as they are; no epoch has ended"),
        ("Machine", f"{_device(state)}, {state.precision.mode}, seed {state.seed}"),
        ("Versions", ", ".join(f"{each} {version(each)}" for each in ("onecycle", "torch", "timm"))
         + f", Python {platform.python_version()}"),
    ]  # fmt: skip
    blocks: list[Block] = [Facts(rows)]
    if state.command:
        blocks.append(Code(state.command, "The command that repeats it"))
    if state.code:
        blocks.append(Code(f"import onecycle as oc\n\n{state.code}", "The Python that repeats it"))
    return Section("What was trained", blocks)


def _trained(state: TrainState) -> str:
    """Return which layers were trained up to the epoch of the weights."""
    kept = state.weights_record
    if kept is None:
        return trained_layers(state.model)
    return ", then ".join(dict.fromkeys(record.stage for record in state.history if record.epoch <= kept.epoch))


def _body_of(config: Mapping[str, Any]) -> str | None:
    """Return the name of a model's body: of the backbone, or of the kind of encoder."""
    encoder = config.get("encoder")
    return config.get("name") or config.get("backbone") or (
        encoder.get("model_type") if isinstance(encoder, Mapping) else None
    )  # fmt: skip


def _device(state: TrainState) -> str:
    if state.device.type == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name(state.device)
    return f"{state.device}, {counted(torch.get_num_threads(), 'thread')}, {platform.machine()}"


def how_it_went(state: TrainState) -> Section:
    """Return the curves of losses, metrics and rates, with stages and sizes marked, and a row an epoch."""
    history = state.history
    if not len(history):
        return Section("Training", [Note("Nothing was trained yet.")])
    epochs = [float(record.epoch) for record in history]
    stages = list(history.stages())
    bands = [Band(start + 0.5, stop + 0.5, str(number)) for number, (start, stop, _) in enumerate(stages, 1)]
    ends = (0.5, len(history) + 0.5)
    losses: list[Mark] = [
        Line("training", epochs, [record.train_loss for record in history], dots=True),
        Line("validation", epochs, [record.valid_loss for record in history], dots=True),
    ]
    blocks: list[Block] = [
        Chart(chart(losses, title="Loss", x="epoch", y="loss", bands=bands, x_range=ends, whole=True), "Loss")
    ]
    for name in dict.fromkeys(name for record in history for name in record.metrics):
        line = Line(name, epochs, [record.metrics.get(name) for record in history], dots=True)
        drawn = chart([line], title=name, x="epoch", bands=bands, x_range=ends, whole=True)
        blocks.append(Chart(drawn, name))
    blocks += _steps(history)
    names = [f"{number}: {name}" for number, (_, _, name) in enumerate(stages, 1)]
    blocks.append(Note(f"Shaded: {'; '.join(names)}."))
    said = threshold_note(state)  # beside the scores
    blocks += [Note(as_sentence(note)) for note in history.notes if note != said]
    rows = [list(record.cells().values()) for record in history]
    columns = list(dict.fromkeys(name for record in history for name in record.cells()))
    if all(len(row) == len(columns) for row in rows):
        blocks.append(Table(columns, rows, "Epochs"))
    return Section("Training", blocks)


def _steps(history: History) -> list[Block]:
    if not len(history.steps):
        return []
    steps, raw = [float(number) for number in range(1, len(history.steps) + 1)], [loss for loss, _ in history.steps]
    x, y = thinned(steps, running_mean(np.array(raw)).tolist())
    x_rates, rates = thinned(steps, [rate for _, rate in history.steps])
    return [
        Chart(
            chart([Line("running mean", x, y)], title="Loss of each step", x="step", y="loss", whole=True),
            "Loss of each step",
        ),
        Chart(
            chart([Line("highest rate", x_rates, rates)], title="Learning rate", x="step", whole=True), "Learning rate"
        ),
    ]


def time_and_memory(state: TrainState, seconds: Mapping[str, float]) -> Section:
    """Return how long training took, stage by stage, and the most memory that the process had."""
    rows = [("Training and validation", duration(sum(record.seconds for record in state.history)))]
    rows += [(name, duration(value)) for name, value in seconds.items()]
    if state.history.epochs:
        slowest = max(state.history, key=lambda record: record.seconds)
        rows.append(("Slowest epoch", f"epoch {slowest.epoch}: {duration(slowest.seconds)}"))
    if memory := _most_memory():
        rows.append(("Most memory of the process", f"{memory / 2**20:,.0f} MiB"))
    if state.device.type == "cuda" and torch.cuda.is_available():
        rows.append(("Most memory of the GPU", f"{torch.cuda.max_memory_allocated(state.device) / 2**20:,.0f} MiB"))
    rows += [
        (f"Energy of the {name}", f"{joules / 3600:.3g} Wh since the learner was made, with what other programs took")
        for name, joules in state.energy.joules().items()
    ]
    return Section("Time and memory", [Facts(rows)])


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Example:
        >>> duration(7.25), duration(100), duration(4000)
        ('7.2 s', '1 min 40 s', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min {seconds % 60:.0f} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _most_memory() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib if sys.platform == "darwin" else kib * 1024.0


def score_rows(scores: Mapping[str, float], before: Mapping[str, float], items: str = "validation items") -> Table:
    """Return scores on some items beside those of the previous run."""
    rows: list[Sequence[str | Interval]] = [
        [name, f"{value:.4f}", *([_change(value, before.get(name))] if before else [])]
        for name, value in scores.items()
    ]
    return Table(["score", "value", *(["previous run"] if before else [])], rows, f"Scores on the {items}")


def _change(value: float, before: float | None) -> str:
    return "" if before is None else f"{before:.4f} ({value - before:+.4f})"


def differences(previous: Mapping[str, Any], options: Mapping[str, Any]) -> Table | None:
    """Return the options in which this run differs from the previous one; None where it has the same."""
    names = [name for name in {**previous, **options} if changes_weights(name)]
    names = [name for name in names if previous.get(name) != options.get(name)]
    rows = [
        [name, *("" if (value := of.get(name)) is None else str(value) for of in (previous, options))] for name in names
    ]
    return Table(["option", "previous run", "this run"], rows, "Options that differ") if rows else None
