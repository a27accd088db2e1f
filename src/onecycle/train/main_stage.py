"""The main stage of `fine_tune` by what the frozen stage reached: more of it where the head alone is often wrong."""

from __future__ import annotations

import sys
from dataclasses import replace

from rich.console import Console

from onecycle.errors import counted
from onecycle.inference.evaluation import evaluate
from onecycle.metrics import resolve_metrics
from onecycle.train.layer_groups import HardData, fine_tuning_of
from onecycle.train.plan import Stage
from onecycle.train.state import TrainState


def choose_stage(state: TrainState, stage: Stage) -> Stage:
    """Return an open main stage with its epochs, layers and rates, and say in the history why these.

    Args:
        state: Its head was trained by the frozen stage, which was the last epoch.
        stage: As it is taken where the head alone is accurate.
    """
    hard = fine_tuning_of(state.model).hard
    assert hard is not None
    accuracy = state.processes.decide(lambda: _head_accuracy(state))
    chosen = replace(stage, open=False)
    if accuracy < hard.accuracy:
        chosen = replace(chosen, epochs=hard.epochs, freeze_to=hard.freeze_to, spread=hard.spread)
    _tell(state, _reason(state, accuracy, hard, chosen))
    return chosen


def _head_accuracy(state: TrainState) -> float:
    """Return the share of validation items for which the model is right."""
    if state.history.epochs and "accuracy" in state.history[-1].metrics:
        return state.history[-1].metrics["accuracy"]
    outputs = state.predictor().run(state.data.valid.epoch(0), most_items=state.data.batch_size)
    return evaluate(outputs, state.target, state.loss, resolve_metrics("accuracy", state.target))["accuracy"]


def _reason(state: TrainState, accuracy: float, hard: HardData, stage: Stage) -> str:
    layers = f"of the layers from group {stage.freeze_to} on" if stage.freeze_to else "of all layers"
    compared = "below" if accuracy < hard.accuracy else "not below"
    return (
        f"before epoch {len(state.history) + 1}: the head alone is right on {accuracy:.1%} of the validation items, "
        f"{compared} {hard.accuracy:.0%}, so {counted(stage.epochs, 'epoch')} {layers} "
        f"{'follows' if stage.epochs == 1 else 'follow'}"
    )


def _tell(state: TrainState, note: str) -> None:
    state.history.notes.append(note)
    if state.options.progress and state.processes.is_main:
        Console(file=sys.stderr).print(note, highlight=False, soft_wrap=True)
